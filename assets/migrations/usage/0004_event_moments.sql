-- The events of one credential are listed by their moments. By its number alone all of them would be sorted for each page.
DROP INDEX event_credential;
CREATE INDEX event_credential ON event (credential, at, seq);
