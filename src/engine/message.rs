//! What the lessor's thread is told, and what it answers with.

use tokio::sync::oneshot;

use crate::domain::{clock::Timestamp, decision::Account};

/// What the lessor is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Requests of this account wait for a lease.
    Ask(Account),
    /// A call uses up what may be used once.
    Spend(Spending),
    /// Give everything back and end.
    Stop,
}

/// What one call uses up, and who waits to hear whether it was the first.
#[derive(Debug)]
pub(super) struct Spending {
    pub(super) uses: Vec<Use>,
    pub(super) answer: oneshot::Sender<Result<Outcome, Unavailable>>,
}

/// Which of the uses was used up before, by its place; `None` where all were free.
pub(super) type Outcome = Option<usize>;

impl Spending {
    pub(super) fn answer(self, outcome: Result<Outcome, Unavailable>) {
        // Who no longer waits was refused; what it used up stays used.
        let _ = self.answer.send(outcome);
    }
}

/// One thing that is used up.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) realm: &'static str,
    pub(super) id: String,
    /// How often it may be used.
    pub(super) times: u32,
    pub(super) ends_at: Timestamp,
}

/// The ledger did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unavailable;
