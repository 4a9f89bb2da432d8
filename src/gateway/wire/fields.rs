//! The fields of a head, where they stand in it.
//!
//! Most of what the gateway reads of a head it only passes on, and it looks for a few names. A list of places in the
//! memory of the head serves for that: no field is copied, hashed or counted for by itself, as in a map of owned values.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::outbox::Outbox;

/// So many fields may a head have. RFC 9110 §5.4 leaves the number to who reads it.
pub const MOST_FIELDS: usize = 100;

/// A part of a head.
#[derive(Clone, Copy, Debug)]
struct Part {
    at: u32,
    length: u32,
}

impl Part {
    /// `None` where the head is longer than anybody reads.
    fn new(at: usize, length: usize) -> Option<Self> {
        Some(Self { at: at.try_into().ok()?, length: length.try_into().ok()? })
    }

    /// Where a part of `head` stands that was found in it.
    fn of(head: &[u8], part: &[u8]) -> Option<Self> {
        Self::new(part.as_ptr().addr().checked_sub(head.as_ptr().addr())?, part.len())
    }

    fn end(self) -> usize {
        self.at as usize + self.length as usize
    }

    fn get(self, head: &[u8]) -> &[u8] {
        head.get(self.at as usize..self.end()).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
struct Line {
    name: Part,
    value: Part,
}

impl Line {
    fn get(self, head: &[u8]) -> Field<'_> {
        Field { name: self.name.get(head), value: self.value.get(head) }
    }

    /// From where to where all of it stands, with its end, where the head has it as the gateway itself would write it.
    fn as_written(self, head: &[u8]) -> Option<Range<usize>> {
        let Self { name, value } = self;
        let end = value.end() + 2;
        let is_as_written = head.get(name.end()..value.at as usize) == Some(b": ")
            && head.get(value.end()..end) == Some(b"\r\n");
        is_as_written.then_some(name.at as usize..end)
    }
}

/// Where the parts of a head stand in it that httparse has found.
pub struct Places {
    lines: Vec<Line>,
    /// The target of a request.
    target: Part,
}

impl Places {
    /// `None` where the head is longer than anybody reads.
    pub fn of(head: &[u8], fields: &[httparse::Header<'_>], target: &str) -> Option<Self> {
        let target = if target.is_empty() { Part::new(0, 0) } else { Part::of(head, target.as_bytes()) };
        let mut lines = Vec::with_capacity(fields.len());
        for field in fields {
            lines.push(Line {
                name: Part::of(head, field.name.as_bytes())?,
                value: Part::of(head, field.value)?,
            });
        }
        Some(Self { lines, target: target? })
    }
}

/// A field: its name in lower case and its value, neither of which holds the end of a line.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    pub fn name(self) -> &'a [u8] {
        self.name
    }

    pub fn value(self) -> &'a [u8] {
        self.value
    }

    /// A field that was not sent so. `value` is one that was: it holds no end of a line.
    pub fn of(name: &'a HeaderName, value: &'a [u8]) -> Self {
        Self { name: name.as_str().as_bytes(), value }
    }
}

/// A field stands more than once, and nobody knows which one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Several;

/// The fields of a head, in the order in which they came.
#[derive(Debug, Default)]
pub struct Fields {
    head: Bytes,
    lines: Vec<Line>,
    /// A bit for each kind of name that stands here: spares looking for most of those that do not.
    kinds: u64,
    size: usize,
}

/// The bit of a name's kind: names of one length and last letter are of one kind.
fn kind(name: &[u8]) -> u64 {
    let last = name.last().map_or(0, |&byte| usize::from(byte));
    1 << ((name.len() + 7 * last) % 64)
}

impl Fields {
    /// Those of a head, whose names are put into lower case; and the target.
    pub fn new(mut head: BytesMut, Places { lines, target }: Places) -> (Self, Bytes) {
        let (mut kinds, mut size) = (0, 0);
        for Line { name, value } in &lines {
            size += name.length as usize + value.length as usize + 4;
            if let Some(name) = head.get_mut(name.at as usize..name.end()) {
                name.make_ascii_lowercase();
                kinds |= kind(name);
            }
        }
        let head = head.freeze();
        let target = head.slice(target.at as usize..target.end());
        (Self { head, lines, kinds, size }, target)
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The bytes of all that came, also of those that were removed, with what stands between and behind names and values.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.lines.iter().map(|line| line.get(&self.head))
    }

    /// Writes the fields that are to be passed on. Most of them stand side by side as the gateway itself would write them,
    /// and go over in one piece.
    pub fn pass(&self, out: &mut Outbox, is_passed: impl Fn(Field<'_>) -> bool) {
        let mut piece = 0..0;
        for line in &self.lines {
            let field = line.get(&self.head);
            if !is_passed(field) {
                continue;
            }
            match line.as_written(&self.head) {
                Some(there) if there.start == piece.end => piece.end = there.end,
                there => {
                    out.add([self.head.get(piece).unwrap_or_default()]);
                    if there.is_none() {
                        out.pass_field(field);
                    }
                    piece = there.unwrap_or_default();
                }
            }
        }
        out.add([self.head.get(piece).unwrap_or_default()]);
    }

    /// The values of all fields of a name, in order, as a CGI-like server finds them: in every spelling that it cannot tell
    /// from this one ([`is_same`]).
    pub fn all(&self, name: &HeaderName) -> impl DoubleEndedIterator<Item = &[u8]> {
        let name = name.as_str().as_bytes();
        let lines = if self.kinds & kind(name) == 0 { &[][..] } else { &self.lines };
        let is_named = move |line: &&Line| {
            line.name.length as usize == name.len() && is_same(line.name.get(&self.head), name)
        };
        lines.iter().filter(is_named).map(|line| line.value.get(&self.head))
    }

    /// The same to the letter: what a proxy says. It may have passed on what its client wrote in another spelling.
    pub fn all_to_the_letter(&self, name: &HeaderName) -> impl DoubleEndedIterator<Item = &[u8]> {
        let name = name.as_str().as_bytes();
        let lines = if self.kinds & kind(name) == 0 { &[][..] } else { &self.lines };
        lines
            .iter()
            .map(|line| line.get(&self.head))
            .filter(move |field| field.name == name)
            .map(Field::value)
    }

    /// The value of a field that a proxy may say once.
    ///
    /// # Errors
    /// Where it stands more than once in this spelling.
    pub fn single_to_the_letter(&self, name: &HeaderName) -> Result<Option<&[u8]>, Several> {
        let mut values = self.all_to_the_letter(name);
        let first = values.next();
        if first.is_some() && values.next().is_some() { Err(Several) } else { Ok(first) }
    }

    /// The value of a field that may stand once.
    ///
    /// # Errors
    /// Where it stands more than once.
    pub fn single(&self, name: &HeaderName) -> Result<Option<&[u8]>, Several> {
        let mut values = self.all(name);
        let first = values.next();
        if first.is_some() && values.next().is_some() { Err(Several) } else { Ok(first) }
    }

    /// The value of the first field of a name.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }

    pub fn has(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// Keeps the fields that are to be kept.
    pub fn retain(&mut self, mut is_kept: impl FnMut(Field<'_>) -> bool) {
        let Self { head, lines, .. } = self;
        lines.retain(|line| is_kept(line.get(head)));
    }

    pub fn remove(&mut self, name: &HeaderName) {
        if self.has(name) {
            self.retain(|field| !is_same(field.name, name.as_str().as_bytes()));
        }
    }

    /// The fields as names and values by themselves.
    pub fn to_map(&self) -> HeaderMap {
        let of_field = |field: Field<'_>| {
            let value = HeaderValue::from_maybe_shared(self.head.slice_ref(field.value)).ok()?;
            Some((HeaderName::from_bytes(field.name).ok()?, value))
        };
        self.iter().filter_map(of_field).collect()
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let mut head = BytesMut::new();
        let mut part = |bytes: &[u8]| {
            let part = Part::new(head.len(), bytes.len());
            head.extend_from_slice(bytes);
            part
        };
        let lines = map
            .iter()
            .filter_map(|(name, value)| {
                Some(Line { name: part(name.as_str().as_bytes())?, value: part(value.as_bytes())? })
            })
            .collect();
        Self::new(head, Places { lines, target: Part { at: 0, length: 0 } }).0
    }
}

/// Whether a name, in lower case, is that of a known field to a server that does not tell apart the marks between words.
pub fn is_same(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len()
        && (name == known
            || name
                .iter()
                .zip(known)
                .all(|(byte, known)| byte == known || (*known == b'-' && !byte.is_ascii_alphanumeric())))
}

/// A value as text; `None` where it holds more than visible ASCII, spaces and tabs.
pub fn text(value: &[u8]) -> Option<&str> {
    if is_text(value) { std::str::from_utf8(value).ok() } else { None }
}

/// Looks at all of it, whatever was found: so many bytes are compared at once.
fn is_text(value: &[u8]) -> bool {
    value.iter().fold(true, |is, byte| is & matches!(byte, b'\t' | b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::wire::Outbox;
    use http::header;

    fn fields(text: &str) -> Fields {
        let mut lines = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut lines);
        request.parse(text.as_bytes()).unwrap();
        let places = Places::of(text.as_bytes(), request.headers, request.path.unwrap()).unwrap();
        let (fields, target) = Fields::new(BytesMut::from(text), places);
        assert_eq!(target, "/a");
        fields
    }

    #[test]
    fn fields_are_found_by_their_names_in_any_case_and_no_other() {
        let long = "X-A-Name-OF-Many-Letters: y\r\n";
        let head = format!("GET /a HTTP/1.1\r\nHOST: x\r\nAccept: a\r\nacCept:\t b \r\nempty:\r\n{long}\r\n");
        let fields = fields(&head);
        assert_eq!(fields.single(&header::HOST), Ok(Some(&b"x"[..])));
        assert_eq!(fields.single(&header::ACCEPT), Err(Several));
        assert_eq!(fields.all(&header::ACCEPT).rev().collect::<Vec<_>>(), [b"b", b"a"]);
        assert_eq!(fields.get(&HeaderName::from_static("empty")), Some(&b""[..]));
        for absent in ["hos", "hose", "xost", "x", "accepts", "content-length"] {
            assert_eq!(fields.single(&HeaderName::from_static(absent)), Ok(None), "{absent}");
        }
        let long = HeaderName::from_static("x-a-name-of-many-letters");
        assert_eq!(fields.single(&long), Ok(Some(&b"y"[..])));
        assert_eq!(fields.len(), 5);
    }

    #[test]
    fn a_field_is_found_in_every_spelling_that_a_server_takes_for_it_and_to_the_letter_where_a_proxy_speaks()
    {
        let fields = fields("GET /a HTTP/1.1\r\nX_Api.Key: a\r\nX-Api-Key: b\r\nX-Apiykey: c\r\n\r\n");
        let name = HeaderName::from_static("x-api-key");
        assert_eq!(fields.all(&name).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(fields.single(&name), Err(Several));
        assert_eq!(fields.single_to_the_letter(&name), Ok(Some(&b"b"[..])));
        assert_eq!(fields.all_to_the_letter(&HeaderName::from_static("x-api-keys")).count(), 0);
    }

    #[test]
    fn a_field_is_passed_on_as_the_gateway_writes_it() {
        let fields = fields("GET /a HTTP/1.1\r\nHost: x\r\nA:y\r\nB: \tz\r\nC:  \r\nD: w \r\nE: v\nF: u\n\n");
        let mut out = Outbox::default();
        fields.pass(&mut out, |_| true);
        out.pass_field(Field::of(&header::VIA, fields.get(&header::HOST).unwrap()));
        assert_eq!(out.bytes(), b"host: x\r\na: y\r\nb: z\r\nc: \r\nd: w\r\ne: v\r\nf: u\r\nvia: x\r\n");
    }

    #[test]
    fn fields_are_passed_on_in_their_order_whichever_of_them_stay() {
        // Written as the gateway does, or with a space too many: all mixtures of both, and all choices of what goes on.
        for (shape, kept) in (0..1 << 5).flat_map(|shape| (0..1 << 5).map(move |kept| (shape, kept))) {
            let names = ["a", "b", "c", "d", "e"].map(str::as_bytes);
            let has = |set: i32, index: usize| set & (1 << index) != 0;
            let mark = |index: usize| if has(shape, index) { ": " } else { ":  " };
            let line = |index: usize| format!("{}{}{index}\r\n", names[index].escape_ascii(), mark(index));
            let lines: String = (0..5).map(line).collect();
            let fields = fields(&format!("GET /a HTTP/1.1\r\n{lines}\r\n"));
            let mut out = Outbox::default();
            fields.pass(&mut out, |field| {
                has(kept, names.iter().position(|name| *name == field.name()).unwrap())
            });
            let expected: String = (0..5)
                .filter(|index| has(kept, *index))
                .map(|index| format!("{}: {index}\r\n", names[index].escape_ascii()))
                .collect();
            assert_eq!(out.bytes().escape_ascii().to_string(), expected.escape_default().to_string());
        }
    }

    #[test]
    fn what_is_removed_is_gone_and_the_rest_stays() {
        let mut fields = fields("GET /a HTTP/1.1\r\nHost: x\r\nAccept: a\r\nAccept: b\r\n\r\n");
        fields.remove(&header::ACCEPT);
        fields.remove(&header::COOKIE);
        assert_eq!((fields.has(&header::ACCEPT), fields.len()), (false, 1));
        assert_eq!(fields.to_map()[header::HOST], "x");
    }

    #[test]
    fn a_map_and_back_is_the_same() {
        let mut map = HeaderMap::new();
        for (name, value) in [("host", "x"), ("accept", "a"), ("accept", "b"), ("x-empty", "")] {
            map.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(Fields::from(&map).to_map(), map);
        assert_eq!(Fields::from(&HeaderMap::new()).len(), 0);
    }

    #[test]
    fn text_is_visible() {
        assert_eq!(text(b"a \t~"), Some("a \t~"));
        for value in [&b"a\0"[..], b"\x7f", "ü".as_bytes(), b"\xff"] {
            assert_eq!(text(value), None, "{value:?}");
        }
    }
}
