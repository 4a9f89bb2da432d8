use super::*;
use crate::domain::decision::Reason;
use crate::store::{migrate, room};

fn database() -> Rows<'static> {
    Rows::new(Box::leak(Box::new(migrate::USAGE.in_memory())), None)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn count(minute: &str, credential: &str, endpoint: &str, outcome: Outcome, calls: u64) -> Count {
    let subject = format!("subject of {credential}");
    Count {
        minute: at(minute),
        credential: credential.into(),
        issuer: String::new(),
        subject,
        endpoint: endpoint.into(),
        outcome,
        calls,
    }
}

fn range(since: &str, until: &str) -> Query {
    Query { since: at(since), until: at(until), ..Query::default() }
}

fn filled() -> Rows<'static> {
    let c = database();
    let counts = [
        count("2026-07-28T09:00:00Z", "one", "tools/list", Outcome::Allowed, 5),
        count("2026-07-28T09:01:00Z", "one", "tools/list", Outcome::Shadowed(Reason::RateLimited), 1),
        count("2026-07-28T09:01:00Z", "one", "ping", Outcome::Denied(Reason::RateLimited), 2),
        count("2026-07-28T09:59:00Z", "two", "tools/list", Outcome::Failed, 3),
        count("2026-07-28T10:00:00Z", "two", "ping", Outcome::Allowed, 10),
    ];
    add(&c, &counts).unwrap();
    c
}

fn sum(allowed: u64, denied: u64, failed: u64) -> Totals {
    Totals { allowed, denied, failed }
}

#[test]
fn flushes_add_up() {
    let c = filled();
    add(&c, &[count("2026-07-28T09:00:00Z", "one", "tools/list", Outcome::Allowed, 5)]).unwrap();
    let all = range("2026-07-28T09:00:00Z", "2026-07-28T11:00:00Z");
    assert_eq!(totals(&c, &all).unwrap(), sum(21, 2, 3));
}

#[test]
fn a_range_is_half_open_and_begins_with_its_minute() {
    let c = filled();
    let totals = |since, until| totals(&c, &range(since, until)).unwrap();
    assert_eq!(totals("2026-07-28T09:00:59Z", "2026-07-28T09:01:00Z"), sum(5, 0, 0));
    assert_eq!(totals("2026-07-28T09:01:00Z", "2026-07-28T09:01:01Z"), sum(1, 2, 0));
    assert_eq!(totals("2026-07-28T09:02:00Z", "2026-07-28T09:59:00Z"), sum(0, 0, 0));
}

#[test]
fn more_than_a_day_is_answered_by_the_hour_and_from_its_start() {
    let c = filled();
    let day = range("2026-07-27T09:30:00Z", "2026-07-28T09:30:00Z");
    assert_eq!(totals(&c, &day).unwrap(), sum(6, 2, 0), "exactly a day: by the minute");
    let longer = range("2026-07-27T09:30:00Z", "2026-07-28T09:30:01Z");
    assert_eq!(totals(&c, &longer).unwrap(), sum(6, 2, 3), "the hour that the range ends in is whole");
    let from_within = range("2026-07-28T09:30:00Z", "2026-07-30T00:00:00Z");
    assert_eq!(totals(&c, &from_within).unwrap(), sum(16, 2, 3), "the hour that it begins in, too");
}

#[test]
fn one_credential_or_endpoint_can_be_singled_out() {
    let c = filled();
    let all = range("2026-07-28T09:00:00Z", "2026-07-28T11:00:00Z");
    let one = Query { credential: Some("one".into()), ..all.clone() };
    assert_eq!(totals(&c, &one).unwrap(), sum(6, 2, 0));
    let pings = Query { endpoint: Some("ping".into()), ..one.clone() };
    assert_eq!(totals(&c, &pings).unwrap(), sum(0, 2, 0));
    let busy = Busy { key: "ping".into(), issuer: None, subject: None, totals: sum(0, 2, 0) };
    assert_eq!(top(&c, &pings, Dimension::Endpoint, 9).unwrap(), [busy]);
    assert_eq!(series(&c, &pings, 60).unwrap()[0].1, sum(0, 2, 0));
}

#[test]
fn the_busiest_come_first() {
    let c = filled();
    let all = range("2026-07-28T09:00:00Z", "2026-07-28T11:00:00Z");
    let names = |by, limit| -> Vec<String> {
        top(&c, &all, by, limit).unwrap().into_iter().map(|busy| busy.key).collect()
    };
    assert_eq!(names(Dimension::Credential, 9), ["two", "one"]);
    assert_eq!(names(Dimension::Credential, 1), ["two"]);
    assert_eq!(names(Dimension::Subject, 9), ["subject of two", "subject of one"]);
    assert_eq!(names(Dimension::Endpoint, 9), ["ping", "tools/list"]);
    assert_eq!(names(Dimension::Outcome, 9), ["allowed", "failed", "rate_limited", "shadow:rate_limited"]);
}

#[test]
fn one_name_under_two_issuers_is_two() {
    let c = database();
    let of = |issuer: &str, credential: &str, calls| Count {
        issuer: issuer.into(),
        subject: "alice".into(),
        ..count("2026-07-28T09:00:00Z", credential, "ping", Outcome::Allowed, calls)
    };
    add(&c, &[of("", "one", 1), of("corp", "two", 2), of("", "three", 4)]).unwrap();
    let all = range("2026-07-28T09:00:00Z", "2026-07-28T11:00:00Z");
    let found = |q: &Query, by| -> Vec<_> {
        let top = top(&c, q, by, 9).unwrap();
        top.into_iter().map(|busy| (busy.key, busy.issuer, busy.totals.calls())).collect()
    };
    let alice = |issuer: &str, calls| ("alice".to_owned(), Some(issuer.to_owned()), calls);
    assert_eq!(found(&all, Dimension::Subject), [alice("", 5), alice("corp", 2)]);
    assert_eq!(found(&all, Dimension::Issuer), [(String::new(), None, 5), ("corp".to_owned(), None, 2)]);
    for (issuer, calls) in [("", 5), ("corp", 2), ("elsewhere", 0)] {
        let one = Query { issuer: Some(issuer.into()), subject: Some("alice".into()), ..all.clone() };
        assert_eq!(totals(&c, &one).unwrap().calls(), calls, "{issuer:?}");
    }
    let nobody = Query { subject: Some("bo".into()), ..all };
    assert_eq!(totals(&c, &nobody).unwrap().calls(), 0);
}

#[test]
fn a_credential_goes_by_whom_it_spoke_for_last() {
    let c = database();
    let of = |hour: &str, issuer: &str, subject: &str, credential: &str, outcome| Count {
        issuer: issuer.into(),
        subject: subject.into(),
        ..count(&format!("2026-07-{hour}:00:00Z"), credential, "ping", outcome, 1)
    };
    let denied = Outcome::Denied(Reason::BadSecret);
    add(
        &c,
        &[
            of("28T09", "corp", "7", "foreign", Outcome::Allowed),
            of("28T10", "corp", "dora", "foreign", Outcome::Allowed),
            of("28T09", "", "alice", "own", Outcome::Allowed),
            of("28T10", "", "-", "own", denied),
            of("28T10", "", "-", "named", denied),
            of("28T10", "", "-", "-", denied),
        ],
    )
    .unwrap();
    let short = range("2026-07-28T09:00:00Z", "2026-07-28T11:00:00Z");
    let long = range("2026-07-20T09:00:00Z", "2026-07-28T11:00:00Z");
    for (query, calls) in [(&short, [2, 2, 1, 1]), (&long, [2, 2, 1, 1])] {
        let top = top(&c, query, Dimension::Credential, 9).unwrap();
        assert_eq!(top.iter().map(|busy| busy.totals.calls()).collect::<Vec<_>>(), calls);
        let who: Vec<_> = top.iter().map(|busy| (busy.key.as_str(), busy.who())).collect();
        let expected =
            [("foreign", Some("corp: dora")), ("own", Some("alice")), ("-", None), ("named", None)];
        assert_eq!(who, expected.map(|(key, who)| (key, who.map(Into::into))));
    }
    let before = Query { until: at("2026-07-28T10:00:00Z"), ..short };
    let then = top(&c, &before, Dimension::Credential, 9).unwrap();
    assert_eq!(then[0].who().as_deref(), Some("corp: 7"), "as it was in the range that was asked for");
}

#[test]
fn a_series_has_its_empty_steps() {
    let c = filled();
    let hour = range("2026-07-28T09:00:30Z", "2026-07-28T10:00:30Z");
    let found = series(&c, &hour, 20).unwrap();
    let expected = [
        (at("2026-07-28T09:00:00Z"), sum(6, 2, 0)),
        (at("2026-07-28T09:20:00Z"), sum(0, 0, 0)),
        (at("2026-07-28T09:40:00Z"), sum(0, 0, 3)),
        (at("2026-07-28T10:00:00Z"), sum(10, 0, 0)),
    ];
    assert_eq!(found, expected);
    let days = range("2026-07-28T00:00:00Z", "2026-07-30T00:00:00Z");
    let found = series(&c, &days, 90).unwrap();
    assert_eq!(found.len(), 24, "an hour and a half becomes two hours");
    assert_eq!(found[4], (at("2026-07-28T08:00:00Z"), sum(6, 2, 3)));
    assert_eq!(series(&c, &range("2026-07-28T09:00:00Z", "2026-07-28T09:00:00Z"), 1).unwrap(), []);
    let endless = Query { until: Timestamp::from_millis(i64::MAX), ..days };
    assert_eq!(series(&c, &endless, 1).unwrap().len(), MOST_STEPS as usize);
}

#[test]
fn a_sweep_leaves_the_hours_to_answer_for_the_minutes() {
    let c = filled();
    let half_past_ten = at("2026-07-28T10:30:00Z");
    let early = range("2026-07-28T09:00:00Z", "2026-07-28T09:30:00Z");
    assert_eq!(totals(&c, &early).unwrap(), sum(6, 2, 0));
    assert_eq!(sweep(&c, at("2026-07-28T09:59:59Z").plus(MINUTES_RETENTION)), 0, "not half an hour");
    assert_eq!(totals(&c, &early).unwrap(), sum(6, 2, 0));
    assert_eq!(sweep(&c, half_past_ten.plus(MINUTES_RETENTION)), 4, "the minutes before 10:00");
    assert_eq!(totals(&c, &early).unwrap(), sum(6, 2, 3), "now the hours answer");
    assert_eq!(sweep(&c, half_past_ten.plus(HOURS_RETENTION)), 5, "the hours before 10:00, and a minute");
    assert_eq!(totals(&c, &early).unwrap(), sum(0, 0, 0));
}

/// Removes what has had its time, slice by slice.
fn sweep(c: &Rows<'_>, now: Timestamp) -> u64 {
    let mut removed = 0;
    while let Some(cut) = room::ended(c, now).unwrap() {
        removed += cut.slice(c).unwrap();
    }
    removed
}

#[test]
fn what_a_credential_invents_takes_a_bounded_number_of_rows() {
    let c = database();
    let hour = "2026-07-28T09:00:00Z";
    let calls = 3 * MOST_ENDPOINTS as u64;
    add(&c, &[count(hour, "two", "tools/call/mine", Outcome::Allowed, 1)]).unwrap();
    for number in 0..calls {
        let endpoint = if number % 2 == 0 { format!("tools/call/{number}") } else { format!("/{number}") };
        add(&c, &[count(hour, "one", &endpoint, Outcome::Allowed, 1)]).unwrap();
    }
    let all = range(hour, "2026-07-28T10:00:00Z");
    let one = Query { credential: Some("one".into()), ..all.clone() };
    let found = top(&c, &one, Dimension::Endpoint, 1_000).unwrap();
    assert_eq!(found.len(), MOST_ENDPOINTS + 2);
    let names: Vec<_> = found.iter().take(2).map(|busy| busy.key.as_str()).collect();
    assert_eq!(names, ["(other)", "tools/call"], "the rest by its method");
    assert_eq!(totals(&c, &one).unwrap(), sum(calls, 0, 0), "no call is lost");
    add(&c, &[count(hour, "one", "tools/call/0", Outcome::Allowed, 1)]).unwrap();
    let known = Query { endpoint: Some("tools/call/0".into()), ..one };
    assert_eq!(totals(&c, &known).unwrap(), sum(2, 0, 0), "what is told apart stays so");
    let two = Query { credential: Some("two".into()), endpoint: Some("tools/call/mine".into()), ..all };
    assert_eq!(totals(&c, &two).unwrap(), sum(1, 0, 0));
    add(&c, &[count("2026-07-28T10:00:00Z", "one", "/new", Outcome::Allowed, 1)]).unwrap();
    let later = range("2026-07-28T10:00:00Z", "2026-07-28T11:00:00Z");
    assert_eq!(top(&c, &later, Dimension::Endpoint, 9).unwrap()[0].key, "/new", "the next hour begins anew");
}

#[test]
fn strangers_are_counted_apart_by_method_and_stand_among_the_others() {
    let c = filled();
    let minute = "2026-07-28T09:02:00Z";
    let denied = Outcome::Denied(Reason::UnknownCredential);
    add(&c, &[count(minute, "-", "tools/call/secret", denied, 4), count(minute, "-", "/secret", denied, 3)])
        .unwrap();
    let all = range("2026-07-28T09:00:00Z", "2026-07-28T11:00:00Z");
    assert_eq!(totals(&c, &all).unwrap(), sum(16, 9, 3));
    let strangers = Query { credential: Some("-".into()), ..all.clone() };
    assert_eq!(totals(&c, &strangers).unwrap(), sum(0, 7, 0));
    let names = |q: &Query, by| -> Vec<_> {
        top(&c, q, by, 9).unwrap().into_iter().map(|busy| (busy.key, busy.totals.calls())).collect()
    };
    assert_eq!(
        names(&strangers, Dimension::Endpoint),
        [("tools/call".to_owned(), 4), ("(other)".to_owned(), 3)]
    );
    assert_eq!(names(&all, Dimension::Credential)[2], ("-".to_owned(), 7));
    assert_eq!(names(&all, Dimension::Outcome)[1].0, "unknown_credential");
    assert_eq!(series(&c, &all, 60).unwrap()[0].1, sum(6, 9, 3));
    let issuer = Query { issuer: Some("corp".into()), ..all };
    assert_eq!(totals(&c, &issuer).unwrap(), sum(0, 0, 0));
}

#[test]
fn each_minute_is_read_back_in_order() {
    let c = filled();
    let mut seen = Vec::new();
    let until = at("2026-07-28T10:00:00Z");
    each_minute(&c, at("2026-07-28T09:01:30Z"), until, |count| {
        seen.push((count.credential, count.outcome, count.calls))
    })
    .unwrap();
    let expected = [
        ("one".to_owned(), Outcome::Denied(Reason::RateLimited), 2),
        ("one".to_owned(), Outcome::Shadowed(Reason::RateLimited), 1),
        ("two".to_owned(), Outcome::Failed, 3),
    ];
    assert_eq!(seen, expected);
}
