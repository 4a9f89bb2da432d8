-- What a token rests on that was got for another credential: the key that it, or the first of its parents, was got with,
-- and the tokens that it was narrowed from. The same stands in the token itself, which is what gateways go by.
CREATE TABLE token_ground (
    jti       TEXT NOT NULL,
    kind      TEXT NOT NULL,              -- key, token
    object    TEXT NOT NULL,              -- the id of that key or token
    place     INTEGER NOT NULL,           -- 0 for a key; tokens from 1 on, the nearest first
    secret    BLOB,                       -- of a key: the first eight bytes of the digest of the secret that was shown
    kid       TEXT,                       -- of a token: what signed it
    issued_at INTEGER,                    -- of a token
    mac       BLOB NOT NULL,
    PRIMARY KEY (jti, kind, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_ground_object ON token_ground (kind, object);
CREATE INDEX token_ground_kid    ON token_ground (kid);
CREATE INDEX token_ground_issued ON token_ground (issued_at);
