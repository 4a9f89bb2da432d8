//! Credentials and requests: what passes, and each near miss.

use super::house::{House, START, presented, request, with_unknown_id, with_wrong_secret};
use crate::domain::{
    api_key::PresentedKey,
    clock::it_is,
    credential::CredentialId,
    decision::{Decision, Reason},
};
use crate::engine::{Engine, Presented, explain};
use crate::ops;
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_good_key_speaks_for_its_subject() {
    let house = House::new();
    house.policy("open", json!({}));
    let (id, text) = house.key_with("open", &["tools:list", "tools:call"]);
    let mut gate = house.gate();
    let principal = gate.authenticate(&text).unwrap();
    assert_eq!(principal.credential, CredentialId::ApiKey(id));
    assert_eq!(principal.identity.subject.as_str(), "alice");
    assert_eq!(principal.scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["tools:list", "tools:call"]);
    assert_eq!(principal.expires_at, Some(START.plus(24 * 60 * MINUTE)));
    assert_eq!(gate.call(&text, "tools/call/search").await, Ok(()));
}

#[test]
fn each_near_miss_of_a_credential_has_its_reason() {
    let house = House::new();
    house.policy("open", json!({}));
    let (_, good) = house.key("open");
    let (disabled_id, disabled) = house.key("open");
    let (revoked_id, revoked) = house.key("open");
    ops::api_key::disable(&house.ctx, disabled_id).unwrap();
    ops::api_key::revoke(&house.ctx, revoked_id, "lost").unwrap();
    let mut gate = house.gate();
    assert!(gate.authenticate(&good).is_ok());
    for (text, reason) in [
        ("not a key".to_owned(), Reason::Malformed),
        (good[..good.len() - 1].to_owned(), Reason::Malformed),
        (with_unknown_id(&good), Reason::UnknownCredential),
        (with_wrong_secret(&good), Reason::BadSecret),
        (in_environment(&good, "test"), Reason::UnknownCredential),
        (disabled.clone(), Reason::Disabled),
        (revoked.clone(), Reason::Revoked),
        (with_wrong_secret(&revoked), Reason::BadSecret),
        (with_wrong_secret(&disabled), Reason::BadSecret),
    ] {
        assert_eq!(gate.authenticate(&text).unwrap_err(), reason);
    }
    let nothing = gate.engine.authenticate(&Presented::Nothing, None, house.now());
    assert_eq!(nothing.unwrap_err().reason, Reason::MissingCredential);

    ops::api_key::enable(&house.ctx, disabled_id).unwrap();
    assert!(gate.authenticate(&disabled).is_ok());
}

#[test]
fn a_refusal_says_what_was_compared_with_what() {
    let house = House::new();
    let (id, old) = house.key("default");
    let new = ops::api_key::rotate(&house.ctx, id, 10 * MINUTE).unwrap().text.expose().to_owned();
    let gate = house.gate();
    let unknown = with_unknown_id(&new);
    let unknown_id = PresentedKey::parse(&unknown).unwrap().id;
    let day = 24 * 60 * MINUTE;
    let (rotated, ended) = (START.plus(10 * MINUTE), START.plus(day));
    for (text, after, said) in [
        (unknown, 0, format!("known: there is no key {unknown_id}")),
        (in_environment(&new, "test"), 0, "environment: the key is of live".to_owned()),
        (with_wrong_secret(&new), 0, format!("secret: not one of key {id}")),
        (old, 600, format!("secret: the one from before the key was rotated, taken until {rotated}")),
        (new, day.as_secs(), format!("state: the key expired at {ended}; {}", it_is(ended))),
    ] {
        house.clock.set(START.plus(Duration::from_secs(after)));
        let denied = gate.engine.authenticate(&presented(&text), None, house.now()).unwrap_err();
        assert_eq!(denied.why, Some(said));
    }
}

fn in_environment(text: &str, environment: &str) -> String {
    let key = PresentedKey::parse(text).unwrap();
    key.secret.join(environment.parse().unwrap(), key.id).expose().to_owned()
}

#[test]
fn a_key_ends_at_its_expiry_and_not_before() {
    let house = House::new();
    let (_, text) = house.key("default");
    let mut gate = house.gate();
    house.clock.set(START.plus(24 * 60 * MINUTE).minus(Duration::from_millis(1)));
    let principal = gate.authenticate(&text).unwrap();
    assert!(gate.engine.still_valid(&principal, &[], house.now()));
    house.clock.set(START.plus(24 * 60 * MINUTE));
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Expired);
    assert!(!gate.engine.still_valid(&principal, &[], house.now()));
}

#[test]
fn the_split_form_has_no_environment_to_match() {
    let house = House::new();
    let (id, text) = house.key("default");
    let joined = PresentedKey::parse(&text).unwrap();
    let gate = house.gate();
    let split = Presented::ApiKey(PresentedKey { environment: None, ..joined });
    let principal = gate.engine.authenticate(&split, None, house.now()).unwrap();
    assert_eq!(principal.credential, CredentialId::ApiKey(id));
}

#[test]
fn after_a_rotation_the_old_secret_lives_for_its_grace_and_no_longer() {
    let house = House::new();
    let (id, old) = house.key("default");
    let mut gate = house.gate();
    let new = ops::api_key::rotate(&house.ctx, id, 10 * MINUTE).unwrap();
    assert!(gate.authenticate(new.text.expose()).is_ok());
    house.clock.set(START.plus(10 * MINUTE).minus(Duration::from_millis(1)));
    assert!(gate.authenticate(&old).is_ok());
    house.clock.set(START.plus(10 * MINUTE));
    assert_eq!(gate.authenticate(&old).unwrap_err(), Reason::BadSecret);
    assert!(gate.authenticate(new.text.expose()).is_ok());

    let newest = ops::api_key::rotate(&house.ctx, id, Duration::ZERO).unwrap();
    assert_eq!(gate.authenticate(new.text.expose()).unwrap_err(), Reason::BadSecret);
    assert!(gate.authenticate(newest.text.expose()).is_ok());
}

#[test]
fn five_wrong_secrets_lock_that_key_for_that_network_alone() {
    let house = House::new();
    let (_, text) = house.key("default");
    let (_, other) = house.key("default");
    let mut gate = house.gate();
    let wrong = with_wrong_secret(&text);
    for _ in 0..4 {
        assert_eq!(gate.authenticate(&wrong).unwrap_err(), Reason::BadSecret);
    }
    assert!(gate.authenticate(&text).is_ok(), "four failures do not lock, and success forgets them");
    for _ in 0..5 {
        assert_eq!(gate.authenticate(&wrong).unwrap_err(), Reason::BadSecret);
    }
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::LockedOut);
    assert_eq!(gate.authenticate(&wrong).unwrap_err(), Reason::LockedOut);
    assert!(gate.authenticate(&other).is_ok());
    assert!(gate.authenticate_from(&text, "192.0.2.2").is_ok());
    assert!(gate.authenticate_from(&text, "2001:db8::1").is_ok());

    house.advance(15 * 60);
    assert!(gate.authenticate(&text).is_ok());
    gate.engine.stop().unwrap();
    let told: Vec<_> = house.events().iter().map(|event| (event.who().into_owned(), event.count)).collect();
    assert_eq!(told, [("alice (not proved)".to_owned(), 1)], "it names whose key it is");
}

#[test]
fn the_right_secret_of_a_key_that_may_not_be_used_never_locks() {
    let house = House::new();
    let (id, text) = house.key("default");
    let mut gate = house.gate();
    ops::api_key::disable(&house.ctx, id).unwrap();
    for _ in 0..6 {
        assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Disabled);
    }
    ops::api_key::enable(&house.ctx, id).unwrap();
    assert!(gate.authenticate(&text).is_ok());
}

#[tokio::test]
async fn each_near_miss_of_a_request_has_its_reason() {
    let house = House::new();
    house
        .policy("elsewhere", json!({"ip_restrictions": {"whitelist": ["198.51.100.0/24"], "blacklist": []}}));
    house.policy("here", json!({"ip_restrictions": {"whitelist": ["192.0.2.0/24"], "blacklist": []}}));
    house.policy("night", json!({"time_restrictions": {"allowed_hours": [3], "timezone": "UTC"}}));
    house.policy("morning", json!({"time_restrictions": {"allowed_hours": [8], "timezone": "UTC"}}));
    let block = json!(["tools/call/delete_*"]);
    house.policy(
        "careful",
        json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": block}}),
    );
    house.policy("ceiling", json!({"scopes": ["tools:list"]}));
    let mut gate = house.gate();
    for (policy, scopes, endpoint, expected) in [
        ("here", ["tools:call"].as_slice(), "tools/call/x", Ok(())),
        ("elsewhere", &["tools:call"], "tools/call/x", Err(Reason::IpDenied)),
        ("morning", &["tools:call"], "tools/call/x", Ok(())),
        ("night", &["tools:call"], "tools/call/x", Err(Reason::TimeDenied)),
        ("here", &["prompts:get"], "tools/call/x", Err(Reason::InsufficientScope)),
        ("careful", &["tools:call"], "tools/call/read_x", Ok(())),
        ("careful", &["tools:call"], "tools/call/delete_x", Err(Reason::EndpointDenied)),
        ("ceiling", &["tools:list", "tools:call"], "tools/list", Ok(())),
        ("ceiling", &["tools:list", "prompts:get"], "prompts/get/x", Err(Reason::InsufficientScope)),
    ] {
        let (_, text) = house.key_with(policy, scopes);
        assert_eq!(gate.call(&text, endpoint).await, expected, "{policy} {scopes:?} {endpoint}");
    }
}

#[tokio::test]
async fn shadow_mode_lets_through_and_says_what_it_would_have_denied() {
    let house = House::new();
    let ip = json!({"whitelist": ["198.51.100.0/24"], "blacklist": []});
    house.policy("shadow", json!({"mode": "shadow", "ip_restrictions": ip}));
    let limits = json!({"requests_per_minute": 1, "requests_per_hour": null, "requests_per_day": null});
    house.policy("shadow_limit", json!({"mode": "shadow", "rate_limits": limits}));
    let mut gate = house.gate();
    let (_, text) = house.key("shadow");
    let decided = gate.ask(&text, "tools/list").await.unwrap();
    assert!(decided.decision.is_allowed());
    assert_eq!(decided.decision.shadowed, Some(Reason::IpDenied));

    let (_, text) = house.key("shadow_limit");
    assert_eq!(gate.ask(&text, "tools/list").await.unwrap().decision.shadowed, None);
    let decided = gate.ask(&text, "tools/list").await.unwrap();
    assert!(decided.decision.is_allowed());
    assert_eq!(decided.decision.shadowed, Some(Reason::RateLimited));
}

#[test]
fn explain_names_every_check_and_has_no_effect() {
    let house = House::new();
    house.limit("one", 1, "fixed");
    let (id, text) = house.key_with("one", &["tools:list"]);
    let look = |text: &str, endpoint: &str| {
        let found = explained(&house, text, endpoint);
        let failed: Vec<_> =
            found.checks.iter().filter(|check| !check.passed).map(|check| check.check).collect();
        (found.decision, failed, found.principal.is_some())
    };
    for _ in 0..3 {
        let (decision, failed, known) = look(&text, "tools/list");
        assert!(decision.is_allowed() && failed.is_empty() && known);
    }
    let (decision, failed, _) = look(&text, "tools/call/x");
    assert!(!decision.is_allowed());
    assert_eq!(failed, ["scope"]);
    for _ in 0..9 {
        let (decision, failed, known) = look(&with_wrong_secret(&text), "tools/list");
        assert_eq!((decision, failed, known), (Decision::deny(Reason::BadSecret), vec!["secret"], false));
    }
    assert_eq!(look(&with_unknown_id(&text), "tools/list").1, ["known"]);
    assert_eq!(look("pcl_", "tools/list").1, ["credential"]);
    let all = explained(&house, &text, "tools/list").checks;
    let names: Vec<_> = all.iter().map(|check| check.check).collect();
    assert_eq!(
        names,
        [
            "credential",
            "known",
            "secret",
            "environment",
            "state",
            "ip",
            "hours",
            "scope",
            "endpoint",
            "rate_limit"
        ]
    );

    ops::api_key::revoke(&house.ctx, id, "lost").unwrap();
    assert_eq!(explained(&house, &text, "tools/list").decision, Decision::deny(Reason::Revoked));
}

fn explained(house: &House, text: &str, endpoint: &str) -> crate::engine::Explained {
    let vault = house.ctx.vault.as_ref().unwrap();
    explain(&house.ctx.store, vault, &presented(text), &request(endpoint, house.now()), house.now()).unwrap()
}

#[test]
fn the_narrowest_scope_is_one_of_the_catalogue() {
    let house = House::new();
    let engine: &Engine = &house.engine();
    let narrowest = |endpoint: &str| engine.narrowest_scope(&endpoint.parse().unwrap());
    assert_eq!(narrowest("tools/call/x").as_deref(), Some("tools:call"));
    assert_eq!(narrowest("/health"), None, "only one that covers everything would do");
    assert_eq!(narrowest("ping"), None, "none is needed");
}
