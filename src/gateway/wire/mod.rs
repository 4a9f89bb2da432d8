//! HTTP/1.1 byte by byte (RFC 9112): what the client's side and the upstream's have in common.

mod content;
mod outbox;
mod places;

pub use content::{Chunk, Content, Garbled, Next, are_whole_lines};
pub use outbox::Outbox;
pub use places::{MOST_FIELDS, Places};
