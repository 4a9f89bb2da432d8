//! `portcullis signing-key …`

use serde_json::{Value, json};

use crate::support::{Place, code, err, fields, out};

fn kids(set: &Value) -> Vec<&str> {
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
}

#[test]
fn a_key_of_each_algorithm_is_made_and_only_its_public_part_comes_out() {
    let place = Place::new();
    for algorithm in ["EdDSA", "ES256", "RS256", "PS256", "HS256"] {
        let made = place.json(&["signing-key", "create", "--alg", algorithm, "--name", "first"]);
        assert_eq!(
            fields(&made),
            [
                "alg",
                "created_at",
                "jwk",
                "kid",
                "name",
                "retired_at",
                "signs_from",
                "signs_until",
                "state",
                "verifies_until"
            ]
        );
        assert_eq!((&made["alg"], &made["state"]), (&json!(algorithm), &json!("active")));
        let kid = made["kid"].as_str().unwrap();
        if algorithm == "HS256" {
            assert!(made["jwk"].is_null());
            let told = place.fails(4, &["signing-key", "export", kid]);
            assert!(told.contains("no public part"), "{told}");
            continue;
        }
        let jwk = place.json(&["signing-key", "export", kid]);
        assert_eq!(jwk, made["jwk"]);
        for private in ["d", "p", "q", "k"] {
            assert!(jwk.get(private).is_none(), "{jwk}");
        }
        let pem = place.ok(&["signing-key", "export", kid, "--format", "pem"]);
        assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
    }
    assert_eq!(kids(&place.json(&["signing-key", "export", "--jwks"])).len(), 4);
    assert_eq!(place.json(&["signing-key", "list"])["items"].as_array().unwrap().len(), 5);
    assert!(place.ok(&["signing-key", "list", "--csv"]).starts_with("kid,alg,name,state"));
}

#[test]
fn what_cannot_be_made_is_said_with_what_can() {
    let place = Place::new();
    for (arguments, told) in [
        (&["--alg", "none"][..], "EdDSA"),
        (&["--alg", "ES384"], "verifying only"),
        (&["--alg", "RS256", "--rsa-bits", "1024"], "2048"),
        (&["--kid", "../../etc/passwd"], "letters, digits"),
    ] {
        let error = place.fails(2, &[&["signing-key", "create"], arguments].concat());
        assert!(error.contains(told), "{error}");
    }
    place.fails(3, &["signing-key", "retire", "nowhere"]);
    place.fails(3, &["signing-key", "rotate", "nowhere"]);
    place.fails(2, &["signing-key", "export"]);
    place.ok(&["signing-key", "create", "--kid", "mine"]);
    place.fails(4, &["signing-key", "create", "--kid", "mine"]);
}

/// RFC 8037 A.1.
const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

#[test]
fn a_private_key_is_imported_from_a_file_or_standard_input_and_never_shown() {
    let place = Place::new();
    let file = place.file("key.jwk", JWK);
    let made = place.json(&["signing-key", "create", "--import", &file]);
    assert_eq!(made["kid"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "the thumbprint of RFC 8037 A.3");
    let secret = "correct horse battery staple correct";
    let piped =
        place.feed(&["signing-key", "create", "--alg", "HS256", "--import", "-"], format!("{secret}\n"));
    assert_eq!(code(&piped), 0, "{}", err(&piped));
    let short = place.feed(&["signing-key", "create", "--alg", "HS256", "--import", "-"], "too short");
    assert_eq!(code(&short), 2);
    assert!(!err(&short).contains("too short") && err(&short).contains("9 bytes"), "{}", err(&short));
    let wrong = place.fails(2, &["signing-key", "create", "--alg", "ES256", "--import", &file]);
    assert!(!wrong.contains("nWGxne"), "{wrong}");
    place.fails(2, &["signing-key", "create", "--import", "/does/not/exist"]);
    for shown in [&["signing-key", "list", "--json"][..], &["audit", "export"]] {
        let shown = place.ok(shown);
        assert!(!shown.contains("nWGxne") && !shown.contains(secret), "{shown}");
    }
    for file in std::fs::read_dir(place.home()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[test]
fn a_rotation_publishes_the_next_key_ahead_and_keeps_the_old_one_for_a_while() {
    let place = Place::new();
    let token = place.json(&["token", "issue", "--subject", "a", "--scope", "mcp:read"]);
    let (kid, text) = (token["kid"].as_str().unwrap(), token["token"].as_str().unwrap());
    let rotated = place.json(&["signing-key", "rotate", kid, "--publish-ahead", "10m"]);
    let new = rotated["new"]["kid"].as_str().unwrap();
    assert_eq!((&rotated["old"]["state"], &rotated["new"]["state"]), (&json!("active"), &json!("next")));
    assert_eq!(kids(&place.json(&["signing-key", "export", "--jwks"])).len(), 2);
    let at_once = place.json(&["signing-key", "create", "--alg", "ES256"]);
    let at_once = place.json(&["signing-key", "rotate", at_once["kid"].as_str().unwrap(), "--overlap", "1h"]);
    assert_eq!((&at_once["old"]["state"], &at_once["new"]["state"]), (&json!("verifying"), &json!("active")));
    let verified = place.feed(&["token", "verify", "--json"], text);
    assert_eq!(code(&verified), 0, "{}", out(&verified));
    let told = place.fails(4, &["signing-key", "rotate", kid]);
    assert!(told.contains("rotated already"), "{told}");
    place.ok(&["signing-key", "retire", kid, "--reason", "leaked"]);
    let refused = place.feed(&["token", "verify", "--json"], text);
    let answer: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((code(&refused), &answer["reason"]), (1, &json!("unknown_credential")));
    assert!(!kids(&place.json(&["signing-key", "export", "--jwks"])).contains(&kid));
    assert!(kids(&place.json(&["signing-key", "export", "--jwks"])).contains(&new));
    assert!(place.ok(&["audit", "list"]).contains("signing-key.retire"));
}

#[test]
fn a_kid_may_begin_with_a_hyphen() {
    let place = Place::new();
    place.ok(&["signing-key", "create", "--kid", "-2026"]);
    place.ok(&["token", "issue", "--subject", "a", "--scope", "mcp:read", "--kid", "-2026"]);
    place.ok(&["signing-key", "export", "-2026"]);
    place.ok(&["signing-key", "retire", "-2026"]);
}
