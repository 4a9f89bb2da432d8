//! The ids of requests: UUIDs of version 7 (RFC 9562 §5.7), by which a client, an event and the upstream's log speak of
//! the same request.
//!
//! They have to be unique, not secret. Randomness is asked for once a thread, and a counter does the rest (§6.2), since
//! the system's randomness costs a call of the system for each request.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::fmt::Hyphenated;
use uuid::{Builder, Uuid};

use crate::domain::clock::Timestamp;

use super::outbox::Outbox;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-portcullis-request-id");
/// The field that tells an id, as it is written before and behind the text.
const BEFORE: &[u8; 25] = b"x-portcullis-request-id: ";
const BEHIND: &[u8; 2] = b"\r\n";
const TEXT: Range<usize> = BEFORE.len()..BEFORE.len() + Hyphenated::LENGTH;
const LINE: usize = TEXT.end + BEHIND.len();

/// An id, 36 characters in lower case, in the line of a head that tells it.
#[derive(Clone, Copy, Debug)]
pub struct RequestId([u8; LINE]);

impl RequestId {
    pub fn as_str(&self) -> &str {
        // Always ASCII, by its making.
        std::str::from_utf8(&self.0[TEXT]).unwrap_or_default()
    }

    /// Tells it in a head.
    pub fn write(&self, out: &mut Outbox) {
        out.add([&self.0]);
    }

    /// Tells it among fields that somebody else will write, in place of any other of its name.
    pub fn put_into(&self, fields: &mut HeaderMap) {
        if let Ok(text) = HeaderValue::from_bytes(&self.0[TEXT]) {
            fields.insert(REQUEST_ID, text);
        }
    }
}

impl From<Uuid> for RequestId {
    fn from(id: Uuid) -> Self {
        let mut line = [0; LINE];
        let (before, rest) = line.split_at_mut(TEXT.start);
        let (text, behind) = rest.split_at_mut(TEXT.len());
        before.copy_from_slice(BEFORE);
        id.hyphenated().encode_lower(text);
        behind.copy_from_slice(BEHIND);
        Self(line)
    }
}

/// One thread's ids.
pub struct RequestIds {
    random: [u8; 6],
    next: Cell<u32>,
}

impl RequestIds {
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new() -> io::Result<Self> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let [head @ .., a, b, c, d] = random;
        Ok(Self { random: head, next: Cell::new(u32::from_be_bytes([a, b, c, d])) })
    }

    pub fn next(&self, at: Timestamp) -> RequestId {
        let count = self.next.get();
        self.next.set(count.wrapping_add(1));
        let mut tail = [0; 10];
        let (random, counter) = tail.split_at_mut(self.random.len());
        random.copy_from_slice(&self.random);
        counter.copy_from_slice(&count.to_be_bytes());
        let millis = u64::try_from(at.millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &tail).into_uuid().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_of_version_7_say_when_and_differ_within_a_millisecond_and_between_threads() {
        let at = Timestamp::from_millis(1_800_000_000_123);
        let threads = [RequestIds::new().unwrap(), RequestIds::new().unwrap()];
        let mut seen = HashSet::new();
        for ids in &threads {
            for _ in 0..1000 {
                let id = ids.next(at);
                let read = Uuid::parse_str(id.as_str()).unwrap();
                assert_eq!(read.get_version_num(), 7);
                assert_eq!(read.get_timestamp().unwrap().to_unix(), (1_800_000_000, 123_000_000));
                assert!(seen.insert(id.as_str().to_owned()));
                let (mut out, mut fields) = (Outbox::default(), HeaderMap::new());
                id.write(&mut out);
                id.put_into(&mut fields);
                let line = format!("{REQUEST_ID}: {}\r\n", id.as_str());
                assert_eq!(out.bytes(), line.as_bytes());
                assert_eq!(fields[REQUEST_ID], id.as_str());
            }
        }
    }

    #[test]
    fn the_counter_goes_round() {
        let ids = RequestIds { random: [7; 6], next: Cell::new(u32::MAX) };
        let at = Timestamp::from_millis(0);
        assert_ne!(ids.next(at).as_str(), ids.next(at).as_str());
        assert_eq!(ids.next.get(), 1);
    }
}
