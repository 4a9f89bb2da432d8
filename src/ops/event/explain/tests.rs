use super::*;
use crate::domain::{
    decision::Reason,
    name::{PolicyName, ScopeName},
    policy::Policy,
    token::{Grounds, KeyGround},
};
use crate::ops::{
    api_key::{self, Changes},
    bench::{Bench, HOUR},
    policy as policies,
    token::{NewToken, revoke_all, tests::new_token},
};

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// A call of now, refused for the credential.
fn event(bench: &Bench, reason: Reason, credential: &str, endpoint: &str) -> Event {
    Event {
        seq: 0,
        at: bench.now(),
        kind: reason.to_string(),
        credential: credential.into(),
        issuer: String::new(),
        subject: "alice".into(),
        endpoint: endpoint.into(),
        address: "192.0.2.1".into(),
        count: 1,
        detail: String::new(),
    }
}

fn scopes(names: &[&str]) -> Vec<ScopeName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The checks that fail, and all that is said of the one asked for.
#[track_caller]
fn told(bench: &Bench, event: &Event, asked: &str) -> (Vec<&'static str>, String) {
    let explained = explain(&bench.ctx, event).unwrap().unwrap();
    let failed = explained.checks.iter().filter(|check| !check.passed).map(|check| check.check).collect();
    let one = explained.checks.iter().find(|check| check.check == asked);
    (failed, one.map(|check| check.detail.clone()).unwrap_or_default())
}

#[test]
fn a_token_is_judged_by_the_limits_that_it_carries() {
    let bench = Bench::new();
    let name: PolicyName = "readers".parse().unwrap();
    let mut narrow = Policy::new(name.clone());
    narrow.endpoint_restrictions.allowed_endpoints = vec!["tools/list".parse().unwrap()];
    policies::create(&bench.ctx, narrow, "").unwrap();
    let issue = |bind_policy| {
        let new = NewToken { scopes: scopes(&["mcp:*"]), policy: name.clone(), bind_policy, ..new_token() };
        crate::ops::token::issue(&bench.ctx, new).unwrap().token.jti.to_string()
    };
    let (bound, free) = (issue(true), issue(false));
    policies::apply(&bench.ctx, Policy::new(name.clone()), "all may call").unwrap();
    let call = |jti: &str| event(&bench, Reason::EndpointDenied, jti, "tools/call/search");
    let (failed, detail) = told(&bench, &call(&bound), "endpoint");
    assert_eq!(failed, ["endpoint"]);
    assert!(detail.contains("by the credential's own limits"), "{detail}");
    assert!(told(&bench, &call(&free), "endpoint").0.is_empty());
    assert!(told(&bench, &event(&bench, Reason::EndpointDenied, &bound, "tools/list"), "").0.is_empty());
}

#[test]
fn a_token_has_no_more_than_the_key_that_it_rests_on() {
    let bench = Bench::new();
    let key = bench.key();
    let ground = KeyGround { id: key.id, secret: key.digest.mark() };
    let rests_on = Grounds { key: Some(ground), parents: Vec::new() };
    let new = NewToken { scopes: scopes(&["mcp:*"]), rests_on, ..new_token() };
    let jti = crate::ops::token::issue(&bench.ctx, new).unwrap().token.jti.to_string();
    let call = |endpoint| event(&bench, Reason::InsufficientScope, &jti, endpoint);
    assert!(told(&bench, &call("tools/call/search"), "scope").0.is_empty());
    let changes = Changes { scopes: Some(scopes(&["tools:list"])), ..Changes::default() };
    api_key::set_all(&bench.ctx, &[key.id], changes).unwrap();
    assert_eq!(told(&bench, &call("tools/call/search"), "scope").0, ["scope"]);
    let (failed, rests_on) = told(&bench, &event(&bench, Reason::TimeDenied, &jti, "ping"), "rests_on");
    assert_eq!((failed, &*rests_on), (vec![], "what it rests on stood then"));

    // With another secret the key is what the token did not get; the call was before.
    let before = call("ping");
    bench.clock.advance(MINUTE);
    api_key::rotate(&bench.ctx, key.id, std::time::Duration::ZERO).unwrap();
    let (failed, detail) = told(&bench, &before, "rests_on");
    assert!(failed.is_empty() && detail.contains("is rotated now"), "{failed:?} {detail}");
    let after = event(&bench, Reason::Revoked, &jti, "ping");
    let (failed, detail) = told(&bench, &after, "rests_on");
    assert!(failed == ["rests_on"] && detail.ends_with("which was rotated then"), "{failed:?} {detail}");
}

#[test]
fn a_key_that_was_revoked_after_the_call_was_not_revoked_then() {
    let bench = Bench::new();
    let key = bench.key();
    let id = key.id.to_string();
    let before = event(&bench, Reason::IpDenied, &id, "tools/list");
    bench.clock.advance(MINUTE);
    api_key::revoke(&bench.ctx, key.id, "lost").unwrap();
    let (failed, detail) = told(&bench, &before, "credential");
    assert!(failed.is_empty() && detail.contains("revoked later, 2026-07-28T09:31:00Z"), "{detail}");
    for _ in 0..2 {
        let after = event(&bench, Reason::Revoked, &id, "tools/list");
        let (failed, detail) = told(&bench, &after, "credential");
        assert_eq!((failed, &*detail), (vec!["credential"], "the key was revoked then"));
        bench.clock.advance(MINUTE);
    }
}

#[test]
fn a_key_that_expired_or_is_disabled_is_told_of_as_far_as_is_known() {
    let bench = Bench::new();
    let key = bench.key();
    let id = key.id.to_string();
    let before = event(&bench, Reason::Disabled, &id, "tools/list");
    api_key::disable(&bench.ctx, key.id).unwrap();
    let (failed, detail) = told(&bench, &before, "credential");
    assert!(failed == ["credential"] && detail.contains("disabled now"), "{detail}");
    for kind in [Reason::IpDenied.as_str(), SHADOW_DENIED] {
        let taken = Event { kind: kind.into(), ..before.clone() };
        let (failed, detail) = told(&bench, &taken, "credential");
        assert!(failed.is_empty() && detail.ends_with("it is disabled now"), "{kind}: {detail}");
    }
    let strange = Event { kind: Reason::OriginDenied.to_string(), ..before.clone() };
    assert_eq!(told(&bench, &strange, "").0, ["credential"], "it was not asked for its credential");
    api_key::enable(&bench.ctx, key.id).unwrap();
    bench.clock.advance(api_key::DEFAULT_LIFE);
    assert_eq!(told(&bench, &event(&bench, Reason::Expired, &id, "ping"), "").0, ["credential"]);
    let last = Event { at: bench.now().minus(std::time::Duration::from_millis(1)), ..before };
    assert_eq!(told(&bench, &Event { kind: "ip_denied".into(), ..last }, "").0, [] as [&str; 0]);
}

#[test]
fn a_token_that_was_revoked_before_the_call_had_ended_and_one_revoked_after_had_not() {
    let bench = Bench::new();
    let jti = crate::ops::token::issue(&bench.ctx, new_token()).unwrap().token.jti;
    let call = |reason| event(&bench, reason, &jti.to_string(), "tools/list");
    let before = call(Reason::IpDenied);
    bench.clock.advance(MINUTE);
    revoke_all(&bench.ctx, &[jti], "lost").unwrap();
    let (failed, detail) = told(&bench, &call(Reason::Revoked), "credential");
    assert_eq!((failed, &*detail), (vec!["credential"], "the token was revoked then"));
    let (failed, detail) = told(&bench, &before, "credential");
    assert!(failed.is_empty() && detail.contains("revoked later, 2026-07-28T09:31:00Z"), "{detail}");
    bench.clock.advance(HOUR);
    let expired = Event { at: bench.now(), ..before };
    assert!(told(&bench, &expired, "credential").0.contains(&"credential"));
}

#[test]
fn what_the_call_came_with_is_what_failed_where_the_credential_stood() {
    let bench = Bench::new();
    let id = bench.key().id.to_string();
    let (failed, detail) = told(&bench, &event(&bench, Reason::BadSecret, &id, "tools/list"), "proof");
    assert!(failed == ["proof"] && detail.contains("bad_secret"), "{detail}");
    let spent = event(&bench, Reason::RateLimited, &id, "tools/list");
    assert_eq!(told(&bench, &spent, "").0, ["rate_limit"]);
}

#[test]
fn nothing_is_said_of_a_credential_that_is_not_this_homes() {
    let bench = Bench::new();
    let id = bench.key().id.to_string();
    let foreign = Event { issuer: "corp".into(), ..event(&bench, Reason::IpDenied, &id, "ping") };
    for event in [foreign, event(&bench, Reason::MissingCredential, "-", "ping")] {
        assert!(explain(&bench.ctx, &event).unwrap().is_none());
    }
}
