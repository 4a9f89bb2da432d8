//! Has the audit chain cover the events of `usage.db`: one record for those of a minute, fewer where there are many.
//!
//! Events are committed before their record: a process that is killed between the two leaves events without a record, never
//! a record that nothing bears out. Whoever records next, in whichever process, records those too.

use crate::domain::clock::{Clock, Timestamp};
use crate::store::{Store, StoreError, event};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Who the audit log names.
pub(super) const ACTOR: &str = "gateway";
/// Between two records of a home.
const BETWEEN: Duration = Duration::from_secs(60);
/// A record of so many events doubles the time to the next.
const MANY: u64 = 200;
/// Up to 16 minutes.
const MOST_DOUBLINGS: u32 = 4;

pub(super) struct Recorder {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Whether there may be events without a record.
    owes: bool,
    not_before: Option<Instant>,
    doublings: u32,
}

impl Recorder {
    /// One that does not know yet whether there is something to record.
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, owes: true, not_before: None, doublings: 0 }
    }

    /// There are events without a record.
    pub(super) fn owes(&mut self) {
        self.owes = true;
    }

    /// Records what is without a record, where it is time for that or `at_once`. A store that others write to is no fault:
    /// the record comes the next time, and whether the store is held by others for long, the pulse asks.
    pub(super) fn record(&mut self, at_once: bool) -> Result<(), StoreError> {
        match self.try_record(at_once) {
            Err(StoreError::Busy) if !at_once => Ok(()),
            recorded => recorded,
        }
    }

    fn try_record(&mut self, at_once: bool) -> Result<(), StoreError> {
        let must_wait = self.not_before.is_some_and(|at| Instant::now() < at);
        if !self.owes || (must_wait && !at_once) {
            return Ok(());
        }
        let now = self.clock.now();
        let last = self.store.read(event::last_record)?;
        if let Some(left) = left(last.at, now).filter(|_| !at_once) {
            self.not_before = Some(Instant::now() + left);
            return Ok(());
        }
        let spans = self.store.read_usage(|c| event::unrecorded(c, last.batch))?;
        let events = spans.events();
        if events > 0 {
            let is_recorded = self.store.write(move |c| event::record(c, &spans, last, ACTOR, now))?;
            if !is_recorded {
                // Another process did, perhaps before the newest events came.
                return Ok(());
            }
            self.doublings = match events {
                MANY.. => (self.doublings + 1).min(MOST_DOUBLINGS),
                _ => self.doublings.saturating_sub(1),
            };
            self.not_before = Some(Instant::now() + BETWEEN * 2_u32.pow(self.doublings));
        }
        self.owes = false;
        Ok(())
    }
}

/// For how long a home that was recorded at `last` waits for the next.
fn left(last: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let next = last?.plus(BETWEEN);
    (last? <= now && now < next).then(|| next.since(now))
}
