//! The head of a request.
//!
//! What two readers could frame differently is refused (RFC 9112 §2.2, §5, §6): a line that does not end in CRLF, a length
//! or a coding said twice or beside the other, a length that is not of digits alone, any coding but `chunked`, a coding in
//! HTTP/1.0. httparse refuses folded lines, a bare CR, and space before a colon. Each would be harmless to the upstream,
//! whose requests are framed anew; but a proxy in front that counted otherwise would have made two requests of one.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use httparse::Status;
use memchr::memchr;

use crate::gateway::headers;
use crate::gateway::wire::{Chunk, Content, Garbled, MOST_FIELDS, Places, are_whole_lines};

/// More than the gateway's own limits, so that it can answer 414 and 431 itself where it knows whom.
const LONGEST: usize = u16::MAX as usize;

/// A request without its body, and what its connection needs to know of it.
pub struct Head {
    pub request: Request<()>,
    pub content: Content,
    /// Whether another request may follow.
    pub is_kept: bool,
    /// Whether the client waits for a word before it sends the body (RFC 9110 §10.1.1).
    pub is_expectant: bool,
}

impl Head {
    /// Whether the client speaks HTTP/1.0, which knows no chunks and keeps no connection unless asked.
    pub fn is_first(&self) -> bool {
        self.request.version() == Version::HTTP_10
    }

    /// Whether it is worth another look at what was read, after what came `from` there on.
    pub fn may_be_whole(read: &[u8], from: usize) -> bool {
        read.len() > LONGEST || memchr(b'\n', &read[from..]).is_some()
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
        let places = Places::of(read, parsed.headers);
        let target = places.of_part(target);
        let head = read.split_to(length).freeze();
        let target = Uri::from_maybe_shared(head.slice(target)).map_err(|_| StatusCode::BAD_REQUEST)?;
        let is_first = version == 0;
        Self::of(&head, &places, method, target, is_first)
            .map(Some)
            .map_err(|Garbled| StatusCode::BAD_REQUEST)
    }

    fn of(
        head: &Bytes,
        places: &Places,
        method: Method,
        target: Uri,
        is_first: bool,
    ) -> Result<Self, Garbled> {
        let mut fields = HeaderMap::with_capacity(places.len());
        let mut content = None;
        let (mut is_closed, mut is_asked_for, mut is_expectant) = (false, false, false);
        for field in places.fields(head) {
            let (name, value) = field?;
            match name {
                header::CONTENT_LENGTH | header::TRANSFER_ENCODING if content.is_some() => {
                    return Err(Garbled);
                }
                header::CONTENT_LENGTH => content = Some(Content::Length(digits(&value)?)),
                header::TRANSFER_ENCODING
                    if is_first || !value.as_bytes().eq_ignore_ascii_case(b"chunked") =>
                {
                    return Err(Garbled);
                }
                header::TRANSFER_ENCODING => content = Some(Content::Chunked(Chunk::Size)),
                header::CONNECTION => {
                    is_closed |= says(&value, b"close");
                    is_asked_for |= says(&value, b"keep-alive");
                }
                header::EXPECT => is_expectant |= says(&value, b"100-continue"),
                _ => {}
            }
            fields.append(name, value);
        }
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.version_mut() = if is_first { Version::HTTP_10 } else { Version::HTTP_11 };
        *request.headers_mut() = fields;
        Ok(Self {
            request,
            content: content.unwrap_or(Content::Length(0)),
            is_kept: !is_closed && (!is_first || is_asked_for),
            is_expectant: is_expectant && !is_first,
        })
    }
}

/// Digits and nothing else, no more of them than the greatest number has.
fn digits(value: &HeaderValue) -> Result<u64, Garbled> {
    let text = value.to_str().map_err(|_| Garbled)?;
    let is_number = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or(Garbled)
}

/// Whether an option is among those of a list.
fn says(value: &HeaderValue, option: &[u8]) -> bool {
    headers::options(std::slice::from_ref(value)).any(|found| found.eq_ignore_ascii_case(option))
}
