//! What a decision is told by: every check with what it looked at, and of a denial the one that failed.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Check, Principal, RULES, Reason, Request, Rule, objection};
use crate::domain::{
    endpoint::Endpoint,
    leak::quoted,
    name::ScopeName,
    policy::{CompiledPolicy, RateLimits},
    quota::{Charge, Cost, free_bound},
    text::{all, counted, excerpt, first_of},
    token::Bound,
};

/// Every check with its outcome, in order, none skipped: for people. `quota` is a peek.
pub fn explain(principal: &Principal, request: &Request, quota: &Charge) -> Vec<Check> {
    let mut checks = Vec::with_capacity(RULES.len() + 2);
    // Nearly every endpoint can be judged, and then there is nothing to say about it.
    if let Some(objection) = objection(&principal.policy, Some(&principal.covered), request) {
        let detail = format!("`{}`: {objection}", excerpt(&request.endpoint.shown()));
        checks.push(Check { check: "reading", passed: false, detail });
    }
    checks.extend(RULES.iter().map(|rule| rule.look(principal, request)));
    let detail = rate_detail(&request.endpoint, &principal.limits(), quota);
    checks.push(Check { check: "rate_limit", passed: quota.is_granted(), detail });
    checks
}

/// The check that denied a call, what it looked at and what it compared that with: for the event. `None` where the reason
/// is of no check of the call. `quota` is what the charge came to, where it was asked.
pub fn why(
    principal: &Principal,
    request: &Request,
    reason: Reason,
    quota: Option<&Charge>,
) -> Option<String> {
    let said = |check: &str, detail: String| Some(format!("{check}: {detail}"));
    match reason {
        Reason::RateLimited => {
            said("rate_limit", rate_detail(&request.endpoint, &principal.limits(), quota?))
        }
        Reason::BadRequest => {
            let objection = objection(&principal.policy, Some(&principal.covered), request)?;
            said("reading", objection.to_string())
        }
        _ => {
            let check = RULES.iter().find(|rule| rule.reason == reason)?.look(principal, request);
            said(check.check, check.detail)
        }
    }
}

/// What the charge of a call looked at.
fn rate_detail(endpoint: &Endpoint, limits: &RateLimits, quota: &Charge) -> String {
    match (quota, Cost::of(endpoint)) {
        (Charge::Granted, Cost::Request) => "one more call fits into every window".into(),
        (Charge::Granted, Cost::Nothing) => "ending a session always passes".into(),
        (Charge::Granted, Cost::Free) => match free_bound(limits) {
            Some(bound) => format!("it costs nothing; each gateway lets {bound} such calls a minute through"),
            None => "it costs nothing".into(),
        },
        (Charge::Refused { window, limit: 0, .. }, _) => {
            format!("the limit of the {} is 0: nothing passes", window.as_str())
        }
        (Charge::Refused { window, limit, retry_after }, _) => format!(
            "{} of the {} {} spent; one more fits in {}",
            all(*limit, "call"),
            window.as_str(),
            if *limit == 1 { "is" } else { "are" },
            humantime::format_duration(*retry_after)
        ),
    }
}

impl Rule {
    /// What it finds, and what it looked at; the credential's own limits too, where the policy lets the call pass.
    fn look(&self, principal: &Principal, request: &Request) -> Check {
        let passed = (self.passes)(&principal.policy, Some(&principal.covered), request);
        let own = principal
            .bound
            .as_ref()
            .map(Bound::policy)
            .filter(|own| passed && !(self.passes)(own, None, request));
        let detail = match own {
            None => {
                let detail = detail(self.reason, &principal.policy, principal, request);
                match self.reason {
                    // Whose limits they are, where a policy draws them itself.
                    Reason::IpDenied | Reason::TimeDenied | Reason::EndpointDenied if !passed => {
                        format!("{detail} (policy {})", principal.policy.policy.name)
                    }
                    _ => detail,
                }
            }
            Some(own) => {
                format!("by the credential's own limits: {}", detail(self.reason, own, principal, request))
            }
        };
        Check { check: self.check, passed: passed && own.is_none(), detail }
    }
}

/// What a check looked at, whether it passed or not.
fn detail(reason: Reason, by: &CompiledPolicy, principal: &Principal, request: &Request) -> String {
    let policy = &by.policy;
    let endpoint = excerpt(&request.endpoint.shown());
    match reason {
        Reason::IpDenied => {
            let address =
                request.address.map_or("unknown".into(), |address| address.to_canonical().to_string());
            format!("address {address}; {}", networks(by, request.address))
        }
        Reason::TimeDenied => {
            let restrictions = &policy.time_restrictions;
            let local = request.at.to_utc().with_timezone(&restrictions.timezone);
            format!(
                "{} in {}; allowed hours: {}",
                local.format("%H:%M"),
                restrictions.timezone,
                restrictions.allowed_hours
            )
        }
        Reason::InsufficientScope if request.endpoint.is_protocol() => {
            format!("`{endpoint}` is a protocol endpoint and needs no scope")
        }
        Reason::InsufficientScope => {
            let held: Vec<&str> = principal.scopes.iter().map(ScopeName::as_str).collect();
            let held = if held.is_empty() { "none".into() } else { held.join(" ") };
            let left_out = principal.covered.left_out(&request.endpoint);
            // Lists are answered without the tools that may not be called.
            let is_empty = left_out.is_none()
                && request.endpoint.as_str() == "tools/list"
                && !principal.covered.covers_beginning("tools/call/");
            let note = if is_empty { "; they let no tool be called, so the list is empty" } else { "" };
            let asked = left_out.map_or(endpoint, |left_out| quoted(&left_out));
            format!("`{asked}`; effective scopes: {held}{note}")
        }
        Reason::EndpointDenied => endpoint_detail(by, &request.endpoint),
        _ => endpoint,
    }
}

/// What an address was compared with: the network that decides, or those of which it is in none.
fn networks(policy: &CompiledPolicy, address: Option<IpAddr>) -> String {
    let restrictions = &policy.policy.ip_restrictions;
    let (white, black) = (&restrictions.whitelist, &restrictions.blacklist);
    let holding = |networks: &[IpNet]| {
        let address = address?.to_canonical();
        networks.iter().find(|network| network.contains(&address)).copied()
    };
    if let Some(network) = holding(black) {
        return format!("in {network} of the blacklist");
    }
    if let Some(network) = holding(white) {
        return format!("in {network} of the whitelist");
    }
    if white.is_empty() && black.is_empty() {
        return "every address is allowed".into();
    }
    if white.is_empty() {
        return format!(
            "in none of {} of the blacklist; the whitelist is empty",
            counted(black.len() as u64, "network")
        );
    }
    format!("not in the whitelist: {}", first_of(white, ToString::to_string))
}

/// Names the reading that decides.
fn endpoint_detail(policy: &CompiledPolicy, endpoint: &Endpoint) -> String {
    if let Some(reading) = policy.blocked.hit(endpoint) {
        return format!("`{}` is blocked", quoted(&reading));
    }
    let text = excerpt(&endpoint.shown());
    if endpoint.is_protocol() {
        return format!("`{text}` is a protocol endpoint and needs no place in allowed_endpoints");
    }
    if policy.allowed.is_empty() {
        return format!("`{text}`; all endpoints are allowed");
    }
    match policy.allowed.left_out(endpoint) {
        None => format!("`{text}` is allowed"),
        Some(reading) => format!("`{}` is not in allowed_endpoints", quoted(&reading)),
    }
}
