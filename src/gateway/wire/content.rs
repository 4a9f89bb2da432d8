//! Where a body ends (RFC 9112 §6.3, §7.1).

use bytes::{Buf, Bytes, BytesMut};
use httparse::Status;
use memchr::memchr;

/// It is not what HTTP says it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled;

/// So long may the line of a chunk's size be, with its extensions, and so long the trailers.
const MOST_OF_LINES: usize = 16 * 1024;
/// So many fields may stand in trailers.
const MOST_TRAILERS: usize = 64;

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// So many bytes.
    Length(u64),
    Chunked(Chunk),
    /// All until the connection ends.
    UntilClose,
}

/// Where in a chunked body one stands (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    Size,
    Data(u64),
    /// Behind the data of a chunk.
    Break,
    Trailers,
    Over,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Piece(Bytes),
    /// More has to be read.
    Unread,
    End,
}

impl Content {
    /// Takes what comes next out of what was read of the connection.
    ///
    /// # Errors
    /// Where it is not framed as HTTP wants it.
    pub fn take(&mut self, read: &mut BytesMut) -> Result<Next, Garbled> {
        loop {
            let piece = match self {
                Self::Length(0) | Self::Chunked(Chunk::Over) => return Ok(Next::End),
                Self::UntilClose => (!read.is_empty()).then(|| read.split().freeze()),
                Self::Length(left) => piece(read, left),
                Self::Chunked(Chunk::Data(left)) => {
                    let piece = piece(read, left);
                    if *left == 0 {
                        *self = Self::Chunked(Chunk::Break);
                    }
                    piece
                }
                Self::Chunked(chunk) => match chunk.after_line(read)? {
                    Some(next) => {
                        *chunk = next;
                        continue;
                    }
                    None => None,
                },
            };
            return Ok(piece.map_or(Next::Unread, Next::Piece));
        }
    }

    /// Whether nothing is to come.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// How many bytes are to come, where that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(Chunk::Over) => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

/// What there is of the next `left` bytes.
fn piece(read: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let length = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
    *left -= length as u64;
    (length > 0).then(|| read.split_to(length).freeze())
}

impl Chunk {
    /// What comes after the lines that come now; `None` where more of them has to be read.
    fn after_line(self, read: &mut BytesMut) -> Result<Option<Self>, Garbled> {
        let (length, next) = match self {
            // httparse takes none at all for zero.
            Self::Size if read.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => return Err(Garbled),
            Self::Size => match httparse::parse_chunk_size(read).map_err(|_| Garbled)? {
                Status::Complete((length, 0)) => (length, Self::Trailers),
                Status::Complete((length, size)) => (length, Self::Data(size)),
                Status::Partial => return unread(read),
            },
            Self::Break => match read.get(..2) {
                Some(b"\r\n") => (2, Self::Size),
                Some(_) => return Err(Garbled),
                None => return unread(read),
            },
            // Nobody passes them on: they belong to the connection, and nobody has judged them.
            Self::Trailers => {
                let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILERS];
                match httparse::parse_headers(read, &mut fields).map_err(|_| Garbled)? {
                    Status::Complete((length, _)) => (length, Self::Over),
                    Status::Partial => return unread(read),
                }
            }
            Self::Data(_) | Self::Over => return Ok(None),
        };
        if !are_whole_lines(&read[..length]) {
            return Err(Garbled);
        }
        read.advance(length);
        Ok(Some(next))
    }
}

/// Whether each line ends in CRLF. httparse takes a bare LF for an end as well, as RFC 9112 §2.2 lets it; but who reads a
/// line otherwise takes another part of the connection for the next request.
pub fn are_whole_lines(lines: &[u8]) -> bool {
    let pairs = lines.iter().zip(lines.iter().skip(1));
    // Looked at to the end, whatever was found: so many bytes are compared at once.
    let are_whole = pairs.fold(true, |are, (before, byte)| are & (*byte != b'\n' || *before == b'\r'));
    are_whole && lines.first() != Some(&b'\n')
}

/// Whether a head may be whole that was read on `from` there: without the end of a line nothing has changed, unless it is
/// longer than it may be.
pub fn may_be_whole(read: &[u8], from: usize, longest: usize) -> bool {
    read.len() > longest || memchr(b'\n', &read[from..]).is_some()
}

/// A number of digits and nothing else, as lengths are written (RFC 9110 §8.6).
///
/// # Errors
/// Where there is anything else in it, or it is too large.
pub fn number(digits: &[u8]) -> Result<u64, Garbled> {
    let and = |number: u64, digit: &u8| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    };
    if digits.is_empty() { Err(Garbled) } else { digits.iter().try_fold(0, and).ok_or(Garbled) }
}

fn unread(read: &BytesMut) -> Result<Option<Chunk>, Garbled> {
    if read.len() > MOST_OF_LINES { Err(Garbled) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole of a body that arrives in pieces of a length, and what is left of the connection's bytes.
    fn whole(
        mut content: Content,
        bytes: &[u8],
        length: usize,
    ) -> Result<(Vec<u8>, Vec<u8>), Option<Garbled>> {
        let (mut read, mut whole, mut coming) = (BytesMut::new(), Vec::new(), bytes.chunks(length));
        loop {
            match content.take(&mut read)? {
                Next::Piece(piece) => whole.extend_from_slice(&piece),
                Next::End => {
                    return Ok((whole, [&read[..], &coming.flatten().copied().collect::<Vec<_>>()].concat()));
                }
                Next::Unread => read.extend_from_slice(coming.next().ok_or(None)?),
            }
        }
    }

    const CHUNKED: Content = Content::Chunked(Chunk::Size);

    #[test]
    fn a_body_ends_where_it_says_however_it_arrives() {
        let bytes = b"5;a=b\r\nhello\r\n01\r\n \r\n5\r\nworld\r\n0\r\nx-sum: 1\r\n\r\nHTTP/1.1";
        for length in 1..=bytes.len() {
            let read = whole(CHUNKED, bytes, length).unwrap();
            assert_eq!(read, (b"hello world".to_vec(), b"HTTP/1.1".to_vec()), "{length}");
            let read = whole(Content::Length(7), bytes, length).unwrap();
            assert_eq!(read, (b"5;a=b\r\n".to_vec(), bytes[7..].to_vec()), "{length}");
        }
        assert_eq!(whole(CHUNKED, b"0\r\n\r\n", 1).unwrap(), (vec![], vec![]));
    }

    #[test]
    fn a_body_that_ends_early_is_never_taken_for_whole() {
        let bytes = b"5\r\nhello\r\n0\r\n\r\n";
        for end in 0..bytes.len() {
            assert_eq!(whole(CHUNKED, &bytes[..end], 3), Err(None), "{end}");
        }
        assert_eq!(whole(Content::Length(3), b"ab", 1), Err(None));
        assert_eq!(
            whole(Content::UntilClose, b"ab", 1),
            Err(None),
            "the end of the connection is told elsewhere"
        );
    }

    #[test]
    fn a_length_is_digits_that_64_bits_hold() {
        for (text, length) in [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(number(text.as_bytes()), Ok(length), "{text}");
        }
        for text in ["", "+1", "-1", " 1", "1 ", "1,1", "0x1", "1.0", "\u{661}", "18446744073709551616"] {
            assert_eq!(number(text.as_bytes()), Err(Garbled), "{text}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_garbled() {
        let long = [b"5;".as_slice(), &[b'x'; 2 * MOST_OF_LINES], b"\r\nhello\r\n0\r\n\r\n"].concat();
        let trailers = [b"0\r\n".as_slice(), &b"x: y\r\n".repeat(MOST_TRAILERS + 1), b"\r\n"].concat();
        for bytes in [
            b"x\r\n".as_slice(),
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\n0\n\n",
            b"\r\n\r\n",
            b";x\r\n\r\n",
            b" \r\n\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            b"0\r\n\n",
            b"0\r\nx: y\n\r\n",
            b"5\r\nhelloworld\r\n0\r\n\r\n",
            b"10000000000000000\r\n",
            b"0\r\nno field\r\n\r\n",
            &long,
            &trailers,
        ] {
            for length in [1, 7, 4096] {
                assert_eq!(whole(CHUNKED, bytes, length), Err(Some(Garbled)), "{}", bytes.escape_ascii());
            }
        }
    }
}
