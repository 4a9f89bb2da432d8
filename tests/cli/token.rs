//! `token inspect` and `token verify --signature-only`: what needs no home.

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::support::{Place, code, err, out};

/// RFC 8037 appendix A.
const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
/// RFC 7515 appendix A.1; its key is [`SECRET`] in base64url.
const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const SECRET: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;

/// Vectors of which the binary says something else than their file, and why.
fn our_verdict(file: &str, id: u64, is_valid: bool) -> bool {
    match (file, id) {
        // Called valid; the key says PS256 and the token PS384, and a key is for one algorithm.
        ("json_web_signature_test.json", 346 | 350)
        // Called valid; the key's `alg` is `ES521`, which is no algorithm's name.
        | ("json_web_signature_test.json", 347 | 351)
        // Called valid; a `?` stands inside the base64url of header or payload.
        | ("json_web_signature_test.json", 372 | 373)
        // Valid, and encrypted: only signed tokens are taken.
        | ("json_web_crypto_test.json", 50 | 67) => false,
        // Called invalid for a padding that is not there: letter for letter they are vector 357, which is valid.
        ("json_web_signature_test.json", 367 | 370) => true,
        _ => is_valid,
    }
}

struct Vector {
    name: String,
    key: String,
    token: String,
    is_valid: bool,
}

/// All vectors of a file, each with its key in a file.
fn vectors(place: &Place, file: &str) -> Vec<Vector> {
    let folder = std::env::var_os("PORTCULLIS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from)
        .join("wycheproof");
    let Ok(text) = std::fs::read(folder.join(file)) else {
        let told = format!("no test vectors in {}; set PORTCULLIS_VECTORS", folder.display());
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{told}");
        eprintln!("NOT TESTED: {told}");
        return Vec::new();
    };
    let document: Value = serde_json::from_slice(&text).unwrap();
    let mut vectors = Vec::new();
    for (number, group) in document["testGroups"].as_array().unwrap().iter().enumerate() {
        let key = group.get("public").unwrap_or(&group["private"]).to_string();
        let key = place.file(&format!("{number}.jwk"), key);
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let token = test.get("jws").unwrap_or(&test["jwe"]);
            vectors.push(Vector {
                name: format!("{file} {id} {}", test["comment"]),
                key: key.clone(),
                token: token.as_str().map_or_else(|| token.to_string(), str::to_owned),
                is_valid: our_verdict(file, id, test["result"] == "valid"),
            });
        }
    }
    assert_eq!(vectors.len() as u64, document["numberOfTests"].as_u64().unwrap());
    vectors
}

/// Every vector of Wycheproof through the binary itself.
fn judge_all(file: &str) {
    let place = Place::new();
    let vectors = vectors(&place, file);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(vector) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
            let output = place.feed(
                &["token", "verify", "--signature-only", "--json", "--jwk", &vector.key],
                &vector.token,
            );
            let told: Value = serde_json::from_str(&out(&output)).unwrap_or_default();
            let expected = if vector.is_valid { 0 } else { 1 };
            if (code(&output), &told["valid"]) != (expected, &json!(vector.is_valid)) {
                wrong.lock().unwrap().push(format!("{}: {told} {}", vector.name, err(&output)));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    assert_eq!(wrong.into_inner().unwrap(), Vec::<String>::new());
    assert!(!place.home().exists(), "no home is made");
}

#[test]
fn the_published_signatures_are_judged_by_the_binary() {
    judge_all("json_web_signature_test.json");
}

#[test]
fn the_published_keys_are_judged_by_the_binary() {
    judge_all("json_web_key_test.json");
}

#[test]
fn the_published_mixtures_are_judged_by_the_binary() {
    judge_all("json_web_crypto_test.json");
}

#[test]
fn a_signature_is_verified_with_a_given_key() {
    let place = Place::new();
    let (jwk, secret) = (place.file("ed.jwk", JWK), place.file("secret.jwk", SECRET));
    let verify = |arguments: &[&str], token: &str| {
        let output =
            place.feed(&[&["token", "verify", "--signature-only", "--json"], arguments].concat(), token);
        (code(&output), serde_json::from_str::<Value>(&out(&output)).unwrap_or_else(|_| err(&output).into()))
    };
    let (exit, told) = verify(&["--jwk", &jwk], &format!("{TOKEN}\n"));
    assert_eq!(
        (exit, &told["valid"], &told["reason"], &told["claims"]),
        (0, &json!(true), &Value::Null, &Value::Null)
    );
    let (exit, told) = verify(&["--jwk", &secret, "--alg", "HS256"], HS256);
    assert_eq!((exit, &told["claims"]["iss"]), (0, &json!("joe")));
    for (arguments, token, exit, reason) in [
        (&["--jwk", jwk.as_str()][..], TOKEN.replace("hgyY", "hgyZ"), 1, "bad_signature"),
        (&["--jwk", &jwk], format!(" {TOKEN}"), 1, "malformed"),
        (&["--jwk", &jwk], String::new(), 1, "malformed"),
        (&["--jwk", &jwk], HS256.to_owned(), 1, "bad_signature"),
        (&["--jwk", &secret, "--alg", "HS512"], HS256.to_owned(), 1, "bad_signature"),
        (&["--jwk", &jwk, "--alg", "ES256"], TOKEN.to_owned(), 1, "bad_signature"),
    ] {
        let (found, told) = verify(arguments, &token);
        assert_eq!(
            (found, &told["reason"], &told["claims"]),
            (exit, &json!(reason), &Value::Null),
            "{arguments:?}"
        );
    }
    let plain = place.feed(&["token", "verify", "--signature-only", "--jwk", &jwk], TOKEN);
    assert_eq!((code(&plain), out(&plain).as_str()), (0, "valid: the signature fits (EdDSA)\n"));
    assert!(!place.home().exists());
}

#[test]
fn a_key_may_be_a_pem_and_a_secret_a_file() {
    let place = Place::new();
    // The key of RFC 8037 as SubjectPublicKeyInfo.
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let file = place.file("ed.pem", pem);
    let verify = |arguments: &[&str]| {
        place.feed(&[&["token", "verify", "--signature-only"], arguments].concat(), TOKEN)
    };
    assert_eq!(code(&verify(&["--key-file", &file])), 0);
    assert_eq!(code(&verify(&["--key-file", &file, "--alg", "EdDSA"])), 0);
    let confused = verify(&["--key-file", &file, "--alg", "HS256"]);
    assert_eq!(
        (code(&confused), out(&confused).contains("does not go with this key")),
        (1, true),
        "a public key is no secret"
    );
    let short = place.file("short", "too short\n");
    assert!(out(&verify(&["--key-file", &short, "--alg", "HS256"])).contains("shorter than the hash"));
}

#[test]
fn what_is_no_key_is_bad_input() {
    let place = Place::new();
    let (jwk, bad, rsa) =
        (place.file("ed.jwk", JWK), place.file("bad", "not a key"), place.file("secret.jwk", SECRET));
    for (arguments, told) in [
        (&["--signature-only", "--jwk", bad.as_str()][..], "JWK"),
        (&["--signature-only", "--key-file", &bad], "PEM"),
        (&["--signature-only", "--jwk", "/does/not/exist"], "cannot be read"),
        (&["--signature-only", "--jwk", "-"], "standard input"),
        (&["--signature-only", "--jwk", &rsa], "--alg"),
        (&["--signature-only", "--jwk", &jwk, "--alg", "none"], "EdDSA"),
        (&["--signature-only", "--jwk", &jwk, "--key-file", &bad], "cannot be used with"),
        (&["--signature-only"], "required"),
    ] {
        let output = place.feed(&[&["token", "verify"], arguments].concat(), TOKEN);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(told) && out(&output).is_empty(), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn a_token_is_explained_without_a_home_and_without_a_key() {
    let place = Place::new();
    let at = ["--at", "2011-03-22T18:00:00Z"];
    let shown = place.feed(&[&["token", "inspect"], &at[..]].concat(), HS256);
    let text = out(&shown);
    for expected in
        ["alg  HS256", "iss ", "joe", "2011-03-22T18:43:00Z (in 43m)", "shared secret", "`sub` is missing"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(err(&shown).contains("nothing of this is verified"));
    let file = place.file("token", format!("Bearer {HS256}\n"));
    let json: Value =
        serde_json::from_str(&place.ok(&["token", "inspect", &file, "--json", "--at", at[1]])).unwrap();
    assert_eq!(json["header"]["alg"], "HS256");
    assert_eq!(json["times"], json!([{"claim": "exp", "at": "2011-03-22T18:43:00Z", "in_seconds": 2580}]));
    assert!(json["warnings"].as_array().unwrap().len() >= 3);
    assert_eq!(code(&place.feed(&["token", "inspect"], "not a token")), 2);
    assert!(!place.home().exists(), "no home is made");
}

#[test]
fn what_a_stranger_wrote_into_a_token_cannot_move_the_cursor() {
    let place = Place::new();
    // {"alg":"none"} and {"sub":"\u001b[2Jroot\u202e"}
    let output =
        place.feed(&["token", "inspect"], "eyJhbGciOiJub25lIn0.eyJzdWIiOiJcdTAwMWJbMkpyb290XHUyMDJlIn0.");
    let text = out(&output);
    assert!(text.contains("\\e[2Jroot\\u{202e}") && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("not signed"), "{text}");
}

#[test]
fn a_token_on_the_command_line_is_refused_without_an_echo() {
    let place = Place::new();
    let output = place.run(&["token", "inspect", TOKEN]);
    assert_eq!(code(&output), 2);
    assert!(
        !err(&output).contains("hgyY") && err(&output).contains("an argument holds a token"),
        "{}",
        err(&output)
    );
}
