//! Tokens: what passes, each near miss, what ends them, and what they share.

use super::house::{House, START, presented, request};
use crate::domain::{credential::CredentialId, decision::Reason, jose::Algorithm, token::Possession};
use crate::engine::{Engine, Presented, PresentedToken, explain};
use crate::ops::{self, signing_key::Rotation, token::Issued};
use serde_json::json;
use std::time::Duration;

fn text(issued: &Issued) -> &str {
    issued.text.expose()
}

/// The same with another signature.
pub fn forged(text: &str) -> String {
    let (head, last) = text.split_at(text.len() - 20);
    let other = if last.starts_with('A') { "B" } else { "A" };
    format!("{head}{other}{}", &last[1..])
}

fn second() -> Duration {
    Duration::from_secs(1)
}

#[tokio::test]
async fn a_token_speaks_for_its_subject_with_its_scopes_under_its_policy() {
    let house = House::new();
    house.policy("open", json!({}));
    let issued = house.token("open", |new| new.scopes = vec!["tools:list".parse().unwrap()]);
    let mut gate = house.gate();
    let principal = gate.authenticate(text(&issued)).unwrap();
    assert_eq!(principal.credential, CredentialId::Token(issued.token.jti));
    assert_eq!(
        (principal.identity.subject.as_str(), principal.policy.policy.name.as_str()),
        ("alice", "open")
    );
    assert_eq!(principal.expires_at, Some(START.plus(3600 * second())));
    assert_eq!(gate.call(text(&issued), "tools/list").await, Ok(()));
    assert_eq!(gate.call(text(&issued), "tools/call/x").await, Err(Reason::InsufficientScope));
    house.policy("open", json!({"endpoint_restrictions": {"blocked_endpoints": ["tools/list"]}}));
    assert_eq!(
        gate.call(text(&issued), "tools/list").await,
        Err(Reason::EndpointDenied),
        "a policy counts at once"
    );
}

#[test]
fn each_near_miss_of_a_token_has_its_reason() {
    let house = House::new();
    let good = house.token("default", |_| ());
    let abroad = house.token("default", |new| new.audience = vec!["https://elsewhere.example".into()]);
    let mut gate = house.gate();
    assert!(gate.authenticate(text(&good)).is_ok());
    let (head, signature) = text(&good).rsplit_once('.').unwrap();
    let other = house.token("default", |_| ());
    let (_, others) = text(&other).rsplit_once('.').unwrap();
    for (text, reason) in [
        (format!("{head}.{others}"), Reason::BadSignature),
        (forged(text(&good)), Reason::BadSignature),
        (format!("{head}."), Reason::Malformed),
        (format!("{head}.{signature}="), Reason::Malformed),
        ("eyJhbGciOiJub25lIn0.e30.AA".to_owned(), Reason::Malformed),
        (text(&abroad).to_owned(), Reason::WrongAudience),
    ] {
        assert_eq!(gate.authenticate(&text).unwrap_err(), reason, "{text}");
    }
    house.advance(3600 + 29);
    assert!(gate.authenticate(text(&good)).is_ok(), "clocks may differ by 30 s");
    house.advance(1);
    assert_eq!(gate.authenticate(text(&good)).unwrap_err(), Reason::Expired);
}

#[test]
fn every_way_of_taking_back_counts_at_the_very_next_request() {
    type Way = fn(&ops::Ctx, &Issued);
    let ways: [(&str, Way); 5] = [
        ("by token", |ctx, issued| _ = ops::token::revoke_all(ctx, &[issued.token.jti], "").unwrap()),
        ("by subject", |ctx, issued| _ = ops::token::revoke_subject(ctx, &issued.token.subject, "").unwrap()),
        ("by key", |ctx, issued| _ = ops::token::revoke_key(ctx, None, &issued.token.kid, "").unwrap()),
        ("by time", |ctx, _| _ = ops::token::revoke_issued_before(ctx, None, ctx.now(), "").unwrap()),
        ("by text", |ctx, issued| _ = ops::token::revoke_text(ctx, text(issued), "").unwrap()),
    ];
    for (name, revoke) in ways {
        let house = House::new();
        let issued = house.token("default", |_| ());
        house.advance(10);
        let mut gate = house.gate();
        let principal = gate.authenticate(text(&issued)).unwrap();
        assert!(gate.engine.still_valid(&principal, &[], house.now()), "{name}");
        revoke(&house.neighbour(), &issued);
        assert_eq!(gate.authenticate(text(&issued)).unwrap_err(), Reason::Revoked, "{name}");
        assert!(!gate.engine.still_valid(&principal, &[], house.now()), "{name}: what is open ends");
        assert_eq!(
            house.gate().authenticate(text(&issued)).unwrap_err(),
            Reason::Revoked,
            "{name}: a new gateway"
        );
        // Whoever is given a new one, where that can be, is let in.
        let fresh = house.token("default", |_| ());
        assert!(gate.authenticate(text(&fresh)).is_ok(), "{name}");
    }
}

#[test]
fn a_key_verifies_for_as_long_as_it_is_told_to() {
    let house = House::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256] {
        let issued = house.token("default", |new| new.algorithm = Some(algorithm));
        let (kid, mut gate) = (issued.token.kid.clone(), house.gate());
        let principal = gate.authenticate(text(&issued)).unwrap();
        let rotation = Rotation { overlap: Some(60 * second()), ..Rotation::default() };
        ops::signing_key::rotate(&house.neighbour(), &kid, rotation).unwrap();
        assert!(gate.authenticate(text(&issued)).is_ok(), "{algorithm}: it overlaps");
        let next = house.token("default", |new| new.algorithm = Some(algorithm));
        assert_ne!(next.token.kid, kid);
        assert!(gate.authenticate(text(&next)).is_ok());
        ops::signing_key::retire(&house.neighbour(), &kid, "").unwrap();
        assert!(gate.authenticate(text(&issued)).is_err(), "{algorithm}: it is retired");
        assert!(!gate.engine.still_valid(&principal, &[], house.now()));
        assert!(gate.authenticate(text(&next)).is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_uses_of_a_one_time_token_through_two_gateways_one_wins() {
    let house = House::new();
    house.policy("open", json!({}));
    let issued = house.token("open", |new| new.once = true);
    let engines = [house.engine(), house.engine()];
    let mut running = Vec::new();
    for place in 0..64 {
        let engine = engines[place % 2].clone();
        let principal = engine.authenticate(&presented(text(&issued)), None, house.now()).unwrap();
        assert!(engine.is_spending(&principal));
        running.push(tokio::spawn(async move { engine.spend(&principal).await }));
    }
    let mut won = 0;
    for task in running {
        match task.await.unwrap() {
            Ok(()) => won += 1,
            Err(reason) => assert_eq!(reason, Reason::Replayed),
        }
    }
    assert_eq!(won, 1);
    let plain = house.token("open", |_| ());
    let mut gate = house.gate();
    let principal = gate.authenticate(text(&plain)).unwrap();
    assert!(!gate.engine.is_spending(&principal));
    assert_eq!(gate.engine.spend(&principal).await, Ok(()));
    let spent = engines[0].authenticate(&presented(text(&issued)), None, house.now()).unwrap();
    engines[0].stop().unwrap();
    assert_eq!(engines[0].spend(&spent).await, Err(Reason::Unavailable), "what cannot be known is refused");
}

#[tokio::test]
async fn a_proof_of_possession_is_used_once_by_anybody() {
    let house = House::new();
    let issued = house.token("default", |_| ());
    let (first, second) = (house.gate(), house.gate());
    let spend = async |engine: &Engine, id: &str| {
        let mut principal = engine.authenticate(&presented(text(&issued)), None, house.now()).unwrap();
        let Some(crate::domain::decision::Proof::Token(proof)) = &mut principal.proof else { panic!() };
        proof.possession = Some(Possession {
            jkt: [1; 32],
            id: id.into(),
            ends_at: house.now().plus(Duration::from_secs(300)),
        });
        engine.spend(&principal).await
    };
    assert_eq!(spend(&first.engine, "a").await, Ok(()));
    assert_eq!(spend(&second.engine, "a").await, Err(Reason::Replayed));
    assert_eq!(spend(&second.engine, "b").await, Ok(()));
    assert_eq!(spend(&first.engine, "b").await, Err(Reason::Replayed));
}

#[tokio::test]
async fn many_tokens_of_a_subject_under_a_policy_have_the_quota_of_one() {
    let house = House::new();
    house.limit("few", 3, "fixed");
    house.limit("other", 3, "fixed");
    let tokens: Vec<_> = (0..3).map(|_| house.token("few", |_| ())).collect();
    let mut gate = house.gate();
    for token in &tokens {
        assert_eq!(gate.call(text(token), "tools/list").await, Ok(()));
    }
    assert_eq!(gate.call(text(&tokens[0]), "tools/list").await, Err(Reason::RateLimited));
    let more = house.token("few", |_| ());
    assert_eq!(
        gate.call(text(&more), "tools/list").await,
        Err(Reason::RateLimited),
        "minting more gives no more"
    );
    let bob = house.token("few", |new| new.subject = "bob".parse().unwrap());
    assert_eq!(gate.call(text(&bob), "tools/list").await, Ok(()));
    let elsewhere = house.token("other", |_| ());
    assert_eq!(gate.call(text(&elsewhere), "tools/list").await, Ok(()));
    let (_, key) = house.key("few");
    assert_eq!(gate.call(&key, "tools/list").await, Ok(()), "a key has a quota of its own");
}

#[tokio::test]
async fn what_a_token_carries_itself_holds_beside_the_policy() {
    let house = House::new();
    house.policy("team", json!({"endpoint_restrictions": {"allowed_endpoints": ["tools/list"]}}));
    let bound = house.token("team", |new| new.bind_policy = true);
    let loose = house.token("team", |_| ());
    house.policy("team", json!({}));
    let mut gate = house.gate();
    assert_eq!(gate.call(text(&bound), "tools/list").await, Ok(()));
    assert_eq!(gate.call(text(&bound), "tools/call/x").await, Err(Reason::EndpointDenied));
    assert_eq!(gate.call(text(&loose), "tools/call/x").await, Ok(()));
    house.policy("team", json!({"endpoint_restrictions": {"allowed_endpoints": ["prompts/list"]}}));
    assert_eq!(gate.call(text(&bound), "tools/list").await, Err(Reason::EndpointDenied), "it never widens");
}

#[test]
fn what_is_damaged_refuses_tokens_and_leaves_keys_alone() {
    let house = House::new();
    let (_, key) = house.key("default");
    let (kept, gone) = (house.token("default", |_| ()), house.token("default", |_| ()));
    ops::token::revoke_all(&house.ctx, &[gone.token.jti], "").unwrap();
    let tamper = |sql: &str| {
        let c = rusqlite::Connection::open(house.folder.path().join("home/portcullis.db")).unwrap();
        c.execute_batch(sql).unwrap();
        assert!(c.total_changes() > 0, "{sql}");
    };
    assert!(house.gate().authenticate(text(&kept)).is_ok());
    tamper("UPDATE revocation SET object = 'AAAAAAAAAAAAAAAAAAAAAA'");
    let mut gate = house.gate();
    for token in [&kept, &gone] {
        assert_eq!(gate.authenticate(text(token)).unwrap_err(), Reason::Unavailable);
    }
    assert!(gate.authenticate(&key).is_ok());
    tamper("DELETE FROM revocation; UPDATE signing_key SET verifies_until = 9e15");
    let mut gate = house.gate();
    assert_eq!(gate.authenticate(text(&kept)).unwrap_err(), Reason::UnknownCredential);
    assert!(gate.authenticate(&key).is_ok());
}

#[test]
fn a_refusal_names_the_token_only_where_its_signature_fits() {
    let house = House::new();
    let issued = house.token("default", |_| ());
    ops::token::revoke_all(&house.ctx, &[issued.token.jti], "").unwrap();
    let gate = house.gate();
    let refused = |text: &str| gate.engine.authenticate(&presented(text), None, house.now()).unwrap_err();
    let revoked = refused(text(&issued));
    assert_eq!(revoked.credential, Some(CredentialId::Token(issued.token.jti)));
    assert_eq!(revoked.identity.unwrap().subject.as_str(), "alice");
    let forged = refused(&forged(text(&issued)));
    assert_eq!((forged.reason, forged.credential, forged.identity), (Reason::BadSignature, None, None));
}

#[test]
fn failures_of_tokens_lock_nobody_out() {
    let house = House::new();
    let issued = house.token("default", |_| ());
    let forged = forged(text(&issued));
    let mut gate = house.gate();
    for _ in 0..20 {
        assert_eq!(gate.authenticate(&forged).unwrap_err(), Reason::BadSignature);
    }
    assert!(gate.authenticate(text(&issued)).is_ok());
}

#[test]
fn a_token_is_explained_as_it_is_judged_and_nothing_is_used_up() {
    let house = House::new();
    let once = house.token("default", |new| {
        new.once = true;
        new.scopes = vec!["tools:list".parse().unwrap()];
    });
    let vault = house.ctx.vault.as_ref().unwrap();
    let look = |token: &str, endpoint: &str| {
        explain(&house.ctx.store, vault, &presented(token), &request(endpoint, house.now()), house.now())
            .unwrap()
    };
    for _ in 0..2 {
        let found = look(text(&once), "tools/list");
        assert!(found.decision.is_allowed(), "{found:?}");
        assert!(found.checks.iter().any(|check| check.check == "signature" && check.passed));
        assert_eq!(found.principal.unwrap().identity.subject.as_str(), "alice");
    }
    assert!(!look(text(&once), "tools/call/x").decision.is_allowed());
    ops::token::revoke_all(&house.ctx, &[once.token.jti], "").unwrap();
    let found = look(text(&once), "tools/list");
    assert!(!found.decision.is_allowed() && found.principal.is_none());
    assert!(found.checks.iter().any(|check| check.check == "revocation" && !check.passed));
}

#[test]
fn a_token_without_its_proof_is_refused() {
    let house = House::new();
    let issued = house.token("default", |_| ());
    let gate = house.gate();
    let possession = Some(Possession { jkt: [1; 32], id: "a".into(), ends_at: house.now() });
    let with_proof = Presented::Token(PresentedToken { text: issued.text.clone(), possession });
    let refused = gate.engine.authenticate(&with_proof, None, house.now()).unwrap_err();
    assert_eq!(refused.reason, Reason::BadSignature, "this one is bound to no key");
}
