//! `portcullis key …`

use serde_json::json;

use crate::support::{Place, code, err, fields, out};

const ALICE: &[&str] = &["--subject", "alice", "--scope", "mcp:read"];

#[test]
fn a_key_is_made_with_the_promised_fields() {
    let place = Place::new();
    let made =
        place.json(&["key", "create", "--subject", "alice", "--scope", "mcp:read", "--name", "laptop"]);
    assert_eq!(
        fields(&made),
        ["created_at", "expires_at", "id", "key", "name", "policy", "scopes", "secret", "subject"]
    );
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let secret = made["secret"].as_str().unwrap();
    assert_eq!((id.len(), secret.len()), (22, 43));
    assert!(key.starts_with(&format!("pcl_live_{id}_{secret}")) && key.len() == 9 + 22 + 1 + 43 + 6);
    assert_eq!(made["scopes"], json!(["mcp:read"]));
    assert_eq!((&made["policy"], &made["name"]), (&json!("default"), &json!("laptop")));
    let moment = |name: &str| chrono::DateTime::parse_from_rfc3339(made[name].as_str().unwrap()).unwrap();
    assert_eq!(moment("expires_at") - moment("created_at"), chrono::TimeDelta::hours(24));
    assert!(made["created_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn people_get_the_key_alone_on_standard_output() {
    let place = Place::new();
    let output = place.run(&[&["key", "create", "--env", "test"], ALICE].concat());
    assert_eq!(code(&output), 0);
    assert!(out(&output).starts_with("pcl_test_") && out(&output).lines().count() == 1);
    assert!(err(&output).contains("only time") && !err(&output).contains(out(&output).trim()));
}

#[test]
fn a_key_lives_as_long_as_was_asked_for() {
    let place = Place::new();
    let ever = place.json(&[&["key", "create", "--no-expiry"], ALICE].concat());
    assert!(ever["expires_at"].is_null());
    for bad in ["0s", "-1h", "200y", "soon", ""] {
        let told = place.fails(2, &[&["key", "create", &format!("--expires-in={bad}")], ALICE].concat());
        assert!(told.contains("--expires-in"), "{told}");
    }
    place.fails(2, &[&["key", "create", "--no-expiry", "--expires-in", "1h"], ALICE].concat());
}

#[test]
fn what_a_key_cannot_be_is_said_with_its_reason() {
    let place = Place::new();
    place.key(ALICE);
    let unknown = place.fails(2, &["key", "create", "--subject", "a", "--scope", "mcp:raed"]);
    assert!(unknown.contains("mcp:raed"), "{unknown}");
    place.fails(2, &["key", "create", "--subject", "a"]);
    place.fails(2, &["key", "create", "--scope", "mcp:read"]);
    place.fails(2, &["key", "create", "--subject", "", "--scope", "mcp:read"]);
    place.fails(2, &["key", "create", "--subject", &"s".repeat(321), "--scope", "mcp:read"]);
    place.fails(2, &[&["key", "create", "--env", "LIVE"], ALICE].concat());
    let told = place.fails(2, &[&["key", "create", "--policy", "defalt"], ALICE].concat());
    assert!(told.contains("did you mean `default`?"), "{told}");
    let told = place.fails(2, &[&["key", "create", "--policy", "nowhere"], ALICE].concat());
    assert!(told.contains("policy list"), "{told}");
    let escape = place.fails(2, &["key", "create", "--subject", "\u{1b}[31mred", "--scope", "mcp:read"]);
    assert!(!escape.contains('\u{1b}'), "a terminal would obey this: {escape:?}");
}

#[test]
fn keys_are_listed_filtered_and_paged() {
    let place = Place::new();
    for subject in ["carol", "alice", "bob"] {
        place.key(&["--subject", subject, "--scope", "mcp:read"]);
    }
    let subjects = |arguments: &[&str]| {
        let list = place.json(&[&["key", "list"], arguments].concat());
        let items = list["items"].as_array().unwrap().clone();
        let names = items.iter().map(|key| key["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (names.join(" "), list["next"].as_str().map(str::to_owned))
    };
    assert_eq!(subjects(&["--sort", "subject"]), ("alice bob carol".into(), None));
    assert_eq!(subjects(&["--sort", "subject", "--desc"]).0, "carol bob alice");
    assert_eq!(subjects(&["--filter", "subject:bob"]).0, "bob");
    assert_eq!(subjects(&["--filter", "!subject:bob", "--sort", "subject"]).0, "alice carol");
    let (first, next) = subjects(&["--sort", "subject", "--limit", "2"]);
    assert_eq!(first, "alice bob");
    let rest = subjects(&["--sort", "subject", "--limit", "2", "--after", &next.unwrap()]);
    assert_eq!(rest, ("carol".into(), None));
    place.fails(2, &["key", "list", "--limit", "0"]);
    place.fails(2, &["key", "list", "--limit", "-1"]);
    place.fails(2, &["key", "list", "--sort", "colour"]);
    place.fails(2, &["key", "list", "--after", "no cursor"]);
    place.fails(2, &["key", "list", "--filter", "expires<soon"]);
}

#[test]
fn an_empty_list_is_a_list() {
    let place = Place::new();
    assert_eq!(place.json(&["key", "list"]), json!({"items": [], "next": null}));
}

#[test]
fn a_spreadsheet_gets_no_formula() {
    let place = Place::new();
    place.key(&["--subject", "=cmd|calc", "--scope", "mcp:read"]);
    let csv = place.ok(&["key", "list", "--csv"]);
    assert!(csv.starts_with("id,name,subject") && csv.contains(",'=cmd|calc,"), "{csv}");
    place.fails(2, &["key", "list", "--csv", "--json"]);
}

#[test]
fn a_key_is_judged_from_standard_input() {
    let place = Place::new();
    let (id, key) = place.key(&["--subject", "alice", "--scope", "tools:call"]);
    let verify = |arguments: &[&str], key: &str| {
        let output = place.feed(&[&["key", "verify", "--json"], arguments].concat(), key);
        let answer = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
        assert_eq!(fields(&answer), ["allowed", "checks", "lockouts", "principal", "reason"]);
        assert_eq!(code(&output), i32::from(answer["allowed"] != json!(true)));
        answer
    };
    for ending in ["", "\n", "\r\n"] {
        assert_eq!(verify(&[], &format!("{key}{ending}"))["allowed"], json!(true), "{ending:?}");
    }
    let answer = verify(&["--endpoint", "tools/call/x"], &key);
    assert_eq!(answer["reason"], json!(null));
    assert_eq!(answer["principal"]["subject"], json!("alice"));
    assert_eq!(answer["principal"]["credential"], json!(id));
    assert_eq!(fields(&answer["checks"][0]), ["check", "detail", "passed"]);

    assert_eq!(verify(&["--endpoint", "resources/read/x"], &key)["reason"], json!("insufficient_scope"));
    assert_eq!(verify(&["--at", "2999-01-01T00:00:00Z"], &key)["reason"], json!("expired"));
    assert_eq!(verify(&[], "")["reason"], json!("missing_credential"));
    assert_eq!(verify(&[], "hunter2")["reason"], json!("malformed"));
    let (body, last) = key.split_at(key.len() - 1);
    let mistyped = format!("{body}{}", if last == "0" { "1" } else { "0" });
    assert_eq!(verify(&[], &mistyped)["reason"], json!("malformed"));
    let stranger = Place::new().key(ALICE).1;
    let answer = verify(&[], &stranger);
    assert_eq!((&answer["reason"], &answer["principal"]), (&json!("unknown_credential"), &json!(null)));

    let explained = place.feed(&["explain", "--json"], &key);
    assert_eq!(code(&explained), 0);
    let told = place.feed(&["key", "verify"], &mistyped);
    assert!(!out(&told).contains(&mistyped[40..]) && !err(&told).contains(&mistyped[40..]));
}

#[test]
fn a_list_that_names_no_tool_is_explained() {
    let place = Place::new();
    place.ok(&["scope", "set", "one:tool", "--endpoint", "tools/list", "tools/call/search_*"]);
    for (scope, is_empty) in [
        ("mcp:read", true),
        ("tools:list", true),
        ("mcp:use", false),
        ("tools:call", false),
        ("one:tool", false),
        ("mcp:*", false),
    ] {
        let (_, key) = place.key(&["--subject", "alice", "--scope", scope]);
        for command in [&["explain"][..], &["key", "verify"]] {
            let output = place.feed(&[command, &["--endpoint", "tools/list", "--json"]].concat(), &key);
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let checks = answer["checks"].as_array().unwrap();
            let scopes = checks.iter().find(|check| check["check"] == "scope").unwrap();
            assert_eq!(scopes["passed"], true, "{scope}");
            let detail = scopes["detail"].as_str().unwrap();
            assert_eq!(detail.contains("so the list is empty"), is_empty, "{scope}: {detail}");
        }
    }
    let listed = place.json(&["scope", "list"]);
    let described = |name: &str| {
        let items = listed["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap()["description"].as_str().unwrap().to_owned()
    };
    assert!(
        described("mcp:read").contains("tools/list names none") && described("tools:list").contains("empty")
    );
}

#[test]
fn a_detour_to_a_resource_is_refused_whoever_judges() {
    let place = Place::new();
    let policy = json!({"name": "public",
        "endpoint_restrictions": {"allowed_endpoints": ["resources/read/file:///public/**"]}});
    assert_eq!(code(&place.feed(&["policy", "create", "-"], policy.to_string())), 0);
    let (_, key) = place.key(&["--subject", "alice", "--scope", "resources:read", "--policy", "public"]);
    for (uri, reason) in [
        ("file:///public/../secret.md", json!("bad_request")),
        ("file:///public/%2e%2e/secret.md", json!("bad_request")),
        ("file:///public//../secret.md", json!("bad_request")),
        ("file:///public/x/../hours.md", json!("bad_request")),
        ("file:///secret.md?/public/", json!("endpoint_denied")),
        ("FILE:///public/hours.md", json!("endpoint_denied")),
        ("file:///public/hours.md", json!(null)),
        ("file:///public/hours.md?at=9#top", json!(null)),
    ] {
        let endpoint = format!("resources/read/{uri}");
        let output = place.feed(&["key", "verify", "--json", "--endpoint", &endpoint], &key);
        let answer = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
        assert_eq!(answer["reason"], reason, "{uri}");
        let request = json!({"at": "2027-01-15T08:00:00Z", "endpoint": endpoint}).to_string();
        let simulated = place.feed(&["policy", "simulate", "--json", "--policy", "public"], &request);
        let answer = serde_json::from_slice::<serde_json::Value>(&simulated.stdout).unwrap();
        assert_eq!(answer["reason"], reason, "{uri}");
    }
}

#[test]
fn wrong_questions_about_a_key_are_bad_usage() {
    let place = Place::new();
    place.fails(2, &["key", "verify", "--endpoint", "tools/list", "--ip", "300.1.1.1"]);
    place.fails(2, &["key", "verify", "--endpoint", ""]);
    place.fails(2, &["key", "verify", "--at", "tomorrow"]);
    place.fails(2, &["key", "verify", "--endpoint", "/%zz"]);
}

#[test]
fn a_key_is_disabled_enabled_and_revoked() {
    let place = Place::new();
    let (id, key) = place.key(ALICE);
    let state = || place.json(&["key", "show", &id])["state"].clone();
    let judged = || code(&place.feed(&["key", "verify"], &key));
    place.ok(&["key", "disable", &id]);
    assert_eq!((state(), judged()), (json!("disabled"), 1));
    place.ok(&["key", "enable", &id]);
    assert_eq!((state(), judged()), (json!("active"), 0));
    let revoked = place.json(&["key", "revoke", &id, "--reason", "lost"]);
    assert_eq!(revoked["items"][0]["revoked_reason"], json!("lost"));
    assert_eq!((state(), judged()), (json!("revoked"), 1));
    place.fails(4, &["key", "revoke", &id]);
    place.fails(4, &["key", "enable", &id]);
    place.fails(4, &["key", "rotate", &id]);
}

#[test]
fn many_are_revoked_or_none() {
    let place = Place::new();
    let (first, _) = place.key(ALICE);
    let (second, _) = place.key(ALICE);
    let unknown = "0".repeat(22);
    place.fails(3, &["key", "revoke", &first, &unknown, &second]);
    place.fails(2, &["key", "revoke", &first, "no-id"]);
    place.ok(&["key", "revoke", &first, &second]);
}

#[test]
fn rotation_keeps_the_id_and_honours_the_grace() {
    let place = Place::new();
    let (id, old) = place.key(ALICE);
    let judged = |key: &str| code(&place.feed(&["key", "verify"], key));
    let rotated = place.json(&["key", "rotate", &id, "--grace", "1h"]);
    assert_eq!(rotated["id"], json!(id));
    let new = rotated["key"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert_eq!((judged(&old), judged(&new)), (0, 0));
    let newest = place.json(&["key", "rotate", &id])["key"].as_str().unwrap().to_owned();
    assert_eq!((judged(&new), judged(&newest)), (1, 0));
    place.fails(2, &["key", "rotate", &id, "--grace=-1h"]);
    place.fails(3, &["key", "rotate", &"0".repeat(22)]);
}

#[test]
fn a_key_is_changed_in_place_at_its_next_use() {
    let place = Place::new();
    let (id, key) = place.key(&["--subject", "alice", "--scope", "mcp:*", "--name", "laptop"]);
    let (other, _) = place.key(ALICE);
    let judged = || code(&place.feed(&["key", "verify", "--endpoint", "tools/call/rm"], &key));
    assert_eq!(judged(), 0);
    let set = place.json(&["key", "set", &id, "--scope", "mcp:read", "--name", "", "--no-expiry"]);
    let key_now = &set["items"][0];
    assert_eq!((&key_now["id"], &key_now["scopes"]), (&json!(id), &json!(["mcp:read"])));
    assert_eq!((&key_now["name"], &key_now["expires_at"]), (&json!(""), &json!(null)));
    assert_eq!((&key_now["policy"], &key_now["state"]), (&json!("default"), &json!("active")));
    assert_eq!(judged(), 1);

    let policy = place.file("night.json", r#"{"name": "night", "time_restrictions": {"allowed_hours": []}}"#);
    place.ok(&["policy", "create", &policy]);
    place.ok(&["key", "set", "--policy", "night", "--scope", "mcp:read,tools:call", &id, &other]);
    for id in [&id, &other] {
        let shown = place.json(&["key", "show", id]);
        assert_eq!(
            (&shown["policy"], &shown["scopes"]),
            (&json!("night"), &json!(["mcp:read", "tools:call"]))
        );
    }
    let record = &place.json(&["audit", "list", "--act", "key.set", "--object", &other])["items"][0];
    assert_eq!(record["detail"]["before"]["policy"], json!("default"));
    assert_eq!(record["detail"]["after"]["policy"], json!("night"));
}

#[test]
fn a_change_that_cannot_be_changes_no_key() {
    let place = Place::new();
    let (id, _) = place.key(ALICE);
    let (gone, _) = place.key(ALICE);
    place.ok(&["key", "revoke", &gone]);
    place.fails(2, &["key", "set", &id]);
    place.fails(2, &["key", "set", "--name", "x"]);
    place.fails(2, &["key", "set", &id, "--scope", "mcp:raed"]);
    place.fails(2, &["key", "set", &id, "--policy", "nowhere"]);
    place.fails(2, &["key", "set", &id, "--no-expiry", "--expires-in", "1h"]);
    place.fails(2, &["key", "set", &id, "--expires-in=-1h"]);
    place.fails(3, &["key", "set", &id, &"0".repeat(22), "--name", "x"]);
    assert!(place.fails(4, &["key", "set", &id, &gone, "--name", "x"]).contains("revoked"));
}

#[test]
fn only_what_has_long_ended_is_purged() {
    let place = Place::new();
    let (id, _) = place.key(ALICE);
    let (kept, _) = place.key(ALICE);
    place.ok(&["key", "revoke", &id]);
    assert_eq!(place.json(&["key", "purge"]), json!({"purged": 0}));
    place.ok(&["key", "show", &kept]);
    place.ok(&["key", "show", &id]);
}

#[test]
fn a_secret_among_the_arguments_is_refused_and_not_echoed() {
    let place = Place::new();
    let (id, key) = place.key(ALICE);
    let secret = &key[key.len() - 49..];
    for arguments in [
        &["key", "show", &key][..],
        &["key", "revoke", &key],
        &["key", "verify", &key],
        &["key", "create", "--subject", &key, "--scope", "mcp:read"],
        &["--home", &key, "status"],
        &["nonsense", &key],
    ] {
        let told = place.fails(2, arguments);
        assert!(told.contains("key's id") && !told.contains(secret), "{told}");
    }
    assert_eq!(place.json(&["key", "show", &id])["state"], json!("active"));
}

#[test]
fn unknown_and_wrong_ids_differ() {
    let place = Place::new();
    let told = place.fails(3, &["key", "show", &"0".repeat(22)]);
    assert!(told.contains(&"0".repeat(22)), "{told}");
    place.fails(2, &["key", "show", "short"]);
}

#[test]
fn a_scan_finds_keys_by_form_and_checksum() {
    let place = Place::new();
    let (id, key) = place.key(ALICE);
    let stranger = Place::new().key(ALICE).1;
    place.ok(&["key", "revoke", &id]);
    let leak = place.file("leak.bin", [b"\xff\x00\n\nKEY='".as_slice(), key.as_bytes(), b"'\n"].concat());
    let other = place.file("other.txt", &stranger);
    let clean = place.file("clean.txt", "pcl_live_nothing\n");

    let output = place.run(&["key", "scan", "--json", &leak, &clean, &other]);
    assert_eq!(code(&output), 1);
    let found = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert_eq!(found["items"][0], json!({"path": leak, "line": 3, "id": id, "state": "revoked"}));
    assert_eq!(found["items"][1]["state"], json!(null));
    assert!(!out(&output).contains(&key[key.len() - 49..]));

    let output = place.feed(&["key", "scan", "-"], &key);
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("-:1") && !out(&output).contains(&key[key.len() - 49..]));
    assert_eq!(code(&place.run(&["key", "scan", &clean])), 0);
    assert_eq!(code(&place.run(&["key", "scan", place.path().to_str().unwrap()])), 1);
    // A path that is not there is a wrong argument, whatever stands beside it.
    for paths in [&["/does/not/exist"][..], &[&leak, "/does/not/exist"], &["-", "/does/not/exist"]] {
        let missing = place.run(&[&["key", "scan"], paths].concat());
        assert_eq!((code(&missing), out(&missing).as_str()), (2, ""), "{paths:?}");
        assert!(err(&missing).contains("/does/not/exist cannot be read"), "{}", err(&missing));
        assert!(!err(&missing).contains("no keys found"), "nothing was looked at: {}", err(&missing));
    }
}

#[test]
fn a_negative_number_is_named_with_its_option() {
    let place = Place::new();
    let (id, _) = place.key(ALICE);
    for (option, value, arguments) in [
        ("--expires-in", "-1h", &["key", "create", "--subject", "a", "--scope", "mcp:read"][..]),
        ("--grace", "-1h", &["key", "rotate", &id]),
        ("--older-than", "-30d", &["key", "purge"]),
        ("--limit", "-1", &["key", "list"]),
        ("--limit", "-1", &["audit", "list"]),
        ("--limit", "-1", &["event", "list"]),
        ("--limit", "-1", &["usage", "top"]),
        ("--step", "-5m", &["usage", "series"]),
    ] {
        let told = place.fails(2, &[arguments, &[option, value]].concat());
        assert!(told.contains(&format!("'{value}' for '{option}")), "{told}");
    }
    for arguments in [&["event", "list", "--since", "-1h"][..], &["usage", "summary", "--since", "-1h"]] {
        assert!(place.fails(2, arguments).contains("`-1h`"));
    }
}

#[test]
fn each_way_a_key_fails_has_its_reason() {
    let (place, other) = (Place::new(), Place::new());
    let judged = |key: &str| {
        let output = place.feed(&["key", "verify", "--json"], key);
        let answer = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
        (code(&output), answer["reason"].as_str().map(str::to_owned))
    };
    let no = |reason: &str| (1, Some(reason.to_owned()));
    let (id, old) = place.key(ALICE);
    assert_eq!(judged(&old), (0, None));
    let new = place.json(&["key", "rotate", &id])["key"].as_str().unwrap().to_owned();
    assert_eq!((judged(&old), judged(&new)), (no("bad_secret"), (0, None)));
    place.ok(&["key", "disable", &id]);
    assert_eq!(judged(&new), no("disabled"));
    place.ok(&["key", "enable", &id]);
    assert_eq!(judged(&new), (0, None));
    place.ok(&["key", "revoke", &id]);
    assert_eq!(judged(&new), no("revoked"));
    assert_eq!(judged(&other.key(ALICE).1), no("unknown_credential"));
    assert_eq!(judged(""), no("missing_credential"));
}

#[test]
fn the_options_of_every_command_may_stand_before_or_behind_the_verb() {
    let place = Place::new();
    place.key(ALICE);
    let behind = place.ok(&["key", "list", "--json"]);
    assert_eq!(place.ok(&["--json", "key", "list"]), behind);
    assert_eq!(place.ok(&["key", "--json", "list"]), behind);
    let home = place.home();
    assert_eq!(place.ok(&["key", "list", "--json", "--home", home.to_str().unwrap()]), behind);
}
