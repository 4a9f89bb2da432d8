//! Changes by other processes count from the very next request.

use super::house::{Gate, House, presented, request};
use crate::domain::{
    decision::{Outcome, Reason},
    scope::Scope,
};
use crate::engine::Decided;
use crate::ops::{self, api_key::Changes};
use crate::store::{Rows, StoreError};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

#[test]
fn a_revocation_by_another_process_counts_at_once() {
    let house = House::new();
    let (id, text) = house.key("default");
    let (_, other) = house.key("default");
    let mut gate = house.gate();
    let mut second = gate.engine.watch().unwrap();
    let principal = gate.authenticate(&text).unwrap();
    gate.engine.refresh(&mut second).unwrap();

    ops::api_key::revoke(&house.neighbour(), id, "stolen").unwrap();
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Revoked);
    assert!(!gate.engine.still_valid(&principal, &[], house.now()));
    assert!(gate.authenticate(&other).is_ok());
    gate.engine.refresh(&mut second).unwrap();
}

#[test]
fn what_one_thread_has_applied_counts_for_all() {
    let house = House::new();
    let mut first = house.gate();
    let mut second = Gate {
        engine: first.engine.clone(),
        watch: first.engine.watch().unwrap(),
        clock: house.clock.clone(),
    };
    let (id, text) = house.key("default");
    assert!(first.authenticate(&text).is_ok());
    assert!(second.authenticate(&text).is_ok());
    ops::api_key::disable(&house.ctx, id).unwrap();
    assert_eq!(second.authenticate(&text).unwrap_err(), Reason::Disabled);
    assert_eq!(first.authenticate(&text).unwrap_err(), Reason::Disabled);
}

#[test]
fn a_key_made_after_the_start_is_known_and_a_purged_one_is_not() {
    let house = House::new();
    let mut gate = house.gate();
    let (id, text) = house.key("default");
    assert!(gate.authenticate(&text).is_ok());
    ops::api_key::revoke(&house.ctx, id, "done").unwrap();
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Revoked);
    house.advance(1);
    ops::api_key::purge(&house.ctx, house.now()).unwrap();
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::UnknownCredential);
}

#[test]
fn a_rotation_ends_what_the_old_secret_opened_when_its_grace_is_over() {
    let house = House::new();
    let (id, first) = house.key("default");
    let mut gate = house.gate();
    let opened = gate.authenticate(&first).unwrap();

    let grace = std::time::Duration::from_secs(60);
    let second = ops::api_key::rotate(&house.ctx, id, grace).unwrap().text.expose().to_owned();
    let renewed = gate.authenticate(&second).unwrap();
    let holds = |gate: &Gate, principal| gate.engine.still_valid(principal, &[], house.now());
    assert!(holds(&gate, &opened) && holds(&gate, &renewed));
    house.advance(60);
    assert!(!holds(&gate, &opened) && holds(&gate, &renewed));

    ops::api_key::rotate(&house.ctx, id, std::time::Duration::ZERO).unwrap();
    gate.engine.refresh(&mut gate.watch).unwrap();
    assert!(!holds(&gate, &renewed), "no grace");
}

#[tokio::test]
async fn a_key_that_is_changed_is_judged_by_that_at_the_next_request() {
    let house = House::new();
    house.policy("open", json!({}));
    house.policy(
        "shut",
        json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/rm"]}}),
    );
    let (id, text) = house.key("open");
    let (_, other) = house.key("open");
    let mut gate = house.gate();
    let opened = gate.authenticate(&text).unwrap();
    let neighbour = house.neighbour();
    let set = |changes: Changes| _ = ops::api_key::set_all(&neighbour, &[id], changes).unwrap();
    let (call, list) = (request("tools/call/rm", house.now()), request("tools/list", house.now()));
    assert!(gate.engine.still_valid(&opened, &[call.clone(), list.clone()], house.now()));

    set(Changes { scopes: Some(vec!["tools:list".parse().unwrap()]), ..Changes::default() });
    let principal = gate.authenticate(&text).unwrap();
    let reason = |decided: Decided| match decided.decision.outcome {
        Outcome::Allow => None,
        Outcome::Deny(denial) => Some(denial.reason),
    };
    assert_eq!(reason(gate.engine.decide(&principal, &call).await), Some(Reason::InsufficientScope));
    assert_eq!(reason(gate.engine.decide(&principal, &list).await), None);
    assert!(
        !gate.engine.still_valid(&opened, std::slice::from_ref(&call), house.now()),
        "what is open falls too"
    );
    assert!(gate.engine.still_valid(&opened, std::slice::from_ref(&list), house.now()));

    let wide = Some(vec!["mcp:*".parse().unwrap()]);
    set(Changes { scopes: wide, policy: Some("shut".parse().unwrap()), ..Changes::default() });
    let principal = gate.authenticate(&text).unwrap();
    assert_eq!(reason(gate.engine.decide(&principal, &call).await), Some(Reason::EndpointDenied));
    let bystander = gate.authenticate(&other).unwrap();
    assert_eq!(reason(gate.engine.decide(&bystander, &call).await), None);

    set(Changes { life: Some(Some(Duration::from_secs(60))), ..Changes::default() });
    assert!(gate.authenticate(&text).is_ok());
    house.advance(60);
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Expired);
    set(Changes { life: Some(None), ..Changes::default() });
    assert!(gate.authenticate(&text).is_ok(), "it lives again");
}

#[test]
fn what_a_policy_no_longer_allows_does_not_go_on() {
    let house = House::new();
    house.policy("team", json!({}));
    let (_, text) = house.key("team");
    let mut gate = house.gate();
    let principal = gate.authenticate(&text).unwrap();
    let asked = [request("stream", house.now())];
    for (fields, holds) in [
        (json!({"ip_restrictions": {"whitelist": ["192.0.2.0/24"], "blacklist": []}}), true),
        (json!({"ip_restrictions": {"whitelist": [], "blacklist": ["192.0.2.1"]}}), false),
        (json!({"time_restrictions": {"allowed_hours": [8], "timezone": "UTC"}}), true),
        (json!({"time_restrictions": {"allowed_hours": [9], "timezone": "UTC"}}), false),
        (json!({"mode": "shadow", "time_restrictions": {"allowed_hours": [9], "timezone": "UTC"}}), true),
        (json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["stream"]}}), false),
    ] {
        house.policy("team", fields.clone());
        gate.engine.refresh(&mut gate.watch).unwrap();
        assert_eq!(gate.engine.still_valid(&principal, &asked, house.now()), holds, "{fields}");
        assert!(gate.engine.still_valid(&principal, &[], house.now()), "the credential holds");
    }
}

#[tokio::test]
async fn a_policy_edit_counts_at_the_next_request_for_every_key_under_it() {
    let house = House::new();
    house.policy("team", json!({}));
    house.policy("other", json!({}));
    let (_, first) = house.key("team");
    let (_, second) = house.key_with("team", &["tools:call"]);
    let (_, third) = house.key("other");
    let mut gate = house.gate();
    let before = gate.authenticate(&first).unwrap().policy.revision;
    house.policy(
        "team",
        json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/**"]}}),
    );
    assert_eq!(gate.call(&first, "tools/call/x").await, Err(Reason::EndpointDenied));
    assert_eq!(gate.call(&second, "tools/call/x").await, Err(Reason::EndpointDenied));
    assert_eq!(gate.call(&third, "tools/call/x").await, Ok(()));
    assert_eq!(gate.authenticate(&first).unwrap().policy.revision, before + 1);
}

#[tokio::test]
async fn an_edit_of_the_catalogue_counts_at_the_next_request() {
    let house = House::new();
    house.policy("open", json!({}));
    let scope = |endpoint: &str| Scope {
        name: "search".parse().unwrap(),
        description: "search".into(),
        endpoints: vec![endpoint.parse().unwrap()],
    };
    ops::scope::set(&house.ctx, scope("tools/call/search")).unwrap();
    let (_, text) = house.key_with("open", &["search"]);
    let mut gate = house.gate();
    assert_eq!(gate.call(&text, "tools/call/search").await, Ok(()));
    ops::scope::set(&house.ctx, scope("tools/call/find")).unwrap();
    assert_eq!(gate.call(&text, "tools/call/search").await, Err(Reason::InsufficientScope));
    assert_eq!(gate.call(&text, "tools/call/find").await, Ok(()));
}

#[test]
fn more_changes_than_the_feed_remembers_mean_a_full_reload() {
    let house = House::new();
    let (gone_id, gone) = house.key("default");
    let (_, kept) = house.key("default");
    let mut gate = house.gate();
    assert!(gate.authenticate(&gone).is_ok());
    ops::api_key::revoke(&house.ctx, gone_id, "done").unwrap();
    house.advance(1);
    ops::api_key::purge(&house.ctx, house.now()).unwrap();
    let forget = |c: &Rows<'_>| -> Result<(), StoreError> {
        Ok(c.execute_batch(
            "DELETE FROM change; INSERT INTO change SELECT seq + 20000, 'policy', 'default', x''
             FROM sqlite_sequence WHERE name = 'change'",
        )?)
    };
    house.ctx.store.write(forget).unwrap();
    assert_eq!(gate.authenticate(&gone).unwrap_err(), Reason::UnknownCredential);
    assert!(gate.authenticate(&kept).is_ok());
}

#[test]
fn a_feed_that_cannot_be_read_refuses_until_it_can() {
    let house = House::new();
    let (id, text) = house.key("default");
    let mut gate = house.gate();
    let mut second = gate.engine.watch().unwrap();
    assert!(gate.authenticate(&text).is_ok());
    gate.engine.refresh(&mut second).unwrap();
    ops::api_key::disable(&house.ctx, id).unwrap();
    rename(&house, "change", "gone");
    for _ in 0..2 {
        assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Unavailable);
        assert!(gate.engine.refresh(&mut second).is_err());
    }
    rename(&house, "gone", "change");
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Disabled);
    gate.engine.refresh(&mut second).unwrap();
}

fn rename(house: &House, from: &'static str, to: &'static str) {
    let job = move |c: &Rows<'_>| -> Result<(), StoreError> {
        Ok(c.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))?)
    };
    house.ctx.store.write(job).unwrap();
}

/// Who judges a token that is new and who applies a revocation need the same two things, and must not each hold one.
#[test]
fn judging_new_tokens_and_applying_changes_do_not_wait_for_each_other() {
    const LONGEST: Duration = Duration::from_secs(60);
    let house = House::new();
    let tokens: Vec<_> = (0..64).map(|_| house.token("default", |_| ())).collect();
    let mut gate = house.gate();
    gate.authenticate(tokens[0].text.expose()).unwrap();
    let engine = Arc::clone(&gate.engine);
    let is_over = Arc::new(AtomicBool::new(false));
    let (changing, over) = (Arc::clone(&engine), Arc::clone(&is_over));
    let (done, ended) = mpsc::channel();
    let changed = done.clone();
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            changing.snapshot.take_for_a_change();
            thread::yield_now();
        }
        changed.send("changes").unwrap();
    });
    let now = house.now();
    thread::spawn(move || {
        for issued in &tokens {
            engine.authenticate(&presented(issued.text.expose()), None, now).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        done.send("tokens").unwrap();
    });
    for _ in 0..2 {
        ended.recv_timeout(LONGEST).expect("who judges and who applies changes wait for each other");
    }
}
