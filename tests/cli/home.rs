//! Homes that are not as they should be: each is refused with exit 5 and the step that mends it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use crate::support::{Place, code, err, out};

const KEY: &[&str] = &["--subject", "alice", "--scope", "mcp:read"];

#[track_caller]
fn refused(place: &Place) -> String {
    let list = place.run(&["key", "list"]);
    assert_eq!(code(&list), 5, "{}{}", out(&list), err(&list));
    let create = place.run(&[&["key", "create"], KEY].concat());
    assert_eq!(code(&create), 5, "{}", err(&create));
    assert!(err(&create).starts_with("error: "), "{}", err(&create));
    err(&create)
}

fn digest(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn a_home_is_made_for_its_owner_alone() {
    let place = Place::new();
    place.key(KEY);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.home()), 0o700);
    for entry in fs::read_dir(place.home()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn several_who_use_a_home_first_make_one_home() {
    for _ in 0..5 {
        let place = Place::new();
        let create = [&["key", "create"], KEY].concat();
        let begun: Vec<_> = (0..4)
            .map(|_| {
                let mut command = place.command(&create);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for one in begun {
            let ended = one.wait_with_output().unwrap();
            assert_eq!(code(&ended), 0, "{}", err(&ended));
        }
        assert_eq!(place.json(&["key", "list"])["items"].as_array().unwrap().len(), 4);
        place.ok(&["doctor"]);
    }
}

#[test]
fn no_secret_stands_in_the_home_in_clear() {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    let secret = &key[key.len() - 49..key.len() - 6];
    for entry in fs::read_dir(place.home()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", path.display());
    }
}

#[test]
fn a_home_that_others_can_reach_is_refused_with_the_mend() {
    let place = Place::new();
    place.key(KEY);
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(refused(&place).contains("chmod"));
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(out(&doctor).contains("chmod"), "{}", out(&doctor));
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(place.home().join("vault.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let create = place.run(&[&["key", "create"], KEY].concat());
    assert_eq!(code(&create), 5, "{}", err(&create));
    assert!(err(&create).contains("chmod"), "{}", err(&create));
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let place = Place::new();
    place.key(KEY);
    let path = place.home().join("portcullis.db");
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.home().join(format!("portcullis.db{suffix}")));
    }
    fs::write(&path, b"this is no database, however long one looks at it").unwrap();
    let before = digest(&path);
    refused(&place);
    assert_eq!(digest(&path), before);
    assert_eq!(code(&place.run(&["doctor"])), 1);
}

#[test]
fn a_damaged_store_is_said_to_be_damaged() {
    let place = Place::new();
    place.key(KEY);
    let path = place.home().join("portcullis.db");
    let mut bytes = digest(&path);
    bytes.iter_mut().skip(4096).for_each(|byte| *byte = !*byte);
    fs::write(&path, &bytes).unwrap();
    assert!(refused(&place).contains("damaged"));
    let verify = place.run(&["audit", "verify"]);
    assert_eq!((code(&verify), out(&verify).as_str()), (5, ""));
    assert!(bytes == digest(&path), "it is left as it was found");
    assert_eq!(code(&place.run(&["doctor"])), 1);
}

#[test]
fn a_store_that_another_process_holds_is_read_and_not_written() {
    let place = Place::new();
    let (id, _) = place.key(KEY);
    let holder = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // `--wait` says how long; and after a second it is said what is waited for.
    let waited = place.run(&["--wait", "2s", "key", "revoke", &id]);
    assert_eq!(code(&waited), 5);
    let (word, why) = (err(&waited), err(&waited));
    assert!(word.starts_with("the store is held by another process"), "{word}");
    assert!(why.contains("error: the store is locked"), "{why}");
    assert_eq!(place.json(&["key", "show", &id])["state"], "active");
    holder.execute_batch("ROLLBACK").unwrap();
    place.ok(&["key", "revoke", &id]);
}

#[test]
fn a_store_of_a_newer_release_is_left_alone() {
    let place = Place::new();
    place.key(KEY);
    let path = place.home().join("portcullis.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let before = digest(&path);
    let told = refused(&place);
    assert!(told.contains("999") || told.contains("newer"), "{told}");
    assert_eq!(digest(&path), before);
}

#[test]
fn a_vault_of_another_home_does_not_fit() {
    let (place, other) = (Place::new(), Place::new());
    place.key(KEY);
    other.key(KEY);
    fs::copy(other.home().join("vault.key"), place.home().join("vault.key")).unwrap();
    let create = place.run(&[&["key", "create"], KEY].concat());
    assert_eq!(code(&create), 5, "{}", err(&create));
    assert!(err(&create).contains("vault"), "{}", err(&create));
    // An auditor needs no vault; but one that does not fit proves nothing, and is a fault.
    assert_eq!(code(&place.run(&["key", "list"])), 0);
    assert_eq!(code(&place.run(&["audit", "verify"])), 5);
    let fingerprint = place.json(&["audit", "head"])["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(code(&place.run(&["audit", "verify", "--public-key", &fingerprint])), 0);
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(out(&doctor).contains("vault"), "{}", out(&doctor));
}

#[test]
fn a_lost_vault_is_not_replaced_by_a_new_one() {
    let place = Place::new();
    place.key(KEY);
    fs::remove_file(place.home().join("vault.key")).unwrap();
    let create = place.run(&[&["key", "create"], KEY].concat());
    assert_eq!(code(&create), 5, "{}", err(&create));
    assert!(!place.home().join("vault.key").exists());
}

#[test]
fn a_home_that_cannot_be_made_is_said() {
    let place = Place::new();
    let file = place.file("file", "");
    let output = place.run(&["--home", &file, "key", "list"]);
    assert_eq!(code(&output), 5, "{}", err(&output));
    let output = place.run(&["--home", &format!("{file}/below"), "key", "list"]);
    assert_eq!(code(&output), 5, "{}", err(&output));
}

#[test]
fn the_doctor_finds_a_fresh_home_in_order_and_makes_none() {
    let place = Place::new();
    assert_eq!(code(&place.run(&["doctor"])), 0);
    assert!(!place.home().exists());
    place.key(KEY);
    let doctor = place.json(&["doctor"]);
    assert_eq!(doctor["healthy"], serde_json::json!(true), "{doctor}");
}

#[test]
fn a_part_of_a_home_is_told_as_that_and_nothing_is_made_of_it() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    for name in ["usage.db", "usage.db-wal", "usage.db-shm", "ballast"] {
        let _ = std::fs::remove_file(place.home().join(name));
    }
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(
        out(&doctor).contains("usage.db is not there") && out(&doctor).contains("copy all of"),
        "{}",
        out(&doctor)
    );
    assert!(!place.home().join("usage.db").exists() && !place.home().join("ballast").exists());
    let list = place.run(&["key", "list"]);
    assert_eq!(code(&list), 5);
    assert!(String::from_utf8_lossy(&list.stderr).contains("part of a home"));
}

#[test]
fn the_status_names_the_first_steps_until_they_are_taken() {
    let place = Place::new();
    let steps = ["portcullis key create", "portcullis serve", "portcullis demo", "portcullis --help"];
    let due = || {
        let told = place.ok(&["status"]);
        steps.map(|step| told.contains(step))
    };
    assert_eq!(due(), [true; 4]);
    let (id, _) = place.key(KEY);
    assert_eq!(due(), [false, true, false, true]);
    let mut gateway = crate::support::Service::start(&place, &crate::support::SERVE);
    gateway.listening();
    gateway.listening();
    assert_eq!(due(), [false, false, false, true]);
    assert_eq!(gateway.terminate(), 0);
    place.ok(&["key", "revoke", &id]);
    assert_eq!(due(), [false, false, false, true], "who revoked a key knows how to make one");
}
