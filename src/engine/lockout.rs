//! Lock-out: five failures within fifteen minutes for one id from one network lock that pair.
//!
//! Times are those of the steady clock ([`crate::domain::clock::Clock::steady`]): setting the other one neither ends a lock
//! nor makes it last. In memory, for this process. The table is bounded: a stranger who invents ids or addresses pushes out what was
//! touched longest ago, locked pairs last.

use super::lock;
use crate::domain::{
    api_key::KeyId,
    clock::Timestamp,
    event::{LONGEST_LOCKOUT, network_of},
};
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How many failures within [`WITHIN`] lock.
const FAILURES: usize = 5;
/// See [`FAILURES`].
const WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long the first lock lasts; each further one twice as long as the one before.
const FIRST_LOCK: Duration = Duration::from_secs(15 * 60);
/// The longest lock, and how long a pair is remembered after its last one.
const LONGEST_LOCK: Duration = LONGEST_LOCKOUT;
const SHARDS: usize = 16;
/// 16 × 6 250 = 100 000 pairs.
const SHARD_CAPACITY: usize = 6_250;

/// An id as presented, known or not, and the network that presented it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    id: KeyId,
    /// `None` = unknown.
    network: Option<IpAddr>,
}

impl Pair {
    pub(super) fn new(id: KeyId, address: Option<IpAddr>) -> Self {
        Self { id, network: address.map(network_of) }
    }
}

/// How a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Clear,
    /// Has failed of late.
    Suspect,
    Locked {
        until: Timestamp,
    },
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    /// The last ones, oldest first.
    recent: [Timestamp; FAILURES],
    locked_until: Timestamp,
    /// How often it was locked.
    locks: u32,
}

const LONG_AGO: Timestamp = Timestamp::from_millis(i64::MIN);

impl Failures {
    const NONE: Self = Self { recent: [LONG_AGO; FAILURES], locked_until: LONG_AGO, locks: 0 };

    fn last(&self) -> Timestamp {
        self.recent[FAILURES - 1].max(self.locked_until)
    }

    /// Whether nothing that it remembers matters any more.
    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.last().plus(LONGEST_LOCK) <= now
    }
}

/// The pairs that have failed of late.
#[derive(Debug)]
pub(super) struct Lockouts {
    shards: [Mutex<HashMap<Pair, Failures>>; SHARDS],
    hasher: RandomState,
    /// How many pairs there are: nearly always none, and then nobody takes a lock.
    pairs: AtomicUsize,
}

impl Lockouts {
    pub(super) fn new() -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), pairs: AtomicUsize::new(0) }
    }

    /// Whether nobody has failed of late, as nearly always.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.load(Ordering::Acquire) == 0
    }

    fn shard(&self, pair: &Pair) -> &Mutex<HashMap<Pair, Failures>> {
        let index = self.hasher.hash_one(pair) as usize % SHARDS;
        &self.shards[index]
    }

    pub(super) fn standing(&self, pair: &Pair, now: Timestamp) -> Standing {
        if self.is_empty() {
            return Standing::Clear;
        }
        match lock(self.shard(pair)).get(pair) {
            None => Standing::Clear,
            Some(failures) if now < failures.locked_until => {
                Standing::Locked { until: failures.locked_until }
            }
            Some(_) => Standing::Suspect,
        }
    }

    /// Counts a failure; returns until when the pair is locked where this failure has locked it.
    pub(super) fn fail(&self, pair: &Pair, now: Timestamp) -> Option<Timestamp> {
        let mut shard = lock(self.shard(pair));
        if !shard.contains_key(pair) {
            let before = shard.len();
            make_room(&mut shard, now);
            self.pairs.fetch_sub(before - shard.len(), Ordering::AcqRel);
            shard.insert(*pair, Failures::NONE);
            self.pairs.fetch_add(1, Ordering::AcqRel);
        }
        let failures = shard.get_mut(pair)?;
        if failures.is_forgotten(now) {
            *failures = Failures::NONE;
        }
        failures.recent.rotate_left(1);
        failures.recent[FAILURES - 1] = now;
        if failures.recent[0] <= now.minus(WITHIN) {
            return None;
        }
        let length = FIRST_LOCK.saturating_mul(1 << failures.locks.min(16)).min(LONGEST_LOCK);
        *failures = Failures {
            recent: [LONG_AGO; FAILURES],
            locked_until: now.plus(length),
            locks: failures.locks.saturating_add(1),
        };
        Some(failures.locked_until)
    }

    /// Forgets a pair that has proved itself.
    pub(super) fn succeed(&self, pair: &Pair) {
        if lock(self.shard(pair)).remove(pair).is_some() {
            self.pairs.fetch_sub(1, Ordering::AcqRel);
        }
    }

    #[cfg(test)]
    pub(super) fn pairs(&self) -> usize {
        self.pairs.load(Ordering::Acquire)
    }
}

/// Makes room in a full shard: the forgotten go, then the eighth that was touched longest ago, locked pairs last. Taking an
/// eighth at a time keeps the cost of one insertion constant.
fn make_room(shard: &mut HashMap<Pair, Failures>, now: Timestamp) {
    if shard.len() < SHARD_CAPACITY {
        return;
    }
    shard.retain(|_, failures| !failures.is_forgotten(now));
    if shard.len() < SHARD_CAPACITY {
        return;
    }
    let mut ages: Vec<_> = shard.iter().map(|(pair, f)| (now < f.locked_until, f.last(), *pair)).collect();
    let eighth = ages.len() / 8;
    ages.select_nth_unstable_by_key(eighth, |&(is_locked, last, _)| (is_locked, last));
    for (_, _, pair) in ages.iter().take(eighth) {
        shard.remove(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn id(number: usize) -> KeyId {
        format!("{number:022}").parse().unwrap()
    }
    fn pair(number: usize, address: &str) -> Pair {
        Pair::new(id(number), Some(address.parse().unwrap()))
    }
    fn minutes(count: u64) -> Duration {
        Duration::from_secs(count * 60)
    }
    fn fail(lockouts: &Lockouts, pair: &Pair, times: usize, at: Timestamp) -> Option<Timestamp> {
        (0..times).filter_map(|_| lockouts.fail(pair, at)).last()
    }

    #[test]
    fn the_fifth_failure_locks_and_the_fourth_does_not() {
        let (lockouts, pair) = (Lockouts::new(), pair(1, "192.0.2.1"));
        assert_eq!(fail(&lockouts, &pair, 4, NOW), None);
        assert_eq!(lockouts.standing(&pair, NOW), Standing::Suspect);
        let until = NOW.plus(minutes(15));
        assert_eq!(lockouts.fail(&pair, NOW), Some(until));
        assert_eq!(
            lockouts.standing(&pair, until.minus(Duration::from_millis(1))),
            Standing::Locked { until }
        );
        assert_eq!(lockouts.standing(&pair, until), Standing::Suspect);
    }

    #[test]
    fn five_failures_over_more_than_fifteen_minutes_do_not_lock() {
        let (lockouts, pair) = (Lockouts::new(), pair(1, "192.0.2.1"));
        lockouts.fail(&pair, NOW);
        assert_eq!(fail(&lockouts, &pair, 4, NOW.plus(minutes(15))), None);
        assert!(lockouts.fail(&pair, NOW.plus(minutes(15))).is_some());
    }

    #[test]
    fn locks_double_up_to_a_day_and_success_forgets() {
        let (lockouts, pair) = (Lockouts::new(), pair(1, "192.0.2.1"));
        let mut now = NOW;
        for expected in [15, 30, 60, 120, 240, 480, 960, 1440, 1440] {
            let until = fail(&lockouts, &pair, 5, now).unwrap();
            assert_eq!(until.since(now), minutes(expected));
            now = until;
        }
        lockouts.succeed(&pair);
        assert_eq!(lockouts.standing(&pair, now), Standing::Clear);
        assert_eq!(fail(&lockouts, &pair, 5, now).unwrap().since(now), minutes(15));
    }

    #[test]
    fn another_id_and_another_network_are_not_locked() {
        let lockouts = Lockouts::new();
        fail(&lockouts, &pair(1, "192.0.2.1"), 5, NOW);
        fail(&lockouts, &pair(1, "2001:db8:0:1::1"), 5, NOW);
        let is_locked = |pair: Pair| matches!(lockouts.standing(&pair, NOW), Standing::Locked { .. });
        assert!(is_locked(pair(1, "192.0.2.1")));
        assert!(is_locked(pair(1, "::ffff:192.0.2.1")), "a mapped address is the IPv4 address");
        assert!(!is_locked(pair(1, "192.0.2.2")));
        assert!(!is_locked(pair(2, "192.0.2.1")));
        assert!(is_locked(pair(1, "2001:db8:0:1:ffff::9")), "the same /64");
        assert!(!is_locked(pair(1, "2001:db8:0:2::1")), "another /64");
        assert!(!is_locked(Pair::new(id(1), None)));
    }

    #[test]
    fn a_flood_of_invented_ids_is_bounded_and_does_not_free_a_locked_pair() {
        let (lockouts, victim) = (Lockouts::new(), pair(0, "192.0.2.1"));
        fail(&lockouts, &victim, 5, NOW);
        for number in 1..150_000 {
            lockouts.fail(&pair(number, "192.0.2.1"), NOW.plus(Duration::from_secs(1)));
        }
        assert!(lockouts.pairs() <= 100_000, "{} pairs", lockouts.pairs());
        assert_eq!(lockouts.pairs(), lockouts.shards.iter().map(|shard| lock(shard).len()).sum::<usize>());
        assert!(matches!(lockouts.standing(&victim, NOW), Standing::Locked { .. }));
    }
}
