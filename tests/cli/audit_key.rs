//! Whose key a chain is verified with: one that was written anew with a key of its own proves nothing.

use std::fs;

use aws_lc_rs::{
    encoding::AsDer,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::domain::{
    audit::{Hash, Record},
    clock::Timestamp,
};
use serde_json::Value;

use crate::support::{Place, code, out};

/// A home with a few records, what was notarised of it, and a record after that.
fn kept() -> (Place, Value) {
    let place = Place::new();
    let (id, _) = place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    place.json(&["key", "revoke", &id]);
    let head = place.json(&["audit", "head"]);
    place.key(&["--subject", "bob", "--scope", "mcp:read"]);
    (place, head)
}

fn text<'a>(head: &'a Value, field: &str) -> &'a str {
    head[field].as_str().unwrap()
}

fn hide_vault(place: &Place) {
    fs::rename(place.home().join("vault.key"), place.path().join("kept.key")).unwrap();
}

/// Writes the whole chain anew, with another name for who did it, signed by a key of the forger's own.
fn forge(place: &Place) {
    let books = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    let pair = Ed25519KeyPair::generate().unwrap();
    let mut select = books.prepare("SELECT seq, at, act, object, detail FROM audit ORDER BY seq").unwrap();
    let records: Vec<Record> = select
        .query_map([], |row| {
            Ok(Record {
                seq: row.get(0)?,
                at: Timestamp::from_millis(row.get(1)?),
                actor: "cli:mallory".into(),
                act: row.get(2)?,
                object: row.get(3)?,
                detail: serde_json::from_str(&row.get::<_, String>(4)?).unwrap(),
            })
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut previous = Hash::GENESIS;
    for record in &records {
        previous = record.link(previous).unwrap();
        let signature = pair.sign(&previous.0);
        let update = "UPDATE audit SET actor = ?2, hash = ?3, signature = ?4 WHERE seq = ?1";
        books.execute(update, (record.seq, &record.actor, previous.0, signature.as_ref())).unwrap();
    }
    let der = pair.public_key().as_der().unwrap();
    let pem =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()));
    books.execute("UPDATE setting SET value = ?1 WHERE name = 'audit_public_key'", [pem]).unwrap();
}

/// Has the home remember nothing of the chain that it had.
fn forget(place: &Place) {
    fs::remove_file(place.home().join("anchor")).unwrap();
    let books = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    assert_eq!(books.execute("UPDATE vault_entry SET version = 1 WHERE name = 'rows'", []).unwrap(), 1);
}

#[test]
fn a_chain_written_anew_with_a_key_of_its_own_is_never_valid() {
    let (place, head) = kept();
    let pem = place.file("kept.pem", text(&head, "public_key"));
    forge(&place);
    let seen = place.run(&["audit", "verify"]);
    assert_eq!((code(&seen), out(&seen).as_str()), (5, ""), "the home remembers another chain");
    forget(&place);
    let attempts = [
        vec![],
        vec!["--public-key", text(&head, "fingerprint")],
        vec!["--public-key", &pem],
        vec!["--head", text(&head, "hash")],
    ];
    for has_vault in [true, false] {
        if !has_vault {
            hide_vault(&place);
        }
        for attempt in &attempts {
            let arguments = [&["audit", "verify"], attempt.as_slice()].concat();
            let told = place.run(&arguments);
            assert_eq!(code(&told), 1, "{has_vault} {attempt:?}: {}", out(&told));
            assert!(!out(&told).starts_with("valid"), "{has_vault} {attempt:?}: {}", out(&told));
            let verdict = place.run(&[arguments, vec!["--json"]].concat());
            let verdict: Value = serde_json::from_str(&out(&verdict)).unwrap();
            assert_eq!(verdict["valid"], false, "{has_vault} {attempt:?}");
            let standing = if has_vault || !attempt.is_empty() { "altered" } else { "unproven" };
            assert_eq!(verdict["verdict"], standing, "{has_vault} {attempt:?}: {verdict}");
        }
    }
}

#[test]
fn an_honest_chain_is_valid_by_the_vault_and_by_what_was_kept_elsewhere() {
    let (place, head) = kept();
    let pem = place.file("kept.pem", text(&head, "public_key"));
    let json = place.file("kept.json", head.to_string());
    let coloned: Vec<_> =
        text(&head, "fingerprint").as_bytes().chunks(2).map(String::from_utf8_lossy).collect();
    let coloned = coloned.join(":").to_uppercase();
    let by_vault = place.json(&["audit", "verify"]);
    assert_eq!((&by_vault["valid"], &by_vault["key_from"]), (&true.into(), &"vault".into()));
    assert_eq!(by_vault["key"], head["fingerprint"]);
    hide_vault(&place);
    for key in [text(&head, "fingerprint"), &coloned, &pem, &json] {
        for kept in [text(&head, "hash"), &json] {
            let verdict = place.json(&["audit", "verify", "--public-key", key, "--head", kept]);
            assert_eq!(
                (&verdict["valid"], &verdict["key_from"]),
                (&true.into(), &"given".into()),
                "{key} {kept}"
            );
        }
    }
    // With neither it says whose fingerprint is to be compared.
    let told = place.run(&["audit", "verify"]);
    assert_eq!(code(&told), 1);
    assert!(
        out(&told).starts_with("not proven") && out(&told).contains(text(&head, "fingerprint")),
        "{}",
        out(&told)
    );
    // Every signed line of an export can be verified by itself.
    for line in place.ok(&["audit", "export"]).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = line["public_key"].as_str();
        assert_eq!(key.is_some(), line["signature"].is_string());
        assert!(key.is_none_or(|key| text(&head, "public_key").contains(key)));
    }
}

#[test]
fn a_tail_that_was_cut_shows_against_a_kept_head() {
    let (place, _) = kept();
    let head = place.json(&["audit", "head"]);
    let books = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    books.execute("DELETE FROM audit WHERE seq = ?1", [head["seq"].as_i64()]).unwrap();
    drop(books);
    assert_eq!(code(&place.run(&["audit", "verify"])), 5, "the home remembers a longer chain");
    forget(&place);
    let told = place.run(&["audit", "verify", "--head", text(&head, "hash")]);
    assert_eq!(code(&told), 1, "{}", out(&told));
    assert!(out(&told).contains("cut from its end"), "{}", out(&told));
    for wrong in ["12", "kept.pem"] {
        place.file("kept.pem", "no key");
        assert_eq!(code(&place.run(&["audit", "verify", "--head", wrong])), 2, "{wrong}");
        assert_eq!(code(&place.run(&["audit", "verify", "--public-key", wrong])), 2, "{wrong}");
    }
}
