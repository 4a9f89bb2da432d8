//! Quota: leases from the store's ledger, spent in memory.
//!
//! The ledger is debited before a lease is spent, so several gateways on one store never admit more than the limit, and
//! a crash can only under-admit. An account without a lease asks the [`lessor`](super::lessor); requests of one account
//! that wait together share one ask, and the asks of all accounts that wait together share one commit.
//!
//! What costs nothing never comes near the ledger: it is counted in memory, and by each gateway for itself.

mod free;

use super::{
    lock,
    message::{Message, Unavailable},
};
use crate::domain::{
    clock::Timestamp,
    decision::Account,
    policy::RateLimits,
    quota::{Bill, Charge, LEAST_FREE, Window, free_bound},
};
use free::Free;
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
        now < self.ends && self.taken_at <= now.plus(SLACK) && self.limits == *limits
    }
}

/// What the ledger refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    limits: RateLimits,
    /// So many requests at once, and more than these, do not fit.
    count: u32,
    window: Window,
    limit: u32,
    at: Timestamp,
    retry_at: Timestamp,
}

impl Refusal {
    /// `None` where they do fit.
    pub(super) fn of(charge: &Charge, limits: &RateLimits, count: u32, at: Timestamp) -> Option<Self> {
        let Charge::Refused { window, limit, retry_after } = *charge else { return None };
        let (limits, retry_at) = (limits.clone(), at.plus(retry_after));
        Some(Self { limits, count, window, limit, at, retry_at })
    }

    /// Until when it is believed.
    pub(super) fn until(&self) -> Timestamp {
        self.retry_at.min(self.at.plus(REFUSAL_LASTS))
    }

    fn is_good(&self, limits: &RateLimits, count: u32, now: Timestamp) -> bool {
        count >= self.count && now < self.until() && self.at <= now.plus(SLACK) && self.limits == *limits
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
    pub(super) waiters: Vec<Waiter>,
}

/// Who waits, and for how many requests at once.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) count: u32,
    pub(super) answer: oneshot::Sender<Result<(), Unavailable>>,
}

impl Waiting {
    fn push(&mut self, waiter: Waiter) {
        // Who has lost patience must not pile up while the ledger is stuck.
        if self.waiters.len() == self.waiters.capacity() {
            self.waiters.retain(|waiter| !waiter.answer.is_closed());
        }
        self.waiters.push(waiter);
    }
}

impl Balance {
    /// Charges so many requests to what is held, or none; `None` where the ledger has to be asked.
    fn charge(&mut self, limits: &RateLimits, count: u32, now: Timestamp) -> Option<Charge> {
        if let Some(held) = self.held.as_mut().filter(|held| held.is_good(limits, now))
            && let Some(remaining) = held.remaining.checked_sub(count)
        {
            held.remaining = remaining;
            return Some(Charge::Granted);
        }
        let refusal = self.refusal.as_ref().filter(|refusal| refusal.is_good(limits, count, now))?;
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
    free: Free,
    lessor: mpsc::Sender<Message>,
}

impl Quota {
    pub(super) fn new(accounts: Arc<Accounts>, lessor: mpsc::Sender<Message>) -> Self {
        Self { accounts, free: Free::new(), lessor }
    }

    /// Charges all that a request costs, or nothing of it, waiting for a lease where none is left.
    pub(super) async fn charge_all(
        &self,
        account: &Account,
        limits: &RateLimits,
        bill: Bill,
        now: Timestamp,
    ) -> Result<Charge, Unavailable> {
        let free = self.charge_free(account, limits, bill.free, now);
        if bill.requests == 0 || !free.is_granted() {
            return Ok(free);
        }
        let charge = match self.try_charge(account, limits, bill.requests, now) {
            Some(charge) => Ok(charge),
            None => self.charge(account, limits, bill.requests, now).await,
        };
        if bill.free > 0 && !charge.as_ref().is_ok_and(Charge::is_granted) {
            self.free.give_back(account, bill.free, now);
        }
        charge
    }

    /// Counts so many free calls, or none.
    pub(super) fn charge_free(
        &self,
        account: &Account,
        limits: &RateLimits,
        count: u32,
        now: Timestamp,
    ) -> Charge {
        if count == 0 {
            return Charge::Granted;
        }
        Charge::of_nothing(limits).unwrap_or_else(|| match free_bound(limits) {
            Some(bound) => self.free.take(account, bound, count, now),
            None => Charge::Granted,
        })
    }

    /// Counts what ends sessions, whatever the limits are, where each leaves something behind in the store.
    pub(super) fn charge_ends(&self, account: &Account, count: u32, now: Timestamp) -> Charge {
        const ENDS: &str = "ends";
        self.free.take((ENDS, account), LEAST_FREE, count, now)
    }

    /// Charges so many requests to what this process holds, or none; `None` where [`Self::charge`] has to wait for the
    /// ledger.
    pub(super) fn try_charge(
        &self,
        account: &Account,
        limits: &RateLimits,
        count: u32,
        now: Timestamp,
    ) -> Option<Charge> {
        let windows = Window::ALL.map(|window| window.limit(limits));
        if windows.iter().all(Option::is_none) {
            return Some(Charge::Granted);
        }
        if windows.contains(&Some(0)) {
            return Charge::of_nothing(limits);
        }
        lock(self.accounts.shard(account)).get_mut(account)?.charge(limits, count, now)
    }

    /// Charges so many requests, or none, waiting for a lease where none is left.
    pub(super) async fn charge(
        &self,
        account: &Account,
        limits: &RateLimits,
        count: u32,
        now: Timestamp,
    ) -> Result<Charge, Unavailable> {
        let charged = async {
            loop {
                match self.charge_or_ask(account, limits, count, now)? {
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
        count: u32,
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
        if let Some(charge) = balance.charge(limits, count, now) {
            return Ok(Ok(charge));
        }
        let (sender, answer) = oneshot::channel();
        let waiter = Waiter { count, answer: sender };
        match &mut balance.waiting {
            Some(waiting) => waiting.push(waiter),
            None => {
                let waiting = Waiting { limits: limits.clone(), waiters: vec![waiter] };
                balance.waiting = Some(waiting);
                self.lessor.send(Message::Ask(account.clone())).map_err(|_| Unavailable)?;
            }
        }
        Ok(Err(answer))
    }
}
