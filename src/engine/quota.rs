//! Quota: leases from the store's ledger, spent in memory.
//!
//! The ledger is debited before a lease is spent, so several gateways on one store never admit more than the limit, and
//! a crash can only under-admit. An account without a lease asks the [`lessor`](super::lessor); requests of one account
//! that wait together share one ask, and the asks of all accounts that wait together share one commit.

use super::{lessor::Message, lock};
use crate::domain::{
    clock::Timestamp,
    decision::Account,
    policy::RateLimits,
    quota::{Charge, Counter, Window},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};
use tokio::sync::oneshot;

/// How long a request waits for the ledger before it is refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a refusal is believed: another gateway may have given back what it did not use.
const REFUSAL_LASTS: Duration = Duration::from_secs(1);
/// By how much a request may have begun before the lease it is charged to was taken.
const SLACK: Duration = Duration::from_secs(10);
const SHARDS: usize = 64;

/// The ledger did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unavailable;

/// What is left of a lease.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) limits: RateLimits,
    pub(super) remaining: u32,
    pub(super) taken_at: Timestamp,
    pub(super) ends: Timestamp,
}

impl Held {
    /// A lease ends with its cell; and a clock set back must not make it last longer.
    fn is_good(&self, limits: &RateLimits, now: Timestamp) -> bool {
        self.remaining > 0 && now < self.ends && self.taken_at <= now.plus(SLACK) && self.limits == *limits
    }
}

/// What the ledger refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    limits: RateLimits,
    window: Window,
    limit: u32,
    at: Timestamp,
    retry_at: Timestamp,
}

impl Refusal {
    pub(super) fn new(
        limits: RateLimits,
        (window, limit, retry_after): (Window, u32, Duration),
        at: Timestamp,
    ) -> Self {
        Self { limits, window, limit, at, retry_at: at.plus(retry_after) }
    }

    /// Until when it is believed.
    pub(super) fn until(&self) -> Timestamp {
        self.retry_at.min(self.at.plus(REFUSAL_LASTS))
    }

    fn is_good(&self, limits: &RateLimits, now: Timestamp) -> bool {
        now < self.until() && self.at <= now.plus(SLACK) && self.limits == *limits
    }

    fn charge(&self, now: Timestamp) -> Charge {
        Charge::Refused { window: self.window, limit: self.limit, retry_after: self.retry_at.since(now) }
    }
}

/// One account's quota in this process.
#[derive(Debug, Default)]
pub(super) struct Balance {
    pub(super) held: Option<Held>,
    pub(super) refusal: Option<Refusal>,
    /// Who waits for an ask that is under way, and the limits they ask under.
    pub(super) waiting: Option<Waiting>,
    /// The end of the lease for which the lessor has a reminder.
    pub(super) reminder: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) limits: RateLimits,
    pub(super) waiters: Vec<oneshot::Sender<Result<(), Unavailable>>>,
}

impl Waiting {
    fn push(&mut self, waiter: oneshot::Sender<Result<(), Unavailable>>) {
        // Who has lost patience must not pile up while the ledger is stuck.
        if self.waiters.len() == self.waiters.capacity() {
            self.waiters.retain(|waiter| !waiter.is_closed());
        }
        self.waiters.push(waiter);
    }
}

impl Balance {
    /// Charges one request to what is held; `None` where the ledger has to be asked.
    fn charge(&mut self, limits: &RateLimits, now: Timestamp) -> Option<Charge> {
        if let Some(held) = self.held.as_mut().filter(|held| held.is_good(limits, now)) {
            held.remaining -= 1;
            return Some(Charge::Granted);
        }
        let refusal = self.refusal.as_ref().filter(|refusal| refusal.is_good(limits, now))?;
        Some(refusal.charge(now))
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_none() && self.waiting.is_none()
    }
}

/// By accounts of credentials that have proved themselves; those of keys have names that nobody can choose.
type Shard = Mutex<HashMap<Account, Balance, foldhash::fast::RandomState>>;

/// All accounts of this process.
#[derive(Debug)]
pub(super) struct Accounts {
    shards: Box<[Shard]>,
    /// Set when the lessor ends: nobody may wait for it any more.
    closed: AtomicBool,
}

impl Accounts {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), closed: AtomicBool::new(false) }
    }

    pub(super) fn shard(&self, account: &Account) -> &Shard {
        let name = match account {
            Account::ApiKey(id) => id.as_bytes(),
            Account::Tokens(name) | Account::Foreign(name) => name.as_bytes(),
        };
        // Ids are random: their last character spreads them evenly. Subjects are not; a few share a shard.
        let index = name.last().map_or(0, |&byte| usize::from(byte) % SHARDS);
        &self.shards[index]
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter()
    }
}

/// Charges requests.
#[derive(Debug)]
pub(super) struct Quota {
    accounts: Arc<Accounts>,
    lessor: mpsc::Sender<Message>,
}

impl Quota {
    pub(super) fn new(accounts: Arc<Accounts>, lessor: mpsc::Sender<Message>) -> Self {
        Self { accounts, lessor }
    }

    /// Charges one request to what this process holds; `None` where [`Self::charge`] has to wait for the ledger.
    pub(super) fn try_charge(
        &self,
        account: &Account,
        limits: &RateLimits,
        now: Timestamp,
    ) -> Option<Charge> {
        let windows = Window::ALL.map(|window| window.limit(limits));
        if windows.iter().all(Option::is_none) {
            return Some(Charge::Granted);
        }
        if windows.contains(&Some(0)) {
            return Some(Counter::new().peek(limits, now));
        }
        lock(self.accounts.shard(account)).get_mut(account)?.charge(limits, now)
    }

    /// Charges one request, waiting for a lease where none is left.
    pub(super) async fn charge(
        &self,
        account: &Account,
        limits: &RateLimits,
        now: Timestamp,
    ) -> Result<Charge, Unavailable> {
        let charged = async {
            loop {
                match self.charge_or_ask(account, limits, now)? {
                    Ok(charge) => return Ok(charge),
                    Err(answer) => answer.await.map_err(|_| Unavailable)??,
                }
            }
        };
        tokio::time::timeout(PATIENCE, charged).await.unwrap_or(Err(Unavailable))
    }

    fn charge_or_ask(
        &self,
        account: &Account,
        limits: &RateLimits,
        now: Timestamp,
    ) -> Result<Result<Charge, oneshot::Receiver<Result<(), Unavailable>>>, Unavailable> {
        let mut shard = lock(self.accounts.shard(account));
        if self.accounts.closed.load(Ordering::SeqCst) {
            return Err(Unavailable);
        }
        let balance = match shard.get_mut(account) {
            Some(balance) => balance,
            None => shard.entry(account.clone()).or_default(),
        };
        if let Some(charge) = balance.charge(limits, now) {
            return Ok(Ok(charge));
        }
        let (sender, answer) = oneshot::channel();
        match &mut balance.waiting {
            Some(waiting) => waiting.push(sender),
            None => {
                let waiting = Waiting { limits: limits.clone(), waiters: vec![sender] };
                balance.waiting = Some(waiting);
                self.lessor.send(Message::Ask(account.clone())).map_err(|_| Unavailable)?;
            }
        }
        Ok(Err(answer))
    }
}
