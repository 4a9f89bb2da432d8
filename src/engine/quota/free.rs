//! What costs nothing is counted here, in memory and in bounded space, for this process alone.
//!
//! An account has a place in each of a few rows, chosen by a hash that nobody outside can compute, and shares it with the
//! accounts that chance put there. Each free call is counted in all its places, and passes while one of them has room: an
//! account never gets more than its bound, and is held back by others only where it shares all its places with busy ones.

use crate::domain::{
    clock::Timestamp,
    quota::{Charge, free_spent, minute_of, still_counts},
};
use crate::engine::lock;
use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

const ROWS: usize = 4;
/// Places in a row: with four rows a mebibyte in all.
const PLACES: usize = 1 << BITS;
const BITS: usize = 15;
/// Calls of one account are counted one after the other, those of others seldom wait for them.
const TURNS: usize = 16;

/// The free calls of a minute. A place holds the number of its minute and what was counted in it.
#[derive(Debug)]
pub(super) struct Free {
    rows: Box<[AtomicU64]>,
    /// Whose turn it is: two calls of one account at once could each find room in another row.
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

impl Free {
    pub(super) fn new() -> Self {
        let rows = (0..ROWS * PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { rows, turns: std::array::from_fn(|_| Mutex::new(())), hasher: RandomState::new() }
    }

    /// Counts so many calls of `whose`, or none of them where they are more than the bound has left.
    pub(super) fn take(&self, whose: impl Hash, bound: u32, count: u32, now: Timestamp) -> Charge {
        let minute = minute_of(now);
        let hash = self.hasher.hash_one(whose);
        let places = self.places(hash);
        let turn = usize::try_from(hash >> (BITS * ROWS)).unwrap_or_default() % TURNS;
        let _turn = self.turns.get(turn).map(lock);
        let mut has_room = [false; ROWS];
        for (place, has_room) in places.into_iter().zip(&mut has_room) {
            let counted = update(place, minute, |counted| {
                counted.checked_add(count).filter(|counted| *counted <= bound)
            });
            *has_room = counted;
        }
        if !has_room.contains(&true) {
            return free_spent(bound, now);
        }
        // Where others have used up the room of a place it is counted there all the same.
        for (place, has_room) in places.into_iter().zip(has_room) {
            if !has_room {
                update(place, minute, |counted| Some(counted.saturating_add(count)));
            }
        }
        Charge::Granted
    }

    /// Takes back what was counted for calls that were refused for another reason.
    pub(super) fn give_back(&self, whose: impl Hash, count: u32, now: Timestamp) {
        for place in self.places(self.hasher.hash_one(whose)) {
            update(place, minute_of(now), |counted| Some(counted.saturating_sub(count)));
        }
    }

    fn places(&self, hash: u64) -> [&AtomicU64; ROWS] {
        std::array::from_fn(|row| {
            let place = usize::try_from(hash >> (BITS * row)).unwrap_or_default() % PLACES;
            &self.rows[row * PLACES + place]
        })
    }
}

/// Counts anew in a place; `false` where `count` does not want to.
fn update(place: &AtomicU64, minute: u32, count: impl Fn(u32) -> Option<u32>) -> bool {
    let counted = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
        let [of, counted] =
            [held >> 32, held & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
        let (minute, counted) = still_counts(minute, of, counted);
        Some((u64::from(minute) << 32) | u64::from(count(counted)?))
    });
    counted.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The start of a minute.
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn passed(free: &Free, whose: &str, bound: u32, now: Timestamp) -> u32 {
        (0..bound + 5).map(|_| u32::from(free.take(whose, bound, 1, now).is_granted())).sum()
    }

    #[test]
    fn each_account_has_its_bound_in_each_minute() {
        let free = Free::new();
        for minute in 0..3 {
            assert_eq!(passed(&free, "a", 60, later(minute * 60)), 60);
            assert_eq!(passed(&free, "b", 70, later(minute * 60 + 59)), 70);
            let refused = free.take("a", 60, 1, later(minute * 60 + 59));
            assert_eq!(refused, free_spent(60, later(59)), "until the next minute");
        }
    }

    #[test]
    fn several_are_counted_whole_or_not_at_all() {
        let free = Free::new();
        assert!(free.take("a", 60, 50, NOW).is_granted());
        for _ in 0..9 {
            assert!(!free.take("a", 60, 11, NOW).is_granted());
        }
        assert!(free.take("a", 60, 10, NOW).is_granted());
        assert!(!free.take("a", 60, 1, NOW).is_granted());
        free.give_back("a", 10, NOW);
        assert_eq!(passed(&free, "a", 60, NOW), 10);
    }

    #[test]
    fn a_late_thread_begins_no_minute_anew_and_a_clock_set_back_does() {
        let free = Free::new();
        assert_eq!(passed(&free, "a", 60, later(60)), 60);
        assert_eq!(passed(&free, "a", 60, later(59)), 0, "a moment late");
        assert_eq!(passed(&free, "a", 60, later(60)), 0);
        let day_before = NOW.minus(Duration::from_secs(86_400));
        assert_eq!(passed(&free, "a", 60, day_before), 60);
    }

    #[test]
    fn whoever_shares_its_places_with_busy_ones_gets_no_more_than_its_bound() {
        let free = Free::new();
        // All places are busy with others up to 59.
        free.rows.iter().for_each(|place| assert!(update(place, minute_of(NOW), |_| Some(59))));
        assert_eq!(passed(&free, "a", 60, NOW), 1);
        let place = free.places(free.hasher.hash_one("b"))[2];
        update(place, minute_of(NOW), |_| Some(0));
        assert!(free.take("b", 60, 20, NOW).is_granted(), "one place has room");
        assert_eq!(passed(&free, "b", 60, NOW), 40);
        assert_eq!(passed(&free, "b", 60, NOW), 0);
    }

    #[test]
    fn many_accounts_do_not_hold_back_each_other() {
        let free = Free::new();
        for number in 0..2_000 {
            assert_eq!(passed(&free, &format!("busy-{number}"), 60, NOW), 60, "{number}");
        }
        let held_back = (0..2_000).filter(|number| passed(&free, &format!("{number}"), 10, NOW) < 10).count();
        assert!(held_back <= 20, "{held_back} of 2000");
    }

    #[test]
    fn threads_together_never_pass_the_bound() {
        let free = Free::new();
        let passed: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| passed(&free, "a", 600, NOW))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 600);
    }
}
