//! What the flusher and everyone else tell each other.

use crate::engine::lock;
use crate::store::StoreError;
use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// What the flusher and everyone else tell each other.
#[derive(Debug, Default)]
pub(in crate::engine) struct Signal {
    /// Something was recorded since the last flush began.
    pub(super) dirty: AtomicBool,
    stopping: Mutex<bool>,
    changed: Condvar,
    /// Why calls are refused, if they are.
    failure: Mutex<Option<StoreError>>,
    /// Whether there is a failure: what is read at every request.
    failed: AtomicBool,
    pub(super) used: AtomicU64,
    pub(in crate::engine) budget: AtomicU64,
    pub(super) unwritten: AtomicU64,
    pub(in crate::engine) shed: AtomicU64,
}

impl Signal {
    /// Has what was just recorded flushed soon.
    pub(in crate::engine) fn wake(&self) {
        if self.dirty.load(Ordering::Acquire) || self.dirty.swap(true, Ordering::AcqRel) {
            return;
        }
        // Under the lock, so that the flusher does not fall asleep between its look and this.
        let _stopping = lock(&self.stopping);
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        *lock(&self.stopping) = true;
        self.changed.notify_one();
    }

    /// Fails while what must be recorded cannot be.
    pub(in crate::engine) fn check(&self) -> Result<(), StoreError> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }

    pub(super) fn settle(&self, outcome: &Result<(), StoreError>) {
        *lock(&self.failure) = outcome.as_ref().err().cloned();
        self.failed.store(outcome.is_err(), Ordering::Release);
    }

    /// Waits until something was recorded, `limit` has passed, or it is time to stop; says the last.
    pub(super) fn wait_for_work(&self, limit: Duration) -> bool {
        let idle = |stopping: &mut bool| !*stopping && !self.dirty.load(Ordering::Acquire);
        let woken = self.changed.wait_timeout_while(lock(&self.stopping), limit, idle);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Lets `time` pass; says whether it is time to stop.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let woken = self.changed.wait_timeout_while(lock(&self.stopping), time, |stopping| !*stopping);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }
}
