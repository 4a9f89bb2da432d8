//! What is told of an act on several objects, before it and after.

use std::fmt;

use crate::domain::text::counted;

/// What several keys did of late, and which they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Calls in the last 24 hours.
    pub calls: u64,
    /// How many keys were asked about, and how many subjects these speak for.
    pub keys: u64,
    pub subjects: u64,
    /// The first of them, as people know them.
    pub first: Vec<String>,
}

impl Activity {
    /// How many are named.
    pub const NAMED: usize = 3;

    /// Which keys an act on several is about, in a line; nothing of one, which the question names itself.
    pub fn named(&self) -> Vec<String> {
        if self.keys < 2 {
            return Vec::new();
        }
        let more = self.keys.saturating_sub(self.first.len() as u64);
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        let subjects =
            if self.subjects == 1 { "one subject".into() } else { counted(self.subjects, "subject") };
        vec![format!("{}{rest}: of {subjects}.", self.first.join(", "))]
    }
}

/// What came of an act on several objects of which some could not be changed; the others were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partly {
    pub done: u64,
    /// They are not there any more.
    pub gone: u64,
    /// They were refused; the first one's reason.
    pub refused: u64,
    pub why: String,
    /// It was cancelled before it came to them.
    pub left: u64,
}

impl fmt::Display for Partly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} done", self.done)?;
        if self.gone > 0 {
            write!(f, ", {} not there any more", self.gone)?;
        }
        if self.refused > 0 {
            write!(f, ", {} refused: {}", self.refused, self.why)?;
        }
        if self.left > 0 {
            write!(f, ", {} left as they were: cancelled", self.left)?;
        }
        Ok(())
    }
}
