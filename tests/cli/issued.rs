//! `portcullis token issue, list, show, verify, revoke, purge`: tokens of this home.

use serde_json::{Value, json};

use crate::support::{Place, code, err, fields, out};

const ALICE: &[&str] = &["--subject", "alice", "--scope", "mcp:read"];

fn issue(place: &Place, arguments: &[&str]) -> Value {
    place.json(&[&["token", "issue"], arguments].concat())
}

/// What `token verify` answers, with its exit code.
fn verify(place: &Place, arguments: &[&str], token: &Value) -> (i32, Value) {
    let text = token["token"].as_str().unwrap();
    let output = place.feed(&[&["token", "verify", "--json"], arguments].concat(), text);
    (code(&output), serde_json::from_slice(&output.stdout).unwrap())
}

#[track_caller]
fn assert_refused(place: &Place, token: &Value, reason: &str) {
    let (code, answer) = verify(place, &[], token);
    assert_eq!((code, &answer["reason"], &answer["valid"]), (1, &json!(reason), &json!(false)), "{answer}");
}

#[track_caller]
fn assert_valid(place: &Place, token: &Value) {
    let (code, answer) = verify(place, &[], token);
    assert_eq!((code, &answer["reason"]), (0, &Value::Null), "{answer}");
}

#[test]
fn a_token_is_issued_with_the_promised_fields() {
    let place = Place::new();
    let token = issue(&place, ALICE);
    assert_eq!(
        fields(&token),
        [
            "alg",
            "audience",
            "bound",
            "client_id",
            "expires_at",
            "issued_at",
            "issuer",
            "jti",
            "kid",
            "max_uses",
            "policy",
            "scopes",
            "subject",
            "token"
        ]
    );
    assert_eq!((&token["alg"], &token["subject"]), (&json!("EdDSA"), &json!("alice")));
    let moment = |name: &str| chrono::DateTime::parse_from_rfc3339(token[name].as_str().unwrap()).unwrap();
    assert_eq!(moment("expires_at") - moment("issued_at"), chrono::TimeDelta::hours(1));
    let (code, answer) = verify(&place, &[], &token);
    assert_eq!(code, 0, "{answer}");
    assert_eq!(fields(&answer), ["checks", "claims", "reason", "scopes", "valid"]);
    let claims = &answer["claims"];
    assert_eq!((&claims["sub"], &claims["user_id"]), (&json!("alice"), &json!("alice")));
    assert_eq!((&claims["scope"], &claims["scopes"]), (&json!("mcp:read"), &json!(["mcp:read"])));
    assert_eq!(claims["jti"], token["jti"]);
    assert!(claims["exp"].is_u64() && claims["iat"].is_u64() && claims["nbf"].is_u64());
}

#[test]
fn people_get_the_token_alone_on_standard_output() {
    let place = Place::new();
    let output = place.run(&[&["token", "issue"], ALICE].concat());
    assert_eq!((code(&output), out(&output).lines().count()), (0, 1));
    assert_eq!(out(&output).trim().split('.').count(), 3);
    assert!(err(&output).contains("only time") && !err(&output).contains(out(&output).trim()));
}

#[test]
fn every_algorithm_issues_what_verifies() {
    let place = Place::new();
    for algorithm in ["EdDSA", "ES256", "RS256", "PS256", "HS256"] {
        let token = issue(&place, &[ALICE, &["--alg", algorithm, "--bind-policy"]].concat());
        assert_eq!((&token["alg"], &token["bound"]), (&json!(algorithm), &json!(true)));
        assert_valid(&place, &token);
        let text = token["token"].as_str().unwrap();
        let last = if text.ends_with('A') { "B" } else { "A" };
        let at = text.rfind('.').unwrap() + 1;
        let forged = format!("{}{last}{}", &text[..at], &text[at + 1..]);
        let forged = json!({ "token": forged });
        if forged["token"] != token["token"] {
            assert_refused(&place, &forged, "bad_signature");
        }
    }
}

#[test]
fn a_token_is_judged_as_of_a_moment_and_for_an_audience() {
    let place = Place::new();
    let token = issue(&place, &[ALICE, &["--audience", "https://mcp.example.org/mcp"]].concat());
    assert_refused(&place, &token, "wrong_audience");
    let (code, answer) = verify(&place, &["--audience", "https://mcp.example.org/mcp"], &token);
    assert_eq!(code, 0, "{answer}");
    let own = issue(&place, ALICE);
    let (code, answer) = verify(&place, &["--at", "2001-01-01T00:00:00Z"], &own);
    assert_eq!((code, &answer["reason"]), (1, &json!("not_yet_valid")));
    let (code, answer) = verify(&place, &["--at", "2999-01-01T00:00:00Z"], &own);
    assert_eq!((code, &answer["reason"]), (1, &json!("expired")));
    let told = place.feed(&["token", "verify"], own["token"].as_str().unwrap());
    assert!(out(&told).starts_with("valid\n") && out(&told).contains("alice"), "{}", out(&told));
    let none = place.feed(&["token", "verify", "--json"], "not a token");
    assert_eq!(code_and_reason(&none), (1, json!("malformed")));
}

fn code_and_reason(output: &std::process::Output) -> (i32, Value) {
    (code(output), serde_json::from_slice::<Value>(&output.stdout).unwrap()["reason"].clone())
}

#[test]
fn a_token_of_another_home_is_not_believed() {
    let (place, other) = (Place::new(), Place::new());
    let token = issue(&other, ALICE);
    issue(&place, ALICE);
    assert_refused(&place, &token, "wrong_issuer");
    assert_valid(&other, &token);
}

#[test]
fn each_kind_of_revocation_is_seen_at_once_and_ends_what_it_means() {
    let place = Place::new();
    let (one, two) = (issue(&place, ALICE), issue(&place, ALICE));
    let bob = issue(&place, &["--subject", "bob", "--scope", "mcp:read"]);
    let jti = one["jti"].as_str().unwrap();
    let revoked = place.json(&["token", "revoke", jti, "--reason", "lost"]);
    assert_eq!((&revoked["items"][0]["kind"], &revoked["items"][0]["ended"]), (&json!("token"), &json!(1)));
    assert_refused(&place, &one, "revoked");
    assert_valid(&place, &two);
    assert_eq!(place.json(&["token", "show", jti])["state"], "revoked");

    place.ok(&["token", "revoke", "--subject", "alice"]);
    assert_refused(&place, &two, "revoked");
    assert_valid(&place, &bob);
    let again = issue(&place, ALICE);
    assert_valid(&place, &again);

    let file = place.file("alice.token", again["token"].as_str().unwrap());
    place.ok(&["token", "revoke", "--token", &file]);
    assert_refused(&place, &again, "revoked");

    let kid = bob["kid"].as_str().unwrap();
    place.ok(&["token", "revoke", "--kid", kid]);
    assert_refused(&place, &bob, "revoked");

    let newest = issue(&place, ALICE);
    assert_ne!(newest["kid"], bob["kid"], "a revoked key signs no more");
    assert_valid(&place, &newest);
    place.ok(&["token", "revoke", "--issued-before", newest["issued_at"].as_str().unwrap()]);
    assert_valid(&place, &newest);
    place.fails(2, &["token", "revoke", "--issued-before", "2999-01-01T00:00:00Z"]);
    place.ok(&["audit", "verify"]);
    place.ok(&["doctor"]);
}

#[test]
fn what_cannot_be_revoked_is_said_with_its_reason() {
    let place = Place::new();
    let token = issue(&place, ALICE);
    let jti = token["jti"].as_str().unwrap();
    place.ok(&["token", "revoke", jti]);
    place.fails(4, &["token", "revoke", jti]);
    place.fails(3, &["token", "revoke", &"0".repeat(22)]);
    place.fails(3, &["token", "show", &"0".repeat(22)]);
    place.fails(2, &["token", "revoke", "short"]);
    place.fails(2, &["token", "revoke"]);
    place.fails(2, &["token", "revoke", jti, "--subject", "alice"]);
    place.fails(3, &["token", "revoke", "--kid", "nowhere"]);
    place.fails(3, &["token", "revoke", "--kid", "k", "--issuer", "nowhere"]);
    let nonsense = place.file("nonsense", "nonsense");
    place.fails(2, &["token", "revoke", "--token", &nonsense]);
}

#[test]
fn what_a_token_cannot_be_is_said_with_its_reason() {
    let place = Place::new();
    issue(&place, ALICE);
    for arguments in [
        &["--expires-in", "31d"][..],
        &["--expires-in", "0s"],
        &["--alg", "none"],
        &["--alg", "ES384"],
        &["--kid", "a b"],
        &["--policy", "nowhere"],
        &["--audience", ""],
    ] {
        place.fails(2, &[&["token", "issue"], ALICE, arguments].concat());
    }
    place.fails(3, &[&["token", "issue"], ALICE, &["--kid", "nowhere"]].concat());
    place.fails(2, &["token", "issue", "--subject", "a", "--scope", "mcp:raed"]);
    place.fails(2, &["token", "issue", "--subject", "a"]);
    issue(&place, &[ALICE, &["--expires-in", "30d"]].concat());
}

#[test]
fn tokens_are_listed_filtered_and_paged() {
    let place = Place::new();
    assert_eq!(place.json(&["token", "list"]), json!({"items": [], "next": null}));
    for subject in ["carol", "alice", "bob"] {
        issue(&place, &["--subject", subject, "--scope", "mcp:read"]);
    }
    let subjects = |arguments: &[&str]| {
        let list = place.json(&[&["token", "list"], arguments].concat());
        let items = list["items"].as_array().unwrap().clone();
        let names =
            items.iter().map(|token| token["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (names.join(" "), list["next"].as_str().map(str::to_owned))
    };
    assert_eq!(subjects(&["--sort", "subject"]), ("alice bob carol".into(), None));
    assert_eq!(subjects(&["--sort", "subject", "--desc", "--filter", "state:live"]).0, "carol bob alice");
    assert_eq!(subjects(&["--filter", "state:revoked"]).0, "");
    let (first, next) = subjects(&["--sort", "subject", "--limit", "2"]);
    assert_eq!(first, "alice bob");
    let rest = subjects(&["--sort", "subject", "--limit", "2", "--after", &next.unwrap()]);
    assert_eq!(rest, ("carol".into(), None));
    place.fails(2, &["token", "list", "--filter", "state:active"]);
    place.fails(2, &["token", "list", "--sort", "name"]);
    place.fails(2, &["token", "list", "--after", "no cursor"]);
    assert!(place.ok(&["token", "list", "--csv"]).starts_with("jti,subject,policy"));
    let listed = place.ok(&["token", "list", "--json"]);
    assert!(!listed.contains("eyJ"), "a list never shows a token: {listed}");
}

#[test]
fn an_auditor_looks_at_everything_without_the_vault() {
    let place = Place::new();
    let token = issue(&place, ALICE);
    std::fs::rename(place.home().join("vault.key"), place.path().join("elsewhere")).unwrap();
    assert_eq!(place.json(&["token", "list"])["items"].as_array().unwrap().len(), 1);
    place.ok(&["token", "show", token["jti"].as_str().unwrap()]);
    place.ok(&["signing-key", "list"]);
    place.ok(&["signing-key", "export", "--jwks"]);
    place.fails(5, &["token", "revoke", token["jti"].as_str().unwrap()]);
}

#[test]
fn a_row_that_was_tampered_with_is_named_and_what_rests_on_it_is_refused() {
    let place = Place::new();
    let token = issue(&place, ALICE);
    let tamper = |sql: &str| {
        rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap().execute_batch(sql).unwrap();
    };
    tamper("UPDATE signing_key SET verifies_until = 9999999999999");
    assert_refused(&place, &token, "unknown_credential");
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(out(&doctor).contains("signing_key"), "{}", out(&doctor));
    assert_ne!(issue(&place, ALICE)["kid"], token["kid"], "the others go on");
}

#[test]
fn a_revocation_that_was_tampered_with_lets_nobody_in() {
    let place = Place::new();
    let token = issue(&place, ALICE);
    place.ok(&["token", "revoke", "--subject", "alice"]);
    rusqlite::Connection::open(place.home().join("portcullis.db"))
        .unwrap()
        .execute_batch("UPDATE revocation SET cut = 1")
        .unwrap();
    let output = place.feed(&["token", "verify"], token["token"].as_str().unwrap());
    assert_eq!(code(&output), 5, "{}", out(&output));
    assert!(err(&output).contains("revocation"), "{}", err(&output));
}

#[test]
fn what_expired_long_ago_can_be_forgotten() {
    let place = Place::new();
    issue(&place, ALICE);
    assert_eq!(place.json(&["token", "purge"]), json!({"purged": 0}));
    place.fails(2, &["token", "purge", "--older-than", "1h"]);
}
