//! What is to be written to a connection.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderName, HeaderValue};
use tokio::io::AsyncWrite;

use super::fields::Field;

/// A longer piece is written from where it lies; a shorter one is copied to what stands before it, since one write costs
/// the system less than two.
const COPIED: usize = 16 * 1024;

/// What nearly every head has room in.
const USUAL: usize = 1024;

/// Fields as they are written, made once for many heads.
#[derive(Clone, Debug)]
pub struct Lines(Box<[u8]>);

impl<'a> FromIterator<(&'a HeaderName, &'a HeaderValue)> for Lines {
    fn from_iter<I: IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>>(fields: I) -> Self {
        let mut out = Outbox::default();
        fields.into_iter().for_each(|(name, value)| out.add_field(name, value));
        Self(out.bytes.into())
    }
}

/// Bytes that wait to be written. Once written, it is empty and keeps its room.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// Comes after the bytes.
    piece: Bytes,
}

impl Outbox {
    /// Adds a field of a head. Neither name nor value holds the end of a line, by its type.
    pub fn add_field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.add([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }

    /// Adds a field of another head. Neither name nor value holds the end of a line, by its making.
    pub fn pass_field(&mut self, field: Field<'_>) {
        self.add([field.name(), b": ", field.value(), b"\r\n"]);
    }

    pub fn add_lines(&mut self, lines: &Lines) {
        self.add([&lines.0]);
    }

    /// Says how long the body is.
    pub fn add_length(&mut self, length: u64) {
        self.add([b"content-length: ", itoa::Buffer::new().format(length).as_bytes(), b"\r\n"]);
    }

    /// Adds a head or a part of it.
    pub fn add<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        self.bytes.reserve(if self.bytes.capacity() == 0 { length.max(USUAL) } else { length });
        parts.into_iter().for_each(|part| self.bytes.extend_from_slice(part));
    }

    /// Adds a piece of a body, as a chunk (RFC 9112 §7.1) or as it is. Nothing may be added behind one until it is
    /// written where [`Self::is_full`] says so.
    pub fn add_piece(&mut self, piece: Bytes, as_chunk: bool) {
        match as_chunk {
            // It would end the body.
            true if piece.is_empty() => {}
            true => {
                // A vector takes all that is written to it.
                _ = write!(self.bytes, "{:x}\r\n", piece.len());
                self.add([&piece, b"\r\n"]);
            }
            false if piece.len() <= COPIED => self.add([&piece]),
            false => self.piece = piece,
        }
    }

    /// Ends a body that went out in chunks.
    pub fn end_chunks(&mut self) {
        self.add([b"0\r\n\r\n"]);
    }

    #[cfg(test)]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.piece.is_empty()
    }

    /// Whether it should be written before more is added.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= COPIED || !self.piece.is_empty()
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Where the connection broke, or takes no more.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            self.written += ready!(poll_some(stream, context, &self.bytes[self.written..]))?;
        }
        self.bytes.clear();
        self.written = 0;
        while !self.piece.is_empty() {
            let length = ready!(poll_some(stream, context, &self.piece))?;
            self.piece.advance(length);
        }
        self.bytes.shrink_to(2 * COPIED);
        Poll::Ready(Ok(()))
    }
}

fn poll_some<S: AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(stream).poll_write(context, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        length => Poll::Ready(Ok(length)),
    }
}
