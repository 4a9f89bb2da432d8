//! A store that is lost, exchanged or put back from an older copy: every command says so, and what the way out is.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::support::{Place, SERVE, Service, code, err, out};

const KEY: &[&str] = &["--subject", "alice", "--scope", "mcp:*"];
const FILES: [&str; 3] = ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"];

/// One of each kind: what reads, what writes, what judges, what serves.
const COMMANDS: [&[&str]; 9] = [
    &["audit", "verify"],
    &["audit", "head"],
    &["status"],
    &["key", "list"],
    &["key", "create", "--subject", "bob", "--scope", "mcp:*"],
    &["policy", "show", "default"],
    &["token", "list"],
    &["event", "list"],
    &SERVE,
];

/// That no command does its work, and each tells the way out.
#[track_caller]
fn all_refuse(place: &Place, ways: &[&str]) {
    for command in COMMANDS {
        let ended = place.run(command);
        assert_eq!(code(&ended), 5, "{command:?}: {}{}", out(&ended), err(&ended));
        for way in ways {
            assert!(err(&ended).contains(way), "{command:?}: {}", err(&ended));
        }
    }
    let judged = place.feed(&["key", "verify"], "pcl_live_x");
    assert_ne!(code(&judged), 0);
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 5, "{}", out(&doctor));
    assert!(ways.iter().all(|way| out(&doctor).contains(way)), "{}", out(&doctor));
}

fn copy(place: &Place, back: bool) {
    for name in FILES {
        let (from, to) = (place.home().join(name), place.path().join(name));
        let (from, to) = if back { (to, from) } else { (from, to) };
        fs::remove_file(&to).ok();
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn a_lost_store_is_not_replaced_by_a_new_one() {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    copy(&place, false);
    for name in FILES {
        fs::remove_file(place.home().join(name)).ok();
    }
    all_refuse(&place, &["is lost", "portcullis store begin-anew"]);
    assert!(!place.home().join("portcullis.db").exists());
    // Put back, it is what it was.
    copy(&place, true);
    assert_eq!(code(&place.feed(&["key", "verify"], &key)), 0);
    place.ok(&["audit", "verify"]);
    let told = place.fails(4, &["store", "begin-anew"]);
    assert!(told.contains("nothing to begin anew"), "{told}");
    // Or a new one is begun, by an act that says so.
    for name in FILES {
        fs::remove_file(place.home().join(name)).ok();
    }
    let begun = place.json(&["store", "begin-anew", "--reason", "the disk died"]);
    assert!(place.home().join(begun["aside"].as_str().unwrap()).join("usage.db").exists());
    let records = place.json(&["audit", "list"]);
    assert_eq!(records["items"][0]["act"], json!("store.begin-anew"));
    assert_eq!(records["items"][0]["detail"]["reason"], json!("the disk died"));
    assert_eq!(place.json(&["audit", "verify"])["records"], json!(1));
    assert_eq!(code(&place.feed(&["key", "verify"], &key)), 1);
    assert_eq!(code(&place.run(&["doctor"])), 0);
}

#[test]
fn a_store_that_is_in_order_has_nothing_to_be_accepted() {
    let place = Place::new();
    place.key(KEY);
    let told = place.fails(4, &["store", "accept"]);
    assert!(told.contains("nothing to accept"), "{told}");
    assert_eq!(place.json(&["audit", "list", "--act", "store.accept"])["items"], json!([]));
}

#[test]
fn an_older_store_put_back_lets_nobody_in_until_it_is_accepted() {
    let place = Place::new();
    let (id, key) = place.key(KEY);
    let (_, kept) = place.key(KEY);
    copy(&place, false);
    place.ok(&["key", "revoke", &id]);
    copy(&place, true);
    all_refuse(&place, &["is an older copy", "portcullis store accept", "portcullis store begin-anew"]);
    let accepted = place.json(&["store", "accept", "--reason", "restored"]);
    assert_eq!(accepted["stopped"], json!([format!("key {id} is revoked")]));
    assert!(
        accepted["unknown"]
            .as_array()
            .unwrap()
            .iter()
            .any(|told| told.as_str().unwrap().contains("used once"))
    );
    assert_eq!(code(&place.feed(&["key", "verify"], &key)), 1, "what was revoked stays so");
    assert_eq!(code(&place.feed(&["key", "verify"], &kept)), 0);
    place.ok(&["audit", "verify"]);
    assert_eq!(code(&place.run(&["doctor"])), 0);
}

#[test]
fn a_home_of_an_earlier_release_is_said_to_be_one_and_the_first_act_brings_it_up_to_date() {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    let books = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    // As far as the last step that a release took.
    books.execute_batch("DROP TABLE token_ground; PRAGMA user_version = 4").unwrap();
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 0, "{}", out(&doctor));
    assert!(
        out(&doctor).contains("of an earlier portcullis") && out(&doctor).contains("anchor"),
        "{}",
        out(&doctor)
    );
    let version = |books: &rusqlite::Connection| -> i64 {
        books.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&books), 4, "it changes nothing");
    assert_eq!(code(&place.run(&["key", "list"])), 5, "who only reads cannot");
    place.ok(&["key", "create", "--subject", "bob", "--scope", "mcp:*"]);
    assert_eq!(version(&books), 6);
    assert_eq!(code(&place.feed(&["key", "verify"], &key)), 0);
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 0, "{}", out(&doctor));
    assert!(out(&doctor).contains("who was revoked or disabled still is"));
}

#[test]
fn a_revocation_that_was_removed_keeps_the_gateway_from_starting() {
    let place = Place::new();
    let (id, _) = place.key(KEY);
    place.ok(&["token", "revoke", "--subject", "alice"]);
    let books = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    books.execute_batch("CREATE TEMP TABLE old AS SELECT * FROM revocation; DELETE FROM revocation").unwrap();
    let serve = COMMANDS[COMMANDS.len() - 1];
    let ended = place.run(serve);
    assert_eq!(code(&ended), 5, "{}", err(&ended));
    assert!(err(&ended).contains("`alice`") && err(&ended).contains("token revoke"), "{}", err(&ended));
    let doctor = serde_json::from_str::<Value>(&out(&place.run(&["doctor", "--json"]))).unwrap();
    let failed: Vec<_> =
        doctor["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false).collect();
    assert!(failed.len() == 1 && failed[0]["check"] == "stops", "{failed:?}");
    books.execute_batch("INSERT INTO revocation SELECT * FROM old").unwrap();
    drop(books);
    place.ok(&["key", "disable", &id]);
    let mut gateway = Service::start(&place, serve);
    gateway.listening();
    assert_eq!(gateway.terminate(), 0);
}

#[test]
fn a_second_name_for_the_key_and_a_folder_of_everybody_are_refused() {
    let place = Place::new();
    place.key(KEY);
    let (key, second) = (place.home().join("vault.key"), place.path().join("second"));
    fs::hard_link(&key, &second).unwrap();
    let told = err(&place.run(&["key", "list"]));
    assert!(told.contains("2 names"), "{told}");
    let (_, mend) = told.split_once("mend: ").unwrap();
    assert!(std::process::Command::new("sh").args(["-c", mend]).status().unwrap().success(), "{mend}");
    place.ok(&["key", "list"]);

    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = place.run(&["key", "list"]);
    assert_eq!(code(&refused), 5);
    assert!(
        err(&refused).contains("put another") && err(&refused).contains("chmod o-w"),
        "{}",
        err(&refused)
    );
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    place.ok(&["key", "list"]);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).unwrap();

    let config = place.file("config.toml", "[serve]\nupstream = \"http://u:p4ss@127.0.0.1:9/mcp\"\n");
    let refused = place.run(&["--config", &config, "serve"]);
    assert_eq!(code(&refused), 2);
    assert!(!err(&refused).contains("p4ss"), "{}", err(&refused));
    fs::set_permissions(&config, fs::Permissions::from_mode(0o606)).unwrap();
    let refused = place.run(&["--config", &config, "key", "list"]);
    assert_eq!(code(&refused), 5);
    assert!(err(&refused).contains("chmod o-w"), "{}", err(&refused));
    for (text, why) in [
        ("[serve]\nupstream = \"http://u:p4ss@h\n", "line 2"),
        ("[serve]\nlisten = \"http://u:p4ss@h\"\n", ""),
    ] {
        let config = place.file("broken.toml", text);
        let told = err(&place.run(&["--config", &config, "key", "list"]));
        assert!(!told.contains("p4ss") && told.contains(why), "{told}");
    }
    for url in
        ["http://u:p4ss@h:1/mcp", "http://u:p4 ss@h", "https://u:p4ss@h/", "http://u:\"p4'\np4 @p4://`p4@h"]
    {
        for arguments in [
            &["serve", "--upstream", url][..],
            &["serve", "--upstream", "http://127.0.0.1:9/mcp", "--public-url", url],
            &["serve", "--upstream", "http://127.0.0.1:9/mcp", "--listen", url],
            &["issuer", "add", "i", "--url", url],
            &["issuer", "add", "i", "--issuer", url, "--jwks", "none"],
            &["snippet", "nginx", "--admin-listen", "127.0.0.1:9", "--upstream", url],
        ] {
            let ended = place.run(arguments);
            assert_eq!(code(&ended), 2, "{arguments:?}: {}", err(&ended));
            assert!(
                !format!("{}{}", out(&ended), err(&ended)).contains("p4"),
                "{arguments:?}: {}",
                err(&ended)
            );
        }
    }
}
