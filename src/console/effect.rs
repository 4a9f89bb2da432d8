//! What the console asks of the world, as plain data: `update` only says it, the runner does it.
//!
//! A question or a deed is a type of whoever asks: it says what its answer is, and how it is answered. Each carries a ticket.
//! Whoever asked keeps the ticket; an answer whose ticket nobody holds any more is stale and is dropped.

use std::any::{Any, TypeId};
use std::fmt::Debug;

use crate::domain::secret::Secret;
use crate::ops::{Ctx, OpsError};

use super::layer::Turn;

/// Names one question. Of several waiting ones on one topic, which are those of one type, only the newest is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub topic: TypeId,
    pub number: u64,
}

/// What the runner is to do.
#[derive(Debug)]
pub enum Effect {
    Load(Ticket, Box<dyn AnyQuestion>),
    Act(Ticket, Box<dyn AnyDeed>),
    /// Has an act that is under way end early.
    Cancel(Ticket),
    /// Into the terminal's clipboard (OSC 52).
    Copy(Secret),
    /// Whether clicks and the wheel come to us or select text in the terminal.
    Mouse(bool),
    /// Paint every cell again.
    Redraw,
    Suspend,
    Quit,
}

/// A question to the store.
pub trait Question: Debug + Send + 'static {
    type Answer: Send + 'static;
    /// Whether it looks at every row: others do not wait for it.
    const SLOW: bool = false;
    /// Runs on a thread of its own. Fails where the store does.
    fn answer(&self, ctx: &Ctx) -> Result<Self::Answer, OpsError>;
}

/// An act of the operator.
pub trait Deed: Debug + Send + 'static {
    type Answer: Send + 'static;
    /// What is done meanwhile, where it may take its time.
    const VERB: &'static str = "working";
    /// Runs on a thread of its own, at the pace of `ctx`. Fails where it is refused, and where the store does.
    fn carry_out(&self, ctx: &Ctx) -> Result<Self::Answer, Fault>;
    /// Tells what came of it where that which asked for it was closed meanwhile.
    fn unclaimed(_answer: Self::Answer, turn: &mut Turn<'_>) {
        turn.done("what you left under way is done");
    }
}

/// Any question, for who asks it without knowing it.
pub trait AnyQuestion: Any + Debug + Send {
    fn is_slow(&self) -> bool;
    fn ask(&self, ctx: &Ctx) -> Outcome;
}

impl<Q: Question> AnyQuestion for Q {
    fn is_slow(&self) -> bool {
        Q::SLOW
    }
    fn ask(&self, ctx: &Ctx) -> Outcome {
        Ok(Box::new(self.answer(ctx)?))
    }
}

/// Any deed, for who does it without knowing it.
pub trait AnyDeed: Any + Debug + Send {
    fn verb(&self) -> &'static str;
    fn act(&self, ctx: &Ctx) -> Outcome;
    /// How what came of it is told to nobody in particular.
    fn left(&self) -> Left;
}

impl<D: Deed> AnyDeed for D {
    fn verb(&self) -> &'static str {
        D::VERB
    }
    fn act(&self, ctx: &Ctx) -> Outcome {
        Ok(Box::new(self.carry_out(ctx)?))
    }
    fn left(&self) -> Left {
        |outcome, turn| match outcome.map(|answer| answer.downcast::<D::Answer>()) {
            Ok(Ok(answer)) => D::unclaimed(*answer, turn),
            // the answer to a deed is of its type
            Ok(Err(_)) => {}
            Err(fault) => turn.fail(format!("what you left under way was not done: {}", fault.message)),
        }
    }
}

/// What came of a question or a deed: its own answer, or why there is none.
pub type Outcome = Result<Box<dyn Any + Send>, Fault>;

/// Tells what came of a deed that was left under way.
pub type Left = fn(Outcome, &mut Turn<'_>);

/// How far an act is that takes its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub ticket: Ticket,
    pub told: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    /// Somebody else changed the object meanwhile.
    pub conflict: bool,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), conflict: false }
    }
}

impl From<OpsError> for Fault {
    fn from(error: OpsError) -> Self {
        Self { conflict: matches!(error, OpsError::Conflict(_)), message: error.to_string() }
    }
}

/// An answer on its way to whoever holds the ticket; taken at most once.
#[derive(Debug)]
pub struct Reply {
    pub ticket: Ticket,
    pub outcome: Option<Outcome>,
    /// What is done with it where nobody holds the ticket any more; an answer to a question goes then.
    pub left: Option<Left>,
}
