//! The flusher: one thread that writes what the meter has gathered, has the chain cover it, and keeps `usage.db` within its
//! room.
//!
//! The rule of what must be recorded:
//! - A call that is let through is counted in `usage.db`. While that cannot be written, not even as one counter for each
//!   credential and minute, the engine refuses calls: what cannot be recorded must not happen. Another process that holds
//!   the file is waited for a while.
//! - What is refused is counted and told as well as can be. Where it cannot be written it stays in memory, bounded and
//!   folded, and nobody is refused for it; so nothing that a stranger does leads to a refusal of others.
//! - The audit chain covers denials, joined to one record a minute. Where the chain cannot be written the engine refuses
//!   calls, for then no act could be recorded either.
//!
//! What a stranger causes to be written has a bound: some rows a minute, and `usage.db` within its room (see
//! [`crate::store::room`]). A disk that others have filled stops calls until there is room, and then they go on.

mod signal;

pub(super) use signal::Signal;

use super::{
    lock,
    meter::{Due, Meter, Part, Pending},
    recorder::Recorder,
    tidy::Tidy,
};
use crate::domain::clock::Clock;
use crate::store::{
    Store, StoreError,
    event::{self, Whose},
    room, thread, usage,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long counters and events gather before they are written.
const GATHER: Duration = Duration::from_millis(250);
/// How often it looks for what is to be done where nothing was recorded.
const LOOK: Duration = Duration::from_secs(60);
/// Between two slices of tidying: others come in between.
const BREATH: Duration = Duration::from_millis(25);
/// How long calls may wait in memory for another process that holds `usage.db`, before they count as not recorded.
const MOST_LOCKED: Duration = Duration::from_secs(30);

/// How the books stand, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Bytes of `usage.db` that hold something, as of the last flush.
    pub used: u64,
    /// Bytes that may.
    pub budget: u64,
    /// Counters that could not be written yet.
    pub unwritten: u64,
    /// Rows that went for want of room since the start.
    pub shed: u64,
}

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct Flusher {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Flusher {
    pub(super) fn start(store: Store, meter: Arc<Meter>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let signal = Arc::<Signal>::default();
        let desk = Desk::new(store, meter, clock, Arc::clone(&signal));
        let thread = super::spawn("flusher", move || desk.run())?;
        Ok(Self { signal, thread: Mutex::new(Some(thread)) })
    }

    /// Has what was just recorded flushed soon.
    pub(super) fn wake(&self) {
        self.signal.wake();
    }

    /// Fails while what must be recorded cannot be.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.signal.check()
    }

    pub(super) fn books(&self) -> Books {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Books {
            used: read(&self.signal.used),
            budget: read(&self.signal.budget),
            unwritten: read(&self.signal.unwritten),
            shed: read(&self.signal.shed),
        }
    }

    /// Flushes a last time and ends the thread.
    pub(super) fn stop(&self) -> Result<(), StoreError> {
        let Some(thread) = lock(&self.thread).take() else { return Ok(()) };
        self.signal.stop();
        thread.join().unwrap_or(Err(StoreError::Panicked))
    }
}

/// What the thread works on.
struct Desk {
    store: Store,
    meter: Arc<Meter>,
    clock: Arc<dyn Clock>,
    signal: Arc<Signal>,
    pending: Pending,
    recorder: Recorder,
    tidy: Tidy,
    /// Why what was refused is not written yet; nobody is refused for that.
    behind: Option<StoreError>,
    /// Since when another process holds `usage.db`.
    locked_since: Option<Instant>,
}

impl Desk {
    fn new(store: Store, meter: Arc<Meter>, clock: Arc<dyn Clock>, signal: Arc<Signal>) -> Self {
        Self {
            recorder: Recorder::new(store.clone(), Arc::clone(&clock)),
            tidy: Tidy::new(store.clone(), Arc::clone(&clock), Arc::clone(&signal)),
            store,
            meter,
            clock,
            signal,
            pending: Pending::default(),
            behind: None,
            locked_since: None,
        }
    }

    fn run(mut self) -> Result<(), StoreError> {
        thread::step_back();
        // Said once, not four times a second: the log may lie on the disk that is full.
        let mut said: Option<StoreError> = None;
        // What a process before this one left without a record.
        let mut outcome = self.recorder.record(true);
        loop {
            self.signal.settle(&outcome);
            self.say(&mut said, outcome.err());
            let limit = if self.tidy.has_work() { BREATH } else { LOOK };
            let mut is_over = self.signal.wait_for_work(limit);
            if self.signal.dirty.load(Ordering::Acquire) {
                is_over |= self.signal.pause(GATHER);
            }
            outcome = self.round(is_over);
            if is_over {
                self.signal.settle(&outcome);
                return outcome.and(self.behind.map_or(Ok(()), Err));
            }
            self.tidy.step();
        }
    }

    fn say(&self, said: &mut Option<StoreError>, failed: Option<StoreError>) {
        match &failed {
            Some(error) if failed != *said => {
                tracing::error!(%error, "calls cannot be recorded; they are refused until they can");
            }
            None if said.is_some() => tracing::info!("calls are recorded again"),
            _ => {}
        }
        *said = failed;
    }

    /// Flushes what was recorded until now; an error is told to everyone by [`Signal::settle`].
    fn round(&mut self, is_over: bool) -> Result<(), StoreError> {
        // First, so that what is recorded from here on wakes the next round.
        self.signal.dirty.store(false, Ordering::Release);
        self.meter.drain_into(&mut self.pending);
        let outcome = self.flush(is_over).and_then(|()| self.recorder.record(is_over));
        if outcome.is_err() || self.behind.is_some() {
            self.signal.dirty.store(true, Ordering::Release);
        }
        self.signal.unwritten.store(self.pending.counters() as u64, Ordering::Relaxed);
        outcome
    }

    /// Writes all there is; where that fails, what must be written. Each is written once.
    fn flush(&mut self, is_over: bool) -> Result<(), StoreError> {
        let now = self.clock.now();
        let due = self.pending.due(now, is_over);
        if self.pending.is_empty() && due.is_empty() {
            self.behind = None;
            return Ok(());
        }
        let Err(error) = self.write_all(due) else {
            Part::ALL.into_iter().for_each(|part| self.pending.clear(part));
            self.pending.told(now, is_over);
            (self.behind, self.locked_since) = (None, None);
            return Ok(());
        };
        if self.behind.as_ref() != Some(&error) {
            tracing::warn!(%error, "what was refused is counted in memory until it can be written");
        }
        self.behind = Some(error.clone());
        if !self.pending.holds(Part::Admitted) {
            return Ok(());
        }
        if error.wants_room() {
            self.pending.fold_admitted();
        }
        let admitted = self.pending.counts(Part::Admitted);
        match self.store.write_usage(move |c| usage::add(c, &admitted)) {
            Err(StoreError::Busy)
                if self.locked_since.get_or_insert_with(Instant::now).elapsed() < MOST_LOCKED =>
            {
                Ok(())
            }
            written => {
                self.locked_since = None;
                written.map(|()| self.pending.clear(Part::Admitted))
            }
        }
    }

    fn write_all(&mut self, due: Due) -> Result<(), StoreError> {
        let counts: Vec<_> = Part::ALL.into_iter().flat_map(|part| self.pending.counts(part)).collect();
        let has_events = !due.is_empty();
        let used = self.store.write_usage(move |c| {
            usage::add(c, &counts)?;
            for (whose, events) in [(Whose::Known, &due.known), (Whose::Strangers, &due.strangers)] {
                if !events.is_empty() {
                    event::append(c, whose, events)?;
                }
            }
            room::used(c)
        })?;
        self.signal.used.store(used, Ordering::Relaxed);
        self.tidy.is_used(used);
        if has_events {
            self.recorder.owes();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
