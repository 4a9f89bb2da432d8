-- portcullis.db: what is acknowledged here is on disk. Times are milliseconds since the Unix epoch.
--
-- mac: HMAC-SHA256, under a key of the vault, over the table's name and every other column of the row (src/store/seal.rs).

-- Facts about the store itself: store_id, audit_public_key. Opening the vault proves both.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys at rest. wrapped_key: the entry's data key under the master key; sealed: the entry under its data key.
CREATE TABLE vault_entry (
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    sealed      BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE scope (
    name        TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    endpoints   TEXT NOT NULL,            -- JSON array of patterns
    mac         BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest revision of each policy that there is.
CREATE TABLE policy (
    name     TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    mac      BLOB NOT NULL,
    FOREIGN KEY (name, revision) REFERENCES policy_revision (name, revision)
) STRICT, WITHOUT ROWID;

-- Every revision ever saved. Outlives its policy, so that numbers are never used twice.
CREATE TABLE policy_revision (
    name     TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    document TEXT NOT NULL,               -- the policy as JSON
    author   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    mac      BLOB NOT NULL,
    PRIMARY KEY (name, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id              TEXT PRIMARY KEY,
    environment     TEXT NOT NULL,
    name            TEXT NOT NULL,
    subject         TEXT NOT NULL,
    scopes          TEXT NOT NULL,        -- JSON array of names
    policy          TEXT NOT NULL REFERENCES policy (name),
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,              -- exclusive; NULL = never
    disabled        INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    revoked_at      INTEGER,
    revoked_reason  TEXT NOT NULL DEFAULT '',
    rotated_at      INTEGER,
    previous_until  INTEGER,
    pepper_version  INTEGER NOT NULL,
    digest          BLOB NOT NULL CHECK (length(digest) = 32),
    previous_digest BLOB CHECK (previous_digest IS NULL OR length(previous_digest) = 32),
    mac             BLOB NOT NULL
) STRICT;
CREATE INDEX api_key_created ON api_key (created_at, id);
CREATE INDEX api_key_expires ON api_key (expires_at, id);
CREATE INDEX api_key_subject ON api_key (subject, id);
CREATE INDEX api_key_name    ON api_key (name, id);
CREATE INDEX api_key_policy  ON api_key (policy, id);

-- The change feed: what every commit touched, in order. Swept down to the last 10 000.
CREATE TABLE change (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    noun   TEXT NOT NULL,                 -- key, policy, scopes
    object TEXT NOT NULL,
    mac    BLOB NOT NULL
) STRICT;

-- What each account has charged or leased lately. A row is made with its credential and goes with it, so that one that
-- is missing is never taken for one that has charged nothing.
CREATE TABLE quota (
    account TEXT PRIMARY KEY,
    charged BLOB NOT NULL,                -- cells of 13 bytes, see src/store/quota.rs
    mac     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The audit chain: hash = SHA-256(previous hash || canonical record). The last record of each
-- commit carries the Ed25519 signature over its hash.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    act       TEXT NOT NULL,
    object    TEXT NOT NULL,
    detail    TEXT NOT NULL,              -- JSON
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    signature BLOB
) STRICT;
CREATE INDEX audit_object ON audit (object, seq);
