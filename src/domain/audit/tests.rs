use std::path::PathBuf;

use serde_json::json;

use super::*;

fn record() -> Record {
    Record {
        seq: 1,
        at: Timestamp::from_millis(1_785_231_000_000),
        actor: "cli:ana".into(),
        act: "key.revoke".into(),
        object: "k7Fq".into(),
        detail: json!({"reason": "left the team", "n": 1}),
    }
}

#[test]
fn the_hash_covers_the_previous_hash_and_the_canonical_record() {
    let canonical = br#"{"act":"key.revoke","actor":"cli:ana","at":"2026-07-28T09:30:00Z","detail":{"n":1,"reason":"left the team"},"object":"k7Fq","seq":1}"#;
    let expected = Sha256::digest([&[0; 32], canonical.as_slice()].concat());
    assert_eq!(record().link(Hash::GENESIS).unwrap().to_hex(), hex::encode(expected));
}

#[test]
fn every_field_and_the_previous_hash_change_the_hash() {
    let first = record().link(Hash::GENESIS).unwrap();
    assert_eq!(record().link(Hash::GENESIS).unwrap(), first);
    assert_ne!(record().link(first).unwrap(), first);
    let changes: [fn(&mut Record); 6] = [
        |record| record.seq = 2,
        |record| record.at = Timestamp::from_millis(record.at.millis() + 1),
        |record| record.actor.push('x'),
        |record| record.act.push('x'),
        |record| record.object.push('x'),
        |record| record.detail["reason"] = json!("other"),
    ];
    for change in changes {
        let mut changed = record();
        change(&mut changed);
        assert_ne!(changed.link(Hash::GENESIS).unwrap(), first, "{changed:?}");
    }
}

#[test]
fn a_record_that_was_stored_links_alike() {
    let stored: Record = serde_json::from_str(&serde_json::to_string(&record()).unwrap()).unwrap();
    assert_eq!(stored.link(Hash::GENESIS).unwrap(), record().link(Hash::GENESIS).unwrap());
}

/// The published data of RFC 8785: the library that the chain rests on is held to it.
#[test]
fn canonical_json_is_that_of_rfc_8785() {
    let vectors = std::env::var_os("PORTCULLIS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let data = vectors.join("jcs/testdata");
    let Ok(inputs) = std::fs::read_dir(data.join("input")) else {
        eprintln!("NOT TESTED: no test vectors in {}; set PORTCULLIS_VECTORS", data.display());
        return;
    };
    let mut checked = 0;
    for input in inputs {
        let input = input.unwrap();
        let value: serde_json::Value = serde_json::from_slice(&std::fs::read(input.path()).unwrap()).unwrap();
        let expected = std::fs::read_to_string(data.join("output").join(input.file_name())).unwrap();
        assert_eq!(serde_jcs::to_string(&value).unwrap(), expected, "{:?}", input.file_name());
        checked += 1;
    }
    assert_eq!(checked, 6);
}
