use super::*;
use crate::domain::{
    api_key::KeyId, clock::Timestamp, credential::CredentialId, decision::Reason, usage::Outcome,
};
use crate::engine::{Seen, tests::house::House};
use crate::ops;
use crate::store::audit::Query;

/// A denial of a stranger, or a call of somebody that was let through.
fn record(meter: &Meter, at: Timestamp, is_admitted: bool) {
    let alice = CredentialId::ApiKey(KeyId::generate().unwrap());
    let seen = Seen {
        credential: None,
        issuer: None,
        subject: is_admitted.then_some("alice"),
        endpoint: "tools/list",
        address: None,
        outcome: if is_admitted { Outcome::Allowed } else { Outcome::Denied(Reason::UnknownCredential) },
        request_id: "r",
        judged: None,
        why: None,
        at,
    };
    meter.record(&seen, is_admitted.then_some(alice), None);
}

fn desk(house: &House) -> Desk {
    Desk::new(house.ctx.store.clone(), Arc::default(), house.clock.clone(), Arc::default())
}

fn alter(c: &rusqlite::Connection, sql: &str) -> Result<(), StoreError> {
    Ok(c.execute_batch(sql)?)
}

/// One round, told to everyone.
fn round(desk: &mut Desk, is_over: bool) -> Result<(), StoreError> {
    let outcome = desk.round(is_over);
    desk.signal.settle(&outcome);
    outcome
}

fn calls(house: &House) -> u64 {
    ops::usage::totals(&house.ctx, house.last_hour()).unwrap().calls()
}

fn told(house: &House) -> u32 {
    house.events().iter().map(|event| event.count).sum()
}

fn records(house: &House) -> usize {
    let flushes = Query { act: Some("event.flush".into()), limit: 100, ..Query::default() };
    let verdict = ops::audit::verify(&house.ctx).unwrap();
    assert!(verdict.valid, "{verdict:?}");
    ops::audit::list(&house.ctx, &flushes).unwrap().len()
}

fn uncovered(house: &House) -> u64 {
    let last = house.ctx.store.read(event::last_record).unwrap();
    house.ctx.store.read_usage(|c| event::unrecorded(c, last.batch)).unwrap().events()
}

#[test]
fn calls_that_cannot_be_recorded_are_refused_kept_and_made_up_for() {
    let house = House::new();
    let mut desk = desk(&house);
    record(&desk.meter, house.now(), true);
    let store = &house.ctx.store;
    store.write_usage(|c| alter(c, "ALTER TABLE usage_minute RENAME TO gone")).unwrap();
    assert!(round(&mut desk, false).is_err());
    assert!(desk.signal.check().is_err(), "calls are refused meanwhile");
    record(&desk.meter, house.now(), true);
    record(&desk.meter, house.now(), false);
    assert!(round(&mut desk, false).is_err());
    store.write_usage(|c| alter(c, "ALTER TABLE gone RENAME TO usage_minute")).unwrap();
    round(&mut desk, false).unwrap();
    desk.signal.check().unwrap();
    assert_eq!((calls(&house), told(&house)), (3, 1));
}

#[test]
fn nobody_is_refused_for_what_strangers_did_that_cannot_be_written() {
    let house = House::new();
    let mut desk = desk(&house);
    let store = &house.ctx.store;
    for table in ["stranger_minute", "event"] {
        house.clock.advance(Duration::from_secs(60));
        let before = (calls(&house), told(&house));
        store.write_usage(move |c| alter(c, &format!("ALTER TABLE {table} RENAME TO gone"))).unwrap();
        record(&desk.meter, house.now(), false);
        record(&desk.meter, house.now(), true);
        round(&mut desk, false).unwrap();
        assert!(desk.behind.is_some(), "{table}");
        store.write_usage(move |c| alter(c, &format!("ALTER TABLE gone RENAME TO {table}"))).unwrap();
        assert_eq!(calls(&house), before.0 + 1, "{table}: the call that was let through is recorded");
        round(&mut desk, true).unwrap();
        assert!(desk.behind.is_none());
        assert_eq!((calls(&house), told(&house)), (before.0 + 2, before.1 + 1), "{table}: nothing is lost");
    }
}

#[test]
fn where_the_file_cannot_grow_a_call_takes_one_counter_that_is_there() {
    let house = House::new();
    let mut desk = desk(&house);
    let store = &house.ctx.store;
    let alice = CredentialId::ApiKey(KeyId::generate().unwrap());
    let see = |desk: &Desk, endpoint: &str| {
        desk.meter.record(
            &Seen {
                credential: None,
                issuer: None,
                subject: Some("alice"),
                endpoint,
                address: None,
                outcome: Outcome::Allowed,
                request_id: "r",
                judged: None,
                why: None,
                at: house.now(),
            },
            Some(alice),
            None,
        );
    };
    see(&desk, "(other)");
    round(&mut desk, false).unwrap();
    store.write_usage(|c| alter(c, "PRAGMA max_page_count = 1")).unwrap();
    for number in 0..150 {
        see(&desk, &format!("tools/call/{number}/{}", "x".repeat(200)));
    }
    round(&mut desk, false).unwrap();
    assert!(desk.behind.as_ref().is_some_and(StoreError::wants_room), "{:?}", desk.behind);
    assert_eq!(calls(&house), 151);
    round(&mut desk, false).unwrap();
    assert!(desk.behind.is_none());
}

#[test]
fn events_whose_audit_record_failed_are_not_saved_twice() {
    let house = House::new();
    let mut desk = desk(&house);
    record(&desk.meter, house.now(), false);
    let store = &house.ctx.store;
    store.write(|c| alter(c, "ALTER TABLE audit RENAME COLUMN detail TO gone")).unwrap();
    assert!(round(&mut desk, false).is_err());
    assert!(round(&mut desk, false).is_err());
    assert!(desk.signal.check().is_err());
    store.write(|c| alter(c, "ALTER TABLE audit RENAME COLUMN gone TO detail")).unwrap();
    round(&mut desk, false).unwrap();
    assert_eq!((calls(&house), told(&house), records(&house)), (1, 1, 1));
}

#[test]
fn nobody_is_refused_while_the_record_of_denials_waits_for_others_who_write() {
    let house = House::new();
    let mut desk = desk(&house);
    record(&desk.meter, house.now(), false);
    let holder = rusqlite::Connection::open(house.folder.path().join("home/portcullis.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    round(&mut desk, false).unwrap();
    desk.signal.check().unwrap();
    assert_eq!((told(&house), records(&house)), (1, 0));
    holder.execute_batch("ROLLBACK").unwrap();
    round(&mut desk, false).unwrap();
    assert_eq!((told(&house), records(&house), uncovered(&house)), (1, 1, 0));
}

#[test]
fn a_minute_of_denials_is_one_record_and_the_drain_writes_the_last() {
    let house = House::new();
    let mut desk = desk(&house);
    for _ in 0..5 {
        record(&desk.meter, house.now(), false);
        round(&mut desk, false).unwrap();
    }
    assert_eq!(records(&house), 1, "the first at once");
    house.clock.advance(Duration::from_secs(1));
    round(&mut desk, true).unwrap();
    assert_eq!((records(&house), told(&house), uncovered(&house)), (2, 5, 0));
    round(&mut desk, true).unwrap();
    assert_eq!(records(&house), 2, "nothing more to record");
}

#[test]
fn what_a_killed_gateway_left_without_a_record_the_next_one_records() {
    let house = House::new();
    let mut killed = desk(&house);
    record(&killed.meter, house.now(), false);
    round(&mut killed, false).unwrap();
    killed.recorder.record(true).unwrap();
    record(&killed.meter, house.now(), false);
    house.clock.advance(Duration::from_secs(60));
    killed.meter.drain_into(&mut killed.pending);
    killed.flush(false).unwrap();
    drop(killed);
    assert!(uncovered(&house) > 0);
    let before = records(&house);
    house.engine().stop().unwrap();
    assert_eq!((records(&house), uncovered(&house)), (before + 1, 0));
    house.engine().stop().unwrap();
    assert_eq!(records(&house), before + 1);
}

#[test]
fn room_is_made_of_what_strangers_left_and_the_chain_says_so() {
    let house = House::new();
    let mut desk = desk(&house);
    record(&desk.meter, house.now(), true);
    for hour in 0..30 {
        house.clock.advance(Duration::from_secs(3600));
        for minute in 0..20 {
            record(&desk.meter, house.now().plus(Duration::from_secs(60 * minute)), false);
            round(&mut desk, true).unwrap();
        }
        assert!(hour < 30);
    }
    let store = &house.ctx.store;
    let room = store.usage_room().unwrap();
    store.set_usage_budget(room.used - 1).unwrap();
    while desk.tidy.has_work() {
        desk.tidy.step();
    }
    let after = store.usage_room().unwrap();
    assert!(after.used < room.used, "{after:?}");
    assert!(after.shed_strangers_before.is_some() && after.shed_before.is_none(), "{after:?}");
    let purges = Query { act: Some("event.purge".into()), limit: 100, ..Query::default() };
    assert!(!ops::audit::list(&house.ctx, &purges).unwrap().is_empty());
    assert!(records(&house) > 0, "and the chain is valid");
    let admitted = store.read_usage(|c| {
        usage::totals(
            c,
            &crate::store::usage::Query {
                until: house.now().plus(Duration::from_secs(3600)),
                ..Default::default()
            },
        )
    });
    assert_eq!(admitted.unwrap().allowed, 1, "what is known of others stays");
}
