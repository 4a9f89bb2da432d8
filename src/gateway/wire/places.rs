//! The fields of a head, as values that share its memory.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::content::Garbled;

/// So many fields may a head have. RFC 9110 §5.4 leaves the number to who reads it.
pub const MOST_FIELDS: usize = 100;

/// Names that nearly every MCP request has and that `http` does not know by itself: a name of its own needs memory of its
/// own.
static CUSTOMARY: [HeaderName; 4] = [
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("mcp-session-id"),
];

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
            let name = name_of(&head[name.clone()])?;
            let value = HeaderValue::from_maybe_shared(head.slice(value.clone())).map_err(|_| Garbled)?;
            Ok((name, value))
        })
    }
}

fn name_of(text: &[u8]) -> Result<HeaderName, Garbled> {
    let customary = CUSTOMARY.iter().find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(text));
    customary.map_or_else(|| HeaderName::from_bytes(text).map_err(|_| Garbled), |known| Ok(known.clone()))
}
