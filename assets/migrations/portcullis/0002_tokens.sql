-- Tokens: the keys that sign them, those that were issued, what was revoked, what may be used once, and whose tokens
-- are taken besides our own. The tokens themselves are never kept.

-- Signing keys. Their private parts are vault entries, `signing-key/<kid>`. Those that are retired stay, so that a kid is
-- never used twice.
CREATE TABLE signing_key (
    kid            TEXT PRIMARY KEY,
    algorithm      TEXT NOT NULL,
    name           TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    signs_from     INTEGER NOT NULL,      -- published before that
    signs_until    INTEGER,               -- exclusive; NULL = until it is rotated
    verifies_until INTEGER,               -- exclusive; NULL = while it signs
    retired_at     INTEGER,
    public_jwk     TEXT,                  -- JSON; NULL for HS256, which has no public part
    mac            BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What is remembered of each token issued. A row never changes; whether its token was revoked stands in `revocation`.
CREATE TABLE token (
    jti        TEXT PRIMARY KEY,
    subject    TEXT NOT NULL,
    client     TEXT NOT NULL,
    scopes     TEXT NOT NULL,             -- JSON array of names
    audience   TEXT NOT NULL,             -- JSON array
    policy     TEXT NOT NULL,             -- may be gone once the token is expired
    bound      TEXT,                      -- JSON: the policy that stands in the token, where one does
    max_uses   INTEGER,
    kid        TEXT NOT NULL REFERENCES signing_key (kid),
    algorithm  TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,          -- exclusive
    issued_by  TEXT NOT NULL,
    mac        BLOB NOT NULL
) STRICT;
CREATE INDEX token_issued  ON token (issued_at, jti);
CREATE INDEX token_expires ON token (expires_at, jti);
CREATE INDEX token_subject ON token (subject, jti);
CREATE INDEX token_policy  ON token (policy, jti);
CREATE INDEX token_kid     ON token (kid, expires_at);

-- What is refused though it is signed. kind: token (object is its id), subject, key (a kid), issued_before (no object).
-- issuer: '' = this home, or for a subject, every issuer; else the name of a registered one.
CREATE TABLE revocation (
    kind       TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    object     TEXT NOT NULL,
    cut        INTEGER,                   -- tokens issued at or before it (issued_before: before it); NULL = all
    revoked_at INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    ends_at    INTEGER,                   -- when nothing that it refuses can be valid any more; NULL = never
    mac        BLOB NOT NULL,
    PRIMARY KEY (kind, issuer, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX revocation_ends ON revocation (ends_at);

-- What was used and may not be used again: ids of one-time tokens and of proofs of possession. realm: whose.
CREATE TABLE one_time (
    realm   TEXT NOT NULL,
    id      TEXT NOT NULL,
    ends_at INTEGER NOT NULL,
    mac     BLOB NOT NULL,
    PRIMARY KEY (realm, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX one_time_ends ON one_time (ends_at);

-- Issuers of tokens besides this home. The secret of one that signs with HS256 is a vault entry, `issuer/<name>`.
CREATE TABLE issuer (
    name        TEXT PRIMARY KEY,
    profile     TEXT NOT NULL,
    iss         TEXT UNIQUE,              -- NULL: tokens without an issuer, which one legacy issuer may have
    url         TEXT,
    audience    TEXT,
    algorithms  TEXT NOT NULL,            -- JSON array
    mapping     TEXT NOT NULL,            -- JSON: which claims are subject and scopes, and what scopes mean here
    policy      TEXT NOT NULL REFERENCES policy (name),
    keys        TEXT NOT NULL,            -- a JWK set
    created_at  INTEGER NOT NULL,
    fetched_at  INTEGER,
    last_error  TEXT NOT NULL,
    mac         BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- Of those without an issuer there is one at most: nothing in a token tells them apart.
CREATE UNIQUE INDEX issuer_without_iss ON issuer ((iss IS NULL)) WHERE iss IS NULL;

-- Settings that decisions rest on: resource, the public MCP URL of this home's gateway.
CREATE TABLE sealed_setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    mac   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
