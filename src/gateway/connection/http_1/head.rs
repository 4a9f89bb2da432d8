//! The head of a request.
//!
//! What two readers could frame differently is refused (RFC 9112 §2.2, §5, §6): a line that does not end in CRLF, a length
//! or a coding said twice or beside the other, a length that is not of digits alone, any coding but `chunked`, a coding in
//! HTTP/1.0. httparse refuses folded lines, a bare CR, and space before a colon. Each would be harmless to the upstream,
//! whose requests are framed anew; but a proxy in front that counted otherwise would have made two requests of one.

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode, Uri};
use httparse::Status;

use crate::gateway::wire::{
    Chunk, Content, Fields, Garbled, MOST_FIELDS, Parts, Places, are_whole_lines, may_be_whole, number,
    options,
};

/// More than the gateway's own limits, so that it can answer 414 and 431 itself where it knows whom.
const LONGEST: usize = u16::MAX as usize;

/// A request without its body, and what its connection needs to know of it.
pub struct Head {
    pub parts: Parts,
    pub content: Content,
    /// Whether the client speaks HTTP/1.0, which knows no chunks and keeps no connection unless asked.
    pub is_first: bool,
    /// Whether another request may follow.
    pub is_kept: bool,
    /// Whether the client waits for a word before it sends the body (RFC 9110 §10.1.1).
    pub is_expectant: bool,
}

impl Head {
    /// Whether it is worth another look at what was read, after what came `from` there on.
    pub fn may_be_whole(read: &[u8], from: usize) -> bool {
        may_be_whole(read, from, LONGEST)
    }

    /// Takes a head out of what was read, `None` where it is not whole; an error is the status to answer before the
    /// connection is closed.
    pub fn take(read: &mut BytesMut) -> Result<Option<Self>, StatusCode> {
        // Empty lines before a request are passed over (RFC 9112 §2.2).
        while read.starts_with(b"\r\n") {
            read.advance(2);
        }
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut parsed = httparse::Request::new(&mut []);
        let length = match parsed.parse_with_uninit_headers(read, &mut fields) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if read.len() <= LONGEST => return Ok(None),
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            }
            Err(_) => return Err(StatusCode::BAD_REQUEST),
        };
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(StatusCode::BAD_REQUEST);
        };
        if !are_whole_lines(&read[..length]) {
            return Err(StatusCode::BAD_REQUEST);
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
        let places = Places::of(read, parsed.headers, target).ok_or(StatusCode::BAD_REQUEST)?;
        let (headers, target) = Fields::new(read.split_to(length), places);
        let uri = Uri::from_maybe_shared(target).map_err(|_| StatusCode::BAD_REQUEST)?;
        let parts = Parts { method, uri, headers };
        Self::of(parts, version == 0).map(Some).map_err(|Garbled| StatusCode::BAD_REQUEST)
    }

    fn of(parts: Parts, is_first: bool) -> Result<Self, Garbled> {
        let mut content = None;
        let (mut is_closed, mut is_asked_for, mut is_expectant) = (false, false, false);
        for field in parts.headers.iter() {
            let value = field.value();
            match field.name() {
                b"content-length" | b"transfer-encoding" if content.is_some() => return Err(Garbled),
                b"content-length" => content = Some(Content::Length(length(value)?)),
                b"transfer-encoding" if is_first || !value.eq_ignore_ascii_case(b"chunked") => {
                    return Err(Garbled);
                }
                b"transfer-encoding" => content = Some(Content::Chunked(Chunk::Size)),
                b"connection" => {
                    is_closed |= says(value, b"close");
                    is_asked_for |= says(value, b"keep-alive");
                }
                b"expect" => is_expectant |= says(value, b"100-continue"),
                _ => {}
            }
        }
        Ok(Self {
            parts,
            content: content.unwrap_or(Content::Length(0)),
            is_first,
            is_kept: !is_closed && (!is_first || is_asked_for),
            is_expectant: is_expectant && !is_first,
        })
    }
}

/// The length of a body, in no more digits than the greatest number has.
fn length(value: &[u8]) -> Result<u64, Garbled> {
    if value.len() > 20 { Err(Garbled) } else { number(value) }
}

/// Whether an option is among those of a list.
fn says(value: &[u8], option: &[u8]) -> bool {
    options(value).any(|found| found.eq_ignore_ascii_case(option))
}
