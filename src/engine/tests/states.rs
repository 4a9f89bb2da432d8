//! One state of each credential, by whomever it is told: the store's SQL, the domain, and the engine.

use super::house::{self, Gate, House};
use crate::domain::{
    api_key::{KeyId, KeyState},
    filter::{Filter, KEY_FIELDS, TOKEN_FIELDS},
    token::{Grounds, KeyGround, Parent, TokenState},
};
use crate::ops::{self, OpsError, bench::new_token, signing_key::Rotation, token::Issued};
use crate::store::{api_key, token};
use proptest::prelude::*;
use std::time::Duration;

/// Clocks may differ by so much.
const SKEW: Duration = Duration::from_secs(30);

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// What happens; numbers that name a key or a token are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    NewKey { life: Option<u64> },
    Enable(usize),
    Disable(usize),
    Rotate(usize, u64),
    Revoke(usize),
    NewToken { life: u64 },
    GetToken { with: usize, life: u64 },
    Narrow { token: usize, life: u64 },
    RevokeToken(usize),
    RevokeSubject,
    RevokeIssuedBefore,
    RotateSigningKey { overlap: u64 },
    RetireSigningKey,
}

fn any_step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    let life = || 60_u64..200;
    prop_oneof![
        6 => (1_u64..60).prop_map(Step::Pass),
        3 => proptest::option::of(10_u64..120).prop_map(|life| Step::NewKey { life }),
        1 => any().prop_map(Step::Enable),
        1 => any().prop_map(Step::Disable),
        2 => (any(), 0_u64..60).prop_map(|(key, grace)| Step::Rotate(key, grace)),
        1 => any().prop_map(Step::Revoke),
        2 => life().prop_map(|life| Step::NewToken { life }),
        3 => (any(), life()).prop_map(|(with, life)| Step::GetToken { with, life }),
        2 => (any(), life()).prop_map(|(token, life)| Step::Narrow { token, life }),
        1 => any().prop_map(Step::RevokeToken),
        1 => Just(Step::RevokeSubject),
        1 => Just(Step::RevokeIssuedBefore),
        1 => (0_u64..90).prop_map(|overlap| Step::RotateSigningKey { overlap }),
        1 => Just(Step::RetireSigningKey),
    ]
}

/// A home, and all credentials that were ever made in it.
struct World {
    house: House,
    gate: Gate,
    /// Each with its text of now.
    keys: Vec<(KeyId, String)>,
    tokens: Vec<Issued>,
}

impl World {
    fn new() -> Self {
        let house = House::new();
        let gate = house.gate();
        Self { house, gate, keys: Vec::new(), tokens: Vec::new() }
    }

    /// Acts that cannot be done now (a key that is revoked already) change nothing.
    fn step(&mut self, step: &Step) {
        let ctx = &self.house.ctx;
        let key = |number: &usize| self.keys.get(number % self.keys.len().max(1)).map(|(id, _)| *id);
        let token = |number: &usize| self.tokens.get(number % self.tokens.len().max(1));
        match step {
            Step::Pass(time) => self.house.advance(*time),
            Step::NewKey { life } => {
                let mut new = house::new_key("default", &["mcp:*"]);
                new.life = life.map(seconds);
                let issued = ops::api_key::create(ctx, new).unwrap();
                self.keys.push((issued.key.id, issued.text.expose().to_owned()));
            }
            Step::Enable(number) => _ = key(number).map(|id| ops::api_key::enable(ctx, id)),
            Step::Disable(number) => _ = key(number).map(|id| ops::api_key::disable(ctx, id)),
            Step::Revoke(number) => _ = key(number).map(|id| ops::api_key::revoke(ctx, id, "")),
            Step::Rotate(number, grace) => {
                let Some(id) = key(number) else { return };
                if let Ok(issued) = ops::api_key::rotate(ctx, id, seconds(*grace)) {
                    let place = self.keys.iter().position(|(known, _)| *known == id).unwrap();
                    self.keys[place].1 = issued.text.expose().to_owned();
                }
            }
            Step::NewToken { life } => self.issue(*life, Grounds::default()),
            Step::GetToken { with, life } => {
                let Some(id) = key(with) else { return };
                let secret = ops::api_key::show(ctx, id).unwrap().digest.mark();
                self.issue(*life, Grounds { key: Some(KeyGround { id, secret }), parents: Vec::new() });
            }
            Step::Narrow { token: number, life } => {
                let Some(parent) = token(number).map(|issued| issued.token.clone()) else { return };
                let own = Parent { jti: parent.jti, kid: parent.kid, issued_at: parent.issued_at };
                // As deep as an exchange goes.
                let parents = [own].into_iter().chain(parent.rests_on.parents).take(3).collect();
                self.issue(*life, Grounds { parents, ..parent.rests_on });
            }
            Step::RevokeToken(number) => {
                let ids: Vec<_> = token(number).map(|issued| issued.token.jti).into_iter().collect();
                _ = ops::token::revoke_all(ctx, &ids, "");
            }
            Step::RevokeSubject => _ = ops::token::revoke_subject(ctx, &"alice".parse().unwrap(), ""),
            Step::RevokeIssuedBefore => _ = ops::token::revoke_issued_before(ctx, None, ctx.now(), ""),
            Step::RotateSigningKey { overlap } => {
                let Some(kid) = self.tokens.last().map(|issued| issued.token.kid.clone()) else { return };
                let rotation = Rotation { overlap: Some(seconds(*overlap)), ..Rotation::default() };
                _ = ops::signing_key::rotate(ctx, &kid, rotation);
            }
            Step::RetireSigningKey => {
                let Some(kid) = self.tokens.last().map(|issued| issued.token.kid.clone()) else { return };
                _ = ops::signing_key::retire(ctx, &kid, "lost");
            }
        }
    }

    fn issue(&mut self, life: u64, rests_on: Grounds) {
        let token = new_token("default", |new| (new.life, new.rests_on) = (seconds(life), rests_on));
        self.tokens.extend(ops::token::issue(&self.house.ctx, token));
    }

    fn compare(&mut self) {
        self.compare_keys();
        self.compare_tokens();
    }

    fn compare_keys(&mut self) {
        let (ctx, now) = (&self.house.ctx, self.house.now());
        let listed = |state: KeyState| {
            let filter = Filter::parse(&format!("state:{}", state.as_str()), KEY_FIELDS, now).unwrap();
            let query = api_key::Query { filter, sort: api_key::Sort::Created, descending: false, now };
            let page = ops::api_key::list(ctx, &query, None, 1_000).unwrap();
            page.items.iter().map(|key| key.id).collect::<Vec<_>>()
        };
        let lists = KeyState::ALL.map(|state| (state, listed(state)));
        let counts = ctx.store.read(|c| api_key::counts(c, now, now)).unwrap();
        let counted = [counts.active, counts.disabled, counts.expired, counts.revoked];
        let by_name = [KeyState::Active, KeyState::Disabled, KeyState::Expired, KeyState::Revoked];
        for (state, list) in &lists {
            let place = by_name.iter().position(|named| named == state).unwrap();
            assert_eq!(counted[place], list.len() as u64, "{state:?}");
        }
        for (id, text) in &self.keys {
            let state = ops::api_key::show(ctx, *id).unwrap().state(now);
            for (listed, list) in &lists {
                assert_eq!(list.contains(id), *listed == state, "{id} is {state:?}, and listed {listed:?}");
            }
            let admitted = self.gate.authenticate(text).map(|principal| principal.credential.to_string());
            assert_eq!(admitted, state.refusal().map_or(Ok(id.to_string()), Err), "{id}");
        }
    }

    fn compare_tokens(&mut self) {
        let (ctx, now) = (&self.house.ctx, self.house.now());
        let listed = |state: TokenState| {
            let filter = Filter::parse(&format!("state:{}", state.as_str()), TOKEN_FIELDS, now).unwrap();
            let query = token::Query { filter, sort: token::Sort::Issued, descending: false, now };
            let page = ops::token::list(ctx, &query, None, 1_000).unwrap();
            page.items.iter().map(|standing| standing.token.jti).collect::<Vec<_>>()
        };
        let lists = TokenState::ALL.map(|state| (state, listed(state)));
        let counts = ctx.store.read(|c| token::counts(c, now)).unwrap();
        assert_eq!((counts.live, counts.expiring), (lists[0].1.len() as u64, lists[1].1.len() as u64));
        for issued in &self.tokens {
            let jti = issued.token.jti;
            let is_in_time = now < issued.token.expires_at.plus(SKEW);
            let is_admitted = self.gate.authenticate(issued.text.expose()).is_ok();
            let state = match ops::token::show(ctx, jti) {
                Ok(standing) => standing.state,
                // What clients got for themselves is forgotten a while after its end.
                Err(error) => {
                    assert!(matches!(error, OpsError::NotFound(_)), "{error}");
                    assert!(
                        !is_in_time && !is_admitted && !lists.iter().any(|(_, list)| list.contains(&jti))
                    );
                    continue;
                }
            };
            for (listed, list) in &lists {
                assert_eq!(
                    list.contains(&jti),
                    *listed == state,
                    "{jti} is {state:?}, and listed {listed:?}"
                );
            }
            assert_eq!(is_admitted, state != TokenState::Revoked && is_in_time, "{jti} is {state:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x5eed),
        ..ProptestConfig::default()
    })]

    #[test]
    fn sql_domain_and_engine_tell_one_state_of_each_credential(
        steps in proptest::collection::vec(any_step(), 1..30),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.compare();
        }
    }
}
