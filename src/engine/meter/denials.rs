//! Denials while they gather: each kind by credential, address and endpoint, with a bound.
//!
//! Strangers, ids that were only named, credentials that proved themselves, and lock-outs of known ids have a table each:
//! none takes the room of another. What does not fit loses its endpoint first, then its address, and its credential only
//! where there are more credentials than a home has in use.

use super::count::{Bounded, Who};
use crate::domain::{clock::Timestamp, credential::CredentialId, decision::Reason};
use std::{collections::hash_map::Entry, hash::Hash, net::IpAddr};

/// What was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Denied(Reason),
    Shadowed(Reason),
    LockoutStarted,
    ClockSetBack,
    UpstreamUnfit,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key<E> {
    pub kind: Kind,
    pub credential: Option<CredentialId>,
    pub address: Option<IpAddr>,
    pub endpoint: E,
}

/// The first of equal denials, and how many there were.
#[derive(Clone, Debug)]
pub(super) struct Burst {
    pub at: Timestamp,
    pub who: Who,
    pub detail: Box<str>,
    /// Those that were not told yet.
    pub count: u64,
    /// Whether the first was told.
    pub is_told: bool,
}

impl Burst {
    pub fn new(at: Timestamp, who: Who, detail: Box<str>) -> Self {
        Self { at, who, detail, count: 0, is_told: false }
    }
}

/// Whose denials a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    Proved,
    /// Known ids that did not prove themselves: whoever knows an id can be denied in its name.
    Named,
    /// Lock-outs of known ids.
    Lockouts,
    Strangers,
}

impl Shelf {
    pub const ALL: [Self; 4] = [Self::Proved, Self::Named, Self::Lockouts, Self::Strangers];

    fn of<E>(is_proved: bool, key: &Key<E>) -> Self {
        match (key.credential, key.kind) {
            // Facts of the home: no stranger may push them out.
            (_, Kind::ClockSetBack | Kind::UpstreamUnfit) => Self::Lockouts,
            (None, _) => Self::Strangers,
            (Some(_), Kind::LockoutStarted | Kind::Denied(Reason::LockedOut)) => Self::Lockouts,
            (Some(_), _) if is_proved => Self::Proved,
            (Some(_), _) => Self::Named,
        }
    }

    /// How many different denials it tells apart; four times as many without their endpoints, sixteen times without
    /// their addresses.
    const fn most(self) -> usize {
        match self {
            Self::Strangers => 25,
            Self::Proved | Self::Named | Self::Lockouts => 2_000,
        }
    }
}

/// How many denials of one credential are told apart, in the same way as by [`Shelf::most`].
pub(super) const MOST_OF_ONE: usize = 100;

/// One shelf.
#[derive(Debug)]
struct Table<E> {
    bursts: Bounded<Key<E>, Burst>,
    of_one: Bounded<CredentialId, usize>,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Self { bursts: Bounded::default(), of_one: Bounded::default() }
    }
}

/// Where `key` is counted: there, or under what it is folded into.
fn place<E: Eq + Hash>(
    bursts: &Bounded<Key<E>, Burst>,
    of_one: &Bounded<CredentialId, usize>,
    mut key: Key<E>,
    most: usize,
    other: E,
) -> Key<E> {
    let of_one = key.credential.and_then(|credential| of_one.get(&credential)).copied().unwrap_or(0);
    let has_room = |key: &Key<E>, times: usize| {
        (bursts.len() < most * times && of_one < MOST_OF_ONE * times) || bursts.contains_key(key)
    };
    if has_room(&key, 1) {
        return key;
    }
    key.endpoint = other;
    if has_room(&key, 4) {
        return key;
    }
    key.address = None;
    if has_room(&key, 16) {
        return key;
    }
    Key { credential: None, ..key }
}

/// All shelves.
#[derive(Debug)]
pub(super) struct Denials<E>([Table<E>; Shelf::ALL.len()]);

impl<E> Default for Denials<E> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Table::default()))
    }
}

impl<E: Clone + Eq + Hash> Denials<E> {
    /// Counts denials; `new` makes what they are told by where they are the first of their like, `other` stands for
    /// endpoints that are not told apart.
    pub fn add(&mut self, is_proved: bool, key: Key<E>, count: u64, other: E, new: impl FnOnce() -> Burst) {
        let shelf = Shelf::of(is_proved, &key);
        self.add_to(shelf, key, count, other, new);
    }

    pub fn add_to(&mut self, shelf: Shelf, key: Key<E>, count: u64, other: E, new: impl FnOnce() -> Burst) {
        let Table { bursts, of_one } = &mut self.0[shelf as usize];
        let is_named = key.credential.is_some();
        let key = place(bursts, of_one, key, shelf.most(), other);
        match bursts.entry(key) {
            Entry::Occupied(burst) => {
                let burst = burst.into_mut();
                if burst.count == 0 {
                    // All before it were told.
                    let Burst { at, detail, .. } = new();
                    (burst.at, burst.detail) = (at, detail);
                }
                burst.count += count;
            }
            Entry::Vacant(place) => {
                let mut burst = new();
                match place.key().credential {
                    Some(credential) => *of_one.entry(credential).or_default() += 1,
                    None if is_named => burst.who = Who::nobody(),
                    None => {}
                }
                place.insert(Burst { count, ..burst });
            }
        }
    }

    /// Forgets those that were told.
    pub fn forget_told(&mut self) {
        for Table { bursts, of_one } in &mut self.0 {
            bursts.retain(|_, burst| !burst.is_told);
            of_one.clear();
            for credential in bursts.keys().filter_map(|key| key.credential) {
                *of_one.entry(credential).or_default() += 1;
            }
        }
    }

    pub fn into_iter(self) -> impl Iterator<Item = (Shelf, Key<E>, Burst)> {
        let shelves = Shelf::ALL.into_iter().zip(self.0);
        shelves
            .flat_map(|(shelf, table)| table.bursts.into_iter().map(move |(key, burst)| (shelf, key, burst)))
    }

    pub fn iter(&self) -> impl Iterator<Item = (Shelf, &Key<E>, &Burst)> {
        let shelves = Shelf::ALL.into_iter().zip(&self.0);
        shelves.flat_map(|(shelf, table)| table.bursts.iter().map(move |(key, burst)| (shelf, key, burst)))
    }

    pub fn bursts_mut(&mut self) -> impl Iterator<Item = &mut Burst> {
        self.0.iter_mut().flat_map(|table| table.bursts.values_mut())
    }
}
