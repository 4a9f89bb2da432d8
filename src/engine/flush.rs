//! The flusher: one thread that writes what the meter has gathered, and sweeps the store once a day.
//!
//! Asleep while nothing was recorded. Where a flush fails, everything is kept for the next one and the engine refuses
//! calls until one succeeds: what cannot be recorded must not happen.

use super::{
    lock,
    meter::{Meter, Pending},
};
use crate::domain::clock::Clock;
use crate::store::{Store, StoreError, event, thread, usage};
use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long counters and events gather before they are written.
const GATHER: Duration = Duration::from_millis(250);
const DAY: Duration = Duration::from_secs(86_400);
/// Who the audit log names for a flush.
const ACTOR: &str = "gateway";

/// What the flusher and everyone else tell each other.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// Something was recorded since the last flush began.
    dirty: AtomicBool,
    stopping: Mutex<bool>,
    changed: Condvar,
    /// Why the last flush failed, if it did.
    failure: Mutex<Option<StoreError>>,
    /// Whether there is a failure: what is read at every request.
    failed: AtomicBool,
}

impl Signal {
    /// Has what was just recorded flushed soon.
    pub(super) fn wake(&self) {
        if self.dirty.load(Ordering::Acquire) || self.dirty.swap(true, Ordering::AcqRel) {
            return;
        }
        // Under the lock, so that the flusher does not fall asleep between its look and this.
        let _stopping = lock(&self.stopping);
        self.changed.notify_one();
    }

    fn stop(&self) {
        *lock(&self.stopping) = true;
        self.changed.notify_one();
    }

    /// Fails while the last flush has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }

    fn settle(&self, outcome: &Result<(), StoreError>) {
        *lock(&self.failure) = outcome.as_ref().err().cloned();
        self.failed.store(outcome.is_err(), Ordering::Release);
    }

    /// Waits until something was recorded, `limit` has passed, or it is time to stop; says the last.
    fn wait_for_work(&self, limit: Duration) -> bool {
        let idle = |stopping: &mut bool| !*stopping && !self.dirty.load(Ordering::Acquire);
        let woken = self.changed.wait_timeout_while(lock(&self.stopping), limit, idle);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Lets more gather; says whether it is time to stop.
    fn gather(&self) -> bool {
        let woken = self.changed.wait_timeout_while(lock(&self.stopping), GATHER, |stopping| !*stopping);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }
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

    /// Fails while the last flush has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.signal.check()
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
    /// A batch of events that is saved, and whose record in the audit log is not.
    owed: Option<event::Batch>,
}

impl Desk {
    fn new(store: Store, meter: Arc<Meter>, clock: Arc<dyn Clock>, signal: Arc<Signal>) -> Self {
        Self { store, meter, clock, signal, pending: Pending::default(), owed: None }
    }

    fn run(mut self) -> Result<(), StoreError> {
        thread::step_back();
        let mut swept_at = None;
        // Said once, not four times a second: the log may lie on the disk that is full.
        let mut said: Option<StoreError> = None;
        loop {
            if swept_at.is_none_or(|at: Instant| at.elapsed() >= DAY) {
                swept_at = Some(Instant::now());
                if let Err(error) = self.sweep() {
                    tracing::warn!(%error, "old counters and events could not be swept");
                }
            }
            let is_over = self.signal.wait_for_work(DAY) || self.signal.gather();
            let outcome = self.round();
            if is_over {
                return outcome;
            }
            let failed = outcome.err();
            match &failed {
                Some(error) if failed != said => {
                    tracing::error!(%error, "counters and events cannot be written; calls are refused until they can");
                }
                None if said.is_some() => tracing::info!("counters and events are written again"),
                _ => {}
            }
            said = failed;
        }
    }

    /// Flushes what was recorded until now, and tells everyone whether that went well.
    fn round(&mut self) -> Result<(), StoreError> {
        // First, so that what is recorded from here on wakes the next round.
        self.signal.dirty.store(false, Ordering::Release);
        self.meter.drain_into(&mut self.pending);
        let outcome = self.flush();
        self.signal.settle(&outcome);
        if outcome.is_err() {
            self.signal.dirty.store(true, Ordering::Release);
        }
        outcome
    }

    /// Writes counters and events, then the digest of the events into the audit chain. Each is written once, also where
    /// the other fails.
    fn flush(&mut self) -> Result<(), StoreError> {
        self.settle_owed()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        let (counts, events) = (self.pending.counts(), self.pending.events());
        self.owed = self.store.write_usage(move |transaction| {
            usage::add(transaction, &counts)?;
            if events.is_empty() {
                return Ok::<_, StoreError>(None);
            }
            event::append(transaction, &events).map(Some)
        })?;
        self.pending.clear();
        self.settle_owed()
    }

    fn settle_owed(&mut self) -> Result<(), StoreError> {
        let Some(batch) = self.owed else { return Ok(()) };
        let now = self.clock.now();
        self.store.write(move |transaction| event::record(transaction, &batch, ACTOR, now))?;
        self.owed = None;
        Ok(())
    }

    fn sweep(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.write_usage(move |transaction| {
            usage::sweep(transaction, now)?;
            event::sweep(transaction, now)
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{clock::Timestamp, decision::Reason, usage::Outcome};
    use crate::engine::{Seen, tests::house::House};
    use crate::ops;

    fn record(meter: &Meter, at: Timestamp) {
        let outcome = Outcome::Denied(Reason::UnknownCredential);
        let seen = Seen {
            credential: None,
            issuer: None,
            subject: None,
            endpoint: "tools/list",
            address: None,
            outcome,
            request_id: "r",
            at,
        };
        meter.record(&seen, None);
    }

    fn desk(house: &House) -> Desk {
        let store = house.ctx.store.clone();
        let desk = Desk::new(store, Arc::default(), house.clock.clone(), Arc::default());
        record(&desk.meter, house.now());
        desk
    }

    fn alter(c: &rusqlite::Connection, sql: &str) -> Result<(), StoreError> {
        Ok(c.execute_batch(sql)?)
    }

    fn calls(house: &House) -> u64 {
        ops::usage::totals(&house.ctx, house.last_hour()).unwrap().calls()
    }

    #[test]
    fn a_flush_that_failed_is_told_kept_and_made_up_for() {
        let house = House::new();
        let mut desk = desk(&house);
        let store = &house.ctx.store;
        store.write_usage(|c| alter(c, "ALTER TABLE usage_minute RENAME TO gone")).unwrap();
        assert!(desk.round().is_err());
        assert!(desk.signal.check().is_err(), "calls are refused meanwhile");
        record(&desk.meter, house.now());
        store.write_usage(|c| alter(c, "ALTER TABLE gone RENAME TO usage_minute")).unwrap();
        desk.round().unwrap();
        desk.signal.check().unwrap();
        assert_eq!(calls(&house), 2);
        assert!(ops::audit::verify(&house.ctx).unwrap().valid);
    }

    #[test]
    fn events_whose_audit_record_failed_are_not_saved_twice() {
        let house = House::new();
        let mut desk = desk(&house);
        let store = &house.ctx.store;
        store.write(|c| alter(c, "ALTER TABLE audit RENAME COLUMN detail TO gone")).unwrap();
        assert!(desk.round().is_err());
        assert!(desk.round().is_err());
        assert!(desk.signal.check().is_err());
        store.write(|c| alter(c, "ALTER TABLE audit RENAME COLUMN gone TO detail")).unwrap();
        desk.round().unwrap();
        assert_eq!(calls(&house), 1);
        assert_eq!(house.events().iter().map(|event| event.count).sum::<u32>(), 1);
        let verdict = ops::audit::verify(&house.ctx).unwrap();
        assert!(verdict.valid, "{verdict:?}");
    }
}
