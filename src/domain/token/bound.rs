//! The limits that a token carries itself, in its claim `policy`.
//!
//! They hold beside those of the live policy and can only narrow them: a call needs leave from both.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::bad_claims::BadClaims;
use crate::domain::name::PolicyName;
use crate::domain::policy::{Algorithm, CompiledPolicy, IpRestrictions, Mode, Policy, RateLimits};
use crate::domain::quota::Window;

const CLAIM: &str = "policy";
/// An embedded policy, ready to be judged by. Its name and its description count for nothing.
#[derive(Clone, Debug)]
pub struct Bound(Arc<CompiledPolicy>);

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.0.policy == other.0.policy
    }
}

impl Eq for Bound {}

impl Bound {
    /// Binds a live policy into a token.
    ///
    /// # Errors
    /// Where it is in shadow mode, which forbids nothing, and so has nothing to bind.
    pub fn new(policy: Policy) -> Result<Self, BadClaims> {
        if policy.mode == Mode::Shadow {
            return Err(BadClaims::new(CLAIM, "is in shadow mode, which limits nothing; enforce it first"));
        }
        let policy = Policy { description: String::new(), name: PolicyName::default(), ..policy };
        CompiledPolicy::new(policy, 0).map(Self).map_err(|bad| BadClaims::new(CLAIM, bad.to_string()))
    }

    /// Reads the claim: the source document's shape (`allowed_endpoints`, `rate_limits`, `ip_restrictions` as a list of
    /// addresses or as an object), or a whole policy document. What is left out limits nothing; what is not known is
    /// refused, since it might.
    ///
    /// # Errors
    /// Everything that is wrong with it, in one text.
    pub fn read(value: &Value) -> Result<Self, BadClaims> {
        let wrong = |problem: &str| BadClaims::new(CLAIM, problem);
        let Value::Object(claim) = value else { return Err(wrong("has to be an object")) };
        let mut document = claim.clone();
        document.entry("name").or_insert_with(|| PolicyName::default().as_str().into());
        let endpoints = document.entry("endpoint_restrictions").or_insert_with(|| json!({}));
        for list in ["allowed_endpoints", "blocked_endpoints"] {
            let Some(patterns) = claim.get(list) else { continue };
            let Some(endpoints) = endpoints.as_object_mut() else { break };
            if endpoints.insert(list.into(), patterns.clone()).is_some() {
                return Err(wrong("says twice which endpoints it is for"));
            }
        }
        document.remove("allowed_endpoints");
        document.remove("blocked_endpoints");
        if let Some(Value::Array(addresses)) = document.get("ip_restrictions") {
            let whitelist = json!({ "whitelist": addresses });
            document.insert("ip_restrictions".into(), whitelist);
        }
        let limits = document.entry("rate_limits").or_insert_with(|| json!({}));
        if let Value::Object(limits) = limits {
            for window in ["requests_per_minute", "requests_per_hour", "requests_per_day"] {
                limits.entry(window).or_insert(Value::Null);
            }
        }
        let text = Value::Object(document).to_string();
        Self::new(
            Policy::from_json(&text)
                .map_err(|bad| wrong(&format!("cannot be: {}", bad.to_string().replace('\n', "; "))))?,
        )
    }

    /// The claim, in the source document's shape, with what else the policy limits beside it.
    pub fn to_json(&self) -> Value {
        let policy = &self.0.policy;
        let mut claim = Map::new();
        let mut add = |name: &str, value: Value| {
            claim.insert(name.into(), value);
        };
        add("allowed_endpoints", json!(policy.endpoint_restrictions.allowed_endpoints));
        add("rate_limits", json!(policy.rate_limits));
        if policy.ip_restrictions != IpRestrictions::default() {
            add("ip_restrictions", json!(policy.ip_restrictions));
        }
        if !policy.endpoint_restrictions.blocked_endpoints.is_empty() {
            add("blocked_endpoints", json!(policy.endpoint_restrictions.blocked_endpoints));
        }
        if policy.time_restrictions != Default::default() {
            add("time_restrictions", json!(policy.time_restrictions));
        }
        if !policy.scopes.is_empty() {
            add("scopes", json!(policy.scopes));
        }
        claim.into()
    }

    /// What to judge a call by, beside the live policy.
    pub fn policy(&self) -> &Arc<CompiledPolicy> {
        &self.0
    }

    /// Whether it limits how many requests there may be.
    pub fn limits_rate(&self) -> bool {
        Window::ALL.iter().any(|window| window.limit(&self.0.policy.rate_limits).is_some())
    }

    /// The limits under both: of each window the lower one, and `sliding` where either is.
    pub fn narrow(&self, live: &RateLimits) -> RateLimits {
        let own = &self.0.policy.rate_limits;
        let lower = |one: Option<u32>, other: Option<u32>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let is_sliding = live.algorithm == Algorithm::Sliding
            || (self.limits_rate() && own.algorithm == Algorithm::Sliding);
        RateLimits {
            requests_per_minute: lower(own.requests_per_minute, live.requests_per_minute),
            requests_per_hour: lower(own.requests_per_hour, live.requests_per_hour),
            requests_per_day: lower(own.requests_per_day, live.requests_per_day),
            algorithm: if is_sliding { Algorithm::Sliding } else { Algorithm::Fixed },
        }
    }
}

#[cfg(test)]
mod tests;
