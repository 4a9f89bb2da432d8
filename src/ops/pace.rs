//! How far long work has come, and whether it is to end early.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::OpsError;

/// Shared by who does the work and who watches it.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<State>);

#[derive(Debug, Default)]
struct State {
    done: AtomicU64,
    /// 0 where nobody knows.
    expected: AtomicU64,
    is_cancelled: AtomicBool,
}

impl Pace {
    /// So much is to be done in all.
    pub(super) fn expect(&self, number: u64) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.expected.store(number, Ordering::Relaxed);
    }

    /// So much more is done.
    pub(super) fn step(&self, number: u64) {
        self.0.done.fetch_add(number, Ordering::Relaxed);
    }

    /// How much is done, and of how much, where that is known.
    pub fn stands(&self) -> (u64, Option<u64>) {
        let expected = self.0.expected.load(Ordering::Relaxed);
        (self.0.done.load(Ordering::Relaxed), (expected > 0).then_some(expected))
    }

    /// Has the work end where it may: between two batches, or before anything of it is kept.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Relaxed)
    }

    /// Ends what is done as a whole or not at all.
    ///
    /// # Errors
    /// [`OpsError::Cancelled`] where it is to end.
    pub(super) fn or_nothing(&self) -> Result<(), OpsError> {
        if self.is_cancelled() { Err(OpsError::Cancelled) } else { Ok(()) }
    }
}
