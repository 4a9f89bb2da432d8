use super::*;
use crate::{
    domain::{name::PolicyName, policy::Policy},
    ops::{
        api_key::{self, NewKey},
        bench::{Bench, new_key},
        policy,
    },
};

fn reports() -> Scope {
    Scope {
        name: "reports:read".parse().unwrap(),
        description: "Reports".into(),
        endpoints: vec!["tools/call/report_*".parse().unwrap()],
    }
}

#[test]
fn a_scope_is_added_changed_and_removed_with_a_record_each() {
    let bench = Bench::new();
    let name = reports().name;
    bench.one_record(Act::ScopeSet, "reports:read", |ctx| set(ctx, reports()).unwrap());
    let before = bench.records(0).len();
    set(&bench.ctx, reports()).unwrap();
    assert!(bench.records(before).is_empty(), "nothing changed, nothing recorded");
    let changed = Scope { description: "All reports".into(), ..reports() };
    bench.one_record(Act::ScopeSet, "reports:read", |ctx| set(ctx, changed.clone()).unwrap());
    assert_eq!(list(&bench.ctx).unwrap().get(&name), Some(&changed));
    let newest = store::audit::Query { limit: 1, ..store::audit::Query::default() };
    let newest = crate::ops::audit::list(&bench.ctx, &newest).unwrap().remove(0);
    assert_eq!(
        newest.record.detail["before"]["description"],
        reports().description,
        "what it was stays in the log"
    );
    bench.one_record(Act::ScopeRemove, "reports:read", |ctx| remove(ctx, &name).unwrap());
    assert!(list(&bench.ctx).unwrap().get(&name).is_none());
    let refusal = bench.refused("reports:read", |ctx| remove(ctx, &name));
    assert!(matches!(refusal, OpsError::NotFound(_)));
    bench.assert_valid();
}

#[test]
fn a_scope_in_use_is_kept_and_its_users_are_named() {
    let bench = Bench::new();
    let name = reports().name;
    set(&bench.ctx, reports()).unwrap();
    let key = api_key::create(&bench.ctx, NewKey { scopes: vec![name.clone()], ..new_key() }).unwrap().key;
    let mut document = Policy::new("readers".parse::<PolicyName>().unwrap());
    document.scopes = vec![name.clone()];
    policy::create(&bench.ctx, document.clone(), "").unwrap();
    let refusal = bench.refused("reports:read", |ctx| remove(ctx, &name)).to_string();
    assert!(refusal.contains(key.id.as_str()) && refusal.contains("policy `readers`"), "{refusal}");
    document.scopes.clear();
    policy::apply(&bench.ctx, document, "").unwrap();
    let refusal = bench.refused("reports:read", |ctx| remove(ctx, &name)).to_string();
    assert!(refusal.contains(key.id.as_str()) && !refusal.contains("readers"), "{refusal}");
    api_key::revoke(&bench.ctx, key.id, "").unwrap();
    remove(&bench.ctx, &name).unwrap();
}

#[test]
fn the_scope_for_everything_stays_as_it_is() {
    let bench = Bench::new();
    let everything = EVERYTHING.parse().unwrap();
    let refusal = bench.refused(EVERYTHING, |ctx| remove(ctx, &everything));
    assert!(matches!(refusal, OpsError::Conflict(_)));
    let refusal = bench.refused(EVERYTHING, |ctx| set(ctx, Scope { name: everything.clone(), ..reports() }));
    assert!(matches!(refusal, OpsError::Conflict(_)));
}

#[test]
fn a_scope_that_covers_nothing_or_hides_something_is_refused() {
    let bench = Bench::new();
    for wrong in [
        Scope { endpoints: vec![], ..reports() },
        Scope { description: "a\u{202e}b".into(), ..reports() },
        Scope { description: "d".repeat(201), ..reports() },
    ] {
        let refusal = bench.refused("reports:read", |ctx| set(ctx, wrong.clone()));
        assert!(matches!(refusal, OpsError::Invalid(_)));
    }
    set(&bench.ctx, Scope { description: "d".repeat(200), ..reports() }).unwrap();
}
