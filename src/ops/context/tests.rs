use std::{fs, os::unix::fs::PermissionsExt, thread};

use super::*;
use crate::{
    domain::{name::PolicyName, policy::Policy},
    ops::{
        api_key, audit as chain,
        bench::{Bench, HOUR, new_key},
        event, policy, scope, usage,
    },
    store::{self, Mode},
};

#[test]
fn first_use_makes_a_home_with_one_signed_record() {
    let bench = Bench::new();
    assert_eq!(bench.records(0), [("home.create".to_owned(), String::new())]);
    bench.assert_valid();
    assert_eq!(policy::list(&bench.ctx).unwrap().len(), 1);
    let again = Ctx::open(&bench.home, Mode::ReadWrite, "cli", bench.clock.clone()).unwrap();
    assert_eq!(again.role, Role::Operator);
    assert_eq!(bench.records(0).len(), 1);
}

#[test]
fn an_auditor_is_refused_every_act_and_reads_everything_without_the_key() {
    let bench = Bench::new();
    let key = bench.key();
    fs::set_permissions(bench.home.path().join("vault.key"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::rename(bench.home.path().join("vault.key"), bench.folder().join("elsewhere")).unwrap();
    let auditor = bench.auditor();
    assert!(auditor.vault.is_none());
    let name = PolicyName::default();
    let document = Policy::new("other".parse().unwrap());
    let mcp = "mcp:*".parse().unwrap();
    let a_scope = scope::list(&auditor).unwrap().get(&mcp).unwrap().clone();
    let c = &auditor;
    let refusals = [
        (Act::KeyCreate, api_key::create(c, new_key()).map(drop)),
        (Act::KeyRotate, api_key::rotate(c, key.id, HOUR).map(drop)),
        (Act::KeyDisable, api_key::disable(c, key.id).map(drop)),
        (Act::KeyEnable, api_key::enable(c, key.id).map(drop)),
        (Act::KeyRevoke, api_key::revoke(c, key.id, "").map(drop)),
        (Act::KeyDisable, api_key::disable_all(c, &[key.id]).map(drop)),
        (Act::KeyEnable, api_key::enable_all(c, &[key.id]).map(drop)),
        (Act::KeyRevoke, api_key::revoke_all(c, &[key.id], "").map(drop)),
        (Act::KeyPurge, api_key::purge(c, c.now()).map(drop)),
        (Act::PolicyCreate, policy::create(c, document.clone(), "").map(drop)),
        (Act::PolicyApply, policy::apply(c, document.clone(), "").map(drop)),
        (Act::PolicyApply, policy::apply_over(c, document, 1, "").map(drop)),
        (Act::PolicyRollback, policy::rollback(c, &name, 1, "").map(drop)),
        (Act::PolicyDelete, policy::delete(c, &name, "")),
        (Act::ScopeSet, scope::set(c, a_scope)),
        (Act::ScopeRemove, scope::remove(c, &mcp)),
    ];
    for (act, refusal) in refusals {
        match refusal {
            Err(OpsError::ReadOnly { act: refused, .. }) => assert_eq!(refused, act),
            other => panic!("{act}: {other:?}"),
        }
    }
    assert_eq!(bench.records(0).len(), 2, "an auditor's attempt leaves nothing");

    let range = store::usage::Query { since: c.now(), until: c.now().plus(HOUR), ..Default::default() };
    api_key::show(c, key.id).unwrap();
    policy::show(c, &name).unwrap();
    policy::history(c, &name).unwrap();
    policy::check(&scope::list(c).unwrap(), "{}").unwrap_err();
    usage::totals(c, range.clone()).unwrap();
    usage::series(c, range, 1).unwrap();
    event::list(c, &store::event::Query { limit: 1, ..Default::default() }).unwrap();
    assert_eq!(chain::head(c).unwrap().seq, 2);
    bench.assert_valid();
}

#[test]
fn an_auditors_store_cannot_be_written_at_all() {
    let bench = Bench::new();
    let written = bench.auditor().store.write(|_| Ok::<_, StoreError>(()));
    assert_eq!(written.unwrap_err(), StoreError::OpenedReadOnly);
}

#[test]
fn the_console_falls_back_to_read_only_and_says_why() {
    let bench = Bench::new();
    let (ctx, why) = Ctx::open_or_read_only(&bench.home, "console", bench.clock.clone()).unwrap();
    assert_eq!((ctx.role, why), (Role::Operator, None));
    fs::rename(bench.home.path().join("vault.key"), bench.folder().join("elsewhere")).unwrap();
    let (ctx, why) = Ctx::open_or_read_only(&bench.home, "console", bench.clock.clone()).unwrap();
    assert_eq!(ctx.role, Role::Auditor);
    assert!(why.unwrap().contains("vault.key is missing"));
}

#[test]
fn a_fault_of_the_store_is_not_recorded_as_a_refusal() {
    let bench = Bench::new();
    let failed: Result<(), _> = bench.ctx.perform(Act::KeyCreate, "x", |_| Err(StoreError::Busy.into()));
    assert!(matches!(failed, Err(OpsError::Store(StoreError::Busy))));
    assert_eq!(bench.records(0).len(), 1);
}

#[test]
fn two_writers_on_one_home_keep_one_chain_without_gaps() {
    const EACH: usize = 15;
    let bench = Bench::new();
    let other = Ctx::open(&bench.home, Mode::ReadWrite, "console", bench.clock.clone()).unwrap();
    thread::scope(|scope| {
        for ctx in [&bench.ctx, &bench.ctx, &other, &other] {
            scope.spawn(|| (0..EACH).for_each(|_| _ = api_key::create(ctx, new_key()).unwrap()));
        }
    });
    assert_eq!(bench.records(0).len(), 1 + 4 * EACH);
    let verdict = chain::verify(&bench.ctx).unwrap();
    assert!(verdict.valid, "{verdict:?}");
    assert_eq!(verdict.records, 1 + 4 * EACH as u64);
}

#[test]
fn an_actor_is_the_face_and_the_real_user_with_whom_sudo_names() {
    let of = |name: Option<&str>, sudo: Option<&str>| {
        actor("cli", name.map(str::to_owned), 7, sudo.map(str::to_owned))
    };
    assert_eq!(of(Some("alice"), None), "cli:alice (uid 7)");
    assert_eq!(of(Some("alice"), Some(" ")), "cli:alice (uid 7)");
    assert_eq!(of(Some("root"), Some("alice")), "cli:root (uid 7, SUDO_USER alice)");
    assert_eq!(of(None, None), "cli:(uid 7)");
    let hidden = of(Some("root"), Some("al\u{202e}ice\n"));
    assert!(!hidden.contains('\u{202e}') && !hidden.contains('\n'), "{hidden}");
    let long = of(Some("root"), Some(&"a".repeat(500)));
    assert!(long.chars().count() == LONGEST_ACTOR && long.ends_with(')'), "{long}");
}
