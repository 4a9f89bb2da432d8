use std::time::Duration;

use super::*;
use crate::domain::{
    decision::Reason,
    usage::{Count, Outcome},
};
use crate::ops::bench::{Bench, DAY};
use crate::ops::{audit, usage as usage_ops};
use crate::store::{self, event::Whose, usage::Query as Counted};

/// A home with a counter and an event a day of a key and of a stranger, for ten days.
fn filled() -> Bench {
    let bench = Bench::new();
    for _ in 0..10 {
        bench.clock.advance(DAY);
        let now = bench.now();
        let event = |credential: &str| Event {
            seq: 0,
            at: now,
            kind: Reason::IpDenied.to_string(),
            credential: credential.into(),
            issuer: String::new(),
            subject: "-".into(),
            endpoint: "ping".into(),
            address: "192.0.2.1".into(),
            count: 1,
            detail: String::new(),
        };
        let count = |credential: &str| Count {
            minute: now,
            credential: credential.into(),
            issuer: String::new(),
            subject: "-".into(),
            endpoint: "ping".into(),
            outcome: Outcome::Denied(Reason::IpDenied),
            calls: 1,
        };
        let (events, counts) = ([event("key"), event("-")], [count("key"), count("-")]);
        let written = bench.ctx.store.write_usage(move |c| {
            store::usage::add(c, &counts)?;
            event::append(c, Whose::Known, &events[..1])?;
            event::append(c, Whose::Strangers, &events[1..])
        });
        written.unwrap();
        let last = bench.ctx.store.read(event::last_record).unwrap();
        let spans = bench.ctx.store.read_usage(|c| event::unrecorded(c, last.batch)).unwrap();
        assert!(bench.ctx.store.write(move |c| event::record(c, &spans, last, "gateway", now)).unwrap());
    }
    bench
}

fn events(bench: &Bench) -> usize {
    list(&bench.ctx, &Query { limit: 100, ..Query::default() }).unwrap().len()
}

fn calls(bench: &Bench) -> u64 {
    let until = bench.now().plus(Duration::from_secs(60));
    usage_ops::totals(&bench.ctx, Counted { until, ..Counted::default() }).unwrap().calls()
}

#[test]
fn purged_events_are_gone_and_the_chain_says_so() {
    let bench = filled();
    let before = bench.now().minus(5 * DAY);
    assert_eq!(purge(&bench.ctx, before, true).unwrap(), 4);
    assert_eq!(events(&bench), 16);
    bench.assert_valid();
    assert_eq!(purge(&bench.ctx, before, false).unwrap(), 4);
    assert_eq!((events(&bench), calls(&bench)), (12, 20), "counters are purged by themselves");
    bench.assert_valid();
    let records = bench.records(0).len();
    assert_eq!(purge(&bench.ctx, before, false).unwrap(), 0);
    assert_eq!(bench.records(0).len(), records, "nothing purged, nothing recorded");
    // What stands without the chain's word is missed as before.
    let taken = bench.ctx.store.write_usage(|c| {
        Ok::<_, store::StoreError>(
            c.execute("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)", [])?,
        )
    });
    assert_eq!(taken.unwrap(), 1);
    assert!(!audit::verify(&bench.ctx).unwrap().valid);
}

#[test]
fn purged_counters_are_gone_and_their_room_is_the_disks_again() {
    let bench = filled();
    let before = bench.now().minus(5 * DAY);
    assert_eq!(usage_ops::purge(&bench.ctx, before, true).unwrap(), 8, "by the minute and by the hour");
    assert_eq!(calls(&bench), 16);
    assert_eq!(usage_ops::purge(&bench.ctx, before, false).unwrap(), 8);
    assert_eq!((calls(&bench), events(&bench)), (12, 20));
    let free: i64 = bench
        .ctx
        .store
        .read_usage(|c| {
            Ok::<_, store::StoreError>(c.query_row("PRAGMA freelist_count", [], |row| row.get(0))?)
        })
        .unwrap();
    assert_eq!(free, 0);
    bench.assert_valid();
}

#[test]
fn only_an_operator_purges_and_only_the_past() {
    let bench = filled();
    let ahead = bench.now().plus(DAY);
    for purge in [purge, usage_ops::purge] {
        assert!(matches!(purge(&bench.ctx, ahead, false), Err(OpsError::Invalid(_))));
        assert!(matches!(purge(&bench.auditor(), bench.now(), false), Err(OpsError::ReadOnly { .. })));
    }
    assert_eq!((calls(&bench), events(&bench)), (20, 20));
}

#[test]
fn the_room_for_usage_is_set_by_operators_alone_and_recorded_where_it_changes() {
    let bench = filled();
    bench.one_record(Act::UsageBudget, "", |ctx| usage_ops::set_budget(ctx, 1 << 30)).unwrap();
    let before = bench.records(0).len();
    usage_ops::set_budget(&bench.ctx, 1 << 30).unwrap();
    assert_eq!(bench.records(0).len(), before, "nothing was changed");
    assert_eq!(bench.ctx.store.usage_room().unwrap().budget, 1 << 30);
    bench.one_record(Act::UsageBudget, "", |ctx| usage_ops::set_budget(ctx, 1 << 20)).unwrap();
    assert!(matches!(usage_ops::set_budget(&bench.auditor(), 1 << 30), Err(OpsError::ReadOnly { .. })));
    assert_eq!(bench.ctx.store.usage_budget().unwrap(), Some(1 << 20));
}
