use super::*;
use crate::ops::{
    bench::{Bench, DAY, HOUR},
    token,
};
use crate::store::token::Refusal;

fn new(algorithm: Algorithm) -> NewSigningKey {
    NewSigningKey { algorithm, name: "first".into(), bits: RsaBits::default(), kid: None }
}

fn token() -> token::NewToken {
    token::tests::new_token()
}

#[test]
fn a_key_is_made_with_its_record_and_published() {
    let bench = Bench::new();
    let key = create(&bench.ctx, new(Algorithm::EdDsa)).unwrap();
    assert_eq!(bench.records(1), [("signing-key.create".to_owned(), key.kid.to_string())]);
    assert_eq!(key.state(bench.now()), SigningKeyState::Active);
    let published = published(&bench.auditor()).unwrap();
    assert_eq!(published["keys"].as_array().unwrap().len(), 1);
    let jwk = &published["keys"][0];
    assert_eq!((jwk["kid"].as_str(), jwk["alg"].as_str()), (Some(key.kid.as_str()), Some("EdDSA")));
    assert!(jwk.get("d").is_none(), "{jwk}");
    assert_eq!(list(&bench.auditor()).unwrap(), [key]);
    bench.assert_valid();
}

#[test]
fn a_shared_secret_is_never_published() {
    let bench = Bench::new();
    let key = create(&bench.ctx, new(Algorithm::Hs256)).unwrap();
    assert_eq!(key.public, None);
    assert_eq!(published(&bench.ctx).unwrap(), json!({ "keys": [] }));
}

#[test]
fn a_kid_is_never_used_twice() {
    let bench = Bench::new();
    let wanted = NewSigningKey { kid: Some("2026".parse().unwrap()), ..new(Algorithm::Es256) };
    let key = create(&bench.ctx, wanted.clone()).unwrap();
    retire(&bench.ctx, &key.kid, "").unwrap();
    let refused = bench.refused("2026", |ctx| create(ctx, wanted));
    assert!(matches!(&refused, OpsError::Conflict(why) if why.contains("retired")), "{refused}");
}

#[test]
fn an_imported_key_signs_under_its_own_name() {
    let bench = Bench::new();
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","kid":"mine","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    bench.one_record(Act::SigningKeyImport, "mine", |ctx| import(ctx, new(Algorithm::EdDsa), jwk).unwrap());
    assert_eq!(token::issue(&bench.ctx, token()).unwrap().token.kid.as_str(), "mine");
    let refused = bench.refused("", |ctx| import(ctx, new(Algorithm::Es256), jwk));
    assert!(matches!(refused, OpsError::Invalid(_)), "{refused}");
}

#[test]
fn a_rotated_key_verifies_as_long_as_its_longest_token_may_live() {
    let bench = Bench::new();
    let issued = token::issue(&bench.ctx, token::NewToken { life: 3 * HOUR, ..token() }).unwrap().token;
    let ahead = Rotation { overlap: None, publish_ahead: HOUR };
    let Rotated { old, new } = rotate(&bench.ctx, &issued.kid, ahead).unwrap();
    assert_eq!(new.state(bench.now()), SigningKeyState::Next);
    assert_eq!(published(&bench.ctx).unwrap()["keys"].as_array().unwrap().len(), 2, "ahead of its use");
    assert_eq!((old.signs_until, new.signs_from), (Some(bench.now().plus(HOUR)), bench.now().plus(HOUR)));
    assert_eq!(old.verifies_until, Some(bench.now().plus(4 * HOUR + MOST_SKEW)));
    assert_eq!(token::issue(&bench.ctx, token()).unwrap().token.kid, old.kid, "until the new one signs");
    bench.clock.advance(HOUR);
    assert_eq!(token::issue(&bench.ctx, token()).unwrap().token.kid, new.kid);
    let state = |at: &Bench| show(&at.ctx, &old.kid).unwrap().state(at.now());
    assert_eq!(state(&bench), SigningKeyState::Verifying);
    bench.clock.advance(3 * HOUR + MOST_SKEW);
    assert_eq!(state(&bench), SigningKeyState::Retired);
    bench.assert_valid();
}

#[test]
fn only_an_active_key_is_rotated_and_once() {
    let bench = Bench::new();
    let key = create(&bench.ctx, new(Algorithm::Ps256)).unwrap();
    let ahead = Rotation { overlap: None, publish_ahead: HOUR };
    let rotated = rotate(&bench.ctx, &key.kid, ahead).unwrap();
    assert_eq!(rotated.new.algorithm, Algorithm::Ps256);
    for kid in [&rotated.old.kid, &rotated.new.kid] {
        let refused = bench.refused(kid.as_str(), |ctx| rotate(ctx, kid, ahead));
        assert!(matches!(refused, OpsError::Conflict(_)), "{refused}");
    }
    let nowhere = "nowhere".parse().unwrap();
    let refused = bench.refused("nowhere", |ctx| rotate(ctx, &nowhere, ahead));
    assert!(matches!(refused, OpsError::NotFound(_)), "{refused}");
    let too_long = Rotation { overlap: Some(401 * DAY), ..ahead };
    let refused = bench.refused(rotated.new.kid.as_str(), |ctx| rotate(ctx, &rotated.new.kid, too_long));
    assert!(matches!(refused, OpsError::Invalid(_)), "{refused}");
}

#[test]
fn a_token_that_would_outlive_the_overlap_is_not_signed() {
    let bench = Bench::new();
    let key = create(&bench.ctx, new(Algorithm::EdDsa)).unwrap();
    rotate(&bench.ctx, &key.kid, Rotation { overlap: Some(HOUR), publish_ahead: HOUR }).unwrap();
    token::issue(&bench.ctx, token::NewToken { life: 2 * HOUR, ..token() }).unwrap();
    let longer = token::NewToken { life: 3 * HOUR, ..token() };
    let refused = bench.refused("", |ctx| token::issue(ctx, longer));
    assert!(matches!(&refused, OpsError::Conflict(why) if why.contains("--expires-in")), "{refused}");
}

#[test]
fn a_retired_key_ends_all_that_it_signed() {
    let bench = Bench::new();
    let issued = token::issue(&bench.ctx, token()).unwrap().token;
    bench.one_record(Act::SigningKeyRetire, issued.kid.as_str(), |ctx| {
        retire(ctx, &issued.kid, "leaked").unwrap();
    });
    let refusal = token::show(&bench.auditor(), issued.jti).unwrap().refusal;
    assert_eq!(refusal, Some(Refusal::KeyRetired { retired_key: issued.kid.clone() }));
    assert_eq!(published(&bench.ctx).unwrap(), json!({ "keys": [] }));
    let refused = bench.refused(issued.kid.as_str(), |ctx| retire(ctx, &issued.kid, ""));
    assert!(matches!(refused, OpsError::Conflict(_)), "{refused}");
    let named = token::NewToken { kid: Some(issued.kid.clone()), ..token() };
    let refused = bench.refused("", |ctx| token::issue(ctx, named));
    assert!(matches!(refused, OpsError::Conflict(_)), "{refused}");
    assert_ne!(token::issue(&bench.ctx, token()).unwrap().token.kid, issued.kid, "a new one is made");
}
