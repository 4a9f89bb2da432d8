//! Tokens that are rightly signed and wrongly written: what a signer can be made to sign.

use super::*;
use crate::domain::jose::base64;

/// A token of this home with this very text as its payload.
fn with_payload(scene: &Scene, payload: &str) -> String {
    let signer = scene.signer(Algorithm::EdDsa);
    signer.token(&signer.header("at+jwt"), payload)
}

#[test]
fn claims_of_a_wrong_type_are_never_taken_as_absent() {
    let scene = Scene::new();
    let wrong = [json!(true), json!([]), json!({}), json!([1]), json!({"a": 1})];
    for claim in [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "scope",
        "scopes",
        "user_id",
        "policy",
        "cnf",
        "max_uses",
        "policy_name",
    ] {
        for value in &wrong {
            // An empty list of scopes is one, an empty policy limits nothing.
            if matches!((claim, value.to_string().as_str()), ("scopes", "[]") | ("policy", "{}")) {
                continue;
            }
            assert_eq!(
                scene.reason(&scene.token(&json!({ claim: value }))),
                Some(Reason::Malformed),
                "{claim}: {value}"
            );
        }
        let mut null = payload();
        null[claim] = Value::Null;
        // Who names no issuer is not this home.
        let reason = if claim == "iss" { Reason::BadSignature } else { Reason::Malformed };
        assert_eq!(scene.reason(&with_payload(&scene, &null.to_string())), Some(reason), "{claim}: null");
    }
}

#[test]
fn numbers_are_seconds_between_1970_and_9999() {
    let scene = Scene::new();
    let written = |number: &str| {
        payload().to_string().replace(&format!("\"exp\":{}", NOW + 600), &format!("\"exp\":{number}"))
    };
    assert_eq!(scene.reason(&with_payload(&scene, &written("2000000600"))), None);
    for number in [
        "1e400",
        "2e9",
        "2000000600.0",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "-1",
        "-0",
        "-0.0",
        "1e-400",
        "253402300800",
        "02000000600",
        "+2000000600",
        "0x77359658",
        "NaN",
        "Infinity",
        "\"2000000600\"",
        "2000000600e0",
    ] {
        assert_eq!(
            scene.reason(&with_payload(&scene, &written(number))),
            Some(Reason::Malformed),
            "{number}"
        );
    }
}

#[test]
fn a_name_stands_once() {
    let scene = Scene::new();
    let plain = payload().to_string();
    let with = |more: &str| with_payload(&scene, &plain.replacen('{', &format!("{{{more},"), 1));
    assert_eq!(scene.reason(&with(r#""x":1"#)), None);
    for more in [
        r#""exp":1"#,
        r#""exp":2000000600"#,
        r#""\u0065xp":9999999999"#,
        r#""sub":"eve""#,
        r#""s\u0075b":"eve""#,
        r#""x":{"a":1,"a":2}"#,
    ] {
        assert_eq!(scene.reason(&with(more)), Some(Reason::Malformed), "{more}");
    }
    let signer = scene.signer(Algorithm::EdDsa);
    let headers = [
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"EdDSA"}"#,
        r#"{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"EdDSA"}"#,
        r#"{"alg":"EdDSA","\u0061lg":"none","typ":"at+jwt","kid":"EdDSA"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"EdDSA","kid":"EdDSA"}"#,
    ];
    for (place, header) in headers.into_iter().enumerate() {
        let input = format!("{}.{}", base64::encode(header), base64::encode(&plain));
        let token = format!("{input}.{}", base64::encode(signer.sign(input.as_bytes())));
        assert_eq!(scene.reason(&token), (place > 0).then_some(Reason::Malformed), "{header}");
    }
}

#[test]
fn what_stands_behind_or_beside_the_object_is_refused() {
    let scene = Scene::new();
    let plain = payload().to_string();
    for text in [
        format!("{plain}{{}}"),
        format!("{plain}x"),
        format!("{plain}\u{0}"),
        format!("\u{feff}{plain}"),
        format!("[{plain}]"),
        format!("\"{}\"", base64::encode(&plain)),
        String::new(),
        "null".into(),
        plain[..plain.len() - 1].to_owned(),
        plain.replace("\"ana\"", "\"a\u{7}na\""),
        plain.replace("\"ana\"", "\"\\ud800\""),
        plain.replace('"', "'"),
    ] {
        assert_eq!(scene.reason(&with_payload(&scene, &text)), Some(Reason::Malformed), "{text}");
    }
    assert_eq!(
        scene.reason(&with_payload(&scene, &format!(" \t\r\n{plain}\n"))),
        None,
        "white space is JSON's own"
    );
}

#[test]
fn a_token_has_one_spelling() {
    let scene = Scene::new();
    let token = scene.token(&json!({}));
    assert_eq!(scene.reason(&token), None);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    for other in [
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{token}\u{2028}"),
        format!("{token}\u{a0}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.."),
        format!("{header}..{payload}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}={}", &token[header.len()..]),
        format!("{header}.{payload}=.{signature}"),
        token.replace('.', " . "),
        token.replace('.', "%2e"),
        format!("Bearer {token}"),
        token.replace('.', "\u{ff0e}"),
        String::new(),
        ".".into(),
        "..".into(),
        "....".into(),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        "a".repeat(32_769),
    ] {
        assert_eq!(scene.reason(&other), Some(Reason::Malformed), "{other:?}");
    }
    // The last letter of 64 bytes carries four bits that encode nothing.
    let last = signature.chars().last().unwrap();
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        .chars()
        .filter(|&letter| letter != last)
    {
        let other = format!("{input}.{}{letter}", &signature[..signature.len() - 1]);
        assert!(matches!(scene.reason(&other), Some(Reason::Malformed | Reason::BadSignature)), "{letter}");
    }
}

#[test]
fn what_the_header_demands_and_we_do_not_do_is_refused() {
    let scene = Scene::new();
    let signer = scene.signer(Algorithm::EdDsa);
    for (name, value) in [
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!("exp")),
        ("crit", json!(null)),
        ("crit", json!(["alg", "alg"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("cty", json!("JWT")),
        ("cty", json!("jwt")),
        ("cty", json!("application/jwt")),
        ("enc", json!("A256GCM")),
    ] {
        let mut header = signer.header("at+jwt");
        header[name] = value.clone();
        assert_eq!(
            scene.reason(&signer.token(&header, &payload().to_string())),
            Some(Reason::Malformed),
            "{name}: {value}"
        );
    }
    let inner = scene.token(&json!({}));
    assert_eq!(
        scene.reason(&signer.token(&signer.header("at+jwt"), &inner)),
        Some(Reason::Malformed),
        "a token in a token"
    );
}

#[test]
fn a_long_token_is_refused_before_it_is_read() {
    let scene = Scene::new();
    let token = |length: usize| scene.token(&json!({"x": "x".repeat(length)}));
    assert_eq!(scene.reason(&token(20_000)), None);
    let long = token(25_000);
    assert!(long.len() > 32_768);
    assert_eq!(scene.reason(&long), Some(Reason::Malformed));
}
