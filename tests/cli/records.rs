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
    let actor = newest["actor"].as_str().unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert!(actor.starts_with("cli:") && actor.ends_with(&format!("(uid {uid})")), "{actor}");
    assert!(!actor.contains("tester"), "what $USER says is not believed: {actor}");
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
fn who_became_root_by_sudo_is_named_beside() {
    let place = Place::new();
    let mut create = place.command(&["key", "create", "--subject", "alice", "--scope", "mcp:read"]);
    assert!(create.env("SUDO_USER", "carol").output().unwrap().status.success());
    let newest = &place.json(&["audit", "list", "--limit", "1"])["items"][0];
    assert!(newest["actor"].as_str().unwrap().ends_with(", SUDO_USER carol)"), "{newest}");
}

#[test]
fn records_are_found_by_act_actor_object_and_time() {
    let place = Place::new();
    let (first, _) = place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let (second, _) = place.key(&["--subject", "bob", "--scope", "mcp:read"]);
    place.ok(&["key", "disable", &first]);
    place.ok(&["key", "revoke", &second]);
    let acts = |arguments: &[&str]| {
        let list = place.json(&[&["audit", "list"], arguments].concat());
        let acts =
            list["items"].as_array().unwrap().iter().map(|item| item["act"].as_str().unwrap().to_owned());
        acts.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(acts(&[]), "key.revoke key.disable key.create key.create home.create");
    assert_eq!(acts(&["--act", "key.create"]), "key.create key.create");
    assert_eq!(acts(&["--not-act", "key.create,home.create"]), "key.revoke key.disable");
    assert_eq!(acts(&["--not-act", "key.create", "--not-act", "key.revoke"]), "key.disable home.create");
    assert_eq!(acts(&["--object", &first]), "key.disable key.create");
    assert_eq!(acts(&["--since", "1h", "--object", &second]), "key.revoke key.create");
    assert_eq!(acts(&["--until", "1h"]), "");
    let actor = place.json(&["audit", "list"])["items"][0]["actor"].as_str().unwrap().to_owned();
    let (short, _) = actor.split_once(" (").unwrap();
    assert_eq!(acts(&["--actor", &actor, "--act", "key.revoke"]), "key.revoke");
    assert_eq!(acts(&["--actor", short, "--act", "key.revoke"]), "key.revoke");
    assert_eq!(acts(&["--actor", &short[..short.len() - 1]]), "");
    place.fails(2, &["audit", "list", "--since", "1h", "--until", "2h"]);
    place.fails(2, &["audit", "list", "--act", "key.create", "--not-act", "key.revoke"]);
}

#[test]
fn batches_of_denials_are_listed_only_where_they_are_asked_for() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let mut serve = crate::support::Service::start(&place, &crate::support::SERVE);
    let address = serve.listening().trim_start_matches("http://").to_owned();
    assert_eq!(crate::serve::get(&address, "/mcp").status, 401);
    assert_eq!(serve.terminate(), 0);
    let acts = |arguments: &[&str]| place.ok(&[&["audit", "list", "--csv"], arguments].concat());
    assert!(acts(&[]).contains("gateway.stop") && !acts(&[]).contains("event.flush"), "{}", acts(&[]));
    assert!(acts(&["--denials"]).contains("event.flush"));
    assert!(acts(&["--act", "event.flush"]).contains("event.flush"));
    let events = |arguments: &[&str]| {
        place.json(&[&["event", "list"], arguments].concat())["items"].as_array().unwrap().len()
    };
    assert_eq!((events(&["--address", "127.0.0.1"]), events(&["--address", "127.0.0.2"])), (1, 0));
    assert_eq!((events(&["--since", "1h"]), events(&["--until", "1h"])), (1, 0));
    let endpoint = place.json(&["event", "list"])["items"][0]["endpoint"].as_str().unwrap().to_owned();
    assert_eq!((events(&["--endpoint", &endpoint]), events(&["--endpoint", "tools/list"])), (1, 0));
}

#[test]
fn a_head_is_taken_as_it_was_printed_and_a_wrong_one_is_told() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let told = place.file("head.txt", place.ok(&["audit", "head"]));
    let json = place.file("head.json", place.json(&["audit", "head"]).to_string());
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    for kept in [&told, &json] {
        assert_eq!(
            place.json(&["audit", "verify", "--head", kept, "--public-key", kept])["valid"],
            json!(true)
        );
    }
    for (wrong, why) in
        [("a".repeat(63), "has 63 hex digits"), ("z".repeat(64), "`z`, which is no hex digit")]
    {
        for option in ["--head", "--public-key"] {
            let told = place.fails(2, &["audit", "verify", option, &wrong]);
            assert!(told.contains(why) && told.contains("64 hex digits"), "{told}");
        }
    }
}

#[test]
fn a_mistyped_home_is_not_made_to_be_looked_at() {
    let place = Place::new();
    for verb in ["verify", "list", "export", "head"] {
        let output = place.run(&["audit", verb]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((code(&output), told.contains("no store in")), (3, true), "{verb}: {told}");
        assert!(!place.home().exists(), "{verb}");
    }
}

#[test]
fn status_and_policies_count_tokens_and_their_ids_stay_whole() {
    let place = Place::new();
    let policy = place.file("night.json", r#"{"name": "night"}"#);
    place.ok(&["policy", "create", &policy]);
    place.key(&["--subject", "alice", "--scope", "mcp:read", "--policy", "night"]);
    let issued = ["token", "issue", "--subject", "alice", "--scope", "mcp:read", "--policy", "night"];
    let jti = place.json(&issued)["jti"].as_str().unwrap().to_owned();
    place.ok(&["token", "revoke", place.json(&issued)["jti"].as_str().unwrap()]);
    let status = place.json(&["status"]);
    assert_eq!(status["tokens"], json!({"live": 1, "expiring": 0, "revoked": 1}));
    assert!(place.ok(&["status"]).contains("1 live, 0 about to expire, 1 revoked"));
    let policies = place.json(&["policy", "list"]);
    let night =
        policies["items"].as_array().unwrap().iter().find(|policy| policy["name"] == "night").unwrap();
    assert_eq!(night["credentials"], json!(3));
    for arguments in [&["event", "list"][..], &["usage", "summary"]] {
        place.ok(&[arguments, &["--credential", &jti]].concat());
    }
}

#[test]
fn a_purge_that_finds_nothing_says_why() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    for (noun, said) in [("usage", "counters go by whole hours"), ("event", "nothing is from before")] {
        let purged = place.run(&[noun, "purge", "--older-than", "1m"]);
        let told = String::from_utf8_lossy(&purged.stderr).into_owned();
        assert!(code(&purged) == 0 && told.contains(said), "{told}");
    }
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
