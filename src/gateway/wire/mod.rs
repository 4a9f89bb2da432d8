//! HTTP/1.1 byte by byte (RFC 9112): what the client's side and the upstream's have in common.

mod content;
mod fields;
mod media;
mod names;
mod outbox;

pub use content::{Chunk, Content, Garbled, Next, are_whole_lines, may_be_whole, number};
pub use fields::{Field, Fields, MOST_FIELDS, Places, Several, is_same, text};
pub use media::{Media, are_media};
pub use names::{HOP_BY_HOP, Suspects, is_among, options, spelled};
pub use outbox::{Lines, Outbox};
