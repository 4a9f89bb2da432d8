//! What was got with a key, or narrowed from a token, stands only while that does, and has no more than that.

use super::house::{Gate, House, request};
use crate::domain::{
    api_key::KeyId,
    decision::{Account, Reason},
    token::{Grounds, KeyGround, Parent},
};
use crate::engine::explain;
use crate::ops::{self, Ctx, api_key::Changes, token::Issued};
use crate::store;
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A token got with the key's secret as it is now.
fn got_with(house: &House, id: KeyId, scopes: &[&str]) -> Issued {
    let secret = ops::api_key::show(&house.ctx, id).unwrap().digest.mark();
    house.token("open", |new| {
        new.scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        new.rests_on = Grounds { key: Some(KeyGround { id, secret }), parents: Vec::new() };
    })
}

/// A token narrowed from another one.
fn narrowed_from(house: &House, parent: &Issued) -> Issued {
    let token = &parent.token;
    let own = Parent { jti: token.jti, kid: token.kid.clone(), issued_at: token.issued_at };
    let parents = [own].into_iter().chain(token.rests_on.parents.clone()).collect();
    house.token("open", |new| new.rests_on = Grounds { parents, ..token.rests_on.clone() })
}

fn reason(gate: &mut Gate, issued: &Issued) -> Option<Reason> {
    gate.authenticate(issued.text.expose()).err()
}

#[test]
fn a_token_falls_with_its_key_whatever_becomes_of_that_and_so_does_what_is_open() {
    type Way = (&'static str, fn(&Ctx, KeyId), Reason);
    let ways: [Way; 4] = [
        ("revoked", |ctx, id| _ = ops::api_key::revoke(ctx, id, "stolen").unwrap(), Reason::Revoked),
        ("disabled", |ctx, id| _ = ops::api_key::disable(ctx, id).unwrap(), Reason::Disabled),
        ("rotated", |ctx, id| _ = ops::api_key::rotate(ctx, id, Duration::ZERO).unwrap(), Reason::Revoked),
        (
            "removed",
            |ctx, id| {
                ctx.store.write(move |c| store::api_key::delete(c, id)).unwrap();
            },
            Reason::Revoked,
        ),
    ];
    for (how, end, expected) in ways {
        let house = House::new();
        house.policy("open", json!({}));
        let (id, _) = house.key("open");
        let (other, _) = house.key("open");
        let token = got_with(&house, id, &["mcp:*"]);
        let child = narrowed_from(&house, &token);
        let bystander = got_with(&house, other, &["mcp:*"]);
        let mut gate = house.gate();
        let open = gate.authenticate(child.text.expose()).unwrap();
        assert_eq!(open.account, Account::ApiKey(id), "one account with the key");
        assert!(gate.engine.still_valid(&open, &[request("tools/list", house.now())], house.now()));
        assert_eq!(reason(&mut gate, &token), None, "{how}");

        end(&house.neighbour(), id);
        for fallen in [&token, &child] {
            assert_eq!(reason(&mut gate, fallen), Some(expected), "{how}");
            assert!(gate.engine.look_at_token(fallen.text.expose(), house.now()).is_err(), "{how}");
            let shown = ops::token::show(&house.ctx, fallen.token.jti).unwrap();
            assert_eq!(
                serde_json::to_value(&shown.refusal).unwrap(),
                json!({"kind": "key", "fallen_with": id, "why": how}),
            );
            let vault = house.ctx.vault.as_ref().unwrap();
            let presented = super::house::presented(fallen.text.expose());
            let told = explain(
                &house.ctx.store,
                vault,
                &presented,
                &request("tools/list", house.now()),
                house.now(),
            )
            .unwrap();
            assert!(!told.decision.is_allowed());
            assert!(told.checks.iter().any(|check| check.check == "rests_on" && !check.passed), "{told:?}");
        }
        assert!(!gate.engine.still_valid(&open, &[], house.now()), "{how}");
        assert_eq!(reason(&mut gate, &bystander), None, "{how}: of another key");
    }
}

#[test]
fn a_token_lives_as_long_as_the_secret_that_it_was_got_with() {
    let house = House::new();
    house.policy("open", json!({}));
    let (id, _) = house.key("open");
    let mut gate = house.gate();
    let old = got_with(&house, id, &["mcp:*"]);
    assert_eq!(ops::api_key::rotate(&house.ctx, id, HOUR / 2).unwrap().ended, 0);
    let new = got_with(&house, id, &["mcp:*"]);
    assert_eq!((reason(&mut gate, &old), reason(&mut gate, &new)), (None, None));
    house.clock.advance(HOUR / 2);
    assert_eq!((reason(&mut gate, &old), reason(&mut gate, &new)), (Some(Reason::Revoked), None));
    assert_eq!(ops::api_key::rotate(&house.ctx, id, HOUR).unwrap().ended, 0, "its grace had ended");
    assert_eq!((reason(&mut gate, &old), reason(&mut gate, &new)), (Some(Reason::Revoked), None));
    assert_eq!(ops::api_key::rotate(&house.ctx, id, Duration::ZERO).unwrap().ended, 1);
    assert_eq!(reason(&mut gate, &new), Some(Reason::Revoked));
}

#[tokio::test]
async fn a_token_has_no_more_than_the_key_that_was_changed_and_is_under_its_policy() {
    let house = House::new();
    house.policy("open", json!({}));
    house.policy("none", json!({"rate_limits": {"requests_per_minute": 0}}));
    let (id, _) = house.key("open");
    let token = got_with(&house, id, &["tools:list", "tools:call"]);
    let child = narrowed_from(&house, &token);
    let mut gate = house.gate();
    let scopes = |gate: &mut Gate| {
        let of = |issued: &Issued| issued.text.expose().to_owned();
        [of(&token), of(&child)].map(|text| gate.authenticate(&text).unwrap().scopes.to_vec())
    };
    assert!(scopes(&mut gate).iter().all(|scopes| !scopes.is_empty()));
    let narrow = vec!["tools:list".parse().unwrap()];
    let changes = Changes { scopes: Some(narrow.clone()), ..Changes::default() };
    ops::api_key::set_all(&house.neighbour(), &[id], changes).unwrap();
    assert_eq!(scopes(&mut gate)[0], narrow);
    assert!(scopes(&mut gate)[1].iter().all(|scope| narrow.contains(scope)));
    let changes = Changes { policy: Some("none".parse().unwrap()), ..Changes::default() };
    ops::api_key::set_all(&house.neighbour(), &[id], changes).unwrap();
    let principal = gate.authenticate(token.text.expose()).unwrap();
    let decided = gate.engine.decide(&principal, &request("tools/list", house.now())).await;
    assert!(!decided.decision.is_allowed(), "under the key's policy");
}

#[test]
fn a_key_that_is_enabled_again_brings_back_what_was_got_with_it() {
    let house = House::new();
    house.policy("open", json!({}));
    let (id, _) = house.key("open");
    let token = got_with(&house, id, &["mcp:*"]);
    let mut gate = house.gate();
    ops::api_key::disable(&house.ctx, id).unwrap();
    assert_eq!(reason(&mut gate, &token), Some(Reason::Disabled));
    ops::api_key::enable(&house.ctx, id).unwrap();
    assert_eq!(reason(&mut gate, &token), None);
}

#[test]
fn a_token_has_no_more_than_its_key_has_now() {
    let house = House::new();
    house.policy("open", json!({}));
    house.policy("narrow", json!({"scopes": ["tools:list"]}));
    let (id, _) = house.key_with("open", &["tools:list", "tools:call"]);
    let mut gate = house.gate();
    let token = got_with(&house, id, &["tools:list", "tools:call", "prompts:get"]);
    let held = |gate: &mut Gate| {
        let principal = gate.authenticate(token.text.expose()).unwrap();
        let scopes = principal.scopes.iter().map(|scope| scope.to_string()).collect::<Vec<_>>().join(" ");
        (scopes, principal.policy.policy.name.to_string())
    };
    assert_eq!(held(&mut gate), ("tools:list tools:call".into(), "open".into()));
    let open = gate.authenticate(token.text.expose()).unwrap();
    let call = [request("tools/call/x", house.now())];
    assert!(gate.engine.still_valid(&open, &call, house.now()));
    // An operator narrows the policy of the key, and then puts the key under another one.
    house.policy("open", json!({"scopes": ["tools:call"]}));
    assert_eq!(held(&mut gate), ("tools:call".into(), "open".into()));
    house
        .neighbour()
        .store
        .write(move |c| {
            let key = store::api_key::find(c, id)?.unwrap();
            store::api_key::delete(c, id)?;
            let scopes = vec!["tools:list".parse().unwrap()];
            store::api_key::insert(
                c,
                &crate::domain::api_key::ApiKey { policy: "narrow".parse().unwrap(), scopes, ..key },
            )
        })
        .unwrap();
    assert_eq!(held(&mut gate), ("tools:list".into(), "narrow".into()));
    assert!(!gate.engine.still_valid(&open, &call, house.now()), "what is open ends with the scope");
}

#[test]
fn a_child_falls_with_any_of_its_parents_and_not_the_other_way_round() {
    let house = House::new();
    house.policy("open", json!({}));
    let first = house.token("open", |_| ());
    let second = narrowed_from(&house, &first);
    let third = narrowed_from(&house, &second);
    let other = narrowed_from(&house, &first);
    let mut gate = house.gate();
    let open = gate.authenticate(third.text.expose()).unwrap();
    let revoked = ops::token::revoke_all(&house.ctx, &[second.token.jti], "").unwrap();
    assert_eq!(revoked[0].ended, 2, "it and its child");
    assert_eq!(reason(&mut gate, &third), Some(Reason::Revoked));
    assert!(!gate.engine.still_valid(&open, &[], house.now()));
    assert_eq!((reason(&mut gate, &first), reason(&mut gate, &other)), (None, None));
    let state = |issued: &Issued| ops::token::show(&house.ctx, issued.token.jti).unwrap().state.as_str();
    assert_eq!((state(&third), state(&first)), ("revoked", "live"));
    assert_eq!(
        ops::token::revoke_all(&house.ctx, &[first.token.jti], "").unwrap()[0].ended,
        2,
        "it and the other"
    );
    assert_eq!(reason(&mut gate, &other), Some(Reason::Revoked));
}

#[test]
fn nothing_is_got_for_what_has_fallen() {
    let house = House::new();
    house.policy("open", json!({}));
    let (id, _) = house.key("open");
    let token = got_with(&house, id, &["mcp:*"]);
    let secret = ops::api_key::show(&house.ctx, id).unwrap().digest.mark();
    ops::api_key::revoke(&house.ctx, id, "").unwrap();
    let own = Parent { jti: token.token.jti, kid: token.token.kid.clone(), issued_at: token.token.issued_at };
    let rotten = house.token("open", |_| ());
    ops::token::revoke_all(&house.ctx, &[rotten.token.jti], "").unwrap();
    let revoked =
        Parent { jti: rotten.token.jti, kid: rotten.token.kid.clone(), issued_at: rotten.token.issued_at };
    let key = Some(KeyGround { id, secret });
    for grounds in [
        Grounds { key, parents: Vec::new() },
        Grounds { key, parents: vec![own] },
        Grounds { key: None, parents: vec![revoked] },
    ] {
        let new = ops::token::NewToken {
            subject: "alice".parse().unwrap(),
            client: None,
            scopes: vec!["mcp:*".parse().unwrap()],
            audience: Vec::new(),
            policy: "open".parse().unwrap(),
            bind_policy: false,
            life: HOUR,
            algorithm: None,
            kid: None,
            once: false,
            rests_on: grounds,
        };
        assert!(matches!(ops::token::issue(&house.ctx, new), Err(ops::OpsError::Conflict(_))));
    }
}
