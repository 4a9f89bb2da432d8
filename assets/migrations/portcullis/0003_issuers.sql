-- From where, how and when the keys of registered issuers are fetched. Whose are pinned by hand have no row here.
CREATE TABLE issuer_source (
    issuer        TEXT PRIMARY KEY REFERENCES issuer (name),
    jwks_uri      TEXT NOT NULL,
    allow_private TEXT NOT NULL,          -- JSON array of hosts that may be at private addresses
    etag          TEXT,
    asked_at      INTEGER NOT NULL,       -- when they were last asked for, also in vain
    next_at       INTEGER NOT NULL,       -- when they are to be asked for again
    mac           BLOB NOT NULL
) STRICT, WITHOUT ROWID;
