//! The hot path: snapshot, authenticate, decide, meter, lock out.
//!
//! Nothing here writes SQLite while a call waits, but for a quota lease that has run out; counters and events are flushed
//! in batches by a thread of the engine's own. What the engine cannot know it refuses.

mod authenticate;
mod checkup;
mod decide;
mod explain;
mod flush;
mod home;
mod lessor;
mod lockout;
mod meter;
mod missed;
mod once;
mod pulse;
mod quota;
mod recorder;
mod snapshot;
#[cfg(test)]
mod tests;
mod tidy;
mod token;

pub use decide::{Decided, Denying};
pub use explain::{Explained, explain};
pub use flush::Books;
pub use missed::MissedKeys;
pub use snapshot::Watch;
pub use token::PresentedToken;

use crate::domain::{
    api_key::{BadKey, MARK, Pepper, PresentedKey},
    audit::ChainKey,
    clock::{Clock, Timestamp},
    decision::{self, CredentialId, Principal, Proof, Reason, Request},
    endpoint::Endpoint,
    identity::Identity,
    leak,
    name::Subject,
    quota::Charge,
    secret::Secret,
    text::visible,
    token::{Failed, Verified},
    usage::Outcome,
};
use crate::store::{RowKey, Store, StoreError, feed::Feed};
use crate::vault::Vault;
use checkup::Checkup;
use flush::Flusher;
use lessor::{Lessor, Message};
use lockout::Lockouts;
use meter::Meter;
use once::UsedUp;
use pulse::Pulse;
use quota::{Accounts, Quota};
use snapshot::Snapshot;
use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

/// What a call came with, before it is judged.
#[derive(Clone, Debug)]
pub enum Presented {
    Nothing,
    Malformed(BadKey),
    ApiKey(PresentedKey),
    Token(PresentedToken),
}

impl Presented {
    /// A credential by its text alone. What has the mark of our keys is a key, and what has the shape of a token (RFC 7515
    /// §7.1: three parts of base64url) is one; neither is ever tried as the other.
    pub fn of_text(text: &str) -> Self {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let mut parts = text.split('.');
        let is_token = !text.starts_with(MARK)
            && parts.clone().count() == 3
            && parts.all(|part| !part.is_empty() && part.bytes().all(is_letter));
        if is_token {
            return Self::Token(PresentedToken { text: Secret::new(text.to_owned()), possession: None });
        }
        PresentedKey::parse(text).map_or_else(Self::Malformed, Self::ApiKey)
    }

    /// Whether it was meant as an API key.
    pub fn is_key(&self, text: &str) -> bool {
        matches!(self, Self::ApiKey(_)) || text.starts_with(MARK)
    }
}

/// Why a credential is not taken, and whose it is where that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub reason: Reason,
    pub credential: Option<CredentialId>,
    pub identity: Option<Identity>,
    /// Whether the token would do, and the proof of possession beside it does not.
    pub is_of_proof: bool,
    /// Which check failed, and what it compared with what: for the event, never for the client.
    pub why: Option<String>,
}

impl Denied {
    fn of(verified: &Verified, reason: Reason) -> Self {
        let credential = Some(CredentialId::Token(verified.claims.id));
        Self { reason, credential, identity: Some(verified.identity()), is_of_proof: false, why: None }
    }

    /// Of a token that is believed, and fails one more check.
    fn failed(verified: &Verified, failed: &Failed) -> Self {
        Self { why: Some(failed.why()), ..Self::of(verified, failed.reason) }
    }

    /// The same, of the proof beside it.
    fn of_proof(verified: &Verified, failed: &Failed) -> Self {
        Self { is_of_proof: true, ..Self::failed(verified, failed) }
    }

    /// Of nobody who is known.
    fn because(reason: Reason, why: impl fmt::Display) -> Self {
        Self { why: Some(why.to_string()), ..reason.into() }
    }
}

impl From<Reason> for Denied {
    fn from(reason: Reason) -> Self {
        Self { reason, credential: None, identity: None, is_of_proof: false, why: None }
    }
}

/// One call as it was seen, for the counters.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The credential that was presented, whether it proved itself or not.
    pub credential: Option<CredentialId>,
    /// Who vouches for the subject: the name of a registered issuer; `None` where it is the home, or nobody.
    pub issuer: Option<&'a str>,
    /// Whom it speaks for; `None` where it did not prove itself.
    pub subject: Option<&'a str>,
    pub endpoint: &'a str,
    pub address: Option<IpAddr>,
    pub outcome: Outcome,
    pub request_id: &'a str,
    pub at: Timestamp,
    /// By what it was judged, where it was.
    pub judged: Option<Judged<'a>>,
    /// Why it was denied, where that was for another reason: the check that failed, and what it compared with what.
    pub why: Option<&'a str>,
}

/// What a call was judged by, so that the event of a denial can say what was compared with what.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    pub principal: &'a Principal,
    pub endpoint: &'a Endpoint,
    /// What the charge came to, where it was asked.
    pub charge: Option<&'a Charge>,
}

impl Seen<'_> {
    /// The request's id, and why it was denied: whatever callers had a say in is without credentials, and harmless.
    fn detail(&self, reason: Reason) -> String {
        let why = self.judged.and_then(|Judged { principal, endpoint, charge }| {
            let request = Request { endpoint: endpoint.clone(), address: self.address, at: self.at };
            decision::why(principal, &request, reason, charge)
        });
        match why.as_deref().or(self.why) {
            Some(why) => format!("{}; {}", self.request_id, visible(&leak::redacted(why))),
            None => self.request_id.to_owned(),
        }
    }
}

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
    pub fn watch(&self) -> Result<Watch, StoreError> {
        Ok(Watch::new(Feed::new(&self.store)?))
    }

    /// Has the whole file of the store read in the background, as a gateway does at its start: where a fault is found,
    /// every [`Engine::refresh`] fails from then on.
    pub fn begin_checkup(&self) -> Result<(), StoreError> {
        self.checkup.begin(self.store.clone(), self.chain_key.clone(), self.clock.now())
    }

    /// Brings the snapshot up to the last commit of any process. Call it after a request has begun and before it is
    /// judged; one call serves all requests that had begun by then. An error means 503, as long as the store cannot be
    /// read or what must be recorded cannot be, and for good where the store is not whole.
    pub fn refresh(&self, watch: &mut Watch) -> Result<(), StoreError> {
        self.flusher.check()?;
        self.checkup.check()?;
        self.pulse.check()?;
        self.snapshot.follow(watch)
    }

    /// Whether a principal admitted earlier would still be, by the same secret and to all that was `asked`: for answers
    /// that are still open. What was admitted has been charged; but where a limit is 0 by now, nothing goes on.
    pub fn still_valid(&self, principal: &Principal, asked: &[Request], now: Timestamp) -> bool {
        let judged_by = self.judge_by(now);
        let renewed = match (principal.credential, &principal.proof) {
            (CredentialId::ApiKey(id), Some(Proof::Secret(proof))) => {
                self.snapshot.with(id, |entry| authenticate::renew(entry, id, proof, judged_by).ok())
            }
            (CredentialId::Token(_), Some(Proof::Token(proof))) => self.renew_token(proof, judged_by),
            (CredentialId::ApiKey(_), Some(Proof::Token(_)) | None)
            | (CredentialId::Token(_), Some(Proof::Secret(_)) | None) => None,
        };
        renewed.is_some_and(|principal| {
            asked.iter().all(|request| {
                let request = Request { at: now, ..request.clone() };
                let charge = || Charge::of_nothing(&principal.limits()).unwrap_or(Charge::Granted);
                decision::decide(&principal, &request, charge).is_allowed()
            })
        })
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
        self.snapshot.catalogue().narrowest(endpoint).map(ToString::to_string)
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

/// Locks, whatever became of a thread that held the lock: every critical section here leaves its data whole.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread of the engine's own.
fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    std::thread::Builder::new()
        .name(format!("engine {name}"))
        .spawn(work)
        .map_err(|error| StoreError::Home(format!("cannot start the {name} of the engine: {error}")))
}
