//! Heads: of a request as the upstream receives it, and of its answer.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use httparse::{ParserConfig, Status};

use crate::gateway::wire::{
    Chunk, Content, Field, Fields, Garbled, HOP_BY_HOP, Lines, MOST_FIELDS, Outbox, Places, RequestId,
    Suspects, is_among, may_be_whole, number, options, spelled,
};

/// So long may the head of an answer be.
const LONGEST: usize = 128 * 1024;

static OF_RESPONSES: Suspects = Suspects::new(&[&HOP_BY_HOP, &["server"]], &[("x-portcullis", &[])]);

/// The head of a request, as it is written, but for what frames its body. No target holds the end of a line, by its type.
pub struct RequestHead {
    out: Outbox,
    method: Method,
}

impl RequestHead {
    pub fn new(method: &Method, target: &PathAndQuery) -> Self {
        let mut out = Outbox::default();
        out.add([method.as_str(), " ", target.as_str(), " HTTP/1.1\r\n"].map(str::as_bytes));
        Self { out, method: method.clone() }
    }

    pub fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.out.add_field(name, value);
    }

    /// Adds a field of the client's.
    pub fn pass(&mut self, field: Field<'_>) {
        self.out.pass_field(field);
    }

    /// Adds those fields of the client's that are to be passed on.
    pub fn pass_some(&mut self, fields: &Fields, is_passed: impl Fn(Field<'_>) -> bool) {
        fields.pass(&mut self.out, is_passed);
    }

    /// Tells the request's id.
    pub fn add_id(&mut self, id: &RequestId) {
        id.write(&mut self.out);
    }

    /// Adds fields that were written before.
    pub fn add_lines(&mut self, lines: &Lines) {
        self.out.add_lines(lines);
    }

    /// Ends the head: with the length of the body, or with its coding where no length is known.
    pub fn framed(mut self, length: Option<u64>) -> (Outbox, Method) {
        match length {
            // Where a method says nothing of a body, none is said to be empty (RFC 9110 §8.6).
            Some(0) if ![Method::POST, Method::PUT, Method::PATCH].contains(&self.method) => {}
            Some(length) => self.out.add_length(length),
            None => self.add(&header::TRANSFER_ENCODING, &HeaderValue::from_static("chunked")),
        }
        self.out.add([b"\r\n"]);
        (self.out, self.method)
    }

    #[cfg(test)]
    pub fn fields(self) -> http::HeaderMap {
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

/// Whether a field of an answer goes no further. `name`: in lower case.
fn is_withheld(name: &[u8]) -> bool {
    OF_RESPONSES.has(name) && {
        let name = &*spelled(name);
        is_among(name, &HOP_BY_HOP) || name == b"server" || name.starts_with(b"x-portcullis")
    }
}

/// The head of an answer: what of it is for the client, and how its body is framed.
#[derive(Debug)]
pub struct AnswerHead {
    pub status: StatusCode,
    /// Without what stays on the upstream's connection, and without the length.
    pub fields: Fields,
    /// How many bytes the body would have that is not sent: of an answer to `HEAD`, or that nothing has changed.
    pub unsent: Option<u64>,
    pub content: Content,
    /// Whether the connection takes another request when the body is over.
    pub is_kept: bool,
}

impl AnswerHead {
    /// Whether it is worth another look at what was read, after what came `from` there on.
    pub fn may_be_whole(read: &[u8], from: usize) -> bool {
        may_be_whole(read, from, LONGEST)
    }

    /// Takes a head out of what was read, `None` where it is not whole. Interim answers (RFC 9110 §15.2) are passed over;
    /// nobody asked to switch protocols.
    ///
    /// # Errors
    /// Where it is not HTTP/1, is framed in two ways, or is too long.
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
            let places = Places::of(read, answer.headers, "").ok_or(Garbled)?;
            let (fields, _) = Fields::new(read.split_to(length), places);
            if status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(Garbled);
            }
            if !status.is_informational() {
                return Self::of(fields, status, is_first, method).map(Some);
            }
        }
    }

    /// `is_first`: the answer is in HTTP/1.0.
    fn of(mut fields: Fields, status: StatusCode, is_first: bool, method: &Method) -> Result<Self, Garbled> {
        let mut length = Ok(Stated::None);
        let (mut codings, mut is_closed, mut is_asked_for) = (None, false, false);
        let mut of_connection: Vec<Vec<u8>> = Vec::new();
        fields.retain(|field| {
            let value = field.value();
            match field.name() {
                b"content-length" => length = length.and_then(|length| length.and(value)),
                b"transfer-encoding" => codings = Some(is_chunked(value)),
                b"connection" => options(value).for_each(|option| match option {
                    _ if option.eq_ignore_ascii_case(b"close") => is_closed = true,
                    _ if option.eq_ignore_ascii_case(b"keep-alive") => is_asked_for = true,
                    _ => of_connection.push(option.to_ascii_lowercase()),
                }),
                name => return !is_withheld(name),
            }
            false
        });
        let length = length?;
        if !of_connection.is_empty() {
            fields.retain(|field| !of_connection.iter().any(|option| option == field.name()));
        }
        let is_silent = status == StatusCode::NO_CONTENT;
        let is_unsent = !is_silent && (*method == Method::HEAD || status == StatusCode::NOT_MODIFIED);
        let has_no_body = is_silent || is_unsent;
        let content = match (has_no_body, codings, length) {
            (true, ..) => Content::Length(0),
            (false, Some(_), _) if is_first => return Err(Garbled),
            (false, Some(true), _) => Content::Chunked(Chunk::Size),
            (false, None, Stated::Length(length)) => Content::Length(length),
            (false, ..) => Content::UntilClose,
        };
        let is_kept = if is_first { is_asked_for } else { !is_closed };
        // Two framings at once: who is at the other end of the connection is not to be trusted with a second answer.
        let is_kept = is_kept && (codings.is_none() || length == Stated::None);
        let unsent = match length {
            Stated::Length(length) if is_unsent && codings.is_none() => Some(length),
            _ => None,
        };
        Ok(Self { status, fields, unsent, content, is_kept })
    }
}

/// Whether the last coding of a `Transfer-Encoding` is `chunked`.
fn is_chunked(codings: &[u8]) -> bool {
    let last = codings.rsplit(|&byte| byte == b',').next().unwrap_or_default();
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
    fn and(self, value: &[u8]) -> Result<Self, Garbled> {
        value.split(|&byte| byte == b',').try_fold(self, |stated, text| {
            let length = Self::Length(number(text.trim_ascii())?);
            if stated == Self::None || stated == length { Ok(length) } else { Err(Garbled) }
        })
    }
}
