//! Counts every call, and gathers denials into events, until the flusher takes them.
//!
//! Nothing a stranger can choose grows without bound: endpoints and events beyond a number are counted under
//! `(other)`, and addresses and ids that were never recognised appear in events only.

use super::{Seen, lock};
use crate::domain::{
    clock::Timestamp,
    decision::{CredentialId, Reason},
    event::{self, Event},
    usage::{Count, Outcome},
};
use std::{
    cell::Cell,
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Threads spread over so many lanes, so that they seldom meet.
const LANES: usize = 8;
/// Different endpoints a lane tells apart between two flushes.
const MOST_ENDPOINTS: usize = 1_000;
/// Different events a flush tells apart.
pub(super) const MOST_EVENTS: usize = 500;
/// Different counters kept while flushes fail.
const MOST_COUNTERS: usize = 200_000;
/// Bytes of an endpoint that are stored.
const LONGEST_ENDPOINT: usize = 256;
/// Bytes of a request id that are stored.
const LONGEST_DETAIL: usize = 128;
const OTHER: &str = "(other)";
const NOBODY: &str = "-";
const MINUTE: i64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Denied(Reason),
    Shadowed(Reason),
    LockoutStarted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CountKey<E> {
    minute: i64,
    credential: Option<CredentialId>,
    endpoint: E,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EventKey<E> {
    kind: Kind,
    credential: Option<CredentialId>,
    address: Option<IpAddr>,
    endpoint: E,
}

/// Whom a credential speaks for, and who vouches for that; the home's own is the empty text.
#[derive(Clone, Debug)]
struct Who {
    issuer: Box<str>,
    subject: Box<str>,
}

impl Who {
    fn of(seen: &Seen<'_>) -> Self {
        Self {
            issuer: seen.issuer.unwrap_or_default().into(),
            subject: seen.subject.unwrap_or(NOBODY).into(),
        }
    }

    fn nobody() -> Self {
        Self { issuer: Box::default(), subject: NOBODY.into() }
    }
}

/// How often, and who it was.
#[derive(Clone, Debug)]
struct Counter {
    who: Who,
    calls: u64,
}

/// The first of equal events, and how many there were.
#[derive(Clone, Debug)]
struct Burst {
    at: Timestamp,
    who: Who,
    detail: Box<str>,
    count: u64,
}

/// What one group of threads has counted since the last flush. Endpoints are numbered, so that counting a call that is
/// like an earlier one allocates nothing.
#[derive(Debug, Default)]
struct Lane {
    endpoints: Bounded<Arc<str>, u32>,
    counts: Bounded<CountKey<u32>, Counter>,
    events: Bounded<EventKey<u32>, Burst>,
    totals: Bounded<Outcome, u64>,
}

/// What a stranger can choose of the keys is bounded in number, and the hasher's seed is of this process: nobody gains by
/// collisions.
type Bounded<K, V> = HashMap<K, V, foldhash::quality::RandomState>;

/// The number that stands for `(other)`.
const OTHER_NUMBER: u32 = 0;

impl Lane {
    fn endpoint(&mut self, text: &str) -> u32 {
        let text = cut(text, LONGEST_ENDPOINT);
        if let Some(&number) = self.endpoints.get(text) {
            return number;
        }
        if self.endpoints.len() >= MOST_ENDPOINTS {
            return OTHER_NUMBER;
        }
        let number = u32::try_from(self.endpoints.len()).map_or(OTHER_NUMBER, |count| count + 1);
        self.endpoints.insert(text.into(), number);
        number
    }

    fn count(&mut self, key: CountKey<u32>, who: impl FnOnce() -> Who) {
        *self.totals.entry(key.outcome).or_default() += 1;
        match self.counts.get_mut(&key) {
            Some(counter) => counter.calls += 1,
            None => _ = self.counts.insert(key, Counter { who: who(), calls: 1 }),
        }
    }

    fn burst(
        &mut self,
        key: EventKey<u32>,
        at: Timestamp,
        who: impl FnOnce() -> Who,
        detail: impl FnOnce() -> Box<str>,
    ) {
        if let Some(burst) = self.events.get_mut(&key) {
            burst.count += 1;
            return;
        }
        let is_full = self.events.len() >= MOST_EVENTS;
        let key = if is_full { key.folded(OTHER_NUMBER) } else { key };
        let who = || if is_full { Who::nobody() } else { who() };
        let new = || Burst { at, who: who(), detail: detail(), count: 0 };
        self.events.entry(key).or_insert_with(new).count += 1;
    }
}

impl<E> EventKey<E> {
    /// The event that stands for all of its kind for which there was no room.
    fn folded(self, other: E) -> Self {
        Self { kind: self.kind, credential: None, address: None, endpoint: other }
    }
}

/// Counts every call.
#[derive(Debug, Default)]
pub(super) struct Meter {
    lanes: [Mutex<Lane>; LANES],
}

impl Meter {
    /// Counts a call. `credential` is the one seen if it was recognised.
    pub(super) fn record(&self, seen: &Seen<'_>, credential: Option<CredentialId>) {
        let mut lane = lock(&self.lanes[lane_of_this_thread()]);
        let endpoint = lane.endpoint(seen.endpoint);
        let minute = seen.at.millis().div_euclid(MINUTE);
        lane.count(CountKey { minute, credential, endpoint, outcome: seen.outcome }, || Who::of(seen));
        let kind = match seen.outcome {
            Outcome::Denied(reason) => Kind::Denied(reason),
            Outcome::Shadowed(reason) => Kind::Shadowed(reason),
            Outcome::Allowed | Outcome::Failed => return,
        };
        let request = cut(seen.request_id, LONGEST_DETAIL);
        let detail = || match kind {
            Kind::Shadowed(reason) => format!("{reason} {request}").into(),
            Kind::Denied(_) | Kind::LockoutStarted => request.into(),
        };
        lane.burst(
            EventKey { kind, credential, address: seen.address, endpoint },
            seen.at,
            || Who::of(seen),
            detail,
        );
    }

    pub(super) fn lockout_started(
        &self,
        credential: Option<CredentialId>,
        address: Option<IpAddr>,
        at: Timestamp,
        until: Timestamp,
    ) {
        let mut lane = lock(&self.lanes[lane_of_this_thread()]);
        let endpoint = lane.endpoint(NOBODY);
        let key = EventKey { kind: Kind::LockoutStarted, credential, address, endpoint };
        lane.burst(key, at, Who::nobody, || format!("until {until}").into());
    }

    /// Totals since the start of the process.
    pub(super) fn totals(&self) -> Vec<(Outcome, u64)> {
        let mut totals = HashMap::new();
        for lane in &self.lanes {
            for (&outcome, calls) in &lock(lane).totals {
                *totals.entry(outcome).or_default() += calls;
            }
        }
        let mut totals: Vec<_> = totals.into_iter().collect();
        totals.sort_unstable();
        totals
    }

    /// Moves what was counted since the last flush into `pending`.
    pub(super) fn drain_into(&self, pending: &mut Pending) {
        for lane in &self.lanes {
            let (endpoints, counts, events) = {
                let mut lane = lock(lane);
                let Lane { endpoints, counts, events, .. } = &mut *lane;
                (std::mem::take(endpoints), std::mem::take(counts), std::mem::take(events))
            };
            let mut names = vec![Arc::<str>::from(OTHER); endpoints.len() + 1];
            for (name, number) in endpoints {
                if let Some(place) = names.get_mut(number as usize) {
                    *place = name;
                }
            }
            let name = |number: u32| names.get(number as usize).map_or_else(|| OTHER.into(), Arc::clone);
            counts.into_iter().for_each(|(key, counter)| pending.count(key, counter, name));
            events.into_iter().for_each(|(key, burst)| pending.event(key, burst, name));
        }
    }
}

/// What is to be flushed; what could not be flushed stays and the next is added to it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    counts: HashMap<CountKey<Arc<str>>, Counter>,
    events: HashMap<EventKey<Arc<str>>, Burst>,
}

impl Pending {
    fn count(&mut self, key: CountKey<u32>, counter: Counter, name: impl Fn(u32) -> Arc<str>) {
        let CountKey { minute, credential, endpoint, outcome } = key;
        let mut key = CountKey { minute, credential, endpoint: name(endpoint), outcome };
        let mut who = counter.who;
        if self.counts.len() >= MOST_COUNTERS && !self.counts.contains_key(&key) {
            key = CountKey { minute, credential: None, endpoint: OTHER.into(), outcome };
            who = Who::nobody();
        }
        self.counts.entry(key).or_insert(Counter { who, calls: 0 }).calls += counter.calls;
    }

    fn event(&mut self, key: EventKey<u32>, mut burst: Burst, name: impl Fn(u32) -> Arc<str>) {
        let EventKey { kind, credential, address, endpoint } = key;
        let mut key = EventKey { kind, credential, address, endpoint: name(endpoint) };
        if self.events.len() >= MOST_EVENTS && !self.events.contains_key(&key) {
            key = key.folded(OTHER.into());
            burst.who = Who::nobody();
        }
        match self.events.get_mut(&key) {
            Some(earlier) => {
                earlier.count += burst.count;
                earlier.at = earlier.at.min(burst.at);
            }
            None => _ = self.events.insert(key, burst),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.events.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.events.clear();
    }

    pub(super) fn counts(&self) -> Vec<Count> {
        let counts = self.counts.iter().map(|(key, counter)| Count {
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

    /// Oldest first.
    pub(super) fn events(&self) -> Vec<Event> {
        let events = self.events.iter().map(|(key, burst)| Event {
            seq: 0,
            at: burst.at,
            kind: match key.kind {
                Kind::Denied(reason) => reason.as_str().to_owned(),
                Kind::Shadowed(_) => event::SHADOW_DENIED.to_owned(),
                Kind::LockoutStarted => event::LOCKOUT_STARTED.to_owned(),
            },
            credential: written(key.credential),
            issuer: burst.who.issuer.to_string(),
            subject: burst.who.subject.to_string(),
            endpoint: key.endpoint.to_string(),
            address: key.address.map_or_else(|| NOBODY.to_owned(), |address| address.to_string()),
            count: u32::try_from(burst.count).unwrap_or(u32::MAX),
            detail: burst.detail.to_string(),
        });
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|event| event.at);
        events
    }
}

fn written(credential: Option<CredentialId>) -> String {
    credential.map_or_else(|| NOBODY.to_owned(), |credential| credential.to_string())
}

/// The longest beginning of `text` of at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

fn lane_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static LANE: Cell<Option<usize>> = const { Cell::new(None) } }
    LANE.with(|lane| match lane.get() {
        Some(index) => index,
        None => {
            let index = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
            lane.set(Some(index));
            index
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_030_000);

    fn seen<'a>(endpoint: &'a str, address: &str, outcome: Outcome) -> Seen<'a> {
        Seen {
            credential: None,
            issuer: None,
            subject: None,
            endpoint,
            address: Some(address.parse().unwrap()),
            outcome,
            request_id: "r1",
            at: NOW,
        }
    }

    fn drained(meter: &Meter) -> Pending {
        let mut pending = Pending::default();
        meter.drain_into(&mut pending);
        pending
    }

    #[test]
    fn equal_calls_are_one_counter_and_others_are_not() {
        let meter = Meter::default();
        for _ in 0..3 {
            meter.record(&seen("tools/list", "192.0.2.1", Outcome::Allowed), None);
        }
        meter.record(&seen("ping", "192.0.2.1", Outcome::Allowed), None);
        let mut counts = drained(&meter).counts();
        counts.sort_by_key(|count| count.calls);
        assert_eq!(
            counts.iter().map(|c| (&*c.endpoint, c.calls)).collect::<Vec<_>>(),
            [("ping", 1), ("tools/list", 3)]
        );
        assert_eq!(counts[0].minute, Timestamp::from_millis(1_800_000_000_000));
        assert!(drained(&meter).is_empty(), "drained once");
        assert_eq!(meter.totals(), [(Outcome::Allowed, 4)], "totals stay");
    }

    #[test]
    fn equal_denials_are_one_event_with_a_count_and_another_address_is_another() {
        let meter = Meter::default();
        let denied = Outcome::Denied(Reason::IpDenied);
        for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
            meter.record(&seen("ping", address, denied), None);
        }
        meter.record(&seen("ping", "192.0.2.1", Outcome::Shadowed(Reason::IpDenied)), None);
        meter.record(&seen("ping", "192.0.2.1", Outcome::Failed), None);
        let mut events = drained(&meter).events();
        events.sort_by(|a, b| (&b.kind, &a.address, a.count).cmp(&(&a.kind, &b.address, b.count)));
        let found: Vec<_> = events.iter().map(|e| (&*e.kind, &*e.address, e.count, &*e.detail)).collect();
        assert_eq!(
            found,
            [
                ("shadow_denied", "192.0.2.1", 1, "ip_denied r1"),
                ("ip_denied", "192.0.2.1", 2, "r1"),
                ("ip_denied", "192.0.2.2", 1, "r1"),
            ]
        );
    }

    #[test]
    fn what_a_stranger_invents_is_folded_and_nothing_is_lost() {
        let meter = Meter::default();
        let calls = 5_000;
        for number in 0..calls {
            let endpoint = format!("tools/call/{number}");
            meter.record(&seen(&endpoint, "192.0.2.1", Outcome::Denied(Reason::UnknownCredential)), None);
        }
        let pending = drained(&meter);
        let (counts, events) = (pending.counts(), pending.events());
        assert!(counts.len() <= MOST_ENDPOINTS + 1, "{} counters", counts.len());
        assert!(events.len() <= MOST_EVENTS + 1, "{} events", events.len());
        assert_eq!(counts.iter().map(|count| count.calls).sum::<u64>(), calls);
        assert_eq!(events.iter().map(|event| u64::from(event.count)).sum::<u64>(), calls);
        assert_eq!(
            events.iter().filter(|event| event.endpoint == OTHER && event.address == NOBODY).count(),
            1
        );
    }

    #[test]
    fn long_endpoints_are_cut_between_characters() {
        let meter = Meter::default();
        let endpoint = format!("{}ü", "x".repeat(255));
        meter.record(&seen(&endpoint, "192.0.2.1", Outcome::Allowed), None);
        assert_eq!(drained(&meter).counts()[0].endpoint, "x".repeat(255));
    }
}
