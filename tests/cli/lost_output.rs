//! Standard output that takes nothing: it is said, unless a reader went away, and a key whose text nobody would get is
//! not said to be made.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use crate::support::{BINARY, Place, code, err, out};

const CREATE: &[&str] = &["key", "create", "--subject", "alice", "--scope", "mcp:read"];

/// Runs with standard output as the shell's `redirection` has it.
fn redirected(place: &Place, arguments: &[&str], redirection: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}"), BINARY]).args(arguments);
    command.env("PORTCULLIS_HOME", place.home()).output().unwrap()
}

#[test]
fn with_standard_output_closed_no_key_is_made() {
    let place = Place::new();
    place.ok(&["status"]);
    let list = || place.ok(&["key", "list", "--json"]);
    let before = list();
    for more in [&[][..], &["--json"]] {
        let refused = redirected(&place, &[CREATE, more].concat(), ">&-");
        assert_eq!(code(&refused), 5);
        assert!(err(&refused).contains("nothing was done"), "{}", err(&refused));
        assert_eq!(list(), before);
    }
    // Whoever throws it away on purpose may.
    assert_eq!(code(&redirected(&place, CREATE, "> /dev/null")), 0);
    assert_ne!(list(), before);
}

#[test]
fn with_standard_output_closed_no_key_is_rotated() {
    let place = Place::new();
    let (id, key) = place.key(&CREATE[2..]);
    let refused = redirected(&place, &["key", "rotate", &id], ">&-");
    assert_eq!(code(&refused), 5);
    assert_eq!(code(&place.feed(&["key", "verify"], &key)), 0, "the secret is what it was");
    // What hands out nothing needs nobody who reads.
    assert_eq!(code(&redirected(&place, &["key", "revoke", &id], ">&-")), 0);
    assert_eq!(code(&place.feed(&["key", "verify"], &key)), 1);
}

#[test]
fn a_key_whose_text_was_not_taken_is_named_with_what_mends_it() {
    let place = Place::new();
    let lost = redirected(&place, CREATE, "> /dev/full");
    assert_eq!(code(&lost), 5);
    let told = err(&lost);
    let (_, mend) = told.split_once("mend: portcullis ").unwrap();
    let again = place.run(&mend.split_whitespace().collect::<Vec<_>>());
    assert_eq!(code(&again), 0);
    assert_eq!(code(&place.feed(&["key", "verify"], out(&again))), 0);
}

#[test]
fn all_keys_of_a_batch_whose_output_broke_off_are_found_and_no_others() {
    const MANY: usize = 300;
    let place = Place::new();
    place.key(&CREATE[2..]);
    let table = place.file("people.csv", format!("subject\n{}", "ana\n".repeat(MANY)));
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = place.command(&["key", "create", "--from", &table, "--scope", "mcp:read"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    // More than a pipe holds: it breaks off behind what is read here.
    let mut first = String::new();
    let mut reader = BufReader::new(reader);
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(code(&ended), 5);
    place.key(&CREATE[2..]);
    let told = err(&ended);
    let (_, mend) = told.split_once(": portcullis ").unwrap();
    let words: Vec<_> = mend.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    let found = place.json(&words);
    let found: Vec<_> = found["items"].as_array().unwrap().iter().map(|key| key["id"].clone()).collect();
    assert_eq!(found.len(), MANY);
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert!(found.contains(&first["id"]));
    assert_eq!(place.json(&["key", "list", "--all"])["items"].as_array().unwrap().len(), MANY + 2);
}

/// A command of each kind of output: tables, JSON, CSV, lines, what clap prints, bytes, and a stream.
const SPEAKING: [&[&str]; 14] = [
    &["key", "list"],
    &["key", "list", "--json"],
    &["event", "list", "--csv"],
    &["policy", "list"],
    &["scope", "list"],
    &["usage", "summary"],
    &["status"],
    &["doctor"],
    &["audit", "list"],
    &["audit", "verify"],
    &["audit", "export"],
    &["--help"],
    &["man"],
    &["completions", "bash"],
];

#[test]
fn a_full_device_is_said_so() {
    let place = Place::new();
    place.key(&CREATE[2..]);
    for arguments in SPEAKING {
        let full = redirected(&place, arguments, "> /dev/full");
        assert_eq!(code(&full), 5, "{arguments:?}");
        let told = err(&full);
        assert!(told.contains("standard output cannot be written: No space left"), "{arguments:?}: {told}");
        let taken = redirected(&place, arguments, "> /dev/null");
        assert_eq!((code(&taken), err(&taken).as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let place = Place::new();
    place.key(&CREATE[2..]);
    for arguments in SPEAKING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(BINARY);
        let ended =
            command.args(arguments).env("PORTCULLIS_HOME", place.home()).stdout(writer).output().unwrap();
        assert_eq!((code(&ended), err(&ended).as_str()), (0, ""), "{arguments:?}");
    }
}
