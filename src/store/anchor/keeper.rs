//! Keeps the anchor up to date: one thread of a process that may write.
//!
//! It looks after a commit, once a second at most, and a last time when the store is closed, so that no commit waits for
//! it. What it fails to write it writes the next time: an anchor that lags behind is a good one.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use super::{Anchor, contains, lock, of, read, write};
use crate::{
    domain::{
        audit::ChainKey,
        clock::{Clock, HighWater, Timestamp},
    },
    store::{
        StoreError, setting,
        sqlite::connection::{Database, Reader},
    },
    vault::AuditSigner,
};

/// Between two looks at least.
const GAP: Duration = Duration::from_secs(1);
/// The latest moment is remembered to within this.
const GRAIN: Duration = Duration::from_secs(60);

/// The handle of the thread, which looks a last time when this is dropped.
pub(in crate::store) struct Keeper {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    has_committed: bool,
    is_closing: bool,
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something was committed, the store is closed, or `limit` has passed; says whether it is closed.
    fn wait(&self, limit: Duration) -> bool {
        let idle = |state: &mut State| !state.has_committed && !state.is_closing;
        let woken = self.changed.wait_timeout_while(self.state(), limit, idle);
        let mut state = woken.unwrap_or_else(PoisonError::into_inner).0;
        state.has_committed = false;
        state.is_closing
    }

    fn pause(&self) {
        // Whatever ends the pause, the next look follows it.
        drop(self.changed.wait_timeout_while(self.state(), GAP, |state| !state.is_closing));
    }
}

impl Keeper {
    pub fn start(
        database: Database,
        home: PathBuf,
        signer: AuditSigner,
        clock: Arc<dyn Clock>,
        high_water: Arc<HighWater>,
        begun: i64,
    ) -> Result<Self, StoreError> {
        let key = signer.key()?;
        let signal = Arc::<Signal>::default();
        let heard = Arc::clone(&signal);
        let mut desk =
            Desk { database, reader: None, home, signer, key, clock, high_water, begun, written: None };
        let thread = std::thread::Builder::new()
            .name("store anchor".into())
            .spawn(move || {
                crate::store::thread::step_back();
                // Said once, not at each look: the log may lie on the disk that is full.
                let mut said = None;
                loop {
                    let is_closing = heard.wait(GRAIN);
                    let failed = desk.look().err();
                    if let Some(error) = failed.as_ref().filter(|_| failed != said) {
                        tracing::warn!(%error, "the anchor of the home lags behind");
                    }
                    said = failed;
                    if is_closing {
                        return;
                    }
                    heard.pause();
                }
            })
            .map_err(|error| StoreError::Home(format!("cannot start the keeper of the anchor: {error}")))?;
        Ok(Self { signal, thread: Some(thread) })
    }

    /// What tells it of a commit.
    pub fn bell(&self) -> impl Fn() + Send + Sync + 'static {
        let signal = Arc::clone(&self.signal);
        move || {
            signal.state().has_committed = true;
            signal.changed.notify_one();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.signal.state().is_closing = true;
        self.signal.changed.notify_one();
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id())
        {
            // It has nothing more to say.
            let _ = thread.join();
        }
    }
}

struct Desk {
    database: Database,
    reader: Option<Reader>,
    home: PathBuf,
    signer: AuditSigner,
    key: ChainKey,
    clock: Arc<dyn Clock>,
    high_water: Arc<HighWater>,
    /// [`Anchor::begun`] of the one by which this process knows what was seen.
    begun: i64,
    /// The head and the moment that this process knows to be written.
    written: Option<(i64, Timestamp)>,
}

impl Desk {
    fn look(&mut self) -> Result<(), StoreError> {
        self.high_water.raise(self.clock.now());
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&self.database)?,
        };
        reader.check_place()?;
        let newest: i64 = reader.glance(|c| c.get("SELECT coalesce(max(seq), 0) FROM audit", ()))?;
        let at = self.high_water.latest();
        let is_written = self.written.is_some_and(|(seq, since)| newest <= seq && at < since.plus(GRAIN));
        if !is_written {
            self.renew(&reader)?;
        }
        self.reader = Some(reader);
        Ok(())
    }

    fn renew(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let _alone = lock(&self.home)?;
        // None yet, or none any more: only opening the home anew may make one.
        let Some(found) = read(&self.home)? else { return Ok(()) };
        let before = found.open(Some(&self.key))?;
        if before.begun > self.begun {
            // An operator had the home remember anew: what this process has seen counts no longer.
            self.high_water.lower(before.at);
            self.begun = before.begun;
        }
        self.high_water.raise(before.at);
        let at = self.high_water.latest();
        let anchor = reader.read(None, |c| {
            let store_id = setting::get(c, setting::STORE_ID)?;
            let fits = store_id.as_ref() == Some(&before.store_id) && contains(c, &before)?;
            if fits { of(c, Some(&before), at).map(Some) } else { Ok::<_, StoreError>(None) }
        })?;
        // Another process may have seen more than this read did, or have begun anew.
        let Some(anchor) = anchor else { return Ok(()) };
        if is_worth_it(&before, &anchor) {
            write(&self.home, &anchor, &self.signer)?;
            self.written = Some((anchor.seq, anchor.at));
        } else {
            self.written = Some((before.seq, before.at));
        }
        Ok(())
    }
}

fn is_worth_it(before: &Anchor, after: &Anchor) -> bool {
    after.seq > before.seq || after.at >= before.at.plus(GRAIN)
}
