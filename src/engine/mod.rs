//! The hot path: snapshot, authenticate, decide, meter, lock out.
//!
//! Nothing here writes SQLite while a call waits, but for a quota lease that has run out; counters and events are flushed
//! in batches by a thread of the engine's own. What the engine cannot know it refuses.

mod access;
mod authenticate;
mod checkup;
mod decide;
mod denied;
mod explain;
mod flush;
mod key;
mod lessor;
mod lockout;
mod message;
mod meter;
mod missed;
mod once;
mod presented;
mod pulse;
mod quota;
mod recorder;
mod seen;
mod snapshot;
#[cfg(test)]
mod tests;
mod thread;
mod tidy;
mod token;
mod used_up;

pub use decide::{Decided, Denying};
pub use denied::Denied;
pub use explain::{Explained, explain};
pub use flush::Books;
pub use missed::MissedKeys;
pub use presented::{Presented, PresentedToken};
pub use seen::{Judged, Seen};
pub use snapshot::Watch;

use crate::domain::{
    api_key::Pepper,
    audit::ChainKey,
    clock::{Clock, Timestamp},
    credential::CredentialId,
    decision::Reason,
    endpoint::Endpoint,
    name::Subject,
    usage::Outcome,
};
use crate::store::{RowKey, Store, StoreError, feed::Feed};
use crate::vault::Vault;
use checkup::Checkup;
use flush::Flusher;
use lessor::Lessor;
use lockout::Lockouts;
use message::Message;
use meter::Meter;
use pulse::Pulse;
use quota::{Accounts, Quota};
use snapshot::Snapshot;
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};
use thread::{lock, spawn};
use used_up::UsedUp;

/// Shared by all threads of a process.
pub struct Engine {
    store: Store,
    clock: Arc<dyn Clock>,
    pepper: Pepper,
    /// What the audit chain must be signed by.
    chain_key: ChainKey,
    snapshot: Snapshot,
    lockouts: Lockouts,
    quota: Quota,
    meter: Arc<Meter>,
    flusher: Flusher,
    checkup: Checkup,
    pulse: Pulse,
    lessor: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
    lessor_inbox: mpsc::Sender<Message>,
    used_up: UsedUp,
    missed: Arc<MissedKeys>,
    clock_is_back: AtomicBool,
}

impl Engine {
    /// Loads the snapshot and starts the flusher (every 250 ms while there is something to flush) and the lessor of quota.
    ///
    /// # Errors
    /// Where the store or the vault's signer cannot be read, or a thread cannot be started.
    pub fn start(store: Store, vault: &Arc<Vault>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        store.set_row_key(RowKey::new(vault.row_key()));
        let snapshot = Snapshot::load(&mut Feed::new(&store)?, Arc::clone(vault))?;
        let meter = Arc::<Meter>::default();
        let flusher = Flusher::start(store.clone(), Arc::clone(&meter), Arc::clone(&clock))?;
        let accounts = Arc::new(Accounts::new());
        let (lessor_inbox, inbox) = mpsc::channel();
        let lessor = Lessor::new(Arc::clone(&accounts), store.clone(), Arc::clone(&clock), inbox);
        let pulse = Pulse::start(store.probe()?)?;
        let lessor = spawn("lessor", move || lessor.run())?;
        Ok(Arc::new(Self {
            store,
            clock,
            pepper: vault.pepper().clone(),
            chain_key: vault.audit_signer().key()?,
            snapshot,
            lockouts: Lockouts::new(),
            quota: Quota::new(accounts, lessor_inbox.clone()),
            meter,
            flusher,
            checkup: Checkup::default(),
            pulse,
            lessor: Mutex::new(Some(lessor)),
            lessor_inbox,
            used_up: UsedUp::default(),
            missed: Arc::default(),
            clock_is_back: AtomicBool::new(false),
        }))
    }

    /// Keys that tokens named and their issuers are not known to have, for who fetches the keys of issuers.
    pub fn missed_keys(&self) -> &Arc<MissedKeys> {
        &self.missed
    }

    /// A view of the change feed for the calling thread.
    ///
    /// # Errors
    /// Where the store cannot be opened once more.
    pub fn watch(&self) -> Result<Watch, StoreError> {
        Ok(Watch::new(Feed::new(&self.store)?))
    }

    /// Has the whole file of the store read in the background, as a gateway does at its start: where a fault is found,
    /// every [`Engine::refresh`] fails from then on.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn begin_checkup(&self) -> Result<(), StoreError> {
        self.checkup.begin(self.store.clone(), self.chain_key.clone(), self.clock.now())
    }

    /// Brings the snapshot up to the last commit of any process. Call it after a request has begun and before it is
    /// judged; one call serves all requests that had begun by then.
    ///
    /// # Errors
    /// Nobody may be admitted then (503): as long as the store cannot be read or what must be recorded cannot be, and for
    /// good where the store is not whole.
    pub fn refresh(&self, watch: &mut Watch) -> Result<(), StoreError> {
        self.flusher.check()?;
        self.checkup.check()?;
        self.pulse.check()?;
        self.snapshot.follow(watch)
    }

    /// The moment by which the ends of credentials are judged at `now`. Says where the clock was set back.
    #[inline]
    fn judge_by(&self, now: Timestamp) -> Timestamp {
        let high_water = self.store.high_water();
        high_water.raise(now);
        let is_past = high_water.is_past(now);
        if is_past != self.clock_is_back.load(Ordering::Relaxed) {
            self.note_clock(is_past, now, high_water.latest());
        }
        high_water.judge_by(now)
    }

    /// Once each time.
    #[cold]
    fn note_clock(&self, is_past: bool, now: Timestamp, latest: Timestamp) {
        if self.clock_is_back.swap(is_past, Ordering::Relaxed) == is_past {
            return;
        }
        if !is_past {
            tracing::info!(%now, "the clock is right again");
            return;
        }
        tracing::error!(
            %now, %latest,
            "the clock was set back; whatever has an end is refused until it is right again; where it ran ahead once: \
             portcullis store accept"
        );
        self.meter.clock_set_back(now, latest);
        self.flusher.wake();
    }

    /// The narrowest of the scopes that would suffice for `endpoint`: for a refusal, whose client asks for all that is
    /// named. `None` where only one that covers everything would do, and where none is needed.
    pub fn narrowest_scope(&self, endpoint: &Endpoint) -> Option<String> {
        if endpoint.is_protocol() {
            return None;
        }
        self.snapshot.access().catalogue().narrowest(endpoint).map(ToString::to_string)
    }

    /// Counts an outcome and, where it is a denial, records an event. An id that no key has is not told apart from others
    /// of its kind: a stranger must not fill the tables.
    pub fn record(&self, seen: &Seen<'_>) {
        let known = match (seen.subject, seen.credential) {
            (None, Some(CredentialId::ApiKey(id))) => {
                self.snapshot.with(id, |entry| entry.map(|entry| entry.subject.clone()))
            }
            (None, Some(CredentialId::Token(_)) | None) | (Some(_), _) => None,
        };
        let credential = seen.credential.filter(|_| seen.subject.is_some() || known.is_some());
        // State is judged after proof: whoever is refused for it is the subject of the key.
        let is_proved = matches!(
            seen.outcome,
            Outcome::Denied(Reason::Revoked | Reason::Expired | Reason::Disabled | Reason::NotYetValid)
        );
        let proved = known.as_ref().filter(|_| is_proved).map(Subject::as_str);
        // A secret that does not fit proves nothing; whose key it was tried on is worth knowing all the same.
        let is_tried = matches!(seen.outcome, Outcome::Denied(Reason::BadSecret | Reason::LockedOut));
        let owner = known.as_ref().filter(|_| is_tried).map(Subject::as_str);
        self.meter.record(&Seen { subject: seen.subject.or(proved), ..seen.clone() }, credential, owner);
        self.flusher.wake();
    }

    /// Records that the MCP server behind a gateway cannot be used as it is, and why.
    pub fn upstream_unfit(&self, why: &str, at: Timestamp) {
        self.meter.upstream_unfit(why, at);
        self.flusher.wake();
    }

    /// Flushes, gives unused leases back, stops the threads. Idempotent.
    ///
    /// # Errors
    /// Where the last counters, events or leases could not be written, or a thread ended in a panic.
    pub fn stop(&self) -> Result<(), StoreError> {
        self.checkup.stop();
        self.pulse.stop();
        let lessor = lock(&self.lessor).take();
        let returned = lessor.map_or(Ok(()), |thread| {
            // Where the thread has ended there is nobody to tell.
            let _ = self.lessor_inbox.send(Message::Stop);
            thread.join().unwrap_or(Err(StoreError::Panicked))
        });
        self.flusher.stop().and(returned)
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// How the books stand, for `/metrics`.
    pub fn books(&self) -> Books {
        self.flusher.books()
    }

    /// Totals since the start of the process, for `/metrics`.
    pub fn totals(&self) -> Vec<(Outcome, u64)> {
        self.meter.totals()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(%error, "the last counters, events or leases could not be written");
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine(…)")
    }
}
