//! `key verify` and `explain`: judge a credential read from standard input, without any effect.

use std::net::IpAddr;

use clap::Args;
use serde::Serialize;

use super::{
    api_key,
    error::{CliError, Code},
    input, output,
    session::Session,
};
use crate::{
    domain::{
        clock::Timestamp,
        decision::{Check, Outcome, Principal, Reason, Request},
        endpoint::Endpoint,
        name::{IssuerName, PolicyName, ScopeName, Subject},
    },
    engine::{self, Explained, Presented},
    ops::{Ctx, event::Lockout},
};

#[derive(Debug, Args)]
pub struct Options {
    /// Judge this call, such as tools/call/search_docs; without it only the credential is judged
    #[arg(long)]
    endpoint: Option<Endpoint>,
    /// The address it comes from; where a gateway has locked the key out from there, the answer is locked_out
    #[arg(long, requires = "endpoint")]
    ip: Option<IpAddr>,
    /// When: a date, or an RFC 3339 time [default: now]
    #[arg(long, value_name = "TIME", value_parser = Timestamp::typed)]
    at: Option<Timestamp>,
}

/// The answer. `reason` is null where the call is allowed.
#[derive(Serialize)]
struct Verdict<'a> {
    allowed: bool,
    reason: Option<Reason>,
    checks: Vec<&'a Check>,
    principal: Option<Who<'a>>,
    /// What gateways may have locked out. Each judges that for itself, so that it changes the answer only where the call comes
    /// from there.
    lockouts: Vec<Lockout>,
}

#[derive(Serialize)]
struct Who<'a> {
    credential: String,
    /// Absent where it is this home.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a IssuerName>,
    subject: &'a Subject,
    scopes: &'a [ScopeName],
    policy: &'a PolicyName,
    policy_revision: u32,
    expires_at: Option<Timestamp>,
}

impl<'a> Who<'a> {
    fn new(principal: &'a Principal) -> Self {
        Self {
            credential: principal.credential.to_string(),
            issuer: principal.identity.issuer.as_ref(),
            subject: &principal.identity.subject,
            scopes: &principal.scopes,
            policy: &principal.policy.policy.name,
            policy_revision: principal.policy.revision,
            expires_at: principal.expires_at,
        }
    }
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let presented = presented(&input::credential()?);
    let ctx = session.operator()?;
    let mut explained = explain(session, &ctx, &presented, options)?;
    let at = options.at.unwrap_or_else(|| session.now());
    let lockouts = match &presented {
        Presented::ApiKey(key) => api_key::lockouts(&ctx, key.id, at),
        Presented::Nothing | Presented::Malformed(_) | Presented::Token(_) => Vec::new(),
    };
    if let Some(lockout) = options.ip.and_then(|ip| lockouts.iter().find(|lockout| lockout.holds(ip, at))) {
        explained.lock_out(lockout.told());
    }
    let verdict = verdict(&explained, options.endpoint.is_some(), lockouts);
    if session.json {
        output::json(&verdict)?;
    } else {
        show(&verdict, options.endpoint.is_some())?;
    }
    Ok(if verdict.allowed { Code::Done } else { Code::No })
}

/// A key or a token as it was shown, or as it stands in a header (`Bearer …`).
fn presented(text: &str) -> Presented {
    let text = input::bare_token(text);
    if text.is_empty() {
        return Presented::Nothing;
    }
    Presented::of_text(text)
}

fn explain(
    session: &Session,
    ctx: &Ctx,
    presented: &Presented,
    options: &Options,
) -> Result<Explained, CliError> {
    // A protocol endpoint asks nothing of scopes and places, so that the credential alone is judged.
    let endpoint = match &options.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => Endpoint::mcp("ping", None).map_err(|error| CliError::usage(error.to_string()))?,
    };
    let now = session.now();
    let request = Request { endpoint, address: options.ip, at: options.at.unwrap_or(now) };
    let ends = options.at.unwrap_or_else(|| ctx.judge_by(now));
    let vault = ctx.vault.as_ref().ok_or_else(|| CliError::broken("judging a credential needs the vault"))?;
    Ok(engine::explain(&ctx.store, vault, presented, &request, ends)?)
}

fn verdict(explained: &Explained, with_call: bool, lockouts: Vec<Lockout>) -> Verdict<'_> {
    let principal = explained.principal.as_ref();
    let denied = match &explained.decision.outcome {
        Outcome::Allow => None,
        Outcome::Deny(denial) => Some(denial.reason),
    };
    let (checks, reason) = if with_call {
        (explained.checks.iter().collect(), denied)
    } else {
        let checks = explained.checks.iter().filter(|check| !is_of_call(check)).collect();
        (checks, if principal.is_some() { None } else { denied })
    };
    Verdict { allowed: reason.is_none(), reason, checks, principal: principal.map(Who::new), lockouts }
}

/// Whether a check judges the call rather than the credential.
fn is_of_call(check: &Check) -> bool {
    matches!(check.check, "reading" | "ip" | "hours" | "scope" | "endpoint" | "rate_limit")
}

fn show(verdict: &Verdict<'_>, with_call: bool) -> Result<(), CliError> {
    match verdict.reason {
        None if with_call => output::line("allowed")?,
        None => output::line("the credential is good; no call was judged, --endpoint names one")?,
        Some(reason) => output::line(&format!("denied: {reason}: {}", reason.explanation()))?,
    }
    for lockout in &verdict.lockouts {
        output::line(&format!("locked out {}", lockout.told()))?;
    }
    if verdict.lockouts.iter().any(Lockout::may_hold) {
        output::line(
            "calls from there are refused until then, from elsewhere they are not; starting that gateway anew lifts it",
        )?;
    }
    output::checks(verdict.checks.iter().copied())?;
    if let Some(who) = &verdict.principal {
        output::fields(&[
            ("subject", who.subject.to_string()),
            ("credential", who.credential.clone()),
            ("policy", format!("{} revision {}", who.policy, who.policy_revision)),
            ("scopes", output::scopes(who.scopes)),
        ])?;
    }
    Ok(())
}
