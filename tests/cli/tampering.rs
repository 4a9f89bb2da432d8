//! A home whose database was altered without the vault: nobody gains by it, and the row is named.

use std::{fs, process::Output};

use serde_json::json;

use crate::support::{Place, code, err, out};

const KEY: &[&str] = &["--subject", "alice", "--scope", "mcp:read"];

fn tamper(place: &Place, sql: &str) {
    let connection = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    assert!(connection.total_changes() > 0, "{sql} changed nothing");
}

fn verify(place: &Place, key: &str) -> Output {
    place.feed(&["key", "verify", "--endpoint", "resources/read/x"], key)
}

#[test]
fn a_key_that_was_altered_is_refused_and_named_and_its_neighbour_works() {
    for (before, alteration) in [
        (Some("revoke"), "revoked_at = NULL, revoked_reason = ''"),
        (Some("disable"), "disabled = 0"),
        (None, "expires_at = expires_at + 1"),
        (None, r#"scopes = '["mcp:*"]'"#),
        (None, "subject = 'root'"),
        (None, "digest = (SELECT digest FROM api_key k WHERE k.id <> api_key.id)"),
    ] {
        let place = Place::new();
        let (id, key) = place.key(KEY);
        let (_, neighbour) = place.key(KEY);
        if let Some(verb) = before {
            place.ok(&["key", verb, &id]);
        }
        tamper(&place, &format!("UPDATE api_key SET {alteration} WHERE id = '{id}'"));
        let refused = verify(&place, &key);
        assert_eq!((code(&refused), out(&refused).as_str()), (5, ""), "{alteration}");
        assert!(err(&refused).contains("api_key") && err(&refused).contains(&id), "{}", err(&refused));
        assert_eq!(code(&verify(&place, &neighbour)), 0, "{alteration}");
        for act in [
            &["key", "show", &id][..],
            &["key", "show", &id, "--json"],
            &["key", "enable", &id],
            &["key", "rotate", &id],
            &["key", "revoke", &id],
        ] {
            let told = place.fails(5, act);
            assert!(told.contains(&id), "{told}");
        }
        let doctor = place.run(&["doctor"]);
        assert_eq!(code(&doctor), 1);
        assert!(out(&doctor).contains(&format!("api_key `{id}`")), "{}", out(&doctor));
        assert_eq!(place.json(&["status"])["rows"], json!({"damaged": 1}));
        assert!(place.ok(&["status"]).contains("DAMAGED"));
        assert_eq!(place.json(&["audit", "verify"])["valid"], json!(true));
    }
}

#[test]
fn a_backup_and_its_restore_name_an_altered_row_and_go_on() {
    let place = Place::new();
    let (id, _) = place.key(KEY);
    let (other, neighbour) = place.key(KEY);
    let within = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let passphrase = "correct horse battery staple\n";
    let run = |args: &[&str]| {
        let done = place.feed(args, passphrase);
        let answer: serde_json::Value = serde_json::from_str(&out(&done)).unwrap();
        (code(&done), answer["damaged"].as_array().unwrap().len(), err(&done))
    };
    let sound = run(&["backup", &within("sound"), "--json"]);
    assert_eq!((sound.0, sound.1), (0, 0), "{}", sound.2);
    let sound = run(&["--home", &within("first"), "restore", &within("sound"), "--json"]);
    assert_eq!((sound.0, sound.1), (0, 0), "{}", sound.2);
    tamper(&place, &format!("UPDATE api_key SET subject = 'root' WHERE id = '{id}'"));
    let (file, home) = (within("altered"), within("second"));
    for args in [&["backup", &file, "--json"][..], &["--home", &home, "restore", &file, "--json"]] {
        let (code, damaged, told) = run(args);
        assert_eq!((code, damaged), (1, 1), "{told}");
        assert!(told.contains(&id) && !told.contains(&other), "{told}");
    }
    assert_eq!(code(&place.feed(&["--home", &home, "key", "verify"], &neighbour)), 0);
}

#[test]
fn damaged_keys_can_be_purged_and_sound_ones_are_not() {
    let place = Place::new();
    let keys: Vec<_> = (0..4).map(|_| place.key(KEY)).collect();
    let [(first, _), (second, _), (_, sound), (ended, _)] = &keys[..] else { panic!("four keys") };
    place.ok(&["key", "revoke", ended]);
    tamper(&place, &format!("UPDATE api_key SET expires_at = 1 WHERE id = '{first}'"));
    tamper(&place, &format!("UPDATE api_key SET id = 'no id at all' WHERE id = '{second}'"));
    // What a damaged row says of its end is not believed.
    assert_eq!(place.json(&["key", "purge", "--older-than", "1s"]), json!({"purged": 0}));
    assert!(
        err(&place.run(&["key", "purge", "--damaged", "--older-than", "1s"])).contains("cannot be used with")
    );
    assert_eq!(place.json(&["key", "purge", "--damaged"]), json!({"purged": 2}));
    assert_eq!(place.json(&["key", "purge", "--damaged"]), json!({"purged": 0}));
    let record = &place.json(&["audit", "list", "--act", "key.purge"])["items"][0];
    let named = record["detail"]["keys"].as_array().unwrap();
    assert_eq!((&record["detail"]["damaged"], named.len()), (&json!(true), 2));
    assert!(named.contains(&json!(first)) && named.contains(&json!("no id at all")), "{record}");
    assert_eq!(place.json(&["key", "list"])["items"].as_array().unwrap().len(), 2);
    assert_eq!(code(&verify(&place, sound)), 0);
    assert_eq!(place.json(&["status"])["rows"], json!({"damaged": 0}));
    assert_eq!(place.json(&["audit", "verify"])["valid"], json!(true));
}

#[test]
fn altered_policies_and_scopes_are_named_and_mended_by_saving_them_anew() {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    let policy = place.file("policy.json", r#"{"name": "default", "description": "anew"}"#);
    tamper(&place, "UPDATE policy_revision SET document = json_set(document, '$.mode', 'shadow')");
    let refused = verify(&place, &key);
    assert_eq!(code(&refused), 5);
    assert!(
        err(&refused).contains("policy_revision") && err(&refused).contains("default 1"),
        "{}",
        err(&refused)
    );
    place.ok(&["policy", "apply", &policy]);
    assert_eq!(code(&verify(&place, &key)), 0);

    tamper(&place, r#"UPDATE scope SET endpoints = '["**"]' WHERE name = 'mcp:read'"#);
    let refused = verify(&place, &key);
    assert_eq!(code(&refused), 5);
    assert!(err(&refused).contains("`mcp:read` of scope"), "{}", err(&refused));
    assert!(err(&place.run(&[&["key", "create"], KEY].concat())).contains("mcp:read"));
    place.key(&["--subject", "bob", "--scope", "mcp:*"]);
    place.ok(&["scope", "set", "mcp:read", "--endpoint", "resources/read/**"]);
    assert_eq!(code(&verify(&place, &key)), 0);
}

#[test]
fn without_the_vault_rows_are_shown_and_said_to_be_unchecked() {
    let place = Place::new();
    let (id, _) = place.key(KEY);
    tamper(&place, "UPDATE api_key SET subject = 'root'");
    fs::rename(place.home().join("vault.key"), place.path().join("vault.key")).unwrap();
    assert!(place.ok(&["key", "list"]).contains(&id));
    assert_eq!(place.json(&["status"])["rows"], json!({"damaged": null}));
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(
        out(&doctor).contains("not checked") && !out(&doctor).contains("every seal fits"),
        "{}",
        out(&doctor)
    );
    fs::rename(place.path().join("vault.key"), place.home().join("vault.key")).unwrap();
    assert!(!out(&place.run(&["doctor"])).contains("not checked"));
}

#[test]
fn a_home_of_before_the_first_release_is_refused_with_what_to_do() {
    let place = Place::new();
    place.key(KEY);
    tamper(&place, "PRAGMA user_version = 1; UPDATE setting SET value = value");
    for verb in
        [&["key", "list"][..], &["status"], &["key", "create", "--subject", "a", "--scope", "mcp:read"]]
    {
        let refused = place.run(verb);
        assert_eq!(code(&refused), 5);
        assert!(err(&refused).contains("before the first release"), "{}", err(&refused));
    }
}
