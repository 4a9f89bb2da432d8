use super::*;
use crate::store::migrate;

fn database() -> Rows<'static> {
    Rows::new(Box::leak(Box::new(migrate::USAGE.in_memory())), None)
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

fn added(c: &Rows<'_>, whose: Whose, events: &[Event]) -> i64 {
    append(c, whose, events).unwrap()
}

#[test]
fn batches_have_growing_numbers_and_spans_hold_what_was_appended() {
    let c = database();
    let first = added(&c, Whose::Known, &[event(1000, "expired"), event(900, "revoked")]);
    let second = added(&c, Whose::Strangers, &[event(1000, "expired")]);
    assert_eq!((first, second), (1000, 1001), "a number is never given twice");
    assert_eq!(added(&c, Whose::Known, &[event(500, "expired")]), 1002, "numbers only grow");
    let Spans { known: Some(known), strangers: Some(strangers) } = unrecorded(&c, 0).unwrap() else {
        panic!()
    };
    assert_eq!((known.first, known.last, known.events), (1000, 1002, 3));
    assert_eq!((strangers.first, strangers.last, strangers.events), (1001, 1001, 1));
    assert_eq!(unrecorded(&c, 1001).unwrap().events(), 1);
    assert_eq!(unrecorded(&c, 1002).unwrap(), Spans::default());
    c.execute_batch("DELETE FROM event").unwrap();
    assert_eq!(added(&c, Whose::Known, &[event(500, "expired")]), 1003, "also where all are gone");
}

fn digest(c: &Rows<'_>) -> String {
    unrecorded(c, -1).unwrap().known.unwrap().digest
}

#[test]
fn the_digest_is_sha256_of_the_canonical_lines() {
    let c = database();
    added(&c, Whose::Known, &[event(0, "expired")]);
    let line = r#"{"address":"192.0.2.1","at":"1970-01-01T00:00:00Z","count":1,"credential":"c","detail":"","endpoint":"tools/list","kind":"expired","seq":1,"subject":"s"}"#;
    assert_eq!(digest(&c), hex::encode(Sha256::digest(format!("{line}\n"))));
}

#[test]
fn the_issuer_is_in_the_digest_where_it_is_not_the_home() {
    let digest = |issuer: &str| {
        let c = database();
        added(&c, Whose::Known, &[Event { issuer: issuer.into(), ..event(0, "expired") }]);
        digest(&c)
    };
    let line = r#"{"address":"192.0.2.1","at":"1970-01-01T00:00:00Z","count":1,"credential":"c","detail":"","endpoint":"tools/list","issuer":"corp","kind":"expired","seq":1,"subject":"s"}"#;
    assert_eq!(digest("corp"), hex::encode(Sha256::digest(format!("{line}\n"))));
    assert_ne!(digest("corp"), digest(""));
}

#[test]
fn a_list_is_newest_first_and_takes_every_condition() {
    let c = database();
    append(&c, Whose::Known, &[event(1000, "expired"), event(2000, "revoked"), event(3000, "expired")])
        .unwrap();
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
fn no_page_of_a_credentials_events_is_sorted() {
    let c = database();
    let plan: Vec<String> = c
        .prepare(
            "EXPLAIN QUERY PLAN SELECT 1 FROM event WHERE credential = ? ORDER BY at DESC, seq DESC LIMIT 5",
        )
        .unwrap()
        .query_map(["c"], |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(plan.len() == 1 && plan[0].contains("event_credential"), "{plan:?}");
}

#[test]
fn a_list_goes_by_the_moments_of_events_whenever_they_were_told() {
    let c = database();
    // The first of a burst at once, what followed it when the minute was over, another gateway's in between.
    for at in [1000, 5000, 3000, 3000, 9000, 2000] {
        append(&c, Whose::Known, &[event(at, "expired")]).unwrap();
    }
    let page = |before_seq, limit| list(&c, &Query { before_seq, limit, ..Query::default() }).unwrap();
    let ats = |events: &[Event]| events.iter().map(|event| event.at.millis()).collect::<Vec<_>>();
    assert_eq!(ats(&page(None, 10)), [9000, 5000, 3000, 3000, 2000, 1000]);
    let (mut paged, mut after) = (Vec::new(), None);
    while let [.., last] = page(after, 2).as_slice() {
        paged.extend(page(after, 2));
        after = Some(last.seq);
    }
    assert_eq!(paged, page(None, 10), "page by page, each once");
    c.execute_batch("DELETE FROM event WHERE seq = 4").unwrap();
    assert_eq!(ats(&page(Some(4), 10)), [5000, 3000, 1000], "what the cursor named is gone");
    assert!(page(Some(99), 10).len() == 5 && page(Some(1), 10).is_empty());
}

#[test]
fn what_a_record_covers_may_be_gone_only_where_it_has_had_its_time_or_the_chain_says_so() {
    let c = database();
    let day = Duration::from_secs(86_400);
    let now = Timestamp::from_millis(1000).plus(RETENTION);
    added(&c, Whose::Known, &[event(1000, "expired"), event(1000, "revoked")]);
    let detail = serde_json::to_value(unrecorded(&c, 0).unwrap()).unwrap();
    let check = |c: &Rows<'_>, purged, now| check(c, &detail, purged, now).unwrap();
    let nothing = Purged::default();
    assert_eq!(check(&c, nothing, now.plus(day)), Ok(()));
    c.execute_batch("DELETE FROM event WHERE seq = 1").unwrap();
    assert!(check(&c, nothing, now).is_err());
    assert_eq!(check(&c, nothing, now.plus(day)), Ok(()), "being swept");
    assert!(check(&c, Purged { strangers: 2000, ..nothing }, now).is_err(), "another's word");
    assert!(check(&c, Purged { known: 1000, ..nothing }, now).is_err(), "of those before it");
    assert_eq!(check(&c, Purged { known: 1001, ..nothing }, now), Ok(()));
    c.execute_batch("INSERT INTO event SELECT 3, at, kind, credential, subject, endpoint, address, count, detail, batch, issuer, stranger FROM event").unwrap();
    assert!(check(&c, nothing, now.plus(day)).is_err(), "as many, and not those");
}

#[test]
fn a_record_of_one_batch_from_before_spans_is_still_held_against_it() {
    let c = database();
    let batch = added(&c, Whose::Known, &[event(1000, "expired")]);
    let digest = digest(&c);
    let now = Timestamp::from_millis(1000);
    let check = |digest: &str| {
        let detail = json!({ "batch": batch, "events": 1, "digest": digest });
        check(&c, &detail, Purged::default(), now).unwrap()
    };
    assert_eq!(check(&digest), Ok(()));
    assert!(check(&digest.replace(|c: char| c.is_ascii_digit(), "a")).is_err());
}
