//! Counts every call, and gathers denials into events, until the flusher takes them.
//!
//! Nothing that a stranger chooses takes room of its own: what did not prove itself is counted under the methods of MCP and
//! `(other)`, never under a name or a path, and has tables of its own, so that no noise folds what is known of others.

mod count;
mod denials;
mod pending;
#[cfg(test)]
mod tests;

pub(super) use pending::{Due, Part, Pending};

use super::{Seen, lock};
use crate::domain::{
    clock::Timestamp,
    credential::CredentialId,
    event::lockout_detail,
    usage::{self, NOBODY, Outcome},
};
use count::{Bounded, CountKey, Counter, MINUTE, Who};
use denials::{Burst, Denials, Key, Kind};
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
/// Bytes of an endpoint that are stored.
const LONGEST_ENDPOINT: usize = 256;
/// Bytes of what is said of an MCP server that are stored.
const LONGEST_REASON: usize = 512;
/// Bytes of a request's id, and of what was compared, that are stored.
const LONGEST_DETAIL: usize = 384;

/// What one group of threads has counted since the last flush. Endpoints are numbered, so that counting a call that is
/// like an earlier one allocates nothing: first those of [`usage::NAMES`], then what the lane has met.
#[derive(Debug, Default)]
struct Lane {
    endpoints: Bounded<Arc<str>, u32>,
    counts: Bounded<CountKey<u32>, Counter>,
    denials: Denials<u32>,
    totals: Bounded<Outcome, u64>,
}

impl Lane {
    fn endpoint(&mut self, text: &str) -> u32 {
        let text = cut(text, LONGEST_ENDPOINT);
        if let Some(&number) = self.endpoints.get(text) {
            return number;
        }
        if self.endpoints.len() >= MOST_ENDPOINTS {
            return usage::method_number(text);
        }
        let number = u32::try_from(usage::NAMES.len() + self.endpoints.len()).unwrap_or(usage::OTHER_NUMBER);
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
}

/// Counts every call.
#[derive(Debug, Default)]
pub(super) struct Meter {
    lanes: [Mutex<Lane>; LANES],
}

impl Meter {
    /// Counts a call. `credential` is the one seen if it was recognised; `owner` is whose it is, for the event, where it
    /// did not prove itself.
    pub(super) fn record(&self, seen: &Seen<'_>, credential: Option<CredentialId>, owner: Option<&str>) {
        let is_proved = seen.subject.is_some() && credential.is_some();
        let mut lane = lock(&self.lanes[lane_of_this_thread()]);
        let endpoint =
            if is_proved { lane.endpoint(seen.endpoint) } else { usage::method_number(seen.endpoint) };
        let minute = seen.at.millis().div_euclid(MINUTE);
        lane.count(CountKey { minute, credential, endpoint, outcome: seen.outcome }, || Who::of(seen));
        let kind = match seen.outcome {
            Outcome::Denied(reason) => Kind::Denied(reason),
            Outcome::Shadowed(reason) => Kind::Shadowed(reason),
            Outcome::Allowed | Outcome::Failed => return,
        };
        let detail = || {
            let told = match kind {
                Kind::Denied(reason) => seen.detail(reason),
                Kind::Shadowed(reason) => format!("{reason} {}", seen.detail(reason)),
                Kind::LockoutStarted | Kind::ClockSetBack | Kind::UpstreamUnfit => seen.request_id.to_owned(),
            };
            cut(&told, LONGEST_DETAIL).into()
        };
        let who = || match owner {
            Some(owner) => Who::own(owner),
            None => Who::of(seen),
        };
        let new = || Burst::new(seen.at, who(), detail());
        let key = Key { kind, credential, address: seen.address, endpoint };
        lane.denials.add(is_proved, key, 1, usage::OTHER_NUMBER, new);
    }

    pub(super) fn lockout_started(
        &self,
        credential: Option<CredentialId>,
        owner: Option<&str>,
        address: Option<IpAddr>,
        at: Timestamp,
        until: Timestamp,
    ) {
        let mut lane = lock(&self.lanes[lane_of_this_thread()]);
        let endpoint = usage::method_number(NOBODY);
        let who = || Who::own(owner.unwrap_or(NOBODY));
        let new = || Burst::new(at, who(), lockout_detail(until).into());
        let key = Key { kind: Kind::LockoutStarted, credential, address, endpoint };
        lane.denials.add(false, key, 1, usage::OTHER_NUMBER, new);
    }

    /// The clock says `now`, and `latest` was seen before.
    pub(super) fn clock_set_back(&self, now: Timestamp, latest: Timestamp) {
        let mut lane = lock(&self.lanes[lane_of_this_thread()]);
        let endpoint = usage::method_number(NOBODY);
        let new = || Burst::new(now, Who::nobody(), format!("{latest} was seen before").into());
        let key = Key { kind: Kind::ClockSetBack, credential: None, address: None, endpoint };
        lane.denials.add(false, key, 1, usage::OTHER_NUMBER, new);
    }

    /// The MCP server behind the gateway cannot be used as it is, for this reason.
    pub(super) fn upstream_unfit(&self, why: &str, at: Timestamp) {
        let mut lane = lock(&self.lanes[lane_of_this_thread()]);
        let endpoint = usage::method_number(NOBODY);
        let new = || Burst::new(at, Who::nobody(), cut(why, LONGEST_REASON).into());
        let key = Key { kind: Kind::UpstreamUnfit, credential: None, address: None, endpoint };
        lane.denials.add(false, key, 1, usage::OTHER_NUMBER, new);
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
            let (endpoints, counts, denials) = {
                let mut lane = lock(lane);
                let Lane { endpoints, counts, denials, .. } = &mut *lane;
                (std::mem::take(endpoints), std::mem::take(counts), std::mem::take(denials))
            };
            let mut names: Vec<Arc<str>> = usage::NAMES.iter().map(|&name| name.into()).collect();
            names.resize(names.len() + endpoints.len(), usage::OTHER.into());
            for (name, number) in endpoints {
                if let Some(place) = names.get_mut(number as usize) {
                    *place = name;
                }
            }
            let name =
                |number: u32| names.get(number as usize).map_or_else(|| usage::OTHER.into(), Arc::clone);
            counts.into_iter().for_each(|(key, counter)| pending.count(key, counter, name));
            pending.denied(denials, name);
        }
    }
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
