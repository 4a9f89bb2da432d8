//! What was taken back is refused, and nothing else is.

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

#[test]
fn each_kind_of_revocation_refuses_what_it_names() {
    let mut scene = Scene::new();
    let token = scene.token(&json!({}));
    let subject = |whose, subject: &str, until| Revocation::Subject {
        whose,
        subject: subject.parse().unwrap(),
        until: at(until),
    };
    let key = |whose, kid: &str| Revocation::Key { whose, kid: kid.into() };
    let before = |whose, moment| Revocation::IssuedBefore { whose, moment: at(moment) };
    let corp = || Whose::Issuer("corp".parse().unwrap());
    for (revocation, is_revoked) in [
        (Revocation::Token(TokenId::from_bytes([7; 16])), true),
        (Revocation::Token(TokenId::from_bytes([8; 16])), false),
        (Revocation::Token(TokenId::of(HOME, &TokenId::from_bytes([7; 16]).to_string())), false),
        (subject(Whose::Anyone, "ana", NOW - 60), true),
        (subject(Whose::Home, "ana", NOW - 60), true),
        (subject(corp(), "ana", NOW), false),
        (subject(Whose::Anyone, "ana", NOW - 61), false),
        (subject(Whose::Anyone, "eve", NOW), false),
        (key(Whose::Home, "EdDSA"), true),
        (key(Whose::Anyone, "EdDSA"), true),
        (key(corp(), "EdDSA"), false),
        (key(Whose::Home, "ES256"), false),
        (before(Whose::Anyone, NOW - 59), true),
        (before(Whose::Home, NOW - 59), true),
        (before(corp(), NOW), false),
        (before(Whose::Home, NOW - 60), false),
    ] {
        scene.revocations = [revocation.clone()].into_iter().collect();
        assert_eq!(scene.reason(&token), is_revoked.then_some(Reason::Revoked), "{revocation:?}");
    }
}

#[test]
fn the_latest_cut_counts_whatever_the_order() {
    let mut scene = Scene::new();
    let token = scene.token(&json!({}));
    let cut =
        |until| Revocation::Subject { whose: Whose::Home, subject: "ana".parse().unwrap(), until: at(until) };
    for order in [[NOW, NOW - 3600], [NOW - 3600, NOW]] {
        scene.revocations = order.map(cut).into_iter().collect();
        assert_eq!(scene.reason(&token), Some(Reason::Revoked));
    }
}

#[test]
fn what_was_narrowed_from_a_token_falls_with_it_whichever_way_it_is_taken_back() {
    let mut scene = Scene::new();
    let parent = |byte| TokenId::from_bytes([byte; 16]);
    let ground = |jti: u8, kid: &str, iat| json!({"jti": parent(jti), "kid": kid, "iat": iat});
    // The nearest was signed by another key, the first of all long ago.
    let rests_on = json!({"tokens": [ground(8, "ES256", NOW - 90), ground(9, "EdDSA", NOW - 3600)]});
    let child = scene.token(&json!({ "rests_on": rests_on }));
    assert_eq!(scene.reason(&child), None);
    let subject =
        |until| Revocation::Subject { whose: Whose::Home, subject: "ana".parse().unwrap(), until: at(until) };
    let key = |whose, kid: &str| Revocation::Key { whose, kid: kid.into() };
    let before = |whose, moment| Revocation::IssuedBefore { whose, moment: at(moment) };
    let corp = || Whose::Issuer("corp".parse().unwrap());
    for (revocation, falls) in [
        (Revocation::Token(parent(8)), true),
        (Revocation::Token(parent(9)), true),
        (Revocation::Token(parent(6)), false),
        (subject(NOW - 90), true),
        (subject(NOW - 3600), true),
        (subject(NOW - 3601), false),
        (key(Whose::Home, "ES256"), true),
        (key(corp(), "ES256"), false),
        (before(Whose::Home, NOW - 3599), true),
        (before(Whose::Home, NOW - 3600), false),
        (before(corp(), NOW), false),
    ] {
        scene.revocations = [revocation.clone()].into_iter().collect();
        assert_eq!(scene.reason(&child), falls.then_some(Reason::Revoked), "{revocation:?}");
    }
    // A parent whose key is retired would be refused itself.
    scene.revocations = Revocations::default();
    let orphan = json!({"tokens": [ground(8, "gone", NOW - 90)]});
    assert_eq!(scene.reason(&scene.token(&json!({ "rests_on": orphan }))), Some(Reason::Revoked));
}

#[test]
fn what_a_token_rests_on_is_understood_or_the_token_is_refused() {
    let scene = Scene::new();
    for rests_on in [json!(null), json!({}), json!({"certificate": "00"}), json!({"key": "x"})] {
        let mut claims = changed(&json!({}));
        claims["rests_on"] = rests_on.clone();
        let signer = scene.signer(Algorithm::EdDsa);
        let token = signer.token(&signer.header("at+jwt"), &claims.to_string());
        assert_eq!(scene.reason(&token), Some(Reason::Malformed), "{rests_on}");
    }
    // What others mean by a claim of this name is theirs.
    let claims =
        json!({"iss": IDP, "sub": "ana", "aud": RESOURCE, "exp": NOW + 60, "iat": NOW, "rests_on": 1});
    assert_eq!(scene.reason(&scene.idp.token(&scene.idp.header("JWT"), &claims.to_string())), None);
}
