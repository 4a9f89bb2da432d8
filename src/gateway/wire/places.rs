//! The fields of a head, as values that share its memory.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::content::Garbled;

/// So many fields may a head have. RFC 9110 §5.4 leaves the number to who reads it.
pub const MOST_FIELDS: usize = 100;

/// Where parts of a head stand in it.
pub struct Places {
    start: usize,
    /// Name and value.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Places {
    pub fn of(head: &[u8], fields: &[httparse::Header<'_>]) -> Self {
        let mut places = Self { start: head.as_ptr().addr(), fields: Vec::new() };
        let of_field =
            |field: &httparse::Header<'_>| (places.of_part(field.name), places.of_part(field.value));
        places.fields = fields.iter().map(of_field).collect();
        places
    }

    /// Where a part of the head stands that httparse has found in it.
    pub fn of_part(&self, part: impl AsRef<[u8]>) -> Range<usize> {
        let part = part.as_ref();
        let at = part.as_ptr().addr().saturating_sub(self.start);
        at..at + part.len()
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// The fields, of the head that was looked at.
    pub fn fields(&self, head: &Bytes) -> impl Iterator<Item = Result<(HeaderName, HeaderValue), Garbled>> {
        self.fields.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(&head[name.clone()]).map_err(|_| Garbled)?;
            let value = HeaderValue::from_maybe_shared(head.slice(value.clone())).map_err(|_| Garbled)?;
            Ok((name, value))
        })
    }
}
