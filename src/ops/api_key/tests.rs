use super::*;
use crate::{
    domain::{
        api_key::PresentedKey,
        usage::{Count, Outcome},
    },
    ops::bench::{Bench, DAY, HOUR, new_key},
};

fn ids(keys: &[&ApiKey]) -> Vec<KeyId> {
    keys.iter().map(|key| key.id).collect()
}

#[test]
fn a_created_key_is_stored_by_its_digest_and_shown_once() {
    let bench = Bench::new();
    let issued = create(&bench.ctx, new_key()).unwrap();
    assert_eq!(bench.records(1), [("key.create".to_owned(), issued.key.id.to_string())]);
    let stored = show(&bench.ctx, issued.key.id).unwrap();
    let presented = PresentedKey::parse(issued.text.expose()).unwrap();
    assert_eq!(presented.id, stored.id);
    let digest = bench.ctx.vault.as_ref().unwrap().pepper().digest(&presented.secret);
    assert!(stored.digest.matches(&digest));
    assert_eq!(stored.expires_at, Some(bench.now().plus(DAY)));
    bench.assert_valid();
}

#[test]
fn a_scope_that_is_asked_for_twice_counts_once() {
    let bench = Bench::new();
    let mcp: ScopeName = "mcp:*".parse().unwrap();
    let issued = create(&bench.ctx, NewKey { scopes: vec![mcp.clone(), mcp.clone()], ..new_key() }).unwrap();
    assert_eq!(issued.key.scopes, [mcp]);
}

#[test]
fn a_key_that_cannot_be_is_refused_with_what_would_be_right() {
    let bench = Bench::new();
    let over = Duration::from_secs(101 * 366 * 86_400);
    let wrong = [
        ("at least one scope", NewKey { scopes: vec![], ..new_key() }),
        ("did you mean `mcp:*`?", NewKey { scopes: vec!["mpc:*".parse().unwrap()], ..new_key() }),
        ("scope list", NewKey { scopes: vec!["zzzzzz".parse().unwrap()], ..new_key() }),
        ("no policy `nowhere`", NewKey { policy: "nowhere".parse().unwrap(), ..new_key() }),
        ("at most 64", NewKey { name: "n".repeat(65), ..new_key() }),
        ("invisible", NewKey { name: "a\u{200b}b".into(), ..new_key() }),
        ("100 years", NewKey { life: Some(over), ..new_key() }),
        ("1 second", NewKey { life: Some(Duration::ZERO), ..new_key() }),
    ];
    let before = bench.records(0).len();
    for (index, (says, new)) in wrong.into_iter().enumerate() {
        let refusal = create(&bench.ctx, new).unwrap_err().to_string();
        assert!(refusal.contains(says), "{refusal}");
        assert_eq!(bench.records(before).len(), index + 1);
    }
    assert!(bench.records(before).iter().all(|(act, _)| act == "refused"));
    create(&bench.ctx, NewKey { name: "n".repeat(64), life: None, ..new_key() }).unwrap();
    bench.assert_valid();
}

#[test]
fn rotating_keeps_the_last_secret_for_its_grace() {
    let bench = Bench::new();
    let first = bench.key();
    let id = first.id;
    let second = bench.one_record(Act::KeyRotate, id.as_str(), |ctx| rotate(ctx, id, HOUR).unwrap());
    assert_eq!(second.key.id, id);
    assert_eq!(second.key.previous_until, Some(bench.now().plus(HOUR)));
    assert!(second.key.previous_digest.unwrap().matches(&first.digest));
    let third = rotate(&bench.ctx, id, HOUR).unwrap();
    assert!(third.key.previous_digest.unwrap().matches(&second.key.digest));
    let fourth = rotate(&bench.ctx, id, Duration::ZERO).unwrap();
    assert!(fourth.key.previous_digest.is_none() && fourth.key.previous_until.is_none());
    rotate(&bench.ctx, id, LONGEST_GRACE).unwrap();
    let too_long = LONGEST_GRACE + Duration::from_secs(1);
    let refusal = bench.refused(id.as_str(), |ctx| rotate(ctx, id, too_long));
    assert!(matches!(refusal, OpsError::Invalid(_)));
}

#[test]
fn what_has_ended_cannot_be_rotated() {
    let bench = Bench::new();
    let (revoked, expired) = (bench.key(), bench.key());
    revoke(&bench.ctx, revoked.id, "").unwrap();
    bench.clock.set(expired.expires_at.unwrap().minus(Duration::from_millis(1)));
    rotate(&bench.ctx, expired.id, Duration::ZERO).unwrap();
    bench.clock.set(expired.expires_at.unwrap());
    for key in [revoked, expired] {
        let refusal = bench.refused(key.id.as_str(), |ctx| rotate(ctx, key.id, HOUR));
        assert!(matches!(refusal, OpsError::Conflict(_)));
    }
}

#[test]
fn disabling_twice_writes_once() {
    let bench = Bench::new();
    let id = bench.key().id;
    let disabled = bench.one_record(Act::KeyDisable, id.as_str(), |ctx| {
        disable(ctx, id).unwrap();
        disable(ctx, id).unwrap()
    });
    assert!(disabled.disabled);
    let enabled = bench.one_record(Act::KeyEnable, id.as_str(), |ctx| {
        enable(ctx, id).unwrap();
        enable(ctx, id).unwrap()
    });
    assert!(!enabled.disabled);
    revoke(&bench.ctx, id, "").unwrap();
    assert!(matches!(bench.refused(id.as_str(), |ctx| disable(ctx, id)), OpsError::Conflict(_)));
    assert!(matches!(bench.refused(id.as_str(), |ctx| enable(ctx, id)), OpsError::Conflict(_)));
}

#[test]
fn revoking_is_for_good_and_ends_the_secret_before_as_well() {
    let bench = Bench::new();
    let id = bench.key().id;
    rotate(&bench.ctx, id, DAY).unwrap();
    let refusal = bench.refused(id.as_str(), |ctx| revoke(ctx, id, &"r".repeat(201)));
    assert!(matches!(refusal, OpsError::Invalid(_)));
    let revoked = bench.one_record(Act::KeyRevoke, id.as_str(), |ctx| revoke(ctx, id, " leaked ").unwrap());
    assert_eq!((revoked.revoked_at, revoked.revoked_reason.as_str()), (Some(bench.now()), "leaked"));
    assert!(revoked.previous_digest.is_none() && revoked.previous_until.is_none());
    let refusal = bench.refused(id.as_str(), |ctx| revoke(ctx, id, "again"));
    assert!(matches!(refusal, OpsError::Conflict(_)));
    assert_eq!(show(&bench.ctx, id).unwrap().revoked_reason, "leaked");
    bench.assert_valid();
}

#[test]
fn an_unknown_key_is_not_found() {
    let bench = Bench::new();
    let nobody = KeyId::generate().unwrap();
    assert!(matches!(show(&bench.ctx, nobody), Err(OpsError::NotFound(_))));
    let refusal = bench.refused(nobody.as_str(), |ctx| revoke(ctx, nobody, ""));
    assert!(matches!(refusal, OpsError::NotFound(_)));
}

#[test]
fn many_at_once_are_all_or_none() {
    let bench = Bench::new();
    let keys = [bench.key(), bench.key(), bench.key()];
    let [one, two, three] = &keys;
    revoke(&bench.ctx, three.id, "").unwrap();
    let before = bench.records(0).len();
    revoke_all(&bench.ctx, &ids(&[one, two, three]), "").unwrap_err();
    assert_eq!(bench.records(before), [("refused".to_owned(), "3 keys".to_owned())]);
    assert_eq!(show(&bench.ctx, one.id).unwrap().revoked_at, None);
    let revoked = revoke_all(&bench.ctx, &ids(&[one, two, one]), "").unwrap();
    assert_eq!(revoked.len(), 2);
    let names: Vec<_> = bench.records(before + 1).into_iter().map(|(_, object)| object).collect();
    assert_eq!(names, [one.id.to_string(), two.id.to_string()]);
    bench.assert_valid();
}

#[test]
fn purging_removes_what_had_ended_before_and_nothing_else() {
    let bench = Bench::new();
    let (revoked, expired) = (bench.key(), bench.key());
    let forever = create(&bench.ctx, NewKey { life: None, ..new_key() }).unwrap().key;
    revoke(&bench.ctx, revoked.id, "").unwrap();
    let refusal = bench.refused("", |ctx| purge(ctx, ctx.now().plus(HOUR)));
    assert!(matches!(refusal, OpsError::Invalid(_)));
    assert_eq!(purge(&bench.ctx, bench.now()).unwrap(), 0, "it was revoked at, not before, that moment");
    bench.clock.advance(DAY + HOUR);
    let purged = bench.one_record(Act::KeyPurge, "", |ctx| purge(ctx, ctx.now()).unwrap());
    assert_eq!(purged, 2);
    for key in [revoked, expired] {
        assert!(matches!(show(&bench.ctx, key.id), Err(OpsError::NotFound(_))));
    }
    show(&bench.ctx, forever.id).unwrap();
    let before = bench.records(0).len();
    assert_eq!(purge(&bench.ctx, bench.now()).unwrap(), 0);
    assert!(bench.records(before).is_empty(), "nothing purged, nothing recorded");
    bench.assert_valid();
}

#[test]
fn traffic_of_the_last_day_is_seen() {
    let bench = Bench::new();
    let (busy, idle) = (bench.key(), bench.key());
    let count = Count {
        minute: bench.now().minus(HOUR),
        credential: busy.id.to_string(),
        issuer: String::new(),
        subject: "alice".into(),
        endpoint: "tools/list".into(),
        outcome: Outcome::Allowed,
        calls: 1,
    };
    bench.ctx.store.write_usage(move |c| usage::add(c, &[count])).unwrap();
    let since = bench.now().minus(DAY);
    assert!(had_traffic_since(&bench.ctx, busy.id, since).unwrap());
    assert!(!had_traffic_since(&bench.ctx, idle.id, since).unwrap());
    bench.clock.advance(DAY + HOUR);
    assert!(!had_traffic_since(&bench.ctx, busy.id, bench.now().minus(DAY)).unwrap());
}
