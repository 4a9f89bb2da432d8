//! Tokens and key sets as identity providers write them, from reports of those who run them: the smallest inputs, with what
//! is right for each. Their keys are thrown away; they end in 2100.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Place, code, err, out};

fn case(name: &str, file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/cases").join(name).join(file);
    std::fs::read_to_string(path).unwrap()
}

/// What registers the case's issuer, by the keys in the file `jwks`.
fn add(jwks: &str) -> [&str; 9] {
    ["issuer", "add", "corp", "--jwks", jwks, "--issuer", "https://idp.example.org", "--profile", "oidc"]
}

/// A home that takes tokens of the case's issuer as `arguments` have it.
fn corp(name: &str, arguments: &[&str]) -> Place {
    let place = Place::new();
    let jwks = place.file("jwks.json", case(name, "jwks.json"));
    place.ok(&[&add(&jwks)[..], arguments].concat());
    place
}

fn verify(place: &Place, token: &str) -> (i32, Value) {
    let output = place.feed(&["token", "verify", "--json"], token);
    (code(&output), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", err(&output))))
}

/// The token is valid, and these are its scopes here.
#[track_caller]
fn is_taken(place: &Place, name: &str, file: &str, scopes: &[&str]) {
    let (exit, told) = verify(place, &case(name, file));
    assert_eq!(
        (exit, &told["reason"], &told["scopes"]),
        (0, &Value::Null, &json!(scopes)),
        "{name}/{file}: {told}"
    );
}

#[track_caller]
fn is_refused(place: &Place, token: &str, reason: &str) {
    let (exit, told) = verify(place, token);
    assert_eq!((exit, &told["reason"], &told["scopes"]), (1, &json!(reason), &Value::Null), "{told}");
}

const GATEWAY: [&str; 2] = ["--audience", "mcp-gateway"];

#[test]
fn ed25519_and_eddsa_are_two_names_of_one_algorithm() {
    let place = corp("ed25519-alg", &GATEWAY);
    for file in ["token.txt", "old-name.txt"] {
        is_taken(&place, "ed25519-alg", file, &["mcp:read"]);
    }
    // Pinned under either name; not another algorithm, nor under a name that only looks alike.
    for alg in ["Ed25519", "EdDSA"] {
        let place = corp("ed25519-alg", &[&GATEWAY[..], &["--alg", alg]].concat());
        is_taken(&place, "ed25519-alg", "token.txt", &["mcp:read"]);
    }
    let jwks = place.file("set.json", case("ed25519-alg", "jwks.json"));
    let other = ["issuer", "add", "two", "--jwks", &jwks, "--issuer", "https://two.example.org"];
    place.fails(2, &[&other[..], &["--alg", "ES256"]].concat());
    place.fails(2, &[&other[..], &["--alg", "ed25519"]].concat());
    let token = case("ed25519-alg", "token.txt");
    is_refused(&place, &token.replacen("ptQ00", "ptQ01", 1), "bad_signature");
    // {"alg":"Ed448","typ":"JWT","kid":"k1"}
    let (_, rest) = token.split_once('.').unwrap();
    is_refused(&place, &format!("eyJhbGciOiJFZDQ0OCIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.{rest}"), "malformed");
}

#[test]
fn es512_is_verified() {
    let place = corp("es512", &GATEWAY);
    is_taken(&place, "es512", "token.txt", &["mcp:read"]);
    is_refused(&place, &case("es512", "token.txt").replacen("AOaFZ", "AOaFY", 1), "bad_signature");
}

#[test]
fn a_name_that_is_no_scope_counts_for_nothing() {
    let groups = [&GATEWAY[..], &["--scope-claim", "groups", "--scope-map", "mcp=mcp:read"]].concat();
    let place = corp("group-names", &groups);
    for file in ["space.txt", "umlaut.txt", "empty.txt"] {
        is_taken(&place, "group-names", file, &["mcp:read"]);
    }
    let jwks = place.file("set.json", case("group-names", "jwks.json"));
    for never in ["Domain Users=mcp:read", "Köln=mcp:read", "=mcp:read", "a\\b=mcp:read"] {
        let add = [
            "issuer",
            "add",
            "two",
            "--jwks",
            &jwks,
            "--issuer",
            "https://two.example.org",
            "--scope-map",
            never,
        ];
        let told = place.fails(2, &add);
        assert!(told.contains("never comes") || told.contains("between 1 and"), "{told}");
    }
    place.ok(&[
        "issuer",
        "add",
        "two",
        "--jwks",
        &jwks,
        "--issuer",
        "https://two.example.org",
        "--scope-map",
        "Domain-Users=mcp:read",
    ]);
}

#[test]
fn roles_inside_an_object_are_named_by_the_way_to_them() {
    let way = corp("nested-claim", &[&GATEWAY[..], &["--scope-claim", "/realm_access/roles"]].concat());
    is_taken(&way, "nested-claim", "token.txt", &["mcp:read"]);
    let client =
        corp("nested-claim", &[&GATEWAY[..], &["--scope-claim", "/resource_access/gw/roles"]].concat());
    is_taken(&client, "nested-claim", "token.txt", &["mcp:read"]);
    // What is not there is told: when it is added, and when a token is checked.
    let place = Place::new();
    let jwks = place.file("jwks.json", case("nested-claim", "jwks.json"));
    let added = place.run(&[&add(&jwks)[..], &GATEWAY, &["--scope-claim", "realm_access.roles"]].concat());
    assert!(code(&added) == 0 && err(&added).contains("/realm_access/roles"), "{}", err(&added));
    is_taken(&place, "nested-claim", "token.txt", &[]);
    let checked = place.feed(&["issuer", "check", "corp"], case("nested-claim", "token.txt"));
    assert_eq!(code(&checked), 1, "{}", out(&checked));
    let told = out(&checked);
    assert!(
        told.contains("good for nothing here") && told.contains("slashes: /realm_access/roles"),
        "{told}"
    );
}

#[test]
fn scopes_may_stand_in_several_claims() {
    let place =
        corp("scp-and-roles", &[&GATEWAY[..], &["--scope-claim", "scp", "--scope-claim", "roles"]].concat());
    for file in ["user.txt", "daemon.txt"] {
        is_taken(&place, "scp-and-roles", file, &["mcp:read"]);
    }
    let shown = place.json(&["issuer", "show", "corp"]);
    assert_eq!(shown["mapping"]["scopes"], json!(["scp", "roles"]));
    let one = corp("scp-and-roles", &[&GATEWAY[..], &["--scope-claim", "scp"]].concat());
    assert_eq!(one.json(&["issuer", "show", "corp"])["mapping"]["scopes"], "scp");
    is_taken(&one, "scp-and-roles", "user.txt", &["mcp:read"]);
    is_taken(&one, "scp-and-roles", "daemon.txt", &[]);
    assert_eq!(code(&one.feed(&["issuer", "check", "corp"], case("scp-and-roles", "daemon.txt"))), 1);
    assert_eq!(code(&one.feed(&["issuer", "check", "corp"], case("scp-and-roles", "user.txt"))), 0);
}

#[test]
fn a_subject_may_have_255_characters() {
    let place = corp("long-subject", &GATEWAY);
    for file in ["github.txt", "dex.txt"] {
        is_taken(&place, "long-subject", file, &["mcp:read"]);
    }
}

#[test]
fn another_claim_stands_for_the_audience_where_that_is_asked_for() {
    let token = case("no-aud", "token.txt");
    let plain = corp("no-aud", &["--audience", "5abc"]);
    is_refused(&plain, &token, "malformed");
    let told = out(&plain.feed(&["issuer", "check", "corp"], &token));
    assert!(told.contains("--audience-claim"), "{told}");
    let asked = corp("no-aud", &["--audience", "5abc", "--audience-claim", "client_id"]);
    is_taken(&asked, "no-aud", "token.txt", &["mcp:read"]);
    let other = corp("no-aud", &["--audience", "another", "--audience-claim", "client_id"]);
    is_refused(&other, &token, "wrong_audience");
    let absent = corp("no-aud", &["--audience", "5abc", "--audience-claim", "azp"]);
    is_refused(&absent, &token, "malformed");
    // Where it is asked for, `aud` says nothing.
    let instead =
        corp("two-audiences", &["--audience", "api://mcp-gateway", "--audience-claim", "client_id"]);
    is_refused(&instead, &case("two-audiences", "v1.txt"), "malformed");
}

#[test]
fn one_key_may_be_published_for_several_algorithms() {
    let place = corp("same-kid", &GATEWAY);
    is_taken(&place, "same-kid", "token.txt", &["mcp:read"]);
    let shown = place.json(&["issuer", "show", "corp"]);
    assert_eq!(shown["algorithms"], json!(["RS256", "RS384", "RS512"]));
    let text = place.ok(&["issuer", "show", "corp"]);
    assert!(text.contains("keys            k1\n"), "{text}");
    let pinned = corp("same-kid", &[&GATEWAY[..], &["--alg", "RS256"]].concat());
    is_taken(&pinned, "same-kid", "token.txt", &["mcp:read"]);
    let other = corp("same-kid", &[&GATEWAY[..], &["--alg", "RS512"]].concat());
    is_refused(&other, &case("same-kid", "token.txt"), "bad_signature");
}

#[test]
fn several_audiences_are_taken() {
    let both = corp("two-audiences", &["--audience", "mcp-gateway", "--audience", "api://mcp-gateway"]);
    is_taken(&both, "two-audiences", "v1.txt", &["mcp:read"]);
    assert_eq!(
        both.json(&["issuer", "show", "corp"])["audience"],
        json!(["mcp-gateway", "api://mcp-gateway"])
    );
    // The other one of the two.
    let set = case("two-audiences", "jwks.json");
    assert_eq!(set, case("group-names", "jwks.json"), "one key for both");
    is_taken(&both, "long-subject", "dex.txt", &["mcp:read"]);
    let twice = corp("two-audiences", &["--audience", "mcp-gateway", "--audience", "mcp-gateway"]);
    assert_eq!(twice.json(&["issuer", "show", "corp"])["audience"], "mcp-gateway", "said twice is said once");
    is_refused(&twice, &case("two-audiences", "v1.txt"), "wrong_audience");
}

#[test]
fn a_token_with_hundreds_of_groups_is_taken() {
    let place = corp("token-over-8k", &GATEWAY);
    assert!(case("token-over-8k", "token.txt").len() > 8192);
    is_taken(&place, "token-over-8k", "token.txt", &["mcp:read"]);
    is_refused(&place, &"a".repeat(40_000), "malformed");
}

#[test]
fn an_api_key_pasted_for_a_token_is_called_what_it_is() {
    let place = corp("two-audiences", &GATEWAY);
    let (_, key) = place.key(&["--subject", "ana", "--scope", "mcp:read"]);
    for text in [key.clone(), format!("Bearer {key}\n"), format!("  {key}")] {
        for command in [&["token", "verify"][..], &["issuer", "check", "corp"]] {
            let output = place.feed(command, &text);
            assert_eq!(code(&output), 1);
            assert!(
                out(&output).contains("portcullis key verify") && !out(&output).contains(&key),
                "{}",
                out(&output)
            );
        }
        let inspected = place.feed(&["token", "inspect"], &text);
        assert!(
            code(&inspected) == 2 && err(&inspected).contains("portcullis key verify"),
            "{}",
            err(&inspected)
        );
    }
    // A token where a key is expected is judged as the token that it is.
    let token = case("long-subject", "dex.txt");
    assert_eq!(code(&place.feed(&["key", "verify"], &token)), 0);
    assert_eq!(code(&place.feed(&["explain"], &key)), 0);
}
