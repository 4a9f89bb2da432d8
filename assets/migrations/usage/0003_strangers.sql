-- Whoever did not prove himself and names nobody who is known is a stranger. What he chooses is not kept, and what is kept
-- of him stands apart, so that it never takes the room of what is known of others.

CREATE TABLE stranger_minute (
    at       INTEGER NOT NULL,            -- start of the minute
    endpoint TEXT NOT NULL,               -- a method of MCP, or (other)
    outcome  TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    PRIMARY KEY (at, endpoint, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE stranger_hour (
    at       INTEGER NOT NULL,            -- start of the hour
    endpoint TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    PRIMARY KEY (at, endpoint, outcome)
) STRICT, WITHOUT ROWID;

ALTER TABLE event ADD COLUMN stranger INTEGER NOT NULL DEFAULT 0;
CREATE INDEX event_stranger ON event (batch) WHERE stranger = 1;

-- Numbers that outlast the rows they speak of.
CREATE TABLE mark (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
