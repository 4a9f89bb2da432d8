//! What was seen is counted, and denials are in the audit chain.

use super::house::{House, with_unknown_id};
use crate::domain::{
    api_key::PresentedKey,
    credential::CredentialId,
    decision::Reason,
    usage::{Dimension, Outcome, Totals},
};
use crate::engine::Seen;
use crate::{ops, store};

#[test]
fn counters_and_events_equal_the_calls_and_the_chain_stays_valid() {
    let house = House::new();
    let (id, text) = house.key("default");
    let unknown = PresentedKey::parse(&with_unknown_id(&text)).unwrap().id;
    let engine = house.engine();
    let address = Some("192.0.2.7".parse().unwrap());
    let see = |credential, subject, outcome, times| {
        for _ in 0..times {
            let endpoint = "tools/list";
            let at = house.now();
            engine.record(&Seen {
                credential,
                issuer: None,
                subject,
                endpoint,
                address,
                outcome,
                request_id: "r",
                judged: None,
                why: None,
                at,
            });
        }
    };
    let (known, unknown) = (Some(CredentialId::ApiKey(id)), Some(CredentialId::ApiKey(unknown)));
    std::thread::scope(|scope| {
        scope.spawn(|| see(known, Some("alice"), Outcome::Allowed, 100));
        scope.spawn(|| see(known, Some("alice"), Outcome::Denied(Reason::RateLimited), 20));
        scope.spawn(|| see(known, Some("alice"), Outcome::Shadowed(Reason::IpDenied), 5));
        scope.spawn(|| see(unknown, None, Outcome::Denied(Reason::UnknownCredential), 7));
        scope.spawn(|| see(known, None, Outcome::Denied(Reason::BadSecret), 3));
        scope.spawn(|| see(known, None, Outcome::Denied(Reason::Expired), 2));
    });
    assert_eq!(engine.totals().iter().map(|(_, calls)| calls).sum::<u64>(), 137);
    engine.stop().unwrap();

    let totals = ops::usage::totals(&house.ctx, house.last_hour()).unwrap();
    assert_eq!(totals, Totals { allowed: 105, denied: 32, failed: 0 });
    let by = ops::usage::top(&house.ctx, house.last_hour(), Dimension::Credential, 9).unwrap();
    let by: Vec<_> = by.into_iter().map(|busy| (busy.key, busy.totals.calls())).collect();
    assert_eq!(by, [(id.to_string(), 130), ("-".to_owned(), 7)], "an id that no key has is not kept");

    let mut events: Vec<_> =
        house.events().into_iter().map(|e| (e.kind, e.subject, e.address, e.count)).collect();
    events.sort();
    let event = |kind: &str, subject: &str, count| {
        (kind.to_owned(), subject.to_owned(), "192.0.2.7".to_owned(), count)
    };
    let expected = [
        event("bad_secret", "alice", 3),
        event("expired", "alice", 2),
        event("rate_limited", "alice", 20),
        event("shadow_denied", "alice", 5),
        event("unknown_credential", "-", 7),
    ];
    assert!(sums(&events).eq(&expected), "{events:?}");
    let flushes = store::audit::Query { act: Some("event.flush".into()), limit: 9, ..Default::default() };
    assert!(!ops::audit::list(&house.ctx, &flushes).unwrap().is_empty());
    let verdict = ops::audit::verify(&house.ctx).unwrap();
    assert!(verdict.valid, "{verdict:?}");
}

type Found = (String, String, String, u32);

/// Equal events of several flushes together.
fn sums(events: &[Found]) -> Vec<Found> {
    let mut sums: Vec<Found> = Vec::new();
    for (kind, subject, address, count) in events.iter().cloned() {
        match sums.last_mut().filter(|last| (&last.0, &last.1, &last.2) == (&kind, &subject, &address)) {
            Some(last) => last.3 += count,
            None => sums.push((kind, subject, address, count)),
        }
    }
    sums
}

#[test]
fn nothing_seen_writes_nothing() {
    let house = House::new();
    let before = ops::audit::verify(&house.ctx).unwrap().records;
    house.engine().stop().unwrap();
    assert_eq!(ops::audit::verify(&house.ctx).unwrap().records, before);
    assert!(house.events().is_empty());
}

#[test]
fn what_cannot_be_recorded_refuses_every_call() {
    let house = House::new();
    let (id, text) = house.key("default");
    let mut gate = house.gate();
    let break_usage = |c: &store::Rows<'_>| -> Result<(), store::StoreError> {
        Ok(c.execute_batch("ALTER TABLE usage_minute RENAME TO gone")?)
    };
    house.ctx.store.write_usage(break_usage).unwrap();
    assert!(gate.authenticate(&text).is_ok());
    gate.engine.record(&Seen {
        credential: Some(CredentialId::ApiKey(id)),
        issuer: None,
        subject: Some("alice"),
        endpoint: "ping",
        address: None,
        outcome: Outcome::Allowed,
        request_id: "r",
        judged: None,
        why: None,
        at: house.now(),
    });
    assert!(gate.engine.stop().is_err());
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Unavailable);
}
