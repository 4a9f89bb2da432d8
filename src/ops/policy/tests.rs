use super::*;
use crate::{
    domain::{
        clock::Timestamp,
        decision::Reason,
        event::Event,
        policy::CompiledPolicy,
        token::{Grounds, IssuedToken, KeyGround},
        usage::{Count, Outcome},
    },
    ops::bench::{Bench, DAY, HOUR},
    store::{event, usage},
};

fn named(name: &str) -> Policy {
    Policy::new(name.parse().unwrap())
}

fn per_minute(name: &str, limit: u32) -> Policy {
    let mut policy = named(name);
    policy.rate_limits.requests_per_minute = Some(limit);
    policy
}

#[test]
fn revisions_count_on_through_changes_rollback_and_deletion() {
    let bench = Bench::new();
    let name: PolicyName = "readers".parse().unwrap();
    let saved =
        bench.one_record(Act::PolicyCreate, "readers", |ctx| create(ctx, named("readers"), "first").unwrap());
    assert_eq!((saved.revision, saved.reason.as_str()), (1, "first"));
    assert_eq!(saved.author, bench.ctx.actor);
    let refusal = bench.refused("readers", |ctx| create(ctx, named("readers"), ""));
    assert!(matches!(refusal, OpsError::Conflict(_)));

    let before = bench.records(0).len();
    assert_eq!(apply(&bench.ctx, named("readers"), "same").unwrap().revision, 1);
    assert!(bench.records(before).is_empty(), "the same document changes nothing");
    let saved = bench.one_record(Act::PolicyApply, "readers", |ctx| {
        apply(ctx, per_minute("readers", 5), "slower").unwrap()
    });
    assert_eq!(saved.revision, 2);

    let saved =
        bench.one_record(Act::PolicyRollback, "readers", |ctx| rollback(ctx, &name, 1, "too slow").unwrap());
    assert_eq!((saved.revision, &saved.policy), (3, &named("readers")));
    assert!(matches!(bench.refused("readers", |ctx| rollback(ctx, &name, 3, "")), OpsError::Conflict(_)));
    assert!(matches!(bench.refused("readers", |ctx| rollback(ctx, &name, 9, "")), OpsError::NotFound(_)));

    bench.one_record(Act::PolicyDelete, "readers", |ctx| delete(ctx, &name, "").unwrap());
    assert!(matches!(show(&bench.ctx, &name), Err(OpsError::NotFound(_))));
    assert_eq!(history(&bench.ctx, &name).unwrap().len(), 3);
    assert_eq!(create(&bench.ctx, named("readers"), "").unwrap().revision, 4);
    bench.assert_valid();
}

#[test]
fn a_roll_back_over_a_newer_revision_is_a_conflict() {
    let bench = Bench::new();
    let name: PolicyName = "readers".parse().unwrap();
    create(&bench.ctx, named("readers"), "").unwrap();
    apply(&bench.ctx, per_minute("readers", 1), "").unwrap();
    apply(&bench.ctx, per_minute("readers", 2), "").unwrap();
    let late = bench.refused("readers", |ctx| rollback_over(ctx, &name, 1, 2, ""));
    assert!(matches!(&late, OpsError::Conflict(why) if why.contains("saved revision 3")), "{late}");
    assert_eq!(show(&bench.ctx, &name).unwrap().revision, 3);
    let saved = rollback_over(&bench.ctx, &name, 1, 3, "").unwrap();
    assert_eq!((saved.revision, &saved.policy), (4, &named("readers")));
}

#[test]
fn an_edit_over_a_newer_revision_is_a_conflict() {
    let bench = Bench::new();
    let absent = bench.refused("readers", |ctx| apply_over(ctx, named("readers"), 1, ""));
    assert!(matches!(absent, OpsError::NotFound(_)));
    create(&bench.ctx, named("readers"), "").unwrap();
    assert_eq!(apply_over(&bench.ctx, per_minute("readers", 1), 1, "").unwrap().revision, 2);
    let late = bench.refused("readers", |ctx| apply_over(ctx, per_minute("readers", 2), 1, ""));
    assert!(matches!(late, OpsError::Conflict(_)));
    assert_eq!(show(&bench.ctx, &"readers".parse().unwrap()).unwrap().revision, 2);
}

#[test]
fn unknown_scopes_are_named_by_their_place() {
    let bench = Bench::new();
    let mut policy = named("readers");
    policy.scopes = vec!["mcp:*".parse().unwrap(), "mpc:*".parse().unwrap()];
    let bad = check(&scope::list(&bench.ctx).unwrap(), &policy.to_json()).unwrap_err();
    assert_eq!(bad.faults.len(), 1);
    assert_eq!(bad.faults[0].path, "scopes[1]");
    assert!(bad.faults[0].message.contains("did you mean `mcp:*`?"));
    let refusal = bench.refused("readers", |ctx| create(ctx, policy.clone(), ""));
    assert!(refusal.to_string().contains("scopes[1]"), "{refusal}");
    policy.scopes.pop();
    let (judged, _) = check(&scope::list(&bench.ctx).unwrap(), &policy.to_json()).unwrap();
    assert_eq!(judged, policy);
    create(&bench.ctx, policy, "").unwrap();
}

#[test]
fn a_check_passes_warnings_on_and_changes_nothing() {
    let bench = Bench::new();
    let before = bench.records(0).len();
    let mut policy = named("readers");
    policy.rate_limits.requests_per_hour = Some(100);
    policy.rate_limits.requests_per_day = Some(10);
    let (_, warnings) = check(&scope::list(&bench.ctx).unwrap(), &policy.to_json()).unwrap();
    assert_eq!(warnings, policy.warnings());
    assert!(!warnings.is_empty());
    assert!(check(&scope::list(&bench.ctx).unwrap(), r#"{"name":"x","nonsense":1}"#).is_err());
    assert!(bench.records(before).is_empty());
}

#[test]
fn a_policy_with_credentials_under_it_and_the_default_stay() {
    let bench = Bench::new();
    let name = PolicyName::default();
    assert!(matches!(bench.refused("default", |ctx| delete(ctx, &name, "")), OpsError::Conflict(_)));
    create(&bench.ctx, named("readers"), "").unwrap();
    let readers: PolicyName = "readers".parse().unwrap();
    let new = crate::ops::api_key::NewKey { policy: readers.clone(), ..crate::ops::bench::new_key() };
    let key = crate::ops::api_key::create(&bench.ctx, new).unwrap().key;
    let refusal = bench.refused("readers", |ctx| delete(ctx, &readers, ""));
    assert!(refusal.to_string().contains("1 key is under"), "{refusal}");
    crate::ops::api_key::revoke(&bench.ctx, key.id, "").unwrap();
    bench.clock.advance(DAY);
    crate::ops::api_key::purge(&bench.ctx, bench.now()).unwrap();
    delete(&bench.ctx, &readers, "").unwrap();
}

#[test]
fn a_reason_has_its_length() {
    let bench = Bench::new();
    let long = "r".repeat(201);
    let refusal = bench.refused("readers", |ctx| create(ctx, named("readers"), &long));
    assert!(matches!(refusal, OpsError::Invalid(_)));
    create(&bench.ctx, named("readers"), &long[1..]).unwrap();
}

#[test]
fn an_export_can_be_applied_again() {
    let bench = Bench::new();
    create(&bench.ctx, per_minute("readers", 7), "").unwrap();
    let text = export(&bench.ctx, &"readers".parse().unwrap()).unwrap();
    assert_eq!(Policy::from_json(&text).unwrap(), per_minute("readers", 7));
}

fn replay(policy: Policy, lines: &str) -> Vec<Simulated> {
    let catalogue = Catalogue::new(Catalogue::built_in()).unwrap();
    let policy = CompiledPolicy::new(policy, 1).unwrap();
    let requests: Vec<_> = read_requests(lines.as_bytes()).collect::<Result<_, _>>().unwrap();
    simulate(&policy, &catalogue, requests.into_iter()).collect()
}

#[test]
fn a_replay_names_every_check_that_fails_and_charges_only_what_passes() {
    let mut policy = per_minute("p", 1);
    policy.ip_restrictions.blacklist = vec!["10.0.0.0/8".parse().unwrap()];
    policy.endpoint_restrictions.blocked_endpoints = vec!["tools/call/delete_*".parse().unwrap()];
    let lines = r#"
{"at":"2026-07-28T09:00:00Z","ip":"10.1.1.1","endpoint":"tools/call/delete_all"}
{"at":"2026-07-28T09:00:01Z","ip":"192.0.2.1","endpoint":"tools/list"}
{"at":"2026-07-28T09:00:02Z","ip":"10.1.1.1","endpoint":"tools/list"}
{"at":"2026-07-28T09:00:03Z","ip":"192.0.2.1","endpoint":"notifications/initialized"}
{"at":"2026-07-28T09:02:00Z","ip":"192.0.2.1","endpoint":"tools/list"}
"#;
    let found = replay(policy.clone(), lines);
    let failed: Vec<_> = found.iter().map(|one| one.failed.clone()).collect();
    assert_eq!(
        failed,
        [
            vec![Reason::IpDenied, Reason::EndpointDenied],
            vec![],
            vec![Reason::IpDenied, Reason::RateLimited],
            vec![],
            vec![],
        ]
    );
    assert_eq!(found[0].reason, Some(Reason::IpDenied));
    assert_eq!(serde_json::to_string(&found[1]).unwrap(), r#"{"allowed":true,"reason":null,"failed":[]}"#);
    assert!(!found[2].allowed);
    policy.mode = crate::domain::policy::Mode::Shadow;
    let shadowed = replay(policy, lines);
    assert!(shadowed.iter().all(|one| one.allowed));
    assert_eq!(shadowed[0].reason, Some(Reason::IpDenied));
}

#[test]
fn scopes_are_judged_where_a_line_names_them() {
    let line = |scopes: &str| {
        format!(r#"{{"at":"2026-07-28T09:00:00Z","ip":null,"endpoint":"tools/list"{scopes}}}"#)
    };
    assert!(replay(named("p"), &line("")).iter().all(|one| one.allowed));
    assert!(replay(named("p"), &line(r#","scopes":["mcp:*"]"#)).iter().all(|one| one.allowed));
    let none = replay(named("p"), &line(r#","scopes":[]"#));
    assert_eq!(none[0].failed, [Reason::InsufficientScope]);
    let mut ceiling = named("p");
    ceiling.scopes = vec!["other".parse().unwrap()];
    let above = replay(ceiling, &line(r#","scopes":["mcp:*"]"#));
    assert_eq!(above[0].failed, [Reason::InsufficientScope]);
}

#[test]
fn a_bad_line_is_named_by_its_number() {
    let good = r#"{"at":"2026-07-28T09:00:00Z","ip":"192.0.2.1","endpoint":"tools/list"}"#;
    for (bad, says) in [
        (r#"{"at":"2026-07-28T08:59:59Z","ip":"192.0.2.1","endpoint":"tools/list"}"#, "time order"),
        (r#"{"at":"2026-07-28T09:00:00Z","ip":"192.0.2.1","endpoint":"tools/list","more":1}"#, "more"),
        (r#"{"at":"2026-07-28T09:00:00Z","ip":"192.0.2","endpoint":"tools/list"}"#, "IP address"),
        (r#"{"at":"2026-07-28T09:00:00Z","ip":"192.0.2.1"}"#, "endpoint"),
        ("tools/list", "expected"),
        (r#"["2026-07-28T09:00:00Z","192.0.2.1","tools/list",null]"#, "expected a JSON object"),
    ] {
        let lines = format!("{good}\n\n{bad}\n");
        let read: Vec<_> = read_requests(lines.as_bytes()).collect();
        let refusal = read.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(refusal.starts_with("line 3: ") && refusal.contains(says), "{refusal}");
        assert!(read[0].is_ok());
    }
}

#[test]
fn recorded_traffic_is_replayed_for_the_credentials_under_a_policy() {
    let bench = Bench::new();
    create(&bench.ctx, named("readers"), "").unwrap();
    let readers: PolicyName = "readers".parse().unwrap();
    let new = crate::ops::api_key::NewKey { policy: readers.clone(), ..crate::ops::bench::new_key() };
    let one = crate::ops::api_key::create(&bench.ctx, new.clone()).unwrap().key;
    let two = crate::ops::api_key::create(&bench.ctx, new).unwrap().key;
    let stranger = bench.key();
    let minute: Timestamp = "2026-07-28T09:00:00Z".parse().unwrap();
    let count = |key: &crate::domain::api_key::ApiKey, outcome, calls| Count {
        minute,
        credential: key.id.to_string(),
        issuer: String::new(),
        subject: "alice".into(),
        endpoint: "tools/list".into(),
        outcome,
        calls,
    };
    let counts = [
        count(&one, Outcome::Allowed, 3),
        count(&one, Outcome::Denied(Reason::IpDenied), 2),
        count(&one, Outcome::Denied(Reason::BadSecret), 9),
        count(&two, Outcome::Allowed, 1),
        count(&stranger, Outcome::Allowed, 9),
    ];
    let event = Event {
        seq: 0,
        at: minute.plus(std::time::Duration::from_secs(30)),
        kind: "ip_denied".into(),
        credential: one.id.to_string(),
        issuer: String::new(),
        subject: "alice".into(),
        endpoint: "tools/list".into(),
        address: "10.0.0.1".into(),
        count: 1,
        detail: String::new(),
    };
    bench.ctx.store.write_usage(move |c| usage::add(c, &counts)).unwrap();
    bench.ctx.store.write_usage(move |c| event::append(c, event::Whose::Known, &[event])).unwrap();

    let (requests, left_out) = recorded(&bench.ctx, &readers, bench.now().minus(HOUR)).unwrap();
    let requests: Vec<_> = requests.collect();
    assert_eq!(left_out, LeftOut { calls: 9, credentials: 1, unnamed_calls: 0 }, "the stranger's");
    assert_eq!(requests.len(), 6, "not the stranger's, nor those whose credential was refused");
    assert!(requests.is_sorted_by_key(|request| request.at));
    let known: Vec<_> = requests.iter().filter_map(|request| request.ip).collect();
    assert_eq!(known, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);

    let mut policy = per_minute("readers", 5);
    policy.ip_restrictions.whitelist = vec!["192.0.2.0/24".parse().unwrap()];
    let policy = CompiledPolicy::new(policy, 1).unwrap();
    let catalogue = scope::list(&bench.ctx).unwrap();
    let found: Vec<_> = simulate(&policy, &catalogue, requests.into_iter()).collect();
    let denied: Vec<_> = found.iter().filter(|one| !one.allowed).collect();
    assert_eq!(
        denied.len(),
        1,
        "each credential has a quota of its own, and unknown addresses are not judged"
    );
    assert_eq!(denied[0].failed, [Reason::IpDenied]);
    assert_eq!(recorded(&bench.ctx, &readers, bench.now()).unwrap().0.count(), 0);
}

#[test]
fn calls_that_were_counted_together_by_their_method_are_left_out() {
    let bench = Bench::new();
    create(&bench.ctx, named("readers"), "").unwrap();
    let readers: PolicyName = "readers".parse().unwrap();
    let new = crate::ops::api_key::NewKey { policy: readers.clone(), ..crate::ops::bench::new_key() };
    let key = crate::ops::api_key::create(&bench.ctx, new).unwrap().key;
    let count = |endpoint: &str| Count {
        minute: "2026-07-28T09:00:00Z".parse().unwrap(),
        credential: key.id.to_string(),
        issuer: String::new(),
        subject: "alice".into(),
        endpoint: endpoint.into(),
        outcome: Outcome::Allowed,
        calls: 1,
    };
    let together = [
        "tools/call",
        "prompts/get",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "(other)",
    ];
    let apart = ["resources/subscribe/file:///a", "subscriptions/listen", "tools/call/a", "tools/list"];
    let counts: Vec<_> = together.iter().chain(&apart).map(|endpoint| count(endpoint)).collect();
    bench.ctx.store.write_usage(move |c| usage::add(c, &counts)).unwrap();
    let (requests, left_out) = recorded(&bench.ctx, &readers, bench.now().minus(HOUR)).unwrap();
    let mut found: Vec<_> = requests.map(|request| request.endpoint.to_string()).collect();
    found.sort();
    assert_eq!(found, apart);
    assert_eq!(left_out, LeftOut { calls: 0, credentials: 0, unnamed_calls: 7 });
}

#[test]
fn calls_with_tokens_count_where_they_were_charged() {
    let bench = Bench::new();
    create(&bench.ctx, named("readers"), "").unwrap();
    let readers: PolicyName = "readers".parse().unwrap();
    let new = crate::ops::api_key::NewKey { policy: readers.clone(), ..crate::ops::bench::new_key() };
    let key = crate::ops::api_key::create(&bench.ctx, new).unwrap().key;
    let issue = || {
        let new = crate::ops::token::NewToken {
            subject: "alice".parse().unwrap(),
            client: None,
            scopes: vec!["mcp:*".parse().unwrap()],
            audience: Vec::new(),
            policy: readers.clone(),
            bind_policy: false,
            life: HOUR,
            algorithm: None,
            kid: None,
            once: false,
            rests_on: Default::default(),
        };
        crate::ops::token::issue(&bench.ctx, new).unwrap().token
    };
    let (one, two) = (issue(), issue());
    let jti = crate::domain::token::TokenId::generate().unwrap();
    let ground = KeyGround { id: key.id, secret: key.digest.mark() };
    let rests_on = Grounds { key: Some(ground), parents: Vec::new() };
    let got = IssuedToken { jti, rests_on, ..one.clone() };
    bench.ctx.store.write(move |c| crate::store::token::insert(c, &got)).unwrap();
    let minute: Timestamp = "2026-07-28T09:00:00Z".parse().unwrap();
    let count = |credential: String| Count {
        minute,
        credential,
        issuer: String::new(),
        subject: "alice".into(),
        endpoint: "tools/list".into(),
        outcome: Outcome::Allowed,
        calls: 2,
    };
    let credentials = [key.id.to_string(), jti.to_string(), one.jti.to_string(), two.jti.to_string()];
    let counts = credentials.map(count);
    bench.ctx.store.write_usage(move |c| usage::add(c, &counts)).unwrap();

    let requests: Vec<_> = recorded(&bench.ctx, &readers, bench.now().minus(HOUR)).unwrap().0.collect();
    assert_eq!(requests.len(), 8);
    let catalogue = scope::list(&bench.ctx).unwrap();
    let allowed = |limit: u32| {
        let policy = CompiledPolicy::new(per_minute("readers", limit), 1).unwrap();
        simulate(&policy, &catalogue, requests.iter().cloned()).filter(|one| one.allowed).count()
    };
    assert_eq!(allowed(4), 8);
    assert_eq!(
        allowed(3),
        6,
        "the key with what was got with it has one account, its subject's tokens another"
    );
}

#[test]
fn what_costs_nothing_is_replayed_by_its_own_bound() {
    let line =
        |endpoint: &str| format!(r#"{{"at":"2026-07-28T09:00:00Z","ip":null,"endpoint":"{endpoint}"}}"#);
    let lines = |endpoint: &str, count: usize| vec![line(endpoint); count].join("\n");
    let allowed = |limit: u32, lines: &str| {
        replay(per_minute("p", limit), lines).iter().filter(|one| one.allowed).count()
    };
    assert_eq!(allowed(2, &lines("ping", 70)), 60);
    assert_eq!(allowed(7, &lines("notifications/progress", 80)), 70);
    assert_eq!(allowed(2, &lines("initialize", 3)), 2);
    for (endpoint, passing) in [("ping", 0), ("stream", 0), ("tools/list", 0), ("session/end", 70)] {
        assert_eq!(allowed(0, &lines(endpoint, 70)), passing, "{endpoint}");
    }
    let refused = replay(per_minute("p", 0), &line("ping"));
    assert_eq!(
        (refused[0].reason, &refused[0].failed),
        (Some(Reason::RateLimited), &vec![Reason::RateLimited])
    );
}
