use rusqlite::Connection;

use super::*;
use crate::store::migrate;

fn database() -> Connection {
    migrate::USAGE.in_memory()
}

fn event(at: i64, kind: &str) -> Event {
    Event {
        seq: 0,
        at: Timestamp::from_millis(at),
        kind: kind.into(),
        credential: "c".into(),
        issuer: String::new(),
        subject: "s".into(),
        endpoint: "tools/list".into(),
        address: "192.0.2.1".into(),
        count: 1,
        detail: String::new(),
    }
}

#[test]
fn a_batch_reads_back_as_it_was_appended() {
    let c = database();
    let first = append(&c, &[event(1000, "expired"), event(900, "revoked")]).unwrap();
    let second = append(&c, &[event(1000, "expired")]).unwrap();
    assert_eq!((first.number, second.number), (1000, 1001), "a number is never given twice");
    assert_eq!(batch(&c, first.number).unwrap(), first);
    assert_eq!(batch(&c, second.number).unwrap(), second);
    assert_ne!(first.digest, second.digest);
    assert_eq!(append(&c, &[event(500, "expired")]).unwrap().number, 1002, "numbers only grow");
    assert_eq!(batch(&c, 7).unwrap().events, 0);
}

#[test]
fn the_digest_is_sha256_of_the_canonical_lines() {
    let c = database();
    let saved = append(&c, &[event(0, "expired")]).unwrap();
    let line = r#"{"address":"192.0.2.1","at":"1970-01-01T00:00:00Z","count":1,"credential":"c","detail":"","endpoint":"tools/list","kind":"expired","seq":1,"subject":"s"}"#;
    assert_eq!(saved.digest, <[u8; 32]>::from(Sha256::digest(format!("{line}\n"))));
}

#[test]
fn the_issuer_is_in_the_digest_where_it_is_not_the_home() {
    let digest = |issuer: &str| {
        let event = Event { issuer: issuer.into(), ..event(0, "expired") };
        append(&database(), &[event]).unwrap().digest
    };
    let line = r#"{"address":"192.0.2.1","at":"1970-01-01T00:00:00Z","count":1,"credential":"c","detail":"","endpoint":"tools/list","issuer":"corp","kind":"expired","seq":1,"subject":"s"}"#;
    assert_eq!(digest("corp"), <[u8; 32]>::from(Sha256::digest(format!("{line}\n"))));
    assert_ne!(digest("corp"), digest(""));
}

#[test]
fn a_list_is_newest_first_and_takes_every_condition() {
    let c = database();
    append(&c, &[event(1000, "expired"), event(2000, "revoked"), event(3000, "expired")]).unwrap();
    let seqs =
        |q: Query| list(&c, &Query { limit: 10, ..q }).unwrap().iter().map(|e| e.seq).collect::<Vec<_>>();
    assert_eq!(seqs(Query::default()), [3, 2, 1]);
    assert_eq!(seqs(Query { kind: Some("expired".into()), ..Query::default() }), [3, 1]);
    assert_eq!(seqs(Query { since: Some(Timestamp::from_millis(2000)), ..Query::default() }), [3, 2]);
    assert_eq!(seqs(Query { before_seq: Some(3), ..Query::default() }), [2, 1]);
    assert_eq!(seqs(Query { credential: Some("d".into()), ..Query::default() }), [0; 0]);
    assert_eq!(seqs(Query { issuer: Some(String::new()), ..Query::default() }), [3, 2, 1]);
    assert_eq!(seqs(Query { issuer: Some("corp".into()), ..Query::default() }), [0; 0]);
    assert_eq!(seqs(Query { subject: Some("t".into()), ..Query::default() }), [0; 0]);
    assert_eq!(list(&c, &Query { limit: 1, ..Query::default() }).unwrap().len(), 1);
}

#[test]
fn a_sweep_takes_whole_batches_that_are_old_enough() {
    let c = database();
    let old = append(&c, &[event(1000, "expired"), event(10, "expired")]).unwrap();
    let young = append(&c, &[event(2000, "expired"), event(20, "expired")]).unwrap();
    let at = |millis: i64| Timestamp::from_millis(millis).plus(RETENTION);
    assert_eq!(sweep(&c, at(1000)).unwrap(), 0);
    assert!(is_retained(old.number, at(1000)));
    assert_eq!(sweep(&c, at(1001)).unwrap(), 2);
    assert!(!is_retained(old.number, at(1001)));
    assert_eq!(batch(&c, young.number).unwrap(), young);
}
