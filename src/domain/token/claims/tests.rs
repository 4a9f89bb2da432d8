use proptest::prelude::*;
use serde_json::json;

use super::*;

fn payload() -> Value {
    json!({
        "iss": "https://mcp.example", "sub": "ana", "user_id": "ana", "aud": "https://mcp.example/mcp",
        "exp": 2_000_000_000, "nbf": 1_999_999_000, "iat": 1_999_999_000, "jti": TokenId::from_bytes([7; 16]),
        "client_id": "ana", "scope": "mcp:read tools:call", "scopes": ["tools:call", "mcp:read"],
    })
}

/// The payload with some claims changed; `null` takes one away.
fn changed(changes: &Value) -> Value {
    let mut payload = payload();
    for (claim, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = payload.as_object_mut().unwrap().remove(claim),
            value => payload[claim] = value.clone(),
        }
    }
    payload
}

fn read_as(profile: Profile, payload: &Value) -> Result<Claims, BadClaims> {
    Claims::read(payload.as_object().unwrap(), profile, &ClaimNames::default(), profile == Profile::AtJwt)
}

fn read(changes: &Value) -> Result<Claims, BadClaims> {
    read_as(Profile::AtJwt, &changed(changes))
}

#[test]
fn what_is_issued_is_read_alike() {
    let claims = read(&json!({
        "aud": ["https://a", "https://b"], "policy_name": "readers", "max_uses": 3,
        "policy": {"allowed_endpoints": ["tools/list"]},
        "cnf": {"jkt": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
    }))
    .unwrap();
    assert_eq!(read_as(Profile::AtJwt, &claims.to_json()), Ok(claims.clone()));
    assert_eq!(claims.id, TokenId::from_bytes([7; 16]));
    assert_eq!(claims.scopes, ["mcp:read", "tools:call"]);
    assert_eq!(claims.expires_at, Timestamp::from_millis(2_000_000_000_000));
    assert_eq!(claims.to_json()["user_id"], "ana");
}

#[test]
fn every_claim_that_is_demanded_has_to_be_there() {
    for claim in ["iss", "sub", "aud", "exp", "iat", "jti"] {
        let bad = read(&json!({ claim: null })).unwrap_err();
        assert_eq!((bad.claim.as_str(), bad.problem.as_str()), (claim, "is missing"));
    }
    for claim in ["nbf", "client_id", "scope", "scopes", "user_id"] {
        assert!(read(&json!({ claim: null })).is_ok(), "{claim}");
    }
}

#[test]
fn a_claim_of_a_wrong_type_is_refused() {
    let texts = [json!(1), json!(true), json!([]), json!({}), json!(["a"]), json!(1.5)];
    for claim in ["iss", "sub", "user_id", "jti", "client_id", "scope", "policy_name"] {
        for value in &texts {
            assert_eq!(read(&json!({ claim: value })).unwrap_err().claim, claim, "{value}");
        }
    }
    let times = [
        json!("2000000000"),
        json!("never"),
        json!(true),
        json!([]),
        json!({}),
        json!([2_000_000_000]),
        json!(2e9),
        json!(2_000_000_000.5),
        json!(-1),
        json!(-0.0),
        json!(1e300),
        json!(253_402_300_800_u64),
        json!(1_u64 << 63),
        json!(u64::MAX),
        json!(i64::MIN),
    ];
    for claim in ["exp", "iat", "nbf"] {
        for value in &times {
            assert_eq!(read(&json!({ claim: value })).unwrap_err().claim, claim, "{value}");
        }
        let null = {
            let mut payload = payload();
            payload[claim] = Value::Null;
            payload
        };
        assert_eq!(read_as(Profile::AtJwt, &null).unwrap_err().claim, claim, "null is not left out");
        assert!(read(&json!({ claim: 253_402_300_799_u64 })).is_ok() && read(&json!({ claim: 0 })).is_ok());
    }
    for value in
        [json!(1), json!(true), json!({}), json!([]), json!([1]), json!(["a", null]), json!(""), json!([""])]
    {
        assert_eq!(read(&json!({ "aud": value })).unwrap_err().claim, "aud", "{value}");
    }
    for value in
        [json!("mcp:read"), json!(1), json!({}), json!([1]), json!(["a b"]), json!([""]), json!(["é"])]
    {
        assert_eq!(read(&json!({ "scopes": value, "scope": null })).unwrap_err().claim, "scopes", "{value}");
    }
    for value in [json!(0), json!(-1), json!(1.5), json!("3"), json!(4_294_967_296_u64)] {
        assert_eq!(read(&json!({ "max_uses": value })).unwrap_err().claim, "max_uses", "{value}");
    }
}

#[test]
fn names_are_neither_empty_nor_endless() {
    assert!(read(&json!({"iss": "i".repeat(1024)})).is_ok());
    for value in [String::new(), "i".repeat(1025)] {
        assert_eq!(read(&json!({ "iss": value })).unwrap_err().claim, "iss");
    }
    for value in ["", " ana", "a\u{202e}na", &"a".repeat(321)] {
        assert_eq!(read(&json!({"sub": value, "user_id": null})).unwrap_err().claim, "sub");
    }
    assert_eq!(read(&json!({"jti": "abc"})).unwrap_err().claim, "jti", "our own are known by their form");
}

#[test]
fn what_is_said_twice_is_said_alike() {
    assert_eq!(read(&json!({"user_id": "eve"})).unwrap_err().claim, "user_id");
    assert_eq!(read(&json!({"scopes": ["mcp:read"]})).unwrap_err().claim, "scopes");
    assert_eq!(read(&json!({"scopes": ["mcp:*", "mcp:read", "tools:call"]})).unwrap_err().claim, "scopes");
    assert_eq!(
        read(&json!({"scope": "mcp:read  tools:call"})).unwrap_err().claim,
        "scope",
        "one space between"
    );
    assert!(read(&json!({"scope": "tools:call mcp:read mcp:read"})).is_ok());
}

#[test]
fn a_proof_that_is_not_understood_is_refused() {
    let digest = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let confirmed = read(&json!({"cnf": {"x5t#S256": digest}})).unwrap().confirmation.unwrap();
    assert!(confirmed.jkt.is_none() && confirmed.certificate.is_some());
    for value in [
        json!("x"),
        json!({}),
        json!({"jwk": {}}),
        json!({"jkt": digest, "kid": "a"}),
        json!({"jkt": "AA"}),
        json!({"jkt": 1}),
    ] {
        assert_eq!(read(&json!({ "cnf": value })).unwrap_err().claim, "cnf", "{value}");
    }
}

#[test]
fn the_document_s_own_tokens_are_read_in_the_legacy_profile_alone() {
    let token = json!({"user_id": "ana", "scopes": ["mcp:read"], "iat": 1_999_999_000.25, "exp": 2_000_000_000.75, "jti": "x-1"});
    let claims = read_as(Profile::Legacy, &token).unwrap();
    assert_eq!((claims.subject.as_str(), claims.issuer.as_deref()), ("ana", None));
    assert_eq!(claims.expires_at, Timestamp::from_millis(2_000_000_000_750));
    assert_eq!(claims.id, TokenId::of("", "x-1"));
    assert_eq!(claims.scopes, ["mcp:read"]);
    for profile in [Profile::AtJwt, Profile::Oidc] {
        assert!(read_as(profile, &token).is_err(), "{profile}");
    }
    for (claim, value) in [
        ("exp", json!(-1.5)),
        ("exp", json!(1e12)),
        ("iat", json!("1")),
        ("user_id", json!(1)),
        ("scopes", json!("a")),
    ] {
        let mut token = token.clone();
        token[claim] = value;
        assert_eq!(read_as(Profile::Legacy, &token).unwrap_err().claim, claim);
    }
}

#[test]
fn an_identity_provider_names_things_its_own_way() {
    let names = ClaimNames {
        subject: "email".into(),
        scopes: vec!["scp".into()],
        prefix: "corp/".into(),
        ..ClaimNames::default()
    };
    let token = |scopes: Value| {
        let mut token = json!({"iss": "https://idp", "sub": "0001", "email": "ana@example.org", "aud": "x", "exp": 2_000_000_000,
            "iat": 1_999_999_000, "policy": "their own", "user_id": 7, "scopes": 1, "max_uses": "many"});
        token["scp"] = scopes;
        token
    };
    let read = |token: &Value| Claims::read(token.as_object().unwrap(), Profile::Oidc, &names, false);
    let claims = read(&token(json!("api://x/read openid"))).unwrap();
    assert_eq!(claims.subject.as_str(), "corp/ana@example.org");
    assert_eq!(claims.scopes, ["api://x/read", "openid"]);
    assert_eq!((claims.bound, claims.max_uses, claims.policy), (None, None, None));
    assert_eq!(read(&token(json!(["a", "b"]))).unwrap().scopes, ["a", "b"]);
    assert_ne!(read(&token(json!("a"))).unwrap().id, read(&token(json!("b"))).unwrap().id, "no jti");
    assert!(read(&token(json!(1))).unwrap().scopes.is_empty(), "no names at all");
}

/// A token of a registered issuer, and what is read of it under either profile of these.
fn foreign(changes: &Value) -> Value {
    let mut token = json!({"iss": "https://idp", "sub": "8b1f", "aud": "mcp", "exp": 2_000_000_000, "iat": 1_999_999_000,
        "jti": "j", "scope": "mcp:read"});
    token.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    token
}

fn read_foreign(profile: Profile, names: &ClaimNames, changes: &Value) -> Result<Claims, BadClaims> {
    Claims::read(foreign(changes).as_object().unwrap(), profile, names, false)
}

#[test]
fn what_does_not_concern_us_makes_no_token_of_others_malformed() {
    let names = ClaimNames::default();
    for changes in [
        json!({"user_id": 7}),
        json!({"user_id": "another"}),
        json!({"policy": "their own"}),
        json!({"policy": ["a"]}),
        json!({"max_uses": "many"}),
        json!({"client_id": 7, "policy_name": 1, "scopes": "x y"}),
        json!({"client_id": ""}),
        json!({"nbf": null, "client_id": null, "cnf": null, "policy": null, "max_uses": null, "scopes": null}),
        json!({"auth_time": "2026-01-01", "updated_at": "x", "acr": 1, "azp": [], "email_verified": "true"}),
        json!({"aud": ["mcp", "", "x".repeat(2000)]}),
        json!({"exp": 2_000_000_000.75, "iat": 1.999_999e9, "nbf": 1_999_999_000.5}),
        json!({"scope": ["mcp:read"]}),
        json!({"scope": "mcp:read  openid "}),
        json!({"scope": ["mcp:read", "Domain Users", "Köln", "", 7, null, "a\"b"]}),
    ] {
        for profile in [Profile::AtJwt, Profile::Oidc] {
            let claims = read_foreign(profile, &names, &changes);
            let claims = claims.unwrap_or_else(|bad| panic!("{profile} {changes}: {bad}"));
            assert_eq!(claims.scopes.first().map(String::as_str), Some("mcp:read"), "{changes}");
            assert_eq!((claims.bound, claims.max_uses, claims.confirmation), (None, None, None), "{changes}");
        }
    }
    // What does concern us.
    for (changes, claim) in [
        (json!({"iss": 1}), "iss"),
        (json!({"sub": null}), "sub"),
        (json!({"sub": 7}), "sub"),
        (json!({"sub": "a".repeat(321)}), "sub"),
        (json!({"exp": null}), "exp"),
        (json!({"exp": "2000000000"}), "exp"),
        (json!({"exp": -1}), "exp"),
        (json!({"exp": 1e300}), "exp"),
        (json!({"nbf": "x"}), "nbf"),
        (json!({"aud": null}), "aud"),
        (json!({"aud": []}), "aud"),
        (json!({"aud": [7]}), "aud"),
        (json!({"aud": {}}), "aud"),
        (json!({"cnf": {"kid": "x"}}), "cnf"),
    ] {
        for profile in [Profile::AtJwt, Profile::Oidc] {
            assert_eq!(
                read_foreign(profile, &names, &changes).unwrap_err().claim,
                claim,
                "{profile} {changes}"
            );
        }
    }
    let other_home = json!({"policy": {"allowed_endpoints": ["tools/list"]}, "max_uses": 1});
    let claims = read_foreign(Profile::AtJwt, &names, &other_home).unwrap();
    assert!(claims.bound.is_some() && claims.max_uses.is_some(), "another home of ours means what it says");
    assert_eq!(
        read_foreign(Profile::AtJwt, &names, &json!({"policy": {"x": 1}})).unwrap_err().claim,
        "policy"
    );
    assert_eq!(read_foreign(Profile::AtJwt, &names, &json!({"jti": 7})).unwrap_err().claim, "jti");
    assert!(read_foreign(Profile::Oidc, &names, &json!({"jti": 7})).is_ok());
}

#[test]
fn a_token_without_its_moment_of_issue_counts_from_its_beginning() {
    let names = ClaimNames::default();
    let read = |changes: Value| read_foreign(Profile::Oidc, &names, &changes);
    let claims = read(json!({"iat": null, "nbf": 1_999_999_500})).unwrap();
    assert_eq!(claims.issued_at, Timestamp::from_millis(1_999_999_500_000));
    assert_eq!(read(json!({"iat": null})).unwrap_err().claim, "iat");
    assert_eq!(
        read_foreign(Profile::AtJwt, &names, &json!({"iat": null, "nbf": 1})).unwrap_err().claim,
        "iat"
    );
}

#[test]
fn subjects_of_others_have_the_255_characters_that_they_may_have() {
    let prefix = "p".repeat(64);
    let names = ClaimNames { prefix: prefix.clone(), ..ClaimNames::default() };
    for (length, names) in [(129, &ClaimNames::default()), (255, &ClaimNames::default()), (255, &names)] {
        let sub = "s".repeat(length);
        let claims = read_foreign(Profile::Oidc, names, &json!({ "sub": sub })).unwrap();
        assert_eq!(claims.subject.as_str(), format!("{}{sub}", names.prefix));
    }
}

#[test]
fn scopes_are_in_every_claim_that_is_named_and_an_audience_may_be() {
    let several = |claims: &[&str]| ClaimNames {
        scopes: claims.iter().map(|&claim| claim.to_owned()).collect(),
        ..ClaimNames::default()
    };
    let token = json!({"scope": null, "scp": "mcp:read openid", "roles": ["tools:call", "mcp:read"],
        "realm_access": {"roles": ["a", "b"]}, "urn:roles": {"admin": {"1": "x"}, "user": {}}, "groups": 7});
    for (claims, expected) in [
        (&["scp"][..], &["mcp:read", "openid"][..]),
        (&["scp", "roles"], &["mcp:read", "openid", "tools:call"]),
        (&["/realm_access/roles", "roles"], &["a", "b", "tools:call", "mcp:read"]),
        (&["urn:roles"], &["admin", "user"]),
        (&["groups", "realm_access.roles", "/realm_access/none"], &[]),
    ] {
        let claims = read_foreign(Profile::Oidc, &several(claims), &token).unwrap();
        assert_eq!(claims.scopes, expected);
    }
    let names = ClaimNames { audience: Some("client_id".into()), ..ClaimNames::default() };
    let claims = read_foreign(Profile::Oidc, &names, &json!({"aud": null, "client_id": "5abc"})).unwrap();
    assert_eq!(claims.audience, ["5abc"]);
    let claims = read_foreign(Profile::Oidc, &names, &json!({"aud": "5abc", "client_id": "other"})).unwrap();
    assert_eq!(claims.audience, ["other"], "in the place of `aud`, and not beside it");
    let bad = read_foreign(Profile::Oidc, &names, &json!({"aud": "5abc"})).unwrap_err();
    assert!(bad.claim == "client_id" && bad.problem.contains("stands for the audience"), "{bad}");
}

proptest! {
    #[test]
    fn no_payload_makes_the_reader_panic(claim in "(exp|iat|aud|scope|scopes|cnf|policy|jti|max_uses)", text in any::<String>(), number in any::<f64>()) {
        for value in [json!(text), json!(number), json!([text]), json!({ text.clone(): number })] {
            for profile in Profile::ALL {
                let _ = read_as(profile, &changed(&json!({ claim.clone(): value })));
            }
        }
    }
}
