//! The decision on one call: allow or deny, and why.
//!
//! [`decide`] is one pure function for the gateway, forward-auth, `explain`, `policy simulate`
//! and the console's tester. Order, cheap to dear: credential state and lock-out (which
//! [`Principal`]'s maker has judged), whether the endpoint has a reading that servers agree on, IP, hours, scope, endpoint,
//! and the rate limit last.

mod principal;
mod reason;
mod told;

pub use principal::{Account, Principal, Proof, TokenProof};
pub use reason::Reason;
pub use told::{explain, why};

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::clock::Timestamp;
use super::endpoint::{Endpoint, EndpointSet, Objection};
use super::policy::{CompiledPolicy, Mode};
use super::quota::Charge;

/// What is asked, from where, when.
#[derive(Clone, Debug)]
pub struct Request {
    pub endpoint: Endpoint,
    pub address: Option<IpAddr>,
    pub at: Timestamp,
}

/// One check of a decision, for `explain` and the tester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub check: &'static str,
    pub passed: bool,
    pub detail: String,
}

impl Check {
    /// What is to be said where what has an end was judged by the end of time, as the clock was set back. It fails where
    /// that is why nothing is allowed.
    pub fn of_clock(ends: Timestamp, reason: Option<Reason>) -> Option<Self> {
        (ends == Timestamp::END).then(|| Self {
            check: "clock",
            passed: reason != Some(Reason::Expired),
            detail: "it was set back, so that whatever has an end counts as ended; gateways judge the same"
                .into(),
        })
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub outcome: Outcome,
    /// The policy's revision, where one was reached.
    pub policy_revision: Option<u32>,
    /// Whether a policy in `shadow` mode would have denied: let through, and recorded with this
    /// reason.
    pub shadowed: Option<Reason>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Allow,
    Deny(Denial),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    /// For `rate_limited` and lock-outs only.
    pub retry_after: Option<Duration>,
}

impl Decision {
    pub fn is_allowed(&self) -> bool {
        matches!(self.outcome, Outcome::Allow)
    }

    /// Denied before any policy was reached.
    pub fn deny(reason: Reason) -> Self {
        Self {
            outcome: Outcome::Deny(Denial { reason, retry_after: None }),
            policy_revision: None,
            shadowed: None,
        }
    }
}

/// A check that needs no state. `covered`: what the caller's scopes cover, `None` where scopes
/// are not judged.
struct Rule {
    check: &'static str,
    reason: Reason,
    passes: fn(&CompiledPolicy, Option<&EndpointSet>, &Request) -> bool,
}

/// In the order in which they are asked.
const RULES: [Rule; 4] = [
    Rule {
        check: "ip",
        reason: Reason::IpDenied,
        passes: |policy, _, request| policy.allows_address(request.address),
    },
    Rule {
        check: "hours",
        reason: Reason::TimeDenied,
        passes: |policy, _, request| policy.allows_time(request.at),
    },
    Rule {
        check: "scope",
        reason: Reason::InsufficientScope,
        passes: |_, covered, request| is_covered(covered, request),
    },
    Rule {
        check: "endpoint",
        reason: Reason::EndpointDenied,
        passes: |policy, _, request| policy.allows_endpoint(&request.endpoint),
    },
];

/// The first check that the credential's own limits fail.
fn refused_by_itself(principal: &Principal, request: &Request) -> Option<Reason> {
    judge_by_rules(principal.bound.as_ref()?.policy(), None, request)
}

/// What keeps the endpoint from being judged at all: servers do not agree on what it is, and neither a scope nor the policy
/// names it to the letter.
fn objection(policy: &CompiledPolicy, covered: Option<&EndpointSet>, request: &Request) -> Option<Objection> {
    let objection = request.endpoint.objection()?;
    let is_named = policy.allowed.names(&request.endpoint)
        || covered.is_some_and(|covered| covered.names(&request.endpoint));
    (!objection.can_be_settled() || !is_named).then_some(objection)
}

/// Whether the scopes cover what is asked; protocol endpoints need none.
fn is_covered(covered: Option<&EndpointSet>, request: &Request) -> bool {
    request.endpoint.is_protocol() || covered.is_none_or(|covered| covered.contains(&request.endpoint))
}

/// Everything but the quota: the checks that need no state. `Some(reason)` = the first that
/// fails. The hot path.
pub fn judge(principal: &Principal, request: &Request) -> Option<Reason> {
    let by_policy = judge_under(&principal.policy, Some(&principal.covered), request);
    by_policy.or_else(|| refused_by_itself(principal, request))
}

/// As [`judge`], for a caller of whom only the policy and perhaps the scopes are known.
/// `covered`: what the scopes cover; `None` = scopes are not judged.
pub fn judge_under(
    policy: &CompiledPolicy,
    covered: Option<&EndpointSet>,
    request: &Request,
) -> Option<Reason> {
    match objection(policy, covered, request) {
        Some(_) => Some(Reason::BadRequest),
        None => judge_by_rules(policy, covered, request),
    }
}

fn judge_by_rules(
    policy: &CompiledPolicy,
    covered: Option<&EndpointSet>,
    request: &Request,
) -> Option<Reason> {
    RULES.iter().find(|rule| !(rule.passes)(policy, covered, request)).map(|rule| rule.reason)
}

/// The whole decision. `charge` is asked last, and only if everything else passed.
///
/// What the credential carries itself binds in shadow mode as well.
pub fn decide(principal: &Principal, request: &Request, charge: impl FnOnce() -> Charge) -> Decision {
    let (policy, covered) = (&principal.policy, Some(&*principal.covered));
    let Some(bound) = &principal.bound else { return decide_under(policy, covered, request, charge) };
    let Some(reason) = refused_by_itself(principal, request) else {
        return decide_with(policy, covered, request, bound.limits_rate(), charge);
    };
    // What the policy refuses is told first, as where the credential has no limits of its own.
    let is_binding = |reason: &Reason| policy.policy.mode == Mode::Enforce || binds_in_shadow(*reason);
    let reason = judge_under(policy, covered, request).filter(is_binding).unwrap_or(reason);
    Decision { policy_revision: Some(policy.revision), ..Decision::deny(reason) }
}

/// As [`decide`], for a caller of whom only the policy and perhaps the scopes are known.
///
/// A policy in shadow mode lets through what its limits would deny. It never widens what the
/// credential was given: a call that the scopes do not cover stays denied, and so does what cannot be judged.
pub fn decide_under(
    policy: &CompiledPolicy,
    covered: Option<&EndpointSet>,
    request: &Request,
    charge: impl FnOnce() -> Charge,
) -> Decision {
    decide_with(policy, covered, request, false, charge)
}

/// `binding_rate`: whether a spent quota denies in shadow mode as well.
fn decide_with(
    policy: &CompiledPolicy,
    covered: Option<&EndpointSet>,
    request: &Request,
    binding_rate: bool,
    charge: impl FnOnce() -> Charge,
) -> Decision {
    let denial = match judge_under(policy, covered, request) {
        Some(reason) => Some(Denial { reason, retry_after: None }),
        None => refusal(&charge()),
    };
    let is_shadow = policy.policy.mode == Mode::Shadow;
    let (outcome, shadowed) = match denial {
        None => (Outcome::Allow, None),
        Some(denial) if denial.reason == Reason::BadRequest => (Outcome::Deny(denial), None),
        Some(_) if is_shadow && !is_covered(covered, request) => {
            (Outcome::Deny(Denial { reason: Reason::InsufficientScope, retry_after: None }), None)
        }
        Some(denial) if is_shadow && !(binding_rate && denial.reason == Reason::RateLimited) => {
            (Outcome::Allow, Some(denial.reason))
        }
        Some(denial) => (Outcome::Deny(denial), None),
    };
    Decision { outcome, policy_revision: Some(policy.revision), shadowed }
}

/// The reason of every check that fails, in order, the rate limit too: for `policy simulate`.
/// `quota` is a peek.
pub fn failed(
    policy: &CompiledPolicy,
    covered: Option<&EndpointSet>,
    request: &Request,
    quota: &Charge,
) -> Vec<Reason> {
    let unread = objection(policy, covered, request).map(|_| Reason::BadRequest);
    let failing = RULES.iter().filter(|rule| !(rule.passes)(policy, covered, request));
    let mut failed: Vec<Reason> = unread.into_iter().chain(failing.map(|rule| rule.reason)).collect();
    if !quota.is_granted() {
        failed.push(Reason::RateLimited);
    }
    failed
}

/// Whether a denial stands although the policy only watches.
fn binds_in_shadow(reason: Reason) -> bool {
    matches!(reason, Reason::InsufficientScope | Reason::BadRequest)
}

fn refusal(charge: &Charge) -> Option<Denial> {
    match charge {
        Charge::Granted => None,
        Charge::Refused { retry_after, .. } => {
            Some(Denial { reason: Reason::RateLimited, retry_after: Some(*retry_after) })
        }
    }
}

#[cfg(test)]
mod tests;
