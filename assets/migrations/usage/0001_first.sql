-- usage.db: counters and events. A crash may lose the last flush. Times are milliseconds since the Unix epoch.

CREATE TABLE usage_minute (
    at         INTEGER NOT NULL,          -- start of the minute
    credential TEXT NOT NULL,
    subject    TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    calls      INTEGER NOT NULL,
    PRIMARY KEY (at, credential, endpoint, outcome)
) STRICT, WITHOUT ROWID;

-- The same by the hour, for long ranges.
CREATE TABLE usage_hour (
    at         INTEGER NOT NULL,          -- start of the hour
    credential TEXT NOT NULL,
    subject    TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    calls      INTEGER NOT NULL,
    PRIMARY KEY (at, credential, endpoint, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    credential TEXT NOT NULL,
    subject    TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    address    TEXT NOT NULL,
    count      INTEGER NOT NULL CHECK (count >= 1),
    detail     TEXT NOT NULL,
    batch      INTEGER NOT NULL           -- one flush
) STRICT;
CREATE INDEX event_at         ON event (at, seq);
CREATE INDEX event_credential ON event (credential, seq);
CREATE INDEX event_batch      ON event (batch);
