//! Rows that were altered behind the vault's back: each is refused, and those beside it work as ever.

use super::house::{Gate, House, presented, request};
use crate::domain::{api_key::KeyId, decision::Reason};
use crate::engine::explain;
use crate::ops;
use crate::store::StoreError;
use rusqlite::Connection;
use serde_json::json;

/// Alters the store as somebody with the file and without the vault can.
fn tamper(house: &House, sql: &str) {
    let c = Connection::open(house.folder.path().join("home/portcullis.db")).unwrap();
    c.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    assert!(c.total_changes() > 0, "{sql} changed nothing");
}

/// What `key verify` says of the row that is in the way.
fn named(house: &House, text: &str) -> String {
    let vault = house.ctx.vault.as_ref().unwrap();
    let now = house.now();
    let found = explain(&house.ctx.store, vault, &presented(text), &request("tools/list", now), now);
    let error = found.unwrap_err();
    assert!(error.is_of_one_row(), "{error}");
    error.to_string()
}

async fn call(gate: &mut Gate, text: &str) -> Result<(), Reason> {
    gate.call(text, "tools/list").await
}

#[tokio::test]
async fn a_key_whose_row_was_altered_is_not_known_and_its_neighbour_is() {
    let house = House::new();
    let (neighbour, sound) = house.key("default");
    let revoke = |id| _ = ops::api_key::revoke(&house.ctx, id, "stolen").unwrap();
    let disable = |id| _ = ops::api_key::disable(&house.ctx, id).unwrap();
    let nothing = |_| ();
    let alterations: [(&str, &dyn Fn(KeyId)); 9] = [
        ("revoked_at = NULL, revoked_reason = ''", &revoke),
        ("disabled = 0", &disable),
        ("expires_at = expires_at + 86400000000", &nothing),
        ("expires_at = NULL", &nothing),
        (r#"scopes = '["mcp:*", "mcp:*"]'"#, &nothing),
        ("policy = 'open'", &nothing),
        ("subject = 'root'", &nothing),
        ("digest = (SELECT digest FROM api_key WHERE id = 'NEIGHBOUR')", &nothing),
        ("mac = (SELECT mac FROM api_key WHERE id = 'NEIGHBOUR')", &nothing),
    ];
    house.policy("open", json!({}));
    for (alteration, before) in alterations {
        let (id, text) = house.key("default");
        before(id);
        let alteration = alteration.replace("NEIGHBOUR", neighbour.as_str());
        tamper(&house, &format!("UPDATE api_key SET {alteration} WHERE id = '{id}'"));
        let mut gate = house.gate();
        assert_eq!(call(&mut gate, &text).await, Err(Reason::UnknownCredential), "{alteration}");
        assert_eq!(call(&mut gate, &sound).await, Ok(()), "{alteration}");
        let named = named(&house, &text);
        assert!(named.contains("api_key") && named.contains(id.as_str()), "{named}");
    }
    // A whole row under another id: its owner's secret does not open it there.
    let (id, text) = house.key("default");
    let (other, other_text) = house.key("default");
    tamper(
        &house,
        &format!(
            "DELETE FROM api_key WHERE id = '{id}'; UPDATE api_key SET id = '{id}' WHERE id = '{other}'"
        ),
    );
    let mut gate = house.gate();
    assert_eq!(call(&mut gate, &text).await, Err(Reason::UnknownCredential));
    assert_eq!(call(&mut gate, &other_text).await, Err(Reason::UnknownCredential));
    assert_eq!(call(&mut gate, &sound).await, Ok(()));
}

#[tokio::test]
async fn a_policy_that_was_altered_denies_those_under_it_alone() {
    for alteration in [
        "UPDATE policy SET revision = 1 WHERE name = 'team'",
        "UPDATE policy_revision SET document = json_set(document, '$.rate_limits.requests_per_minute', 9)
           WHERE name = 'team' AND revision = 2",
        "UPDATE policy_revision SET (document, mac) = (SELECT document, mac FROM policy_revision
           WHERE name = 'team' AND revision = 1) WHERE name = 'team' AND revision = 2",
    ] {
        let house = House::new();
        house.policy("team", json!({}));
        house.limit("team", 1, "fixed");
        let (_, limited) = house.key("team");
        let (_, other) = house.key("default");
        tamper(&house, alteration);
        let mut gate = house.gate();
        assert_eq!(call(&mut gate, &limited).await, Err(Reason::Unavailable), "{alteration}");
        assert_eq!(call(&mut gate, &other).await, Ok(()), "{alteration}");
        let named = named(&house, &limited);
        assert!(named.contains("policy") && named.contains("team"), "{named}");
        // Saving it anew mends it, from the next request on.
        house.limit("team", 2, "fixed");
        assert_eq!(call(&mut gate, &limited).await, Ok(()), "{alteration}");
    }
}

#[tokio::test]
async fn a_scope_that_was_altered_covers_nothing() {
    let house = House::new();
    let scope = |name: &str| crate::domain::scope::Scope {
        name: name.parse().unwrap(),
        description: String::new(),
        endpoints: vec!["tools/call/find".parse().unwrap()],
    };
    ops::scope::set(&house.ctx, scope("narrow")).unwrap();
    ops::scope::set(&house.ctx, scope("other")).unwrap();
    let (_, narrow) = house.key_with("default", &["narrow"]);
    let (_, other) = house.key_with("default", &["other"]);
    tamper(&house, r#"UPDATE scope SET endpoints = '["**"]' WHERE name = 'narrow'"#);
    let mut gate = house.gate();
    for endpoint in ["tools/call/find", "tools/call/delete"] {
        assert_eq!(gate.call(&narrow, endpoint).await, Err(Reason::InsufficientScope));
    }
    assert_eq!(gate.call(&other, "tools/call/find").await, Ok(()));
    assert!(named(&house, &narrow).contains("`narrow` of scope"));
    // No key gets it; the others can be given; and setting it mends it.
    let new = |scope: &str| ops::api_key::NewKey {
        subject: "bob".parse().unwrap(),
        scopes: vec![scope.parse().unwrap()],
        policy: Default::default(),
        name: String::new(),
        environment: Default::default(),
        life: None,
    };
    assert!(ops::api_key::create(&house.ctx, new("narrow")).unwrap_err().to_string().contains("narrow"));
    ops::api_key::create(&house.ctx, new("other")).unwrap();
    ops::scope::set(&house.ctx, scope("narrow")).unwrap();
    assert_eq!(gate.call(&narrow, "tools/call/find").await, Ok(()));
    assert_eq!(gate.call(&narrow, "tools/call/delete").await, Err(Reason::InsufficientScope));
}

#[tokio::test]
async fn what_was_spent_cannot_be_had_back_by_altering_or_removing_the_count() {
    for alteration in [
        "UPDATE quota SET charged = zeroblob(length(charged))",
        "UPDATE quota SET charged = x''",
        "DELETE FROM quota",
        "UPDATE quota SET (charged, mac) = (SELECT charged, mac FROM quota q WHERE q.account <> quota.account)",
    ] {
        let house = House::new();
        house.limit("limited", 2, "fixed");
        house.policy("open", json!({}));
        let (id, spent) = house.key("limited");
        let (_, fresh) = house.key("limited");
        let (_, open) = house.key("open");
        let mut gate = house.gate();
        for expected in [Ok(()), Ok(()), Err(Reason::RateLimited)] {
            assert_eq!(call(&mut gate, &spent).await, expected);
        }
        gate.engine.stop().unwrap();
        tamper(&house, &format!("{alteration} WHERE account = '{id}'"));
        let mut gate = house.gate();
        for _ in 0..3 {
            assert_eq!(call(&mut gate, &spent).await, Err(Reason::Unavailable), "{alteration}");
        }
        for text in [&fresh, &fresh, &open] {
            assert_eq!(call(&mut gate, text).await, Ok(()), "{alteration}");
        }
        let named = named(&house, &spent);
        assert!(named.contains("quota") && named.contains(id.as_str()), "{named}");
        gate.engine.stop().unwrap();
    }
}

#[test]
fn a_revocation_is_not_hidden_by_altering_the_feed() {
    for alteration in [
        "UPDATE change SET object = 'OTHER' WHERE seq = (SELECT max(seq) FROM change)",
        "UPDATE change SET noun = 'policy', object = 'default' WHERE seq = (SELECT max(seq) FROM change)",
        "UPDATE change SET noun = 'nothing' WHERE seq = (SELECT max(seq) FROM change)",
        "DELETE FROM change WHERE seq = (SELECT max(seq) FROM change)",
        "DELETE FROM change",
        "UPDATE change SET seq = seq - 10000",
        "UPDATE change SET seq = seq + 10000",
    ] {
        let house = House::new();
        let (id, text) = house.key("default");
        let (other, sound) = house.key("default");
        let mut gate = house.gate();
        assert!(gate.authenticate(&text).is_ok());
        ops::api_key::revoke(&house.ctx, id, "stolen").unwrap();
        tamper(&house, &alteration.replace("OTHER", other.as_str()));
        assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Revoked, "{alteration}");
        assert!(gate.authenticate(&sound).is_ok(), "{alteration}");
        // And it goes on being followed.
        ops::api_key::revoke(&house.ctx, other, "stolen").unwrap();
        assert_eq!(gate.authenticate(&sound).unwrap_err(), Reason::Revoked, "{alteration}");
    }
}

#[test]
fn whoever_acts_on_a_row_that_was_altered_is_told_and_has_every_gateway_look_again() {
    let house = House::new();
    let (id, text) = house.key("default");
    let (_, sound) = house.key("default");
    let mut gate = house.gate();
    assert!(gate.authenticate(&text).is_ok());
    tamper(&house, &format!("UPDATE api_key SET subject = 'root' WHERE id = '{id}'"));
    assert!(gate.authenticate(&text).is_ok(), "as it was read before it was altered");

    let error = ops::api_key::revoke(&house.ctx, id, "stolen").unwrap_err();
    assert!(
        matches!(&error, ops::OpsError::Store(StoreError::Row { row, .. }) if row == id.as_str()),
        "{error}"
    );
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::UnknownCredential);
    assert!(gate.authenticate(&sound).is_ok());
    let query = crate::store::audit::Query { limit: 1, ..Default::default() };
    let newest = ops::audit::list(&house.ctx, &query).unwrap().remove(0).record;
    assert_eq!((newest.act.as_str(), newest.object.as_str()), ("refused", id.as_str()));
    assert_eq!(newest.detail["kind"], json!("damaged"));
    assert!(ops::audit::verify(&house.ctx).unwrap().valid);
}

#[test]
fn a_store_whose_pages_are_not_whole_is_not_served_from() {
    let house = House::new();
    let (_, text) = house.key("default");
    let mut gate = house.gate();
    gate.engine.begin_checkup().unwrap();
    gate.engine.stop().unwrap();
    assert!(gate.authenticate(&text).is_ok(), "a store that is whole");

    // Says that one page more is free than the list of free pages has.
    let path = house.folder.path().join("home/portcullis.db");
    let c = Connection::open(&path).unwrap();
    c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[39] += 1;
    std::fs::write(&path, bytes).unwrap();
    let mut gate = house.gate();
    assert!(gate.authenticate(&text).is_ok(), "every row is sound");
    gate.engine.begin_checkup().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while gate.engine.refresh(&mut gate.watch).is_ok() {
        assert!(std::time::Instant::now() < deadline, "the check-up found nothing");
        std::thread::yield_now();
    }
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Unavailable);
}
