//! What came of an act on several objects; and the one such act that several screens have.

use std::fmt;

use crate::domain::credential::Kind;
use crate::domain::pace::{self, Pace};
use crate::ops::{self, Ctx};

use super::effect::{Deed, Fault};
use super::layer::Turn;

/// To how many of them it was done, and why not to the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub done: u64,
    /// They are not there any more.
    pub gone: u64,
    /// They were refused; the first one's reason.
    pub refused: u64,
    pub why: String,
    /// It was cancelled before it came to them.
    pub left: u64,
}

impl Tally {
    /// It was done to all.
    pub fn all(done: u64) -> Self {
        Self { done, ..Self::default() }
    }

    /// The same, but for what was cancelled before its end: to as many as that had come, and not to the rest.
    pub fn at_pace(done: u64, pace: &Pace) -> Self {
        let pace::Progress { done: come, of, .. } = pace.progress();
        match of.unwrap_or(come).saturating_sub(come) {
            0 => Self::all(done),
            left => Self { done: come, left, ..Self::default() },
        }
    }

    pub fn is_of_all(&self) -> bool {
        *self == Self::all(self.done)
    }

    /// Tells it where nobody waits for it any more.
    pub fn tell_left(&self, turn: &mut Turn<'_>) {
        if self.is_of_all() {
            turn.done("what you left under way is done");
        } else {
            turn.fail(format!("of what you left under way: {self}"));
        }
    }
}

impl fmt::Display for Tally {
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

/// Removes all of a kind whose rows are damaged.
#[derive(Debug)]
pub struct PurgeDamaged(pub Kind);

impl Deed for PurgeDamaged {
    type Answer = Tally;
    const VERB: &'static str = "removing";
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        Ok(Tally::at_pace(ops::credential::purge_damaged(ctx, self.0)?, &ctx.pace))
    }
    fn unclaimed(tally: Tally, turn: &mut Turn<'_>) {
        tally.tell_left(turn);
    }
}
