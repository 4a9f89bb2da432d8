//! Why an endpoint cannot be judged: servers do not agree on what it is.

use std::fmt;

/// What is wrong with it. A pattern that names it to the letter settles each but the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// Dot or empty segments, control characters, user information: what it leads to depends on the server.
    NoAgreedReading,
    /// More readings than are judged.
    TooManyReadings,
    /// No method of MCP, but a lenient server could take it for one.
    Disguised,
    /// No method of MCP.
    UnknownMethod,
}

impl Objection {
    /// Whether the operator may say that it is meant as it stands.
    pub fn can_be_settled(self) -> bool {
        self != Self::TooManyReadings
    }

    /// One sentence for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAgreedReading => {
                "servers read this path or URI in different ways: it has dot or empty segments, control characters or \
                 user information, as it stands or behind escapes"
            }
            Self::TooManyReadings => "this path or URI can be read in more ways than are judged",
            Self::Disguised => "this is not a method of MCP, and resembles one",
            Self::UnknownMethod => "this is not a method of MCP",
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
