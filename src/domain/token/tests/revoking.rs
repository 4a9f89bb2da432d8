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
