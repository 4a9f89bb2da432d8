//! The pulse: whether the store can still be written, asked while calls come.
//!
//! In a store that another process holds nobody can be revoked. What was leased before would be admitted meanwhile, for as
//! long as the lease lasts; with this it is for two seconds at most.

use super::lock;
use crate::store::{Probe, StoreError};
use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Between two questions.
const BEAT: Duration = Duration::from_millis(400);
/// How long the store may be held by others before calls are refused.
const MOST_HELD: Duration = Duration::from_millis(1400);

#[derive(Debug, Default)]
struct Signal {
    /// A call came since the last question.
    asked: AtomicBool,
    is_held: AtomicBool,
    stopping: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Waits until a call comes, or `limit` passes where there is one; says whether it is time to stop.
    fn wait(&self, limit: Option<Duration>) -> bool {
        let stopping = lock(&self.stopping);
        let woken = match limit {
            Some(limit) => {
                let paused = self.changed.wait_timeout_while(stopping, limit, |stopping| !*stopping);
                paused.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let idle = |stopping: &mut bool| !*stopping && !self.asked.load(Ordering::Acquire);
                self.changed.wait_while(stopping, idle).unwrap_or_else(PoisonError::into_inner)
            }
        };
        *woken
    }
}

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct Pulse {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Pulse {
    pub(super) fn start(mut probe: Probe) -> Result<Self, StoreError> {
        let signal = Arc::<Signal>::default();
        let heard = Arc::clone(&signal);
        let thread = super::spawn("pulse", move || {
            // While it is held it is asked on and on, so that its end is noticed at once.
            while !heard.wait(if heard.is_held.load(Ordering::Relaxed) { Some(Duration::ZERO) } else { None })
            {
                heard.asked.store(false, Ordering::Release);
                let is_held = matches!(probe.try_write(MOST_HELD), Err(StoreError::Busy));
                if heard.is_held.swap(is_held, Ordering::AcqRel) != is_held {
                    if is_held {
                        tracing::error!("another process holds the store; calls are refused while it does");
                    } else {
                        tracing::info!("the store can be written again");
                    }
                }
                if heard.wait(Some(BEAT)) {
                    return;
                }
            }
        })?;
        Ok(Self { signal, thread: Mutex::new(Some(thread)) })
    }

    /// Fails while others hold the store. A call has come: have the store asked.
    #[inline]
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if !self.signal.asked.load(Ordering::Acquire) && !self.signal.asked.swap(true, Ordering::AcqRel) {
            // Under the lock, so that the thread does not fall asleep between its look and this.
            let _stopping = lock(&self.signal.stopping);
            self.signal.changed.notify_one();
        }
        if self.signal.is_held.load(Ordering::Acquire) { Err(StoreError::Busy) } else { Ok(()) }
    }

    pub(super) fn stop(&self) {
        let Some(thread) = lock(&self.thread).take() else { return };
        *lock(&self.signal.stopping) = true;
        self.signal.changed.notify_one();
        // It has nothing more to say.
        let _ = thread.join();
    }
}
