use super::*;
use crate::ops::{
    OpsError,
    api_key::{LONGEST_LIFE, create, revoke, show},
    audit,
    bench::{Bench, DAY, HOUR, new_key},
    rows,
};
use crate::store::audit::Query;

fn scopes(names: &[&str]) -> Option<Vec<ScopeName>> {
    Some(names.iter().map(|name| name.parse().unwrap()).collect())
}

fn named(name: &str) -> Changes {
    Changes { name: Some(name.into()), ..Changes::default() }
}

#[test]
fn what_was_changed_is_recorded_with_what_it_was_before() {
    let bench = Bench::new();
    let id = bench.key().id;
    let changes = Changes {
        scopes: scopes(&["mcp:read", "mcp:read"]),
        name: Some("desk".into()),
        life: Some(None),
        ..Changes::default()
    };
    let changed = bench.one_record(Act::KeySet, id.as_str(), |ctx| set_all(ctx, &[id], changes).unwrap());
    assert_eq!(changed[0].terms(), show(&bench.ctx, id).unwrap().terms());
    let query = Query { act: Some("key.set".into()), limit: 1, ..Query::default() };
    let record = audit::list(&bench.ctx, &query).unwrap().pop().unwrap().record;
    assert_eq!(
        record.detail,
        json!({
            "before": { "policy": "default", "scopes": ["mcp:*"], "name": "laptop",
                "expires_at": bench.now().plus(DAY) },
            "after": { "policy": "default", "scopes": ["mcp:read"], "name": "desk", "expires_at": null },
        })
    );
    bench.assert_valid();
}

#[test]
fn what_is_so_already_is_not_recorded_and_what_was_not_given_stays() {
    let bench = Bench::new();
    let (id, other) = (bench.key().id, bench.key().id);
    let before = show(&bench.ctx, id).unwrap().terms();
    bench.one_record(Act::KeySet, other.as_str(), |ctx| {
        set_all(ctx, &[other], named("desk")).unwrap();
        set_all(ctx, &[other, other], named("desk")).unwrap();
        set_all(ctx, &[id], named("laptop")).unwrap()
    });
    assert_eq!(show(&bench.ctx, id).unwrap().terms(), before);
    assert_eq!(show(&bench.ctx, other).unwrap().terms(), KeyTerms { name: "desk".into(), ..before });
}

#[test]
fn all_are_changed_or_none() {
    let bench = Bench::new();
    let (first, revoked) = (bench.key().id, bench.key().id);
    revoke(&bench.ctx, revoked, "").unwrap();
    let unknown = "0".repeat(22).parse().unwrap();
    let before = show(&bench.ctx, first).unwrap().terms();
    let refusal = bench.refused("2 keys", |ctx| set_all(ctx, &[first, revoked], named("x")));
    assert!(matches!(refusal, OpsError::Conflict(_)));
    let refusal = bench.refused("2 keys", |ctx| set_all(ctx, &[first, unknown], named("x")));
    assert!(matches!(refusal, OpsError::NotFound(_)));
    assert_eq!(show(&bench.ctx, first).unwrap().terms(), before);
}

#[test]
fn what_a_key_cannot_be_it_cannot_become() {
    let bench = Bench::new();
    let id = bench.key().id;
    let over = LONGEST_LIFE + Duration::from_secs(1);
    for (says, changes) in [
        ("nothing was given", Changes::default()),
        ("at least one scope", Changes { scopes: Some(Vec::new()), ..Changes::default() }),
        ("did you mean `mcp:*`?", Changes { scopes: scopes(&["mpc:*"]), ..Changes::default() }),
        ("no policy `nowhere`", Changes { policy: Some("nowhere".parse().unwrap()), ..Changes::default() }),
        ("at most 64", named(&"n".repeat(65))),
        ("100 years", Changes { life: Some(Some(over)), ..Changes::default() }),
    ] {
        let refusal = bench.refused(id.as_str(), |ctx| set_all(ctx, &[id], changes));
        assert!(matches!(refusal, OpsError::Invalid(_)) && refusal.to_string().contains(says), "{refusal}");
    }
    let auditor = bench.auditor();
    assert!(matches!(set_all(&auditor, &[id], named("x")), Err(OpsError::ReadOnly { .. })));
}

#[test]
fn an_expired_key_lives_again_with_a_new_end() {
    let bench = Bench::new();
    let id = create(&bench.ctx, new_key()).unwrap().key.id;
    bench.clock.advance(DAY);
    assert_eq!(show(&bench.ctx, id).unwrap().state(bench.now()), KeyState::Expired);
    let changes = Changes { life: Some(Some(HOUR)), ..Changes::default() };
    let key = set_all(&bench.ctx, &[id], changes).unwrap().pop().unwrap();
    assert_eq!((key.state(bench.now()), key.expires_at), (KeyState::Active, Some(bench.now().plus(HOUR))));
}

#[test]
fn what_was_changed_by_others_since_it_was_seen_is_a_conflict() {
    let bench = Bench::new();
    let key = bench.key();
    let seen = Some(key.terms());
    set_all(&bench.ctx, &[key.id], Changes { seen: seen.clone(), ..named("first") }).unwrap();
    let late = Changes { seen, ..named("second") };
    let refusal = bench.refused(key.id.as_str(), |ctx| set_all(ctx, &[key.id], late));
    assert!(matches!(refusal, OpsError::Conflict(_)));
    assert_eq!(show(&bench.ctx, key.id).unwrap().name, "first");
}

#[test]
fn an_older_row_that_was_put_back_is_told_by_the_chain() {
    let bench = Bench::new();
    let id = bench.key().id;
    let wide = show(&bench.ctx, id).unwrap().terms();
    let narrow = Changes { scopes: scopes(&["mcp:read"]), ..Changes::default() };
    set_all(&bench.ctx, &[id], narrow).unwrap();
    assert_eq!(rows::contradictions(&bench.ctx).unwrap(), Vec::<String>::new());
    bench.ctx.store.write(move |c| store::api_key::set_terms(c, id, &wide)).unwrap();
    let told = rows::contradictions(&bench.ctx).unwrap();
    assert!(matches!(&told[..], [one] if one.contains("not as it was last set")), "{told:?}");
}
