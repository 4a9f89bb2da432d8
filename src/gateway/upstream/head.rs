//! Heads: of a request as the upstream receives it, and of its answer.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use httparse::{ParserConfig, Status};
use memchr::memchr;

use crate::gateway::headers;
use crate::gateway::wire::{Chunk, Content, Garbled, MOST_FIELDS, Outbox, Places};

/// So long may the head of an answer be.
const LONGEST: usize = 128 * 1024;

/// The head of a request, as it is written, but for what frames its body. No target holds the end of a line, by its type.
pub struct RequestHead {
    out: Outbox,
    method: Method,
}

impl RequestHead {
    /// `out`: an empty one, for it to be written in.
    pub fn new(mut out: Outbox, method: &Method, target: &PathAndQuery) -> Self {
        out.add([method.as_str(), " ", target.as_str(), " HTTP/1.1\r\n"].map(str::as_bytes));
        Self { out, method: method.clone() }
    }

    pub fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.out.add_field(name, value);
    }

    /// Ends the head: with the length of the body, or with its coding where no length is known.
    pub fn framed(mut self, length: Option<u64>) -> (Outbox, Method) {
        match length {
            // Where a method says nothing of a body, none is said to be empty (RFC 9110 §8.6).
            Some(0) if ![Method::POST, Method::PUT, Method::PATCH].contains(&self.method) => {}
            Some(length) => self.add(&header::CONTENT_LENGTH, &length.into()),
            None => self.add(&header::TRANSFER_ENCODING, &HeaderValue::from_static("chunked")),
        }
        self.out.add([b"\r\n"]);
        (self.out, self.method)
    }

    #[cfg(test)]
    pub fn fields(self) -> HeaderMap {
        let (out, _) = self.framed(Some(0));
        let mut fields = [httparse::EMPTY_HEADER; 200];
        let mut request = httparse::Request::new(&mut fields);
        request.parse(out.bytes()).unwrap();
        let read = request.headers.iter();
        read.map(|field| {
            (field.name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(field.value).unwrap())
        })
        .collect()
    }
}

/// The head of an answer: what of it is for the client, and how its body is framed.
#[derive(Debug)]
pub struct AnswerHead {
    pub status: StatusCode,
    /// Without what stays on the upstream's connection.
    pub fields: HeaderMap,
    pub content: Content,
    /// Whether the connection takes another request when the body is over.
    pub is_kept: bool,
}

impl AnswerHead {
    /// Whether it is worth another look at what was read, after what came `from` there on.
    pub fn may_be_whole(read: &[u8], from: usize) -> bool {
        read.len() > LONGEST || memchr(b'\n', &read[from..]).is_some()
    }

    /// Takes a head out of what was read, `None` where it is not whole. Interim answers (RFC 9110 §15.2) are passed over;
    /// nobody asked to switch protocols.
    pub fn take(read: &mut BytesMut, method: &Method) -> Result<Option<Self>, Garbled> {
        loop {
            let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
            let mut answer = httparse::Response::new(&mut []);
            let parsed =
                ParserConfig::default().parse_response_with_uninit_headers(&mut answer, read, &mut fields);
            let Status::Complete(length) = parsed.map_err(|_| Garbled)? else {
                return if read.len() > LONGEST { Err(Garbled) } else { Ok(None) };
            };
            let status = StatusCode::from_u16(answer.code.unwrap_or(0)).map_err(|_| Garbled)?;
            let is_first = answer.version == Some(0);
            let places = Places::of(read, answer.headers);
            let head = read.split_to(length).freeze();
            if status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(Garbled);
            }
            if !status.is_informational() {
                return Self::of(&head, &places, status, is_first, method).map(Some);
            }
        }
    }

    /// `is_first`: the answer is in HTTP/1.0.
    fn of(
        head: &Bytes,
        places: &Places,
        status: StatusCode,
        is_first: bool,
        method: &Method,
    ) -> Result<Self, Garbled> {
        let mut fields = HeaderMap::with_capacity(places.len() + 1);
        let (mut lengths, mut codings) = (Stated::None, Vec::new());
        let mut options = Vec::new();
        for field in places.fields(head) {
            let (name, value) = field?;
            match name {
                header::CONTENT_LENGTH => lengths = lengths.and(&value)?,
                header::TRANSFER_ENCODING => codings.push(value),
                header::CONNECTION => options.push(value),
                _ if headers::is_withheld(&name) => {}
                _ => _ = fields.append(name, value),
            }
        }
        if let Stated::Length(length) = lengths {
            fields.insert(header::CONTENT_LENGTH, length.into());
        }
        let has = |option: &[u8]| headers::options(&options).any(|found| found.eq_ignore_ascii_case(option));
        let is_kept = if is_first { has(b"keep-alive") } else { !has(b"close") };
        headers::options(&options).filter_map(|name| HeaderName::from_bytes(name).ok()).for_each(|name| {
            fields.remove(name);
        });
        let has_no_body =
            *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let content = match (has_no_body, codings.last(), lengths) {
            (true, ..) => Content::Length(0),
            (false, Some(_), _) if is_first => return Err(Garbled),
            (false, Some(last), _) => {
                fields.remove(header::CONTENT_LENGTH);
                match is_chunked(last) {
                    true => Content::Chunked(Chunk::Size),
                    false => Content::UntilClose,
                }
            }
            (false, None, Stated::Length(length)) => Content::Length(length),
            (false, None, Stated::None) => Content::UntilClose,
        };
        // Two framings at once: who is at the other end of the connection is not to be trusted with a second answer.
        let is_kept = is_kept && (codings.is_empty() || lengths == Stated::None);
        Ok(Self { status, fields, content, is_kept })
    }
}

/// Whether the last coding of a `Transfer-Encoding` is `chunked`.
fn is_chunked(codings: &HeaderValue) -> bool {
    let last = codings.as_bytes().rsplit(|&byte| byte == b',').next().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// What `Content-Length` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stated {
    None,
    Length(u64),
}

impl Stated {
    /// The same number said again, in one field or in several, is that number (RFC 9112 §6.3).
    fn and(self, value: &HeaderValue) -> Result<Self, Garbled> {
        value.as_bytes().split(|&byte| byte == b',').try_fold(self, |stated, text| {
            let digits = text.trim_ascii();
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(digits).ok().filter(|_| is_number).ok_or(Garbled)?;
            let length = Self::Length(text.parse().map_err(|_| Garbled)?);
            if stated == Self::None || stated == length { Ok(length) } else { Err(Garbled) }
        })
    }
}
