//! HTTP/1.1 read without mercy: CRLF and nothing else ends a line, names are tokens in lower case, one space stands
//! before a value, a body is framed once, by plain digits or bare chunks.

use std::str;

/// A longer head is not waited for.
const HEAD: usize = 256 * 1024;

/// A request or a response, with all of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub first_line: String,
    /// As they came, in their order.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// Every value of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that stands once.
    pub fn one(&self, name: &str) -> Option<&str> {
        match *self.all(name) {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// Which messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Requests,
    Responses,
}

/// Reads one message off the front of `bytes`; answers it with its length, `None` while it is not whole, and what is wrong
/// with it as soon as that is seen.
pub fn read(of: Of, bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let end = find(bytes, b"\r\n\r\n");
    let head = &bytes[..end.map_or(bytes.len(), |end| end + 2)];
    if let Some(fault) = bare_line_end(head) {
        return Err(fault);
    }
    let Some(end) = end else {
        return if bytes.len() > HEAD { Err("a head without an end".into()) } else { Ok(None) };
    };
    // Bytes beyond ASCII are obs-text (RFC 9110 §5.5), each a character of its own here.
    let text: String = bytes[..end].iter().map(|&byte| char::from(byte)).collect();
    let mut lines = text.split("\r\n");
    let first_line = lines.next().unwrap_or_default().to_owned();
    match of {
        Of::Requests => is_request_line(&first_line)?,
        Of::Responses => _ = status(&first_line)?,
    }
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let mut message = Message { first_line, fields, body: Vec::new() };
    let bodiless = of == Of::Responses && matches!(status(&message.first_line)?, 100..=199 | 204 | 304);
    let Some((body, length)) = body(&message, bodiless, &bytes[end + 4..])? else { return Ok(None) };
    message.body = body;
    Ok(Some((message, end + 4 + length)))
}

pub fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn bare_line_end(head: &[u8]) -> Option<String> {
    let is_bare = |at: usize| match head[at] {
        b'\n' => at == 0 || head[at - 1] != b'\r',
        b'\r' => head.get(at + 1).is_some_and(|&next| next != b'\n'),
        _ => false,
    };
    (0..head.len()).find(|&at| is_bare(at)).map(|at| format!("a bare CR or LF at {at}"))
}

/// `METHOD /target HTTP/1.1`, one space between.
fn is_request_line(line: &str) -> Result<(), String> {
    let wrong = || Err(format!("no request line: {line:?}"));
    let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else { return wrong() };
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_target =
        target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if is_method && is_target { Ok(()) } else { wrong() }
}

pub fn status(line: &str) -> Result<u16, String> {
    let number = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let digits = number.and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| format!("no status line: {line:?}"))
}

fn field(line: &str) -> Result<(String, String), String> {
    let wrong = || format!("no field: {line:?}");
    let (name, value) = line.split_once(": ").ok_or_else(wrong)?;
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_text = |character: char| character == '\t' || !character.is_ascii_control();
    if name.is_empty() || !name.bytes().all(is_name) || !value.chars().all(is_text) {
        return Err(wrong());
    }
    if value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']) {
        return Err(wrong());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// The body and how many bytes it took, `None` while it is not whole.
fn body(message: &Message, bodiless: bool, rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    match (&message.all("content-length")[..], &message.all("transfer-encoding")[..]) {
        ([], []) => Ok(Some((Vec::new(), 0))),
        ([], ["chunked"]) => chunks(rest),
        ([digits], []) => {
            let length = number(digits, 10)?;
            let length = if bodiless { 0 } else { length };
            Ok(rest.get(..length).map(|body| (body.to_vec(), length)))
        }
        (lengths, codings) => Err(format!("framed by {lengths:?} and {codings:?}")),
    }
}

fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    // Copied once all are there: a long body is looked at many times before.
    let mut chunks = Vec::new();
    let mut at = 0;
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let digits = str::from_utf8(&bytes[at..at + end]).map_err(|_| "a chunk size that is no text")?;
        let size = number(digits, 16)?;
        at += end + 2;
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk without an end, or a trailer".into());
        }
        chunks.push(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((chunks.concat(), at)));
        }
    }
}

/// Digits and nothing else.
fn number(digits: &str, radix: u32) -> Result<usize, String> {
    let is_plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let parsed = is_plain.then(|| usize::from_str_radix(digits, radix).ok()).flatten();
    parsed.ok_or_else(|| format!("no length: {digits:?}"))
}

/// The judge must be able to say no.
#[test]
fn what_is_not_strict_is_a_fault() {
    let good = "POST /mcp HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}";
    let whole = read(Of::Requests, good.as_bytes()).expect("no fault").expect("all of it");
    assert_eq!((whole.0.body.as_slice(), whole.1), (&b"{}"[..], good.len()));
    for short in 0..good.len() {
        assert_eq!(read(Of::Requests, &good.as_bytes()[..short]), Ok(None), "{short}");
    }
    for (what, spoilt) in [
        ("bare LF", good.replacen("\r\n", "\n", 1)),
        ("bare CR", good.replacen("\r\n", "\r", 1)),
        ("HTTP/1.0", good.replace("1.1", "1.0")),
        ("absolute form", good.replace("/mcp", "http://a/mcp")),
        ("two spaces", good.replace(" /mcp", "  /mcp")),
        ("control", good.replace("host: a", "host: a\0")),
        ("fold", good.replace("host: a", "host: a\r\n b")),
        ("case", good.replace("host", "Host")),
        ("space before the colon", good.replace("host:", "host :")),
        ("no space", good.replace("host: ", "host:")),
        ("blanks", good.replace("host: a", "host: a ")),
        ("sign", good.replace(": 2", ": +2")),
        ("list", good.replace(": 2", ": 2, 2")),
        ("hex", good.replace(": 2", ": 0x2")),
        ("twice", good.replace("host: a", "content-length: 2")),
        ("both", good.replace("host: a", "transfer-encoding: chunked")),
        ("coding", good.replace("content-length: 2", "transfer-encoding: identity, chunked")),
        (
            "extension",
            good.replace("content-length: 2", "transfer-encoding: chunked") + "2;a\r\n{}\r\n0\r\n\r\n",
        ),
        (
            "chunk",
            good.replace(
                "content-length: 2\r\n\r\n{}",
                "transfer-encoding: chunked\r\n\r\n2\r\n{}}}0\r\n\r\n",
            ),
        ),
        (
            "trailer",
            good.replace(
                "content-length: 2\r\n\r\n{}",
                "transfer-encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n",
            ),
        ),
    ] {
        assert!(read(Of::Requests, spoilt.as_bytes()).is_err(), "{what}: {spoilt:?}");
    }
}
