-- Whoever calls is an issuer and a subject, always both. The issuer of our own credentials is the home: the empty text.

ALTER TABLE usage_minute ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_hour   ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE event        ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
