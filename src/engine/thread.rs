//! Threads of the engine's own, and what they share.

use crate::store::StoreError;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

/// Locks, whatever became of a thread that held the lock: every critical section here leaves its data whole.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread of the engine's own.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    std::thread::Builder::new()
        .name(format!("engine {name}"))
        .spawn(work)
        .map_err(|error| StoreError::Home(format!("cannot start the {name} of the engine: {error}")))
}
