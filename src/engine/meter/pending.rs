//! What is to be flushed. What could not be flushed stays, and the next is added to it; all of it is bounded.

use super::{
    count::{CountKey, Counter, MINUTE, Who},
    denials::{Burst, Denials, Key, Kind, Shelf},
};
use crate::domain::{
    clock::Timestamp,
    credential::CredentialId,
    event::{self, Event},
    usage::{self, Count, NOBODY},
};
use std::{collections::HashMap, sync::Arc};

/// Different counters kept of each part while flushes fail; then they lose their endpoints and their minutes, and at four
/// times as many their credentials.
const MOST_COUNTERS: usize = 100_000;
const HOUR_IN_MINUTES: i64 = 60;

/// What a counter is of. Each part has room of its own, and the first is what must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Part {
    /// Calls that were let through.
    Admitted,
    /// Refused calls of credentials that are known.
    Refused,
    /// Calls of nobody who is known.
    Strangers,
}

impl Part {
    pub(in crate::engine) const ALL: [Self; 3] = [Self::Admitted, Self::Refused, Self::Strangers];

    fn of<E>(key: &CountKey<E>) -> Self {
        match key.credential {
            None => Self::Strangers,
            Some(_) if key.outcome.is_denied() => Self::Refused,
            Some(_) => Self::Admitted,
        }
    }
}

type Counters = HashMap<CountKey<Arc<str>>, Counter>;

/// What the flusher has taken from the lanes.
#[derive(Debug, Default)]
pub(in crate::engine) struct Pending {
    counts: [Counters; Part::ALL.len()],
    /// The denials of a minute: the first of its like is told at the next flush, those that follow together when the
    /// minute is over. What was told stands here with a count of 0.
    denials: Denials<Arc<str>>,
    minute: i64,
}

/// Events that are to be told now.
#[derive(Debug, Default)]
pub(in crate::engine) struct Due {
    /// Of credentials and ids that are known, oldest first.
    pub known: Vec<Event>,
    /// Of strangers, oldest first.
    pub strangers: Vec<Event>,
}

impl Due {
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.strangers.is_empty()
    }
}

impl Pending {
    pub(super) fn count(&mut self, key: CountKey<u32>, counter: Counter, name: impl Fn(u32) -> Arc<str>) {
        let CountKey { minute, credential, endpoint, outcome } = key;
        let mut key = CountKey { minute, credential, endpoint: name(endpoint), outcome };
        let counts = &mut self.counts[Part::of(&key) as usize];
        let mut who = counter.who;
        if counts.len() >= MOST_COUNTERS && !counts.contains_key(&key) {
            key = CountKey { minute: hour(minute), endpoint: usage::OTHER.into(), ..key };
            if counts.len() >= 4 * MOST_COUNTERS && !counts.contains_key(&key) {
                key.credential = None;
                who = Who::nobody();
            }
        }
        counts.entry(key).or_insert(Counter { who, calls: 0 }).calls += counter.calls;
    }

    pub(super) fn denied(&mut self, denials: Denials<u32>, name: impl Fn(u32) -> Arc<str>) {
        for (shelf, key, burst) in denials.into_iter() {
            let Key { kind, credential, address, endpoint } = key;
            let key = Key { kind, credential, address, endpoint: name(endpoint) };
            let count = burst.count;
            let new = || burst;
            self.denials.add_to(shelf, key, count, usage::OTHER.into(), new);
        }
    }

    /// Nothing was counted that is not written.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.counts.iter().all(HashMap::is_empty)
    }

    /// How many counters wait to be written.
    pub(in crate::engine) fn counters(&self) -> usize {
        self.counts.iter().map(HashMap::len).sum()
    }

    pub(in crate::engine) fn counts(&self, part: Part) -> Vec<Count> {
        let counts = self.counts[part as usize].iter().map(|(key, counter)| Count {
            minute: Timestamp::from_millis(key.minute * MINUTE),
            credential: written(key.credential),
            issuer: counter.who.issuer.to_string(),
            subject: counter.who.subject.to_string(),
            endpoint: key.endpoint.to_string(),
            outcome: key.outcome,
            calls: counter.calls,
        });
        counts.collect()
    }

    pub(in crate::engine) fn holds(&self, part: Part) -> bool {
        !self.counts[part as usize].is_empty()
    }

    pub(in crate::engine) fn clear(&mut self, part: Part) {
        self.counts[part as usize].clear();
    }

    /// Leaves of what was let through one counter a minute for each credential and outcome: the least that has to be
    /// written.
    pub(in crate::engine) fn fold_admitted(&mut self) {
        let counts = std::mem::take(&mut self.counts[Part::Admitted as usize]);
        let folded = &mut self.counts[Part::Admitted as usize];
        for (key, counter) in counts {
            let key = CountKey { endpoint: usage::OTHER.into(), ..key };
            folded.entry(key).or_insert(Counter { calls: 0, ..counter.clone() }).calls += counter.calls;
        }
    }

    /// What is to be told at `now`: what was not told before in its minute, and all that waits where the minute is over
    /// or `all` is wanted.
    pub(in crate::engine) fn due(&self, now: Timestamp, all: bool) -> Due {
        let all = all || self.is_over(now);
        let mut due = Due::default();
        for (shelf, key, burst) in self.denials.iter() {
            if burst.count == 0 || (burst.is_told && !all) {
                continue;
            }
            let events = if shelf == Shelf::Strangers { &mut due.strangers } else { &mut due.known };
            events.push(event(key, burst));
        }
        due.known.sort_by_key(|event| event.at);
        due.strangers.sort_by_key(|event| event.at);
        due
    }

    /// What [`Pending::due`] named is written.
    pub(in crate::engine) fn told(&mut self, now: Timestamp, all: bool) {
        if all || self.is_over(now) {
            self.denials.forget_told();
            self.minute = minute(now);
        }
        for burst in self.denials.bursts_mut().filter(|burst| !burst.is_told) {
            burst.count = 0;
            burst.is_told = true;
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        minute(now) != self.minute
    }
}

fn event(key: &Key<Arc<str>>, burst: &Burst) -> Event {
    Event {
        seq: 0,
        at: burst.at,
        kind: match key.kind {
            Kind::Denied(reason) => reason.as_str().to_owned(),
            Kind::Shadowed(_) => event::SHADOW_DENIED.to_owned(),
            Kind::LockoutStarted => event::LOCKOUT_STARTED.to_owned(),
            Kind::ClockSetBack => event::CLOCK_SET_BACK.to_owned(),
            Kind::UpstreamUnfit => event::UPSTREAM_UNFIT.to_owned(),
        },
        credential: written(key.credential),
        issuer: burst.who.issuer.to_string(),
        subject: burst.who.subject.to_string(),
        endpoint: key.endpoint.to_string(),
        address: key.address.map_or_else(|| NOBODY.to_owned(), |address| address.to_string()),
        count: u32::try_from(burst.count).unwrap_or(u32::MAX),
        detail: burst.detail.to_string(),
    }
}

fn written(credential: Option<CredentialId>) -> String {
    credential.map_or_else(|| NOBODY.to_owned(), |credential| credential.to_string())
}

fn minute(at: Timestamp) -> i64 {
    at.millis().div_euclid(MINUTE)
}

fn hour(minute: i64) -> i64 {
    minute - minute.rem_euclid(HOUR_IN_MINUTES)
}
