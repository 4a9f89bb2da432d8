//! Replays: what a policy would have said to requests that were written down, or were recorded.
//! Changes nothing.

use std::{
    collections::{HashMap, VecDeque},
    io::BufRead,
    net::IpAddr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::super::{
    Ctx, OpsError,
    credential::{self, Reach},
};
use crate::domain::{
    clock::Timestamp,
    decision::{self, Outcome as Decided, Reason, Request},
    endpoint::{Endpoint, EndpointSet},
    name::{PolicyName, ScopeName},
    policy::{CompiledPolicy, IpRestrictions},
    quota::{Cost, Counter},
    scope::Catalogue,
    text::visible,
    usage::{Count, NOBODY, OTHER, Outcome},
};
use crate::store::{Rows, StoreError, event, usage};

/// One request to replay. As a line of JSON: `{"at","ip","endpoint","scopes"?}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedRequest {
    pub at: Timestamp,
    /// `None` = the client's address is not known.
    pub ip: Option<IpAddr>,
    pub endpoint: Endpoint,
    /// Left out: scopes are not judged.
    pub scopes: Option<Vec<ScopeName>>,
    /// Whose it was; `None` where it was written down.
    #[serde(skip)]
    pub caller: Option<Arc<Caller>>,
    /// The address was not recorded: addresses are not judged.
    #[serde(skip)]
    pub any_address: bool,
}

/// Who made a recorded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key or of the token.
    pub credential: String,
    /// Whose quota it counts against; written requests share one.
    account: Arc<str>,
}

/// A recorded call, about as it was: counters know the minute alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    pub at: Timestamp,
    pub endpoint: String,
    pub credential: String,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Simulated {
    /// Whether the call would pass: in shadow mode always where the scopes cover it.
    pub allowed: bool,
    /// The first check that fails.
    pub reason: Option<Reason>,
    /// Every check that fails, the rate limit too.
    pub failed: Vec<Reason>,
    /// Which call it was; absent where it was written down, for then it has its line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}

/// Replays `requests`, which must be in time order, with empty quotas at the start.
pub fn simulate<'a>(
    policy: &'a CompiledPolicy,
    catalogue: &'a Catalogue,
    requests: impl Iterator<Item = SimulatedRequest> + 'a,
) -> impl Iterator<Item = Simulated> + 'a {
    let mut replay = Replay::new(policy, catalogue);
    requests.map(move |request| replay.step(request))
}

struct Replay<'a> {
    catalogue: &'a Catalogue,
    policy: &'a CompiledPolicy,
    /// The same without its address lists.
    any_address: CompiledPolicy,
    counters: HashMap<Option<Arc<str>>, Counter>,
    /// What each set of scopes that was met covers.
    covered: HashMap<Vec<ScopeName>, EndpointSet>,
}

impl<'a> Replay<'a> {
    fn new(policy: &'a CompiledPolicy, catalogue: &'a Catalogue) -> Self {
        let mut any_address = policy.clone();
        any_address.policy.ip_restrictions = IpRestrictions::default();
        Self { catalogue, policy, any_address, counters: HashMap::new(), covered: HashMap::new() }
    }

    fn step(&mut self, simulated: SimulatedRequest) -> Simulated {
        let SimulatedRequest { at, ip, endpoint, scopes, caller, any_address } = simulated;
        let policy = if any_address { &self.any_address } else { self.policy };
        let covered = scopes.map(|scopes| {
            let catalogue = self.catalogue;
            &*self
                .covered
                .entry(policy.policy.effective_scopes(&scopes))
                .or_insert_with_key(|held| catalogue.compile(held))
        });
        let call = caller.as_ref().map(|caller| Call {
            at,
            endpoint: endpoint.shown().into_owned(),
            credential: caller.credential.clone(),
        });
        let cost = Cost::of(&endpoint);
        let request = Request { endpoint, address: ip, at };
        let counter = self.counters.entry(caller.map(|caller| Arc::clone(&caller.account))).or_default();
        let limits = &policy.policy.rate_limits;
        let failed = decision::failed(policy, covered, &request, &counter.peek_call(limits, cost, at));
        let decision =
            decision::decide_under(policy, covered, &request, || counter.charge_call(limits, cost, at));
        let reason = match &decision.outcome {
            Decided::Allow => decision.shadowed,
            Decided::Deny(denial) => Some(denial.reason),
        };
        Simulated { allowed: decision.is_allowed(), reason, failed, call }
    }
}

/// Reads one JSON request a line; blank lines are passed over. A line that is none, or that lies
/// before the line above it in time, is `Invalid` with its number.
pub fn read_requests(lines: impl BufRead) -> impl Iterator<Item = Result<SimulatedRequest, OpsError>> {
    let mut latest: Option<Timestamp> = None;
    let numbered = (1_u64..).zip(lines.lines());
    numbered.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty())).map(
        move |(number, line)| {
            let bad = |why: String| OpsError::Invalid(format!("line {number}: {}", visible(&why)));
            let line = line.map_err(|error| bad(error.to_string()))?;
            if !line.trim_start().starts_with('{') {
                return Err(
                    bad(r#"expected a JSON object such as {"at": …, "ip": …, "endpoint": …}"#.into()),
                );
            }
            let request: SimulatedRequest =
                serde_json::from_str(&line).map_err(|error| bad(with_column(&error)))?;
            if let Some(before) = latest.filter(|before| request.at < *before) {
                return Err(bad(format!(
                    "{} lies before {before} of the line above; put them in time order",
                    request.at
                )));
            }
            latest = Some(request.at);
            Ok(request)
        },
    )
}

/// What is wrong with one line. The parser saw that line alone, so the line number that it gives is
/// always 1 and would contradict ours; only its column is kept.
fn with_column(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_suffix(&format!(" at line {} column {}", error.line(), error.column())) {
        Some(what) => format!("{what} (column {})", error.column()),
        None => text,
    }
}

/// The calls since `since` (within the eight days kept by the minute) of the credentials that are
/// under `policy` now, in time order, for a replay.
///
/// An approximation: the counters know the minute, so the calls of one counter are spread evenly
/// over it; an address is known only of calls that were refused, from their events, and is not
/// judged otherwise; scopes are those that the credential has now. Left out, and counted as that, are calls of other
/// credentials, those with tokens of other issuers among them, and endpoints that were counted together by their method; of
/// a very long endpoint only the beginning was counted. Calls refused before a policy was asked are none of a policy's.
pub fn recorded(
    ctx: &Ctx,
    policy: &PolicyName,
    since: Timestamp,
) -> Result<(impl Iterator<Item = SimulatedRequest> + use<>, LeftOut), OpsError> {
    let mut counts = Vec::new();
    ctx.store.read_usage(|c| usage::each_minute(c, since, ctx.now(), |count| counts.push(count)))?;
    counts.retain(|count| count.credential != NOBODY && reached_policy(count.outcome));
    let holders = ctx.store.read(|c| {
        let mut holders: HashMap<String, Option<Holder>> = HashMap::new();
        for count in &counts {
            if !holders.contains_key(&count.credential) {
                let holder = Holder::find(c, &count.credential, policy)?;
                holders.insert(count.credential.clone(), holder);
            }
        }
        Ok::<_, OpsError>(holders)
    })?;
    let left_out = LeftOut::of(&counts, &holders);
    let mut addresses = addresses(ctx, since)?;
    let mut counts = counts.into_iter().peekable();
    let by_minute = std::iter::from_fn(move || {
        let minute = counts.peek()?.minute;
        let mut requests = Vec::new();
        while let Some(count) = counts.next_if(|count| count.minute == minute) {
            if let Some(Some(holder)) = holders.get(&count.credential) {
                requests.extend(holder.requests(&count, &mut addresses));
            }
        }
        requests.sort_by_key(|request| request.at);
        Some(requests)
    });
    Ok((by_minute.flatten(), left_out))
}

/// Recorded calls that a replay does not judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Calls of credentials that are not under the policy now, or that this home did not issue or has no more.
    pub calls: u64,
    /// How many credentials these are.
    pub credentials: u64,
    /// Calls of credentials under the policy, of which it is not known what they asked for.
    pub unnamed_calls: u64,
}

impl LeftOut {
    fn of(counts: &[Count], holders: &HashMap<String, Option<Holder>>) -> Self {
        let is_held = |credential: &str| matches!(holders.get(credential), Some(Some(_)));
        let calls = |counts: &mut dyn Iterator<Item = &Count>| counts.map(|count| count.calls).sum();
        Self {
            calls: calls(&mut counts.iter().filter(|count| !is_held(&count.credential))),
            credentials: holders.values().filter(|holder| holder.is_none()).count() as u64,
            unnamed_calls: calls(
                &mut counts
                    .iter()
                    .filter(|count| is_held(&count.credential) && named(&count.endpoint).is_none()),
            ),
        }
    }
}

/// What was asked for, where that was counted by its name.
fn named(endpoint: &str) -> Option<Endpoint> {
    let is_named = endpoint != OTHER && !Endpoint::lacks_its_target(endpoint);
    endpoint.parse().ok().filter(|_| is_named)
}

/// Who made recorded calls, and what they may ask for.
struct Holder {
    caller: Arc<Caller>,
    scopes: Vec<ScopeName>,
}

/// The addresses of refused calls, by credential, endpoint and reason; each with its moment and
/// how many calls it stands for. Oldest first.
type Addresses = HashMap<(String, String, String), VecDeque<(Timestamp, IpAddr, u32)>>;

impl Holder {
    /// Who has this credential, where it is under `policy`.
    fn find(c: &Rows<'_>, credential: &str, policy: &PolicyName) -> Result<Option<Self>, StoreError> {
        let Some(found) = credential::find(c, credential)? else { return Ok(None) };
        let reach = found.reach(c)?.filter(|reach| reach.policy == *policy);
        Ok(reach.map(|Reach { account, scopes, .. }| {
            let account = account.to_string().into();
            Self { caller: Arc::new(Caller { credential: credential.to_owned(), account }), scopes }
        }))
    }

    fn requests(&self, count: &Count, addresses: &mut Addresses) -> Vec<SimulatedRequest> {
        const MINUTE: u64 = 60_000;
        let Some(endpoint) = named(&count.endpoint) else { return Vec::new() };
        let kind = (count.credential.clone(), count.endpoint.clone(), count.outcome.code());
        let mut known = addresses.get_mut(&kind);
        let request = |n: u64| {
            let after = std::time::Duration::from_millis(n * MINUTE / count.calls.max(1));
            let ip = known.as_mut().and_then(|known| take_address(known, count.minute));
            SimulatedRequest {
                at: count.minute.plus(after),
                ip,
                endpoint: endpoint.clone(),
                scopes: Some(self.scopes.clone()),
                caller: Some(Arc::clone(&self.caller)),
                any_address: ip.is_none(),
            }
        };
        (0..count.calls).map(request).collect()
    }
}

/// Takes one call's address out of those of `minute`.
fn take_address(known: &mut VecDeque<(Timestamp, IpAddr, u32)>, minute: Timestamp) -> Option<IpAddr> {
    const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
    while known.front().is_some_and(|(at, _, left)| *at < minute || *left == 0) {
        known.pop_front();
    }
    let (_, address, left) = known.front_mut().filter(|(at, _, _)| *at < minute.plus(MINUTE))?;
    *left -= 1;
    Some(*address)
}

fn addresses(ctx: &Ctx, since: Timestamp) -> Result<Addresses, OpsError> {
    let q = event::Query { since: Some(since), limit: u32::MAX, ..event::Query::default() };
    let events = ctx.store.read_usage(|c| event::list(c, &q))?;
    let mut addresses = Addresses::new();
    for event in events.into_iter().rev() {
        if let Ok(address) = event.address.parse::<IpAddr>() {
            let kind = (event.credential, event.endpoint, event.kind);
            addresses.entry(kind).or_default().push_back((event.at, address, event.count));
        }
    }
    Ok(addresses)
}

/// Whether a policy had its say: the call was let through, or refused with 403 or 429.
fn reached_policy(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Denied(reason) => matches!(reason.status(), 403 | 429),
        Outcome::Allowed | Outcome::Shadowed(_) | Outcome::Failed => true,
    }
}
