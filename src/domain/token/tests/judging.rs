//! Each check, and the near miss.

use super::*;

#[test]
fn a_token_of_each_algorithm_is_believed() {
    let scene = Scene::with_every_algorithm();
    for signer in &scene.home {
        let token = signer.token(&signer.header("at+jwt"), &payload().to_string());
        assert_eq!(scene.reason(&token), None, "{}", signer.algorithm());
        let verified = authenticate(&token, &scene.trust, &scene.revocations, &scene.expected).unwrap();
        assert_eq!((verified.issuer, verified.kid.as_str()), (None, signer.algorithm().as_str()));
    }
}

#[test]
fn people_are_told_every_check_in_one_order() {
    let scene = Scene::new();
    let names = |verdict: &Verdict| verdict.checks.iter().map(|check| check.check).collect::<Vec<_>>();
    let all =
        ["form", "issuer", "key", "signature", "type", "claims", "begin", "end", "audience", "revocation"];
    let good = judge(&scene.token(&json!({})), &scene.trust, &scene.revocations, &scene.expected);
    assert_eq!(names(&good), all);
    let token = scene.token(&json!({"exp": NOW - 600, "aud": "https://elsewhere.example"}));
    let bad = judge(&token[..token.len() - 2], &scene.trust, &scene.revocations, &scene.expected);
    let failed: Vec<_> = bad.checks.iter().filter(|check| !check.passed).map(|check| check.check).collect();
    assert_eq!(
        (names(&bad).as_slice(), failed.as_slice()),
        (&all[..], &["signature", "end", "audience"][..])
    );
    assert_eq!(bad.reason, Some(Reason::BadSignature), "the first one counts");
    assert_eq!(bad.payload.unwrap()["sub"], "ana");
}

#[test]
fn time_has_its_bounds() {
    let scene = Scene::new();
    for (changes, reason) in [
        (json!({"exp": NOW - 29}), None),
        (json!({"exp": NOW - 30}), Some(Reason::Expired)),
        (json!({"nbf": NOW + 30}), None),
        (json!({"nbf": NOW + 31}), Some(Reason::NotYetValid)),
        (json!({"iat": NOW + 30}), None),
        (json!({"iat": NOW + 31, "nbf": null}), Some(Reason::NotYetValid)),
        (json!({"iat": NOW + 31}), Some(Reason::NotYetValid)),
        (json!({"nbf": null}), None),
    ] {
        assert_eq!(scene.reason(&scene.token(&changes)), reason, "{changes}");
    }
    let most = Expected::new(
        vec![RESOURCE.to_owned()],
        Duration::from_secs(3600),
        Timestamp::from_millis(NOW * 1000),
    );
    let judged = |exp: i64| {
        judge(&scene.token(&json!({ "exp": exp })), &scene.trust, &scene.revocations, &most).reason
    };
    assert_eq!(
        (judged(NOW - 59), judged(NOW - 60)),
        (None, Some(Reason::Expired)),
        "never more than a minute"
    );
}

#[test]
fn a_token_is_for_us_or_for_somebody_else() {
    let scene = Scene::new();
    for (aud, is_for_us) in [
        (json!(RESOURCE), true),
        (json!(["https://other.example", RESOURCE]), true),
        (json!("https://mcp.example/mcp/"), true),
        (json!("HTTPS://MCP.example:443/mcp"), true),
        (json!("https://mcp.example/MCP"), false),
        (json!("https://mcp.example/mcp2"), false),
        (json!("https://mcp.example"), false),
        (json!("http://mcp.example/mcp"), false),
        (json!("https://mcp.example/mcp?x"), false),
        (json!("https://mcp.example.evil.example/mcp"), false),
        (json!("https://other.example"), false),
        (json!("https://mcp.example/mcp "), false),
        (json!("https://mcp.example/mcp\t"), false),
        (json!("https://mcp.example/x/../mcp"), false),
        (json!("https:\\\\mcp.example\\mcp"), false),
        (json!("https://eve@mcp.example/mcp"), false),
        (json!("https://mcp.example/mcp#x"), false),
    ] {
        let reason = scene.reason(&scene.token(&json!({ "aud": aud })));
        assert_eq!(reason, (!is_for_us).then_some(Reason::WrongAudience), "{aud}");
    }
}

#[test]
fn an_issuer_is_believed_under_its_own_name_alone() {
    let scene = Scene::new();
    assert_eq!(
        scene.reason(&scene.token(&json!({"iss": "urn:portcullis:1"}))),
        None,
        "the home's other name"
    );
    for iss in ["https://mcp.example/", "HTTPS://mcp.example", "https://nobody.example"] {
        assert_eq!(scene.reason(&scene.token(&json!({ "iss": iss }))), Some(Reason::WrongIssuer), "{iss}");
    }
    // The home's key under the name of another issuer, which has none of that name.
    assert_eq!(scene.reason(&scene.token(&json!({"iss": IDP}))), Some(Reason::BadSignature));
    assert_eq!(scene.reason(&scene.token(&json!({"iss": 1}))), Some(Reason::Malformed));

    let idp = |typ: Option<&str>, payload: Value| {
        let mut header = scene.idp.header("JWT");
        match typ {
            None => _ = header.as_object_mut().unwrap().remove("typ"),
            Some(typ) => header["typ"] = typ.into(),
        }
        scene.idp.token(&header, &payload.to_string())
    };
    let claims = json!({"iss": IDP, "sub": "ana", "aud": RESOURCE, "exp": NOW + 60, "iat": NOW});
    for typ in [None, Some("JWT"), Some("at+jwt")] {
        assert_eq!(scene.reason(&idp(typ, claims.clone())), None, "{typ:?}");
    }
    for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", ""] {
        assert_eq!(scene.reason(&idp(Some(typ), claims.clone())), Some(Reason::Malformed), "{typ}");
    }
    // An identity provider says that it is the home.
    assert_eq!(scene.reason(&idp(None, changed(&json!({})))), Some(Reason::UnknownCredential));
}

#[test]
fn the_document_s_own_tokens_come_from_the_legacy_issuer() {
    let scene = Scene::new();
    let claims = json!({"user_id": "ana", "scopes": ["mcp:read"], "iat": NOW as f64 - 0.5, "exp": NOW as f64 + 60.5, "jti": "x"});
    // As PyJWT writes it: no `kid`.
    let token =
        |claims: &Value| scene.legacy.token(&json!({"alg": "HS256", "typ": "JWT"}), &claims.to_string());
    assert_eq!(scene.reason(&token(&claims)), None);
    let mut without = claims.clone();
    without.as_object_mut().unwrap().remove("exp");
    assert_eq!(scene.reason(&token(&without)), Some(Reason::Malformed), "no token without an end");
    let mut elsewhere = claims.clone();
    elsewhere["aud"] = "https://other.example".into();
    assert_eq!(scene.reason(&token(&elsewhere)), Some(Reason::WrongAudience));
    let mut named = claims;
    named["iss"] = HOME.into();
    assert_eq!(scene.reason(&token(&named)), Some(Reason::BadSignature), "the home has another secret");
}

#[test]
fn a_token_of_this_home_says_that_it_is_an_access_token() {
    let scene = Scene::new();
    let signer = scene.signer(Algorithm::EdDsa);
    for (typ, reason) in [
        ("at+jwt", None),
        ("application/at+jwt", None),
        ("JWT", Some(Reason::Malformed)),
        ("dpop+jwt", Some(Reason::Malformed)),
    ] {
        assert_eq!(scene.reason(&signer.token(&signer.header(typ), &payload().to_string())), reason, "{typ}");
    }
}

#[test]
fn a_key_proves_nothing_after_its_end() {
    let mut scene = Scene::new();
    let token = scene.token(&json!({}));
    let mut issuers = scene.trust.issuers().to_vec();
    for (until, reason) in [(NOW + 1, None), (NOW, Some(Reason::UnknownCredential))] {
        for trusted in &mut issuers[0].keys {
            trusted.until = Some(Timestamp::from_millis(until * 1000));
        }
        scene.trust = Trust::new(issuers.clone()).unwrap();
        assert_eq!(scene.reason(&token), reason);
    }
}

#[test]
fn issuers_are_told_from_each_other() {
    let scene = Scene::new();
    let issuers = scene.trust.issuers();
    let with = |change: &dyn Fn(&mut Vec<TrustedIssuer>)| {
        let mut issuers = issuers.to_vec();
        change(&mut issuers);
        Trust::new(issuers).err()
    };
    assert_eq!(with(&|_| ()), None);
    assert_eq!(with(&|issuers| issuers[1].iss.push(HOME.into())), Some(BadTrust::SharedName));
    assert_eq!(with(&|issuers| issuers[1].iss.clear()), Some(BadTrust::Nameless));
    assert_eq!(with(&|issuers| issuers.push(issuers[2].clone())), Some(BadTrust::Nameless));
    assert_eq!(
        with(&|issuers| {
            let key = issuers[1].keys[0].clone();
            issuers[1].keys.push(key);
        }),
        Some(BadTrust::SharedKid)
    );
}

#[test]
fn a_key_of_one_name_is_chosen_by_its_algorithm() {
    let mut scene = Scene::new();
    let (one, two, stranger) = (
        Signer::new(Algorithm::Es384, "k"),
        Signer::new(Algorithm::Es512, "k"),
        Signer::new(Algorithm::Es512, "k"),
    );
    let mut issuers = scene.trust.issuers().to_vec();
    issuers[1].keys = [&one, &two].map(|signer| TrustedKey { key: signer.key(), until: None }).into();
    issuers[1].algorithms = vec![Algorithm::Es384, Algorithm::Es512, Algorithm::Es256];
    scene.trust = Trust::new(issuers.clone()).unwrap();
    let claims = json!({"iss": IDP, "sub": "ana", "aud": RESOURCE, "exp": NOW + 60, "iat": NOW}).to_string();
    let by = |signer: &Signer, alg: Algorithm| signer.token(&json!({"alg": alg, "kid": "k"}), &claims);
    assert_eq!(scene.reason(&by(&one, Algorithm::Es384)), None);
    assert_eq!(scene.reason(&by(&two, Algorithm::Es512)), None);
    assert_eq!(scene.reason(&by(&stranger, Algorithm::Es512)), Some(Reason::BadSignature));
    assert_eq!(
        scene.reason(&by(&one, Algorithm::Es512)),
        Some(Reason::BadSignature),
        "the other key's algorithm"
    );
    assert_eq!(
        scene.reason(&by(&one, Algorithm::Es256)),
        Some(Reason::BadSignature),
        "the name is there, for others"
    );
    // What was believed by one of them falls with that one.
    let verified =
        authenticate(&by(&two, Algorithm::Es512), &scene.trust, &scene.revocations, &scene.expected).unwrap();
    assert_eq!(verified.still_holds(&scene.trust, &scene.revocations, &scene.expected), Ok(()));
    issuers[1].keys.pop();
    let fewer = Trust::new(issuers).unwrap();
    assert_eq!(
        verified.still_holds(&fewer, &scene.revocations, &scene.expected).map_err(|failed| failed.reason),
        Err(Reason::UnknownCredential)
    );
}

#[test]
fn a_key_that_was_given_without_a_name_is_meant_by_whatever_a_token_calls_it() {
    let mut scene = Scene::new();
    let (one, two) = (Signer::new(Algorithm::Es384, "x"), Signer::new(Algorithm::Es384, "y"));
    let nameless = |signer: &Signer| {
        let key = signer.key();
        let thumbprint = key.thumbprint().to_owned();
        TrustedKey { key: key.with_kid(thumbprint), until: None }
    };
    let claims = json!({"iss": IDP, "sub": "ana", "aud": RESOURCE, "exp": NOW + 60, "iat": NOW}).to_string();
    let token = |kid: Option<&str>| one.token(&json!({"alg": "ES384", "kid": kid}), &claims);
    let named = TrustedKey { key: two.key().with_kid("y"), until: None };
    for (keys, kid, reason) in [
        (vec![nameless(&one)], Some("k1"), None),
        (vec![nameless(&one)], None, None),
        (vec![nameless(&two)], Some("k1"), Some(Reason::BadSignature)),
        (vec![nameless(&one), nameless(&two)], Some("k1"), Some(Reason::UnknownCredential)),
        (vec![nameless(&one), named.clone()], Some("k1"), None),
        (vec![nameless(&one), named.clone()], Some("y"), Some(Reason::BadSignature)),
        (vec![named], Some("k1"), Some(Reason::UnknownCredential)),
    ] {
        let mut issuers = scene.trust.issuers().to_vec();
        let told = format!("{} keys, {kid:?}", keys.len());
        (issuers[1].keys, issuers[1].algorithms) = (keys, vec![Algorithm::Es384]);
        scene.trust = Trust::new(issuers).unwrap();
        assert_eq!(scene.reason(&token(kid)), reason, "{told}");
    }
}

#[test]
fn a_claim_that_cannot_be_held_is_no_matter_unless_it_counts() {
    let scene = Scene::new();
    let claims = json!({"iss": IDP, "sub": "ana", "aud": RESOURCE, "exp": NOW + 60, "iat": NOW, "name": "x"})
        .to_string();
    let with = |claim: &str, text: &str| {
        let claims = match claim {
            "name" => claims.replace(r#""name":"x""#, &format!(r#""name":{text}"#)),
            claim => claims.replace(r#""name":"x""#, &format!(r#""{claim}":{text}"#)),
        };
        scene.reason(&scene.idp.token(&json!({"alg": "ES256", "kid": "idp-1"}), &claims))
    };
    for text in ["1e400", r#""Ana \ud83d""#, r#"{"a":[1e999]}"#, "null"] {
        assert_eq!(with("name", text), None, "{text}");
    }
    for claim in ["nbf", "cnf"] {
        for text in ["1e400", r#""\ud83d""#] {
            assert_eq!(with(claim, text), Some(Reason::Malformed), "{claim} {text}");
        }
    }
    assert_eq!(
        with("name", r#"{"a":1,"a":2}"#),
        Some(Reason::Malformed),
        "what two readers could read differently"
    );
    assert_eq!(with("sub", r#""ana""#), Some(Reason::Malformed), "a name stands once");
}

#[test]
fn an_api_key_where_a_token_is_expected_is_called_what_it_is() {
    let scene = Scene::new();
    let judged = |text: &str| judge(text, &scene.trust, &scene.revocations, &scene.expected);
    let key = judged("pcl_live_abc_def");
    assert_eq!((key.reason, key.checks.len()), (Some(Reason::Malformed), 1));
    assert!(key.checks[0].detail.contains("`portcullis key verify`"), "{:?}", key.checks);
    for near in ["pcl", "x.pcl_live.y", "hello"] {
        assert!(!judged(near).checks[0].detail.contains("API key"), "{near}");
    }
}

#[test]
fn nobody_is_believed_where_nobody_is_trusted() {
    let scene = Scene::new();
    let verdict = judge(&scene.token(&json!({})), &Trust::default(), &scene.revocations, &scene.expected);
    assert_eq!(verdict.reason, Some(Reason::WrongIssuer));
}

#[test]
fn a_legacy_issuer_with_an_audience_demands_it() {
    let mut scene = Scene::new();
    let claims = json!({"user_id": "ana", "scopes": ["mcp:read"], "iat": NOW, "exp": NOW + 60, "jti": "x"});
    let token = |scene: &Scene, aud: Option<&str>| {
        let mut claims = claims.clone();
        if let Some(aud) = aud {
            claims["aud"] = aud.into();
        }
        scene.legacy.token(&json!({"alg": "HS256", "typ": "JWT"}), &claims.to_string())
    };
    assert_eq!(scene.reason(&token(&scene, None)), None, "where nothing is demanded");
    let mut issuers = scene.trust.issuers().to_vec();
    issuers
        .iter_mut()
        .filter(|issuer| issuer.iss.is_empty())
        .for_each(|old| old.audiences = vec!["old".into()]);
    scene.trust = Trust::new(issuers).unwrap();
    for (aud, reason) in [
        (None, Some(Reason::WrongAudience)),
        (Some(RESOURCE), Some(Reason::WrongAudience)),
        (Some("old "), Some(Reason::WrongAudience)),
        (Some("old"), None),
    ] {
        assert_eq!(scene.reason(&token(&scene, aud)), reason, "{aud:?}");
    }
}

/// A scene in which corp's subjects have a prefix, and a token of each of the two registered issuers for a subject.
fn prefixed() -> (Scene, impl Fn(&Scene, &str) -> [String; 2]) {
    let mut scene = Scene::new();
    let mut issuers = scene.trust.issuers().to_vec();
    issuers[1].names.prefix = "corp/".into();
    scene.trust = Trust::new(issuers).unwrap();
    let tokens = |scene: &Scene, subject: &str| {
        let of_corp = json!({"iss": IDP, "sub": subject, "aud": RESOURCE, "exp": NOW + 60, "iat": NOW});
        let of_old =
            json!({"user_id": subject, "scopes": ["mcp:read"], "iat": NOW, "exp": NOW + 60, "jti": "x"});
        [
            scene.idp.token(&scene.idp.header("JWT"), &of_corp.to_string()),
            scene.legacy.token(&json!({"alg": "HS256", "typ": "JWT"}), &of_old.to_string()),
        ]
    };
    (scene, tokens)
}

#[test]
fn no_other_issuer_names_a_subject_with_the_prefix_of_one() {
    let (mut scene, tokens) = prefixed();
    let [of_corp, of_old] = tokens(&scene, "corp/ana");
    assert_eq!(scene.reason(&of_corp), None, "its own corp/corp/ana");
    assert_eq!(scene.reason(&of_old), Some(Reason::Malformed));
    let [_, near] = tokens(&scene, "corporal");
    assert_eq!(scene.reason(&near), None);

    // One that was believed before the prefix was given.
    let with = scene.trust.clone();
    let mut issuers = with.issuers().to_vec();
    issuers[1].names.prefix.clear();
    scene.trust = Trust::new(issuers).unwrap();
    let verified = authenticate(&of_old, &scene.trust, &scene.revocations, &scene.expected).unwrap();
    assert_eq!(
        verified.still_holds(&with, &scene.revocations, &scene.expected).map_err(|failed| failed.reason),
        Err(Reason::Malformed)
    );
}

#[test]
fn a_subject_that_was_revoked_stays_so_under_a_prefix() {
    let (mut scene, tokens) = prefixed();
    let revoked = |subject: &str| Revocation::Subject {
        whose: Whose::Anyone,
        subject: subject.parse().unwrap(),
        until: Timestamp::from_millis(NOW * 1000),
    };
    let [token, _] = tokens(&scene, "ana");
    for (subject, reason) in [
        ("ana", Some(Reason::Revoked)),
        ("corp/ana", Some(Reason::Revoked)),
        ("eve", None),
        ("a", None),
        ("other/ana", None),
    ] {
        scene.revocations = [revoked(subject)].into_iter().collect();
        assert_eq!(scene.reason(&token), reason, "{subject}");
    }
}
