//! Bytes: HTTP/1.1 as it is written (RFC 9112), what the client's side and the upstream's have in common; a request as it
//! comes, by whichever version; and streams that are looked at while they pass. Nothing here knows what is decided.

mod abrupt;
mod arriving;
mod content;
mod fields;
mod media;
mod names;
mod outbox;
mod received;
mod request_id;
mod tap;
mod timely;

pub use abrupt::Abrupt;
pub use arriving::{EndedEarly, Intake};
pub use content::{Chunk, Content, Garbled, Next, are_whole_lines, may_be_whole, number};
pub use fields::{Field, Fields, MOST_FIELDS, Places, Several, is_same, text};
pub use media::{Media, are_media};
pub use names::{HOP_BY_HOP, Suspects, is_among, options, spelled};
pub use outbox::{Lines, Outbox};
pub use received::{Parts, Received};
pub use request_id::{RequestId, RequestIds};
pub use tap::{Tap, Tapped};
pub use timely::{Alarm, Opening, Taken};

#[cfg(test)]
pub use request_id::REQUEST_ID;
