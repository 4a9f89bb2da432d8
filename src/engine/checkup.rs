//! The check-up: whether the store's file is whole, read from end to end once, while the gateway serves, and whether the
//! audit chain is the one that was signed here.
//!
//! Seals show that a row is as it was written, and not that none is lost, as a damaged page can lose them. What rests on a
//! row that is missing is denied anyway; this finds what else there may be. What was revoked is held against the chain before
//! anybody is served; whoever can write the file could have written the chain anew, but not signed it. Reading a million keys
//! takes seconds, so calls are judged meanwhile, and refused from the moment a fault is found. A disk that fails for a moment
//! is no fault: it is read again.

use super::lock;
use crate::domain::{audit::ChainKey, clock::Timestamp};
use crate::store::{Store, StoreError, audit::verify::Verifier, home, thread};
use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

#[derive(Debug, Default)]
pub(super) struct Checkup {
    found: Arc<OnceLock<StoreError>>,
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkup {
    /// Begins it, in a thread of its own; `key` is what the chain must be signed by. A second call while it runs or after it
    /// changes nothing.
    pub(super) fn begin(&self, store: Store, key: ChainKey, now: Timestamp) -> Result<(), StoreError> {
        let mut thread = lock(&self.thread);
        if thread.is_some() {
            return Ok(());
        }
        let (found, stopping) = (Arc::clone(&self.found), Arc::clone(&self.stopping));
        *thread = Some(super::spawn("checkup", move || {
            thread::step_back();
            let check_pages = || {
                let is_over = Arc::clone(&stopping);
                store.check_pages(move || is_over.load(Ordering::Relaxed))
            };
            let mut verifier = Verifier::new(Some(key), now);
            let checked = read_through(&stopping, check_pages)
                .and_then(|()| read_through(&stopping, || check_chain(&store, &mut verifier, &stopping)))
                .and_then(|fault| fault.map_or(Ok(()), Err));
            if let Err(error) =
                checked.or_else(|error| if stopping.load(Ordering::Relaxed) { Ok(()) } else { Err(error) })
            {
                tracing::error!(%error, "the store is not whole; calls are refused");
                found.get_or_init(|| error);
            }
        })?);
        Ok(())
    }

    /// Fails once a fault was found.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.found.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Ends it, where it still runs.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = lock(&self.thread).take() {
            thread.thread().unpark();
            // It has nothing more to say.
            let _ = thread.join();
        }
    }
}

/// Records are looked at in so many short reads.
const STEP: u32 = 500;
/// Between two tries to read what could not be read.
const RETRY: Duration = Duration::from_secs(10);

/// Tries again until it is known whether what `check` reads is whole. SQLite takes a read of its log that failed for a damaged
/// file, so a file is damaged that is so twice.
fn read_through<T>(
    stopping: &AtomicBool,
    mut check: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut is_doubted = false;
    loop {
        match check() {
            Err(StoreError::Corrupt { .. }) if !is_doubted => is_doubted = true,
            Err(error)
                if !matches!(error, StoreError::Corrupt { .. }) && !stopping.load(Ordering::Relaxed) =>
            {
                tracing::warn!(%error, "the store could not be read through; it is tried again");
                std::thread::park_timeout(RETRY);
            }
            known => return known,
        }
    }
}

/// The first fault of the chain. What the records say of events is for `audit verify`: `usage.db` may lose its last ones in a
/// crash.
fn check_chain(
    store: &Store,
    verifier: &mut Verifier,
    stopping: &AtomicBool,
) -> Result<Option<StoreError>, StoreError> {
    while !stopping.load(Ordering::Relaxed) {
        if let ControlFlow::Break(fault) = store.read(|c| verifier.step(c, None, STEP))? {
            return Ok(fault.map(|fault| {
                let detail = format!("audit record {}: {}", fault.seq, fault.reason);
                StoreError::Corrupt { file: home::STORE.into(), detail }
            }));
        }
    }
    Ok(None)
}
