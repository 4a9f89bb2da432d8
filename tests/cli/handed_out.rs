//! Secrets that are handed out in a file: for its owner alone, never over another, and none is made that nothing could take.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{Place, code, err, fields, out};

const CREATE: &[&str] = &["key", "create", "--subject", "alice", "--scope", "mcp:read"];
const ISSUE: &[&str] = &["token", "issue", "--subject", "alice", "--scope", "mcp:read"];

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o7777
}

/// Runs with `--out FILE` as a shell does that lets everybody read what it makes; returns the file and standard output.
#[track_caller]
fn handed(place: &Place, arguments: &[&str], file: &str) -> (PathBuf, String) {
    let told = place.ok(&[arguments, &["--out", file]].concat());
    let file = place.path().join(file);
    assert_eq!(mode(&file), 0o600);
    (file, told)
}

#[test]
fn a_secret_goes_to_a_file_of_its_owners_and_standard_output_says_where() {
    let place = Place::new();
    let (file, told) = handed(&place, CREATE, "alice.key");
    let key = fs::read_to_string(&file).unwrap();
    assert!(told.ends_with(" is in alice.key\n") && !told.contains(&key[30..60]), "{told}");
    assert_eq!((key.lines().count(), code(&place.feed(&["key", "verify"], &key))), (1, 0));
    let (file, told) = handed(&place, &[ISSUE, &["--json"]].concat(), "alice.token");
    let token = fs::read_to_string(&file).unwrap();
    assert_eq!(code(&place.feed(&["token", "verify"], &token)), 0);
    let answer: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&answer["file"], &answer["subject"]), (&"alice.token".into(), &"alice".into()));
    assert!(answer.get("token").is_none() && !told.contains(token.trim()), "{told}");
    // The same, with the secret, where it is not asked for in a file.
    let mut expected = fields(&answer);
    expected.retain(|field| *field != "file");
    let plain = place.json(ISSUE);
    let mut found = fields(&plain);
    found.retain(|field| *field != "token");
    assert_eq!(found, expected);

    let made = place.json(CREATE);
    let id = made["id"].as_str().unwrap();
    let (file, told) = handed(&place, &["key", "rotate", id, "--json"], "new.key");
    let answer: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&answer["id"], &answer["file"]), (&id.into(), &"new.key".into()));
    assert!(answer.get("key").is_none() && answer.get("secret").is_none(), "{told}");
    assert_eq!(code(&place.feed(&["key", "verify"], made["key"].as_str().unwrap())), 1);
    assert_eq!(code(&place.feed(&["key", "verify"], fs::read(file).unwrap())), 0);

    place.file("people.csv", "subject\nbob\ncarol\n");
    let many = ["key", "create", "--from", "people.csv", "--scope", "mcp:read", "--json"];
    let (file, told) = handed(&place, &many, "keys.jsonl");
    assert_eq!(
        serde_json::from_str::<Value>(&told).unwrap(),
        serde_json::json!({"file": "keys.jsonl", "keys": 2})
    );
    for line in fs::read_to_string(file).unwrap().lines() {
        let key: Value = serde_json::from_str(line).unwrap();
        assert_eq!(code(&place.feed(&["key", "verify"], key["key"].as_str().unwrap())), 0);
    }
    // `-` is standard output.
    let key = place.ok(&[CREATE, &["--out", "-"]].concat());
    assert_eq!(code(&place.feed(&["key", "verify"], key)), 0);
}

#[test]
fn nothing_is_made_that_the_file_could_not_take_and_none_is_left_where_nothing_was_made() {
    let place = Place::new();
    let (id, key) = place.key(&CREATE[2..]);
    place.ok(ISSUE);
    place.file("taken", "something else");
    std::os::unix::fs::symlink(place.path().join("elsewhere"), place.path().join("link")).unwrap();
    let before = (place.json(&["key", "list"]), place.json(&["token", "list"]));
    place.file("people.csv", "subject\nbob\n");
    for verb in [
        CREATE,
        &["key", "create", "--from", "people.csv", "--scope", "mcp:read"],
        &["key", "rotate", &id],
        ISSUE,
    ] {
        for (file, expected) in [("taken", 4), ("link", 4), ("no/such/folder", 2)] {
            let refused = place.run(&[verb, &["--out", file]].concat());
            assert_eq!(code(&refused), expected, "{verb:?} {file}: {}", err(&refused));
            assert!(
                err(&refused).contains("nothing was done") && out(&refused).is_empty(),
                "{}",
                err(&refused)
            );
        }
    }
    // The file was made, and no secret.
    for verb in [&[CREATE, &["--policy", "none"]].concat(), &[ISSUE, &["--policy", "none"]].concat()] {
        assert_eq!(code(&place.run(&[verb, &["--out", "none"][..]].concat())), 2);
        assert!(!place.path().join("none").exists());
    }
    assert_eq!((place.json(&["key", "list"]), place.json(&["token", "list"])), before);
    assert_eq!(code(&place.feed(&["key", "verify"], key)), 0);
    assert_eq!(fs::read_to_string(place.path().join("taken")).unwrap(), "something else");
    assert!(!place.path().join("elsewhere").exists());
}
