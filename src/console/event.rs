//! What happens to the console: keys, the mouse, answers, changes in the store, time.

use crossterm::event::{KeyEvent, MouseEvent};

use super::effect::{Progress, Reply};
use super::theme::Shade;

#[derive(Debug)]
pub enum Event {
    Key(KeyEvent),
    Mouse(MouseEvent),
    /// A bracketed paste: goes into the focused field and nowhere else.
    Paste(String),
    Resize {
        width: u16,
        height: u16,
    },
    Reply(Reply),
    /// How far the act under way is. Comes before what came of it, and never after.
    Progress(Progress),
    Moved(Moved),
    /// A deadline has passed.
    Due,
    /// The terminal's answer what its background is.
    Background(Shade),
    /// The terminal gives no more input.
    InputEnded,
    /// Some thread of this process met a fault.
    Fault,
    /// The store could not be watched: what is shown may be old.
    Unwatched(String),
    /// The disk of the home is full, or is no longer.
    Full(bool),
}

/// Which half of the store was committed to, by any process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Keys, policies, scopes, audit.
    Objects,
    /// Counters and events.
    Usage,
}
