//! Ends what two readers could frame differently, before hyper reads it.
//!
//! hyper takes a bare LF for the end of a line, passes over a `Content-Length` beside a `Transfer-Encoding`, and lets
//! fields of framing stand twice. Each is harmless to the upstream, whose requests are framed anew; but a proxy in front
//! that counted otherwise would have made two requests of one. RFC 9112 (§2.2, §6.1, §6.3) lets a server refuse them all.
//!
//! Bytes pass unchanged. They are followed only to tell heads from bodies; where a head cannot be trusted, hyper is given
//! a byte that it must refuse in place of the rest: it answers 400 and closes. What is followed wrongly can thus be
//! refused wrongly, but never let through.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use memchr::memchr;
use tokio::io::{AsyncRead, ReadBuf};

use super::tap::Tap;

/// No line of a head, nor one of a chunk, may hold it; the empty line has hyper judge what it has of a head.
const REFUSED: &[u8] = b"\0\r\n\r\n";
/// So much of a line is looked at: more than any field of framing needs.
const LINE: usize = 128;

/// Lets hyper read what is framed in one way only.
#[derive(Default)]
pub struct Unambiguous {
    follower: Follower,
    /// What is still to be given in place of all that follows.
    instead: Option<&'static [u8]>,
}

impl Tap for Unambiguous {
    fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.instead.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(stream).poll_read(context, buffer))?;
            let Err(good) = self.follower.follow(&buffer.filled()[before..]) else {
                return Poll::Ready(Ok(()));
            };
            buffer.set_filled(before + good);
        }
        let rest = self.instead.get_or_insert(REFUSED);
        let (now, later) = rest.split_at(rest.len().min(buffer.remaining()));
        buffer.put_slice(now);
        *rest = later;
        Poll::Ready(Ok(()))
    }
}

/// The line that was read could be read in two ways.
struct Ambiguous;

/// What stands in lines.
#[derive(Clone, Copy, Debug, Default)]
enum Lines {
    #[default]
    Head,
    ChunkSize,
    Trailer,
}

/// What a head says of the body behind it.
#[derive(Clone, Copy, Debug, Default)]
enum Framing {
    #[default]
    Unsaid,
    Length(u64),
    Chunked,
}

/// Knows where in a connection's requests its bytes stand.
#[derive(Debug, Default)]
struct Follower {
    lines: Lines,
    /// Bytes of content before the next line.
    content: u64,
    line: Line,
    /// Whether the request line of this head is over.
    began: bool,
    framing: Framing,
}

impl Follower {
    /// Follows bytes as they come; an error names the first one that must not pass.
    fn follow(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.content > 0 {
                let skipped = usize::try_from(self.content).map_or(rest.len(), |left| left.min(rest.len()));
                self.content -= skipped as u64;
                at += skipped;
                continue;
            }
            let Some(end) = memchr(b'\n', rest) else {
                self.line.extend(rest);
                break;
            };
            self.line_ended(&rest[..end]).map_err(|Ambiguous| at + end)?;
            at += end + 1;
        }
        Ok(())
    }

    /// `rest`: what is new of the line.
    fn line_ended(&mut self, rest: &[u8]) -> Result<(), Ambiguous> {
        if self.line.is_empty() {
            return self.whole_line(Text::of(rest, rest.len(), rest.last())?);
        }
        // Rare: a line that came in pieces.
        let mut line = std::mem::take(&mut self.line);
        line.extend(rest);
        self.whole_line(line.text()?)
    }

    fn whole_line(&mut self, line: Text<'_>) -> Result<(), Ambiguous> {
        let is_empty = line.start.is_empty();
        match self.lines {
            Lines::Head if is_empty && self.began => self.head_ended(),
            // Empty lines before a request are passed over (RFC 9112 §2.2).
            Lines::Head if is_empty => {}
            Lines::Head if self.began => self.framing = self.field(line)?,
            Lines::Head => self.began = true,
            Lines::ChunkSize => match chunk_size(line.start)? {
                0 => self.lines = Lines::Trailer,
                // The chunk, and the CRLF behind it, which hyper looks for.
                size => self.content = size.checked_add(2).ok_or(Ambiguous)?,
            },
            Lines::Trailer if is_empty => self.lines = Lines::Head,
            Lines::Trailer => {}
        }
        Ok(())
    }

    fn head_ended(&mut self) {
        self.began = false;
        match std::mem::take(&mut self.framing) {
            Framing::Unsaid => {}
            Framing::Length(length) => self.content = length,
            Framing::Chunked => self.lines = Lines::ChunkSize,
        }
    }

    /// What is known of the framing after this field.
    fn field(&self, line: Text<'_>) -> Result<Framing, Ambiguous> {
        // A line without a colon hyper refuses.
        let colon = memchr(b':', line.start).unwrap_or(line.start.len());
        let (name, value) = line.start.split_at(colon);
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        if !is_length && !name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Ok(self.framing);
        }
        if !matches!(self.framing, Framing::Unsaid) || line.is_cut {
            return Err(Ambiguous);
        }
        match value.strip_prefix(b":").map(<[u8]>::trim_ascii) {
            Some(digits) if is_length => number(digits, 10).map(Framing::Length),
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            _ => Err(Ambiguous),
        }
    }
}

/// The size of a chunk, without its extensions (RFC 9112 §7.1).
fn chunk_size(line: &[u8]) -> Result<u64, Ambiguous> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    match line.get(end) {
        None | Some(b';' | b' ' | b'\t') => number(&line[..end], 16),
        Some(_) => Err(Ambiguous),
    }
}

/// Digits and nothing else.
fn number(digits: &[u8], radix: u32) -> Result<u64, Ambiguous> {
    let text = std::str::from_utf8(digits).map_err(|_| Ambiguous)?;
    if text.starts_with('+') {
        return Err(Ambiguous);
    }
    u64::from_str_radix(text, radix).map_err(|_| Ambiguous)
}

/// A whole line without the CR that must end it.
#[derive(Clone, Copy)]
struct Text<'a> {
    /// The beginning of a long one.
    start: &'a [u8],
    is_cut: bool,
}

impl<'a> Text<'a> {
    /// `start`: at least as much of the line as is looked at.
    fn of(start: &'a [u8], length: usize, last: Option<&u8>) -> Result<Self, Ambiguous> {
        if last != Some(&b'\r') {
            return Err(Ambiguous);
        }
        let is_cut = length > LINE;
        Ok(Self { start: &start[..if is_cut { LINE } else { length - 1 }], is_cut })
    }
}

/// A line as far as it has come, of which the beginning is kept.
#[derive(Debug, Default)]
struct Line {
    start: Vec<u8>,
    length: usize,
    last: Option<u8>,
}

impl Line {
    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE - self.start.len();
        self.start.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len();
        self.last = bytes.last().copied().or(self.last);
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn text(&self) -> Result<Text<'_>, Ambiguous> {
        Text::of(&self.start, self.length, self.last.as_ref())
    }
}

#[cfg(test)]
mod tests;
