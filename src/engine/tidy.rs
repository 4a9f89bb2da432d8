//! Keeps `usage.db` within its room: removes what has had its time, and, where there is too much, what can be spared.
//!
//! A slice at a time, so that nobody waits for it. That events went for want of room is recorded in the audit chain before
//! they go, so that nobody misses them later.

use super::{flush::Signal, recorder::ACTOR};
use crate::domain::clock::Clock;
use crate::store::{
    Store, StoreError, event,
    room::{self, Cut},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// How often it is looked for what has had its time.
const LOOK: Duration = Duration::from_secs(3600);
/// How long it leaves be what it could not do.
const REST: Duration = Duration::from_secs(5);

pub(super) struct Tidy {
    store: Store,
    clock: Arc<dyn Clock>,
    signal: Arc<Signal>,
    looked: Option<Instant>,
    /// What is being removed, and whether for want of room.
    cut: Option<(Cut, bool)>,
    used: u64,
    /// Whether room is being made.
    is_shedding: bool,
    /// It failed, or nothing can be spared: not before then again.
    rests_until: Option<Instant>,
}

impl Tidy {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>, signal: Arc<Signal>) -> Self {
        Self { store, clock, signal, looked: None, cut: None, used: 0, is_shedding: false, rests_until: None }
    }

    /// How much of the file is used.
    pub(super) fn is_used(&mut self, bytes: u64) {
        self.used = bytes;
    }

    /// Whether [`Tidy::step`] has something to do.
    pub(super) fn has_work(&self) -> bool {
        if self.rests_until.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        let is_looked_for = self.looked.is_none_or(|at| at.elapsed() >= LOOK);
        self.cut.is_some() || self.is_shedding || is_looked_for || self.used > self.budget()
    }

    fn budget(&self) -> u64 {
        self.signal.budget.load(Ordering::Relaxed)
    }

    /// Removes one slice, or finds out what is to be removed. Where that fails it rests, and nobody else does.
    pub(super) fn step(&mut self) {
        if !self.has_work() {
            return;
        }
        let done = match self.cut {
            Some((cut, for_room)) => self.remove(cut, for_room),
            None => self.plan(),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "old counters and events could not be removed");
            self.rests_until = Some(Instant::now() + REST);
        }
    }

    fn remove(&mut self, cut: Cut, for_room: bool) -> Result<(), StoreError> {
        let (removed, used) = self.store.write_usage(move |c| {
            let removed = cut.slice(c)?;
            Ok::<_, StoreError>((removed, room::used(c)?))
        })?;
        self.used = used;
        if for_room {
            self.signal.shed.fetch_add(removed, Ordering::Relaxed);
        }
        if removed == 0 {
            self.cut = None;
        }
        Ok(())
    }

    fn plan(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let room = self.store.usage_room()?;
        self.used = room.used;
        self.signal.budget.store(room.budget, Ordering::Relaxed);
        if let Some(ended) = self.store.read_usage(|c| room::ended(c, now))? {
            self.cut = Some((ended, false));
            return Ok(());
        }
        self.looked = Some(Instant::now());
        // Some more than it must, so that not every flush has to make room.
        let enough = if self.is_shedding { room.budget / 8 * 7 } else { room.budget };
        self.is_shedding = room.used > enough;
        if !self.is_shedding {
            return Ok(());
        }
        let Some(cut) = self.store.read_usage(|c| room::dispensable(c, now))? else {
            self.is_shedding = false;
            self.rests_until = Some(Instant::now() + REST);
            return Ok(());
        };
        if cut.part.is_event() {
            self.store.write(move |c| event::record_purge(c, cut, ACTOR, now))?;
        }
        self.store.write_usage(move |c| room::note_shed(c, cut))?;
        tracing::warn!(part = ?cut.part, before = %cut.before, "usage.db has no room for it any more");
        self.cut = Some((cut, true));
        Ok(())
    }
}
