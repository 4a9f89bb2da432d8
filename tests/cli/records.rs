//! `audit …`, `usage …`, `event …`, `status`

use serde_json::json;

use crate::support::{Place, code, fields, out};

#[test]
fn every_change_stands_in_a_chain_that_verifies() {
    let place = Place::new();
    let (id, _) = place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    place.ok(&["key", "revoke", &id, "--reason", "lost"]);
    let verdict = place.json(&["audit", "verify"]);
    assert_eq!(
        fields(&verdict),
        ["first_bad", "head", "key", "key_from", "reason", "records", "valid", "verdict"]
    );
    assert_eq!((&verdict["valid"], &verdict["first_bad"]), (&json!(true), &json!(null)));

    let newest = &place.json(&["audit", "list", "--limit", "1"])["items"][0];
    assert_eq!((&newest["act"], &newest["object"]), (&json!("key.revoke"), &json!(id)));
    assert_eq!(newest["actor"], json!("cli:tester"));
    assert_eq!(newest["detail"]["reason"], json!("lost"));
    assert_eq!(newest["hash"], verdict["head"]);
    let head = place.json(&["audit", "head"]);
    assert_eq!(fields(&head), ["fingerprint", "hash", "public_key", "seq", "signature"]);
    assert_eq!((&head["hash"], &head["seq"]), (&verdict["head"], &newest["seq"]));
    assert!(head["public_key"].as_str().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
}

#[test]
fn records_are_paged_newest_first_and_exported_oldest_first() {
    let place = Place::new();
    for _ in 0..3 {
        place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    }
    let exported = place.ok(&["audit", "export"]);
    let seqs = exported
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_i64().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
    let mut listed = Vec::new();
    let mut after = None::<String>;
    loop {
        let mut arguments = vec!["audit", "list", "--limit", "2"];
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let page = place.json(&arguments);
        listed.extend(page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_i64().unwrap()));
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    listed.reverse();
    assert_eq!(listed, seqs);
    assert_eq!(place.json(&["audit", "list", "--act", "key.create"])["items"].as_array().unwrap().len(), 3);
}

#[test]
fn an_altered_record_is_found() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let records = place.json(&["audit", "verify"])["records"].as_i64().unwrap();
    let connection = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    connection.execute("UPDATE audit SET actor = 'cli:mallory' WHERE seq = ?1", [records]).unwrap();
    drop(connection);
    let output = place.run(&["audit", "verify", "--json"]);
    assert_eq!(code(&output), 1);
    let verdict = serde_json::from_str::<serde_json::Value>(&out(&output)).unwrap();
    assert_eq!((&verdict["valid"], &verdict["first_bad"]), (&json!(false), &json!(records)));
    assert_eq!(code(&place.run(&["doctor"])), 1);
}

#[test]
fn a_word_that_cannot_be_is_refused_with_the_nearest_that_can() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    for (arguments, said) in [
        (&["event", "list", "--kind", "rate_limted"][..], "rate_limited"),
        (&["audit", "list", "--act", "key.revok"], "key.revoke"),
        (&["usage", "summary", "--credential", "alice"], "22"),
        (&["event", "list", "--credential", "x"], "22"),
        (&["audit", "list", "--after", "-5"], "-5 is not in 1.."),
        (&["event", "list", "--after", "-5"], "-5 is not in 1.."),
        (&["policy", "show", "default", "--revision", "-1"], "-1 is not in 1.."),
        (&["policy", "diff", "default", "-1"], "-1 is not in 1.."),
    ] {
        let output = place.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((code(&output), errors.contains(said)), (2, true), "{arguments:?}: {errors}");
    }
    let unknown = "0123456789abcdefghijAB";
    for arguments in [
        &["event", "list", "--kind", "rate_limited"][..],
        &["event", "list", "--kind", "lockout_started", "--credential", "-"],
        &["audit", "list", "--act", "key.revoke"],
        &["usage", "summary", "--credential", unknown],
        &["audit", "list", "--after", "5"],
    ] {
        place.ok(arguments);
    }
}

#[test]
fn usage_of_a_quiet_home_is_nothing_and_bad_ranges_are_refused() {
    let place = Place::new();
    let summary = place.json(&["usage", "summary"]);
    assert_eq!((&summary["calls"], &summary["outcomes"]), (&json!(0), &json!([])));
    assert_eq!(place.json(&["usage", "top", "--by", "endpoint"]), json!({"items": [], "next": null}));
    let series = place.json(&["usage", "series", "--since", "2h", "--step", "1h"]);
    assert!(series["items"].as_array().unwrap().iter().all(|step| step["calls"] == json!(0)));
    assert_eq!(place.json(&["event", "list"]), json!({"items": [], "next": null}));
    place.fails(2, &["usage", "summary", "--since", "yesterday"]);
    place.fails(2, &["usage", "summary", "--since", "1h", "--until", "2h"]);
    place.fails(2, &["usage", "series", "--step", "90s"]);
    place.fails(2, &["usage", "top", "--by", "colour"]);
    place.fails(2, &["event", "list", "--limit", "0"]);
    place.fails(2, &["event", "list", "--after", "x"]);
}

#[test]
fn the_status_counts_keys_by_state() {
    let place = Place::new();
    let (id, _) = place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    place.key(&["--subject", "bob", "--scope", "mcp:read"]);
    place.ok(&["key", "revoke", &id]);
    let status = place.json(&["status"]);
    assert_eq!(status["keys"], json!({"active": 1, "disabled": 0, "expired": 0, "revoked": 1}));
    assert_eq!((&status["policies"], &status["gateway"]["last"]), (&json!(1), &json!("never")));
    assert_eq!(status["last_24h"], json!({"allowed": 0, "denied": 0, "failed": 0}));
}
