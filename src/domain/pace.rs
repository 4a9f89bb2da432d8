//! How far long work has come, and whether it is to end early.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// What is done sooner is done without a word.
pub const QUIET: Duration = Duration::from_millis(500);

const MIB: u64 = 1024 * 1024;

/// Shared by who does the work and who watches it.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<State>);

#[derive(Debug, Default)]
struct State {
    done: AtomicU64,
    /// 0 where nobody knows.
    expected: AtomicU64,
    is_in_bytes: AtomicBool,
    is_cancelled: AtomicBool,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Keys, tokens, records.
    Items,
    Bytes,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    /// `None` where nobody knows how much is to be done.
    pub of: Option<u64>,
    pub unit: Unit,
}

impl Progress {
    /// `1200 of 10000, 4s left`; the time left as that which is done took.
    pub fn told(self, took: Duration) -> String {
        let Self { done, of, unit } = self;
        let size = |number: u64| match unit {
            Unit::Items => number.to_string(),
            Unit::Bytes => format!("{} MiB", number.div_ceil(MIB)),
        };
        let Some(of) = of else { return size(done) };
        let done = done.min(of);
        let left = took.mul_f64(of.saturating_sub(done) as f64 / done.max(1) as f64);
        let left = humantime::format_duration(Duration::from_secs(left.as_secs() + 1));
        format!("{} of {}, {left} left", size(done), size(of))
    }
}

/// Work was told to end before it was done, and is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl Pace {
    /// So much is to be done in all.
    pub fn expect(&self, number: u64, unit: Unit) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.expected.store(number, Ordering::Relaxed);
        self.0.is_in_bytes.store(unit == Unit::Bytes, Ordering::Relaxed);
    }

    /// So much more is done.
    pub fn step(&self, number: u64) {
        self.0.done.fetch_add(number, Ordering::Relaxed);
    }

    pub fn progress(&self) -> Progress {
        let expected = self.0.expected.load(Ordering::Relaxed);
        Progress {
            done: self.0.done.load(Ordering::Relaxed),
            of: (expected > 0).then_some(expected),
            unit: if self.0.is_in_bytes.load(Ordering::Relaxed) { Unit::Bytes } else { Unit::Items },
        }
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
    /// [`Cancelled`] where it is to end.
    pub fn or_nothing(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_from_what_is_done() {
        let told = |done, of, unit| Progress { done, of, unit }.told(Duration::from_secs(2));
        assert_eq!(told(2_500, Some(10_000), Unit::Items), "2500 of 10000, 7s left");
        assert_eq!(told(10_000, Some(10_000), Unit::Items), "10000 of 10000, 1s left");
        assert_eq!(told(7, None, Unit::Items), "7");
        assert_eq!(told(25 * MIB, Some(100 * MIB), Unit::Bytes), "25 MiB of 100 MiB, 7s left");
    }
}
