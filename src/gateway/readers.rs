//! What the gateway's readers make of bytes, each by itself: for the fuzz targets (`fuzz/`), which see the house from
//! outside. Nothing in the house calls these.

use bytes::BytesMut;

use super::connection::http_1::Head;
use super::mcp::body;
use super::wire::{Chunk, Content, Next};

/// What was made of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadRead {
    /// More has to come.
    Unread,
    /// The status to answer before the connection is closed.
    Refused(u16),
    /// How many bytes it has, and what is said in it of the body after it.
    Whole { length: usize, content: String },
}

/// Reads a request's head where all of `bytes` have come.
pub fn head(bytes: &[u8]) -> HeadRead {
    let mut read = BytesMut::from(bytes);
    match Head::take(&mut read) {
        Ok(None) => HeadRead::Unread,
        Ok(Some(head)) => HeadRead::Whole {
            length: bytes.len() - read.len(),
            content: format!("{} {} {:?}", head.parts.method, head.parts.uri, head.content),
        },
        Err(status) => HeadRead::Refused(status.as_u16()),
    }
}

/// Reads a chunked body of which `step` bytes come at a time (at least one). What was read of it, and whether it is whole;
/// `None` where it is not what HTTP says it must be.
pub fn chunked(bytes: &[u8], step: usize) -> Option<(Vec<u8>, bool)> {
    let (mut content, mut read, mut body) = (Content::Chunked(Chunk::Size), BytesMut::new(), Vec::new());
    for come in bytes.chunks(step.max(1)) {
        read.extend_from_slice(come);
        loop {
            match content.take(&mut read) {
                Ok(Next::Piece(piece)) => body.extend_from_slice(&piece),
                Ok(Next::Unread) => break,
                Ok(Next::End) => return Some((body, true)),
                Err(_) => return None,
            }
        }
    }
    Some((body, false))
}

/// How many messages an MCP body holds, or why it is none.
///
/// # Errors
/// The words that its client is told.
pub fn mcp_body(bytes: &[u8]) -> Result<usize, String> {
    body::parse(bytes).map(|body| body.messages().len()).map_err(|bad| bad.to_string())
}
