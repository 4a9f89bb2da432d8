//! Who plays in the demo, and the home as it would stand after two days of use.

use std::{sync::Arc, time::Duration};

use super::{
    DemoError,
    client::{Client, Era, Step},
};
use crate::{
    domain::{
        clock::{Clock, ManualClock, SystemClock},
        name::{PolicyName, ScopeName},
        policy::Policy,
        scope::Scope,
        secret::Secret,
    },
    ops::{
        self, Ctx,
        api_key::{IssuedKey, NewKey},
        token::NewToken,
    },
    store::{Mode, home::Home},
};

const DAY: Duration = Duration::from_secs(86_400);

/// What became of a key before the demo begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// Made just now.
    None,
    /// Made two days ago for one day.
    Expired,
    /// Made two days ago, revoked half a day ago.
    Revoked,
}

/// A subject with its key or token, and the client that calls with it.
#[derive(Debug)]
struct Part {
    subject: &'static str,
    /// Of its key; tokens have none.
    name: &'static str,
    scopes: &'static [&'static str],
    policy: &'static str,
    days: u32,
    past: Past,
    era: Era,
    steps: &'static [Step],
    /// Milliseconds between two steps, on average.
    rest: u64,
}

/// Two that behave, one that wants too much, two that reach too far, two that have no business here.
const PARTS: [Part; 7] = [
    Part {
        subject: "docs-assistant",
        name: "documentation bot",
        scopes: &["mcp:read", "tools:call"],
        policy: "agents",
        days: 30,
        past: Past::None,
        era: Era::Sessions,
        steps: &[
            Step::ListTools,
            Step::Search("release"),
            Step::ReadPage("release.md"),
            Step::ReadResource("file:///handbook/oncall.md"),
            Step::Search("refund"),
            Step::Prompt,
        ],
        rest: 180,
    },
    Part {
        subject: "release-bot",
        name: "release pipeline",
        scopes: &["docs:search", "reports:build"],
        policy: "agents",
        days: 30,
        past: Past::None,
        era: Era::Stateless,
        steps: &[Step::Search("friday"), Step::BuildReport, Step::ReadPage("oncall.md")],
        rest: 250,
    },
    Part {
        subject: "nightly-batch",
        name: "nightly import",
        scopes: &["docs:search"],
        policy: "batch",
        days: 7,
        past: Past::None,
        era: Era::Sessions,
        steps: &[Step::Search("call")],
        rest: 140,
    },
    Part {
        subject: "support-triage",
        name: "ticket triage",
        scopes: &["tools:call"],
        policy: "support",
        days: 7,
        past: Past::None,
        era: Era::Stateless,
        steps: &[Step::SendEmail, Step::Search("refund"), Step::ReadPage("refunds.md"), Step::ListTools],
        rest: 400,
    },
    Part {
        subject: "ci-pipeline",
        name: "smoke test",
        scopes: &["tools:list"],
        policy: "agents",
        days: 1,
        past: Past::None,
        era: Era::Stateless,
        steps: &[Step::ListTools, Step::Search("release")],
        rest: 900,
    },
    Part {
        subject: "summer-intern",
        name: "intern's laptop",
        scopes: &["tools:call"],
        policy: "agents",
        days: 1,
        past: Past::Expired,
        era: Era::Sessions,
        steps: &[Step::Search("call")],
        rest: 1000,
    },
    Part {
        subject: "former-contractor",
        name: "contractor's agent",
        scopes: &["mcp:*"],
        policy: "agents",
        days: 90,
        past: Past::Revoked,
        era: Era::Stateless,
        steps: &[Step::Search("call")],
        rest: 1000,
    },
];

/// One whose token was just issued, and one who has a token that was found in a log and taken back.
const BEARERS: [Part; 2] = [
    Part {
        subject: "oncall-agent",
        name: "",
        scopes: &["mcp:read", "tools:call"],
        policy: "agents",
        days: 1,
        past: Past::None,
        era: Era::Stateless,
        steps: &[Step::Search("call"), Step::ReadResource("file:///handbook/oncall.md"), Step::ListTools],
        rest: 350,
    },
    Part {
        subject: "leaked-session",
        name: "",
        scopes: &["tools:call"],
        policy: "agents",
        days: 1,
        past: Past::Revoked,
        era: Era::Stateless,
        steps: &[Step::Search("refund")],
        rest: 1500,
    },
];

/// Makes store, scopes, policies, keys and tokens; returns an operator's context on them, and the clients.
pub fn furnish(home: &Home) -> Result<(Ctx, Vec<Client>), DemoError> {
    let past = Arc::new(ManualClock::new(SystemClock.now().minus(2 * DAY)));
    let mut ctx = Ctx::open(home, Mode::ReadWrite, "demo", Arc::clone(&past) as Arc<dyn Clock>)?;
    furnish_rules(&ctx)?;
    let mut clients = Vec::with_capacity(PARTS.len());
    for part in PARTS.iter().filter(|part| part.past == Past::Expired) {
        clients.push(part.client(issue(&ctx, part)?.text));
    }
    for part in PARTS.iter().filter(|part| part.past == Past::Revoked) {
        let issued = issue(&ctx, part)?;
        past.advance(DAY + DAY / 2);
        ops::api_key::revoke(&ctx, issued.key.id, "contract ended")?;
        clients.push(part.client(issued.text));
    }
    ctx.clock = Arc::new(SystemClock);
    for part in PARTS.iter().filter(|part| part.past == Past::None) {
        clients.push(part.client(issue(&ctx, part)?.text));
    }
    for part in &BEARERS {
        let issued = issue_token(&ctx, part)?;
        if part.past == Past::Revoked {
            ops::token::revoke_all(&ctx, &[issued.token.jti], "found in a log")?;
        }
        clients.push(part.client(issued.text));
    }
    Ok((ctx, clients))
}

impl Part {
    fn client(&self, credential: Secret) -> Client {
        let rest = Duration::from_millis(self.rest);
        Client { credential, era: self.era, steps: self.steps, rest }
    }

    fn scopes(&self) -> Result<Vec<ScopeName>, DemoError> {
        Ok(self.scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>()?)
    }
}

fn issue(ctx: &Ctx, part: &Part) -> Result<IssuedKey, DemoError> {
    let new = NewKey {
        subject: part.subject.parse()?,
        scopes: part.scopes()?,
        policy: part.policy.parse::<PolicyName>()?,
        name: part.name.into(),
        environment: "demo".parse().map_err(|_| DemoError::Own("environment"))?,
        life: Some(DAY * part.days),
    };
    Ok(ops::api_key::create(ctx, new)?)
}

fn issue_token(ctx: &Ctx, part: &Part) -> Result<ops::token::Issued, DemoError> {
    let new = NewToken {
        subject: part.subject.parse()?,
        client: None,
        scopes: part.scopes()?,
        audience: Vec::new(),
        policy: part.policy.parse::<PolicyName>()?,
        bind_policy: false,
        life: DAY * part.days,
        algorithm: None,
        kid: None,
        once: false,
        rests_on: Default::default(),
    };
    Ok(ops::token::issue(ctx, new)?)
}

fn furnish_rules(ctx: &Ctx) -> Result<(), DemoError> {
    scope(
        ctx,
        "docs:search",
        "Search and read the handbook",
        &["tools/call/search_docs", "tools/call/read_file"],
    )?;
    scope(ctx, "reports:build", "Build reports", &["tools/call/build_report"])?;
    policy(ctx, "agents", "Agents on this machine", |policy| {
        let local = ["127.0.0.0/8", "::1/128"].iter().filter_map(|network| network.parse().ok());
        policy.ip_restrictions.whitelist = local.collect();
        policy.rate_limits.requests_per_minute = Some(600);
        policy.rate_limits.requests_per_hour = Some(20_000);
        policy.rate_limits.requests_per_day = Some(200_000);
    })?;
    policy(ctx, "batch", "Batch jobs: few calls at a time", |policy| {
        policy.rate_limits.requests_per_minute = Some(10);
        policy.rate_limits.requests_per_hour = Some(600);
    })?;
    policy(ctx, "support", "Support: everything but writing to customers", |policy| {
        let email = "tools/call/send_email".parse().ok();
        policy.endpoint_restrictions.blocked_endpoints = email.into_iter().collect();
    })
}

fn scope(ctx: &Ctx, name: &str, description: &str, endpoints: &[&str]) -> Result<(), DemoError> {
    let endpoints = endpoints.iter().map(|pattern| pattern.parse()).collect::<Result<_, _>>();
    let endpoints = endpoints.map_err(|_| DemoError::Own("pattern"))?;
    Ok(ops::scope::set(ctx, Scope { name: name.parse()?, description: description.into(), endpoints })?)
}

fn policy(
    ctx: &Ctx,
    name: &str,
    description: &str,
    change: impl FnOnce(&mut Policy),
) -> Result<(), DemoError> {
    let mut policy = Policy::new(name.parse()?);
    policy.description = description.into();
    change(&mut policy);
    ops::policy::create(ctx, policy, "set up by the demo")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::KeyState;
    use crate::store::api_key::each;

    #[test]
    fn the_home_holds_a_past_and_a_chain_that_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(folder.path().join("home"))).unwrap();
        let (ctx, clients) = furnish(&home).unwrap();
        assert_eq!(clients.len(), PARTS.len() + BEARERS.len());
        let counts = ctx.store.read(|c| crate::store::token::counts(c, ctx.now())).unwrap();
        assert_eq!((counts.live, counts.revoked), (1, 1));
        let mut states = Vec::new();
        ctx.store
            .read(|c| {
                each(c, |key| {
                    let key = key.unwrap();
                    states.push((key.subject.to_string(), key.state(ctx.now())));
                })
            })
            .unwrap();
        assert!(states.contains(&("summer-intern".into(), KeyState::Expired)));
        assert!(states.contains(&("former-contractor".into(), KeyState::Revoked)));
        assert_eq!(states.iter().filter(|(_, state)| *state == KeyState::Active).count(), 5);
        assert!(ops::audit::verify(&ctx).unwrap().valid);
        let policies = ops::policy::list(&ctx).unwrap();
        let support =
            policies.iter().find(|(revision, _)| revision.policy.name.as_str() == "support").unwrap();
        assert_eq!(support.0.policy.endpoint_restrictions.blocked_endpoints.len(), 1);
        let agents = policies.iter().find(|(revision, _)| revision.policy.name.as_str() == "agents").unwrap();
        assert_eq!(agents.0.policy.ip_restrictions.whitelist.len(), 2);
    }
}
