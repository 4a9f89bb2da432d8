//! The lessor: one thread that takes leases from the ledger and gives back what was not used of them.

use super::{
    lock,
    message::{Message, Spending, Unavailable},
    quota::{Accounts, Balance, Held, Refusal, Waiting},
    used_up,
};
use crate::domain::{
    clock::{Clock, Timestamp},
    decision::Account,
    policy::RateLimits,
    quota::Charge,
};
use crate::store::{Rows, Store, StoreError, quota};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// A lease takes at most one of so many parts of what remains: towards the limit it is a single request.
const PARTS: u32 = 8;
/// What a crash loses stays small: at most this, or where that is more, one of so many parts of what remains.
const SMALL_LEASE: u32 = 256;
const SMALL_PARTS: u32 = 256;
/// No lease is larger. A key that keeps a gateway busy by itself then asks the ledger a few times a second.
const LARGEST_LEASE: u32 = 16_384;
/// How long the lessor sleeps at least where nobody asks.
const SHORTEST_SLEEP: Duration = Duration::from_millis(50);
/// How many rows of a table a slice of the sweep looks at: a few milliseconds' work, in which nobody else can write.
const SLICE: u32 = 256;
/// How long the others have between two slices.
const BETWEEN_SLICES: Duration = Duration::from_millis(100);
/// When the first sweep begins, and how long there is none after each.
const FIRST_SWEEP: Duration = Duration::from_secs(60);
const BETWEEN_SWEEPS: Duration = Duration::from_secs(600);

/// The thread's own state.
pub(super) struct Lessor {
    pub(super) accounts: Arc<Accounts>,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) inbox: Receiver<Message>,
    /// When what an account remembers ends, soonest first.
    reminders: Reminders,
    /// Accounts whose row in the ledger was found damaged, which is said once.
    damaged: HashSet<Account>,
    sweep: Sweep,
}

/// How far the sweep has come.
struct Sweep {
    next: Instant,
    /// The last account that it looked at.
    after: String,
}

type Reminders = BinaryHeap<Reverse<(Timestamp, Account)>>;

/// What is to be given back.
#[derive(Debug)]
struct Return {
    account: Account,
    held: Held,
}

impl Return {
    /// `None` where nothing is left.
    fn of(account: Account, held: Held) -> Option<Self> {
        (held.remaining > 0).then_some(Self { account, held })
    }
}

/// A lease wanted: for how many requests each that waits asks at so that all of them go on.
#[derive(Clone, Debug)]
struct Want {
    account: Account,
    limits: RateLimits,
    counts: Vec<u32>,
}

/// What the ledger said to one [`Want`].
struct Answer {
    /// `None` where nobody who waits could do with what is left.
    held: Option<Held>,
    /// What does not fit, where somebody waits for it.
    refusal: Option<Refusal>,
}

impl Lessor {
    pub(super) fn new(
        accounts: Arc<Accounts>,
        store: Store,
        clock: Arc<dyn Clock>,
        inbox: Receiver<Message>,
    ) -> Self {
        let sweep = Sweep { next: Instant::now() + FIRST_SWEEP, after: String::new() };
        Self { accounts, store, clock, inbox, reminders: BinaryHeap::new(), damaged: HashSet::new(), sweep }
    }

    /// Serves asks until it is told to stop. Asleep while nobody asks and no lease is about to end.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        loop {
            let first = match self.next() {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Message::Stop),
            };
            let (mut asks, mut spendings) = (Vec::new(), Vec::new());
            let mut is_over = false;
            for message in first.into_iter().chain(self.inbox.try_iter()) {
                match message {
                    Message::Ask(account) => asks.push(account),
                    Message::Spend(spending) => spendings.push(spending),
                    Message::Stop => is_over = true,
                }
            }
            self.spend(spendings);
            if is_over {
                return self.close();
            }
            let ended = self.collect_ended();
            self.serve(&asks, ended);
            if Instant::now() >= self.sweep.next {
                let is_done = self.sweep();
                self.sweep.next = Instant::now() + if is_done { BETWEEN_SWEEPS } else { BETWEEN_SLICES };
            }
        }
    }

    /// Removes some of what is long over: uses that cannot be repeated, and accounts that are whole. Says whether there is
    /// no more of it.
    pub(super) fn sweep(&mut self) -> bool {
        let (now, after) = (self.clock.now(), self.sweep.after.clone());
        let swept = self.store.write(move |c| {
            let forgotten = used_up::forget(c, now, SLICE)?;
            Ok::<_, StoreError>((forgotten < SLICE.into(), quota::sweep(c, &after, now, SLICE)?))
        });
        let (is_all_forgotten, last) = swept.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is long over could not be swept from the store");
            (true, None)
        });
        let is_done = is_all_forgotten && last.is_none();
        self.sweep.after = last.unwrap_or_default();
        is_done
    }

    /// Uses up what may be used all in one commit; where that fails nobody may go on.
    fn spend(&self, spendings: Vec<Spending>) {
        if spendings.is_empty() {
            return;
        }
        let asks: Vec<_> = spendings.iter().map(used_up::asks).collect();
        let now = self.clock.now();
        let spent = self.store.write(move |c| {
            used_up::forget(c, now, SLICE)?;
            asks.iter().map(|ask| ask(c)).collect::<Result<Vec<_>, _>>()
        });
        let outcomes: Vec<_> = match spent {
            Ok(first) => first.into_iter().map(Ok).collect(),
            Err(error) => {
                tracing::error!(%error, "tokens that may be used once are refused");
                vec![Err(Unavailable); spendings.len()]
            }
        };
        spendings.into_iter().zip(outcomes).for_each(|(spending, outcome)| spending.answer(outcome));
    }

    fn next(&self) -> Result<Message, RecvTimeoutError> {
        let until_end = self.reminders.peek().map(|Reverse((ends, _))| ends.since(self.clock.now()));
        let until_sweep = self.sweep.next.saturating_duration_since(Instant::now());
        let wait = until_end.map_or(until_sweep, |until_end| until_end.min(until_sweep));
        self.inbox.recv_timeout(wait.max(SHORTEST_SLEEP))
    }

    /// Takes what is left of the leases that have ended.
    fn collect_ended(&mut self) -> Vec<Return> {
        let now = self.clock.now();
        let mut returns = Vec::new();
        while self.reminders.peek().is_some_and(|Reverse((ends, _))| *ends <= now)
            && let Some(Reverse((ends, account))) = self.reminders.pop()
        {
            let mut shard = lock(self.accounts.shard(&account));
            let Some(balance) = shard.get_mut(&account) else { continue };
            if balance.reminder == Some(ends) {
                balance.reminder = None;
            }
            if let Some(held) = balance.held.take_if(|held| held.ends <= now) {
                returns.extend(Return::of(account.clone(), held));
            }
            if balance.is_idle() && balance.reminder.is_none() {
                shard.remove(&account);
            }
        }
        returns
    }

    /// What is given back is tried once: a commit that reports an error may have happened, and giving back twice would
    /// admit more than the limit, where forgetting admits less.
    fn serve(&mut self, asks: &[Account], mut returns: Vec<Return>) {
        let wants: Vec<_> = asks.iter().filter_map(|account| self.want(account, &mut returns)).collect();
        if wants.is_empty() && returns.is_empty() {
            return;
        }
        match self.transact(wants.clone(), returns) {
            Ok(answers) => {
                for (Want { account, .. }, answer) in wants.iter().zip(answers) {
                    if let Err(error) = &answer
                        && self.damaged.insert(account.clone())
                    {
                        tracing::error!(%error, "calls that this quota limits are refused");
                    }
                    self.settle(account, answer.map_err(|_| Unavailable));
                }
            }
            Err(_) => wants.iter().for_each(|want| self.settle(&want.account, Err(Unavailable))),
        }
    }

    /// What an account wants; an old lease of other limits, or one that has ended, goes back first.
    fn want(&self, account: &Account, returns: &mut Vec<Return>) -> Option<Want> {
        let mut shard = lock(self.accounts.shard(account));
        let balance = shard.get_mut(account)?;
        let waiting = balance.waiting.as_ref()?;
        let limits = waiting.limits.clone();
        let counts = waiting.waiters.iter().map(|waiter| waiter.count).collect();
        returns.extend(balance.held.take().and_then(|held| Return::of(account.clone(), held)));
        Some(Want { account: account.clone(), limits, counts })
    }

    /// An answer for each want, in their order: an error where the account's own row is damaged.
    fn transact(
        &self,
        wants: Vec<Want>,
        returns: Vec<Return>,
    ) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        let now = self.clock.now();
        self.store.write(move |transaction| {
            give_back(transaction, &returns)?;
            wants.iter().map(|want| of_its_own(lease(transaction, want, now))).collect()
        })
    }

    fn settle(&mut self, account: &Account, answer: Result<Answer, Unavailable>) {
        let mut shard = lock(self.accounts.shard(account));
        let balance = shard.entry(account.clone()).or_default();
        let outcome = match answer {
            Ok(Answer { held, refusal }) => {
                let held_until = held.as_ref().map(|held| held.ends);
                if let Some(at) = held_until.or_else(|| refusal.as_ref().map(Refusal::until)) {
                    remind(&mut self.reminders, balance, account, at);
                }
                (balance.held, balance.refusal) = (held, refusal);
                Ok(())
            }
            Err(unavailable) => Err(unavailable),
        };
        wake(balance.waiting.take(), outcome);
        if balance.is_idle() && balance.reminder.is_none() {
            shard.remove(account);
        }
    }

    /// Gives everything back, and refuses whoever still waits.
    fn close(self) -> Result<(), StoreError> {
        self.accounts.close();
        let mut returns = Vec::new();
        for shard in self.accounts.shards() {
            for (account, Balance { held, waiting, .. }) in lock(shard).drain() {
                wake(waiting, Err(Unavailable));
                returns.extend(held.and_then(|held| Return::of(account, held)));
            }
        }
        if returns.is_empty() {
            return Ok(());
        }
        self.store.write(move |transaction| give_back(transaction, &returns))
    }
}

/// Has the account looked at again at `at`, when what it remembers has ended.
fn remind(reminders: &mut Reminders, balance: &mut Balance, account: &Account, at: Timestamp) {
    if balance.reminder != Some(at) {
        balance.reminder = Some(at);
        reminders.push(Reverse((at, account.clone())));
    }
}

fn wake(waiting: Option<Waiting>, outcome: Result<(), Unavailable>) {
    for waiter in waiting.into_iter().flat_map(|waiting| waiting.waiters) {
        // Who no longer waits has gone away; the lease stays for the next.
        let _ = waiter.answer.send(outcome);
    }
}

fn give_back(c: &Rows<'_>, returns: &[Return]) -> Result<(), StoreError> {
    returns.iter().try_for_each(|Return { account, held }| {
        let account = account.to_string();
        let given = quota::give_back(c, &account, &held.limits, held.taken_at, held.remaining);
        // What a damaged account does not get back is lost to it alone.
        of_its_own(given).map(|_| ())
    })
}

/// Sets the damage of one account's row apart from what hinders all.
fn of_its_own<T>(done: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match done {
        Err(error) if !error.is_of_one_row() => Err(error),
        own => Ok(own),
    }
}

fn lease(c: &Rows<'_>, want: &Want, now: Timestamp) -> Result<Answer, StoreError> {
    let account = want.account.to_string();
    if matches!(want.account, Account::Foreign(_)) {
        // Its issuer has brought too many others; they go when they are whole again.
        if !quota::open_foreign(c, &account, now)? {
            let full = Charge::of(&want.limits, |window, _| Some(window.length()));
            return Ok(Answer { held: None, refusal: Refusal::of(&full, &want.limits, 1, now) });
        }
    }
    let peek = |count| quota::peek(c, &account, &want.limits, count, now);
    let (standings, _) = peek(1)?;
    let remaining = standings.iter().map(|(_, standing)| standing.remaining).min().unwrap_or(u32::MAX);
    let (fit, unfit): (Vec<u32>, Vec<u32>) = want.counts.iter().partition(|count| **count <= remaining);
    // Where the least does not fit, those that are more do not.
    let refusal = match unfit.into_iter().min() {
        Some(count) => Refusal::of(&peek(count)?.1, &want.limits, count, now),
        None => None,
    };
    if fit.is_empty() {
        return Ok(Answer { held: None, refusal });
    }
    let most = (remaining / SMALL_PARTS).clamp(SMALL_LEASE, LARGEST_LEASE);
    let waited_for = fit.into_iter().fold(0, u32::saturating_add).min(LARGEST_LEASE);
    let count = (remaining / PARTS).clamp(1, most).max(waited_for);
    let lease = quota::lease(c, &account, &want.limits, count, now)?;
    let held = (lease.granted > 0).then(|| Held {
        limits: want.limits.clone(),
        remaining: lease.granted,
        taken_at: lease.at,
        ends: lease.ends,
    });
    Ok(Answer { held, refusal })
}
