use super::*;
use crate::domain::{api_key::KeyId, decision::Reason, event::Event, usage::Count};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_030_000);

fn seen<'a>(endpoint: &'a str, address: &str, outcome: Outcome) -> Seen<'a> {
    Seen {
        credential: None,
        issuer: None,
        subject: None,
        endpoint,
        address: Some(address.parse().unwrap()),
        outcome,
        request_id: "r1",
        judged: None,
        why: None,
        at: NOW,
    }
}

fn key() -> CredentialId {
    CredentialId::ApiKey(KeyId::generate().unwrap())
}

fn drained(meter: &Meter) -> Pending {
    let mut pending = Pending::default();
    meter.drain_into(&mut pending);
    pending
}

fn counts(pending: &Pending) -> Vec<Count> {
    let mut counts: Vec<_> = Part::ALL.into_iter().flat_map(|part| pending.counts(part)).collect();
    counts.sort_by_key(|count| count.calls);
    counts
}

fn events(pending: &Pending) -> Vec<Event> {
    let Due { known, strangers } = pending.due(NOW, true);
    known.into_iter().chain(strangers).collect()
}

#[test]
fn equal_calls_are_one_counter_and_others_are_not() {
    let meter = Meter::default();
    let alice = key();
    let see = |endpoint| Seen { subject: Some("alice"), ..seen(endpoint, "192.0.2.1", Outcome::Allowed) };
    for _ in 0..3 {
        meter.record(&see("tools/call/search"), Some(alice), None);
    }
    meter.record(&see("ping"), Some(alice), None);
    let found = counts(&drained(&meter));
    assert_eq!(
        found.iter().map(|c| (&*c.endpoint, c.calls)).collect::<Vec<_>>(),
        [("ping", 1), ("tools/call/search", 3)]
    );
    assert_eq!(found[0].minute, Timestamp::from_millis(1_800_000_000_000));
    assert!(drained(&meter).is_empty(), "drained once");
    assert_eq!(meter.totals(), [(Outcome::Allowed, 4)], "totals stay");
}

#[test]
fn equal_denials_are_one_event_with_a_count_and_another_address_is_another() {
    let meter = Meter::default();
    let denied = Outcome::Denied(Reason::IpDenied);
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
        meter.record(&seen("ping", address, denied), None, None);
    }
    meter.record(&seen("ping", "192.0.2.1", Outcome::Shadowed(Reason::IpDenied)), None, None);
    meter.record(&seen("ping", "192.0.2.1", Outcome::Failed), None, None);
    let mut events = events(&drained(&meter));
    events.sort_by(|a, b| (&b.kind, &a.address, a.count).cmp(&(&a.kind, &b.address, b.count)));
    let found: Vec<_> = events.iter().map(|e| (&*e.kind, &*e.address, e.count, &*e.detail)).collect();
    assert_eq!(
        found,
        [
            ("shadow_denied", "192.0.2.1", 1, "ip_denied r1"),
            ("ip_denied", "192.0.2.1", 2, "r1"),
            ("ip_denied", "192.0.2.2", 1, "r1"),
        ]
    );
}

#[test]
fn what_a_stranger_invents_is_kept_nowhere_and_nothing_is_lost() {
    let meter = Meter::default();
    let calls = 5_000;
    for number in 0..calls {
        let endpoint = match number % 3 {
            0 => format!("tools/call/secret{number}"),
            1 => format!("/secret{number}"),
            _ => format!("secret{number}"),
        };
        let address = format!("2001:db8::{number:x}");
        meter.record(&seen(&endpoint, &address, Outcome::Denied(Reason::UnknownCredential)), None, None);
    }
    let pending = drained(&meter);
    let (counts, events) = (counts(&pending), events(&pending));
    assert_eq!(counts.len(), 2, "a method, and all else: {counts:?}");
    assert!(events.len() <= 101, "{} events", events.len());
    assert_eq!(counts.iter().map(|count| count.calls).sum::<u64>(), calls);
    assert_eq!(events.iter().map(|event| u64::from(event.count)).sum::<u64>(), calls);
    let endpoints =
        counts.iter().map(|count| &count.endpoint).chain(events.iter().map(|event| &event.endpoint));
    assert!(endpoints.clone().all(|endpoint| !endpoint.contains("secret")), "no name of theirs");
}

#[test]
fn no_noise_hides_whose_key_was_refused() {
    let meter = Meter::default();
    let insiders: Vec<_> = (0..20).map(|_| key()).collect();
    // Ids that somebody knows, and calls in their name from everywhere.
    let known: Vec<_> = (0..50).map(|_| key()).collect();
    for number in 0..20_000_usize {
        let address = format!("2001:db8::{number:x}");
        let endpoint = format!("tools/call/{number}");
        meter.record(&seen(&endpoint, &address, Outcome::Denied(Reason::UnknownCredential)), None, None);
        let named = Some(known[number % known.len()]);
        meter.record(&seen(&endpoint, &address, Outcome::Denied(Reason::BadSecret)), named, None);
        // A key that is refused itself makes noise too.
        let noisy = Seen {
            subject: Some("noisy"),
            ..seen(&endpoint, &address, Outcome::Denied(Reason::EndpointDenied))
        };
        meter.record(&noisy, Some(known[0]), None);
        if number % 1_000 == 999 {
            let which = number / 1_000;
            let denied = Outcome::Denied(Reason::EndpointDenied);
            let insider =
                Seen { subject: Some("insider"), ..seen("tools/call/delete_all", "192.0.2.9", denied) };
            meter.record(&insider, Some(insiders[which]), None);
            meter.lockout_started(Some(known[which]), None, Some("192.0.2.8".parse().unwrap()), NOW, NOW);
            meter.lockout_started(None, None, Some(address.parse().unwrap()), NOW, NOW);
        }
    }
    let events = events(&drained(&meter));
    let of = |credential: &CredentialId, kind: &str| {
        let id = credential.to_string();
        events
            .iter()
            .filter(|event| event.credential == id && event.kind == kind)
            .map(|e| e.count)
            .sum::<u32>()
    };
    for insider in &insiders {
        assert_eq!(of(insider, "endpoint_denied"), 1);
    }
    let whole: Vec<_> = events.iter().filter(|event| event.subject == "insider").collect();
    assert!(whole.iter().all(|e| e.endpoint.starts_with("tools/call") && e.address == "192.0.2.9"));
    assert_eq!(whole.len(), 20);
    for named in &known {
        assert_eq!(of(named, "bad_secret"), 400, "by credential to the last");
    }
    for locked in &known[..20] {
        assert_eq!(of(locked, "lockout_started"), 1);
    }
}

#[test]
fn an_event_is_told_at_once_and_those_like_it_when_their_minute_is_over() {
    let meter = Meter::default();
    let alice = Some(key());
    let mut pending = Pending::default();
    let denied = Outcome::Denied(Reason::RateLimited);
    let see = |pending: &mut Pending, times| {
        for _ in 0..times {
            meter.record(&Seen { subject: Some("alice"), ..seen("ping", "192.0.2.1", denied) }, alice, None);
        }
        meter.drain_into(pending);
    };
    let told = |pending: &mut Pending, now, all| {
        let counts: Vec<_> = pending.due(now, all).known.iter().map(|event| event.count).collect();
        pending.told(now, all);
        counts
    };
    see(&mut pending, 1);
    assert_eq!(told(&mut pending, NOW, false), [1]);
    see(&mut pending, 3);
    see(&mut pending, 4);
    assert_eq!(told(&mut pending, NOW, false), [0; 0]);
    let next = NOW.plus(std::time::Duration::from_secs(60));
    assert_eq!(told(&mut pending, next, false), [7], "together");
    assert_eq!(told(&mut pending, next, false), [0; 0]);
    see(&mut pending, 2);
    assert_eq!(told(&mut pending, next, false), [2], "a new minute");
    see(&mut pending, 5);
    assert_eq!(told(&mut pending, next, true), [5], "all that there is at the end");
}

#[test]
fn what_must_be_written_becomes_one_counter_for_each_credential() {
    let meter = Meter::default();
    let alice = Some(key());
    for endpoint in ["tools/call/a", "tools/call/b", "ping"] {
        meter.record(
            &Seen { subject: Some("alice"), ..seen(endpoint, "192.0.2.1", Outcome::Allowed) },
            alice,
            None,
        );
    }
    let mut pending = drained(&meter);
    pending.fold_admitted();
    let found = pending.counts(Part::Admitted);
    assert_eq!(
        found.iter().map(|c| (&*c.endpoint, &*c.subject, c.calls)).collect::<Vec<_>>(),
        [("(other)", "alice", 3)]
    );
}

#[test]
fn long_endpoints_are_cut_between_characters() {
    let meter = Meter::default();
    let endpoint = format!("{}ü", "x".repeat(255));
    meter.record(
        &Seen { subject: Some("alice"), ..seen(&endpoint, "192.0.2.1", Outcome::Allowed) },
        Some(key()),
        None,
    );
    assert_eq!(counts(&drained(&meter))[0].endpoint, "x".repeat(255));
}
