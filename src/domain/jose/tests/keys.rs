//! Keys that are refused, and how a key is written.

use serde_json::json;

use super::*;

const P256: (&str, &str) =
    ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");

fn ec(extra: Value) -> Value {
    let mut jwk = json!({"kty": "EC", "crv": "P-256", "x": P256.0, "y": P256.1});
    jwk.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    jwk
}

#[test]
fn a_public_key_is_written_as_it_is_read() {
    let ec = key(ec(json!({"kid": "a"}))).unwrap();
    let ed = key(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
        .unwrap();
    for key in [ec, ed] {
        let jwk = key.to_jwk().unwrap();
        assert_eq!(VerifyingKey::from_jwk(&jwk.to_string(), None), Ok(key.clone()));
        assert_eq!(jwk["use"], "sig");
        let pem = key.to_pem().unwrap();
        assert!(
            pem.starts_with("-----BEGIN PUBLIC KEY-----\n") && pem.ends_with("-----END PUBLIC KEY-----\n"),
            "{pem}"
        );
        assert_eq!(VerifyingKey::from_pem(&pem, None), Ok(key.clone().with_kid(key.thumbprint())));
        assert_eq!(
            VerifyingKey::from_pem(&pem, Some(Algorithm::Hs256)),
            Err(Fault::KeyMismatch(Algorithm::Hs256))
        );
        assert_eq!(VerifyingKey::from_pem(&pem.repeat(2), None), Err(Fault::Pem), "two keys are not one");
        let private = pem.replace("PUBLIC", "PRIVATE");
        assert_eq!(VerifyingKey::from_pem(&private, None), Err(Fault::KeyPrivate));
        let secret = VerifyingKey::hmac(pem.as_bytes(), Algorithm::Hs256);
        assert_eq!(secret, Err(Fault::KeyMismatch(Algorithm::Hs256)), "a public key is no secret");
    }
}

#[test]
fn a_key_says_what_it_is_for() {
    assert!(key(ec(json!({"use": "sig", "key_ops": ["verify"], "alg": "ES256"}))).is_ok());
    for (extra, fault) in [
        (json!({"use": "enc"}), Fault::KeyUse),
        (json!({"use": 1}), Fault::KeyMember("use")),
        (json!({"key_ops": ["sign"]}), Fault::KeyUse),
        (json!({"key_ops": ["encrypt"]}), Fault::KeyUse),
        (json!({"key_ops": "verify"}), Fault::KeyMember("key_ops")),
        (json!({"alg": "ES521"}), Fault::KeyAlgorithm),
        (json!({"alg": "ES512"}), Fault::KeyMismatch(Algorithm::Es512)),
        (json!({"alg": "Ed25519"}), Fault::KeyMismatch(Algorithm::EdDsa)),
        (json!({"alg": "ES384"}), Fault::KeyMismatch(Algorithm::Es384)),
        (json!({"alg": "HS256"}), Fault::KeyMismatch(Algorithm::Hs256)),
        (json!({"alg": 7}), Fault::KeyMember("alg")),
        (json!({"kid": ""}), Fault::KeyMember("kid")),
        (json!({"kid": [7]}), Fault::KeyMember("kid")),
        (json!({"kid": "k".repeat(257)}), Fault::KeyMember("kid")),
        (json!({"kty": "ec"}), Fault::KeyType),
        (json!({"crv": "P-256K"}), Fault::KeyCurve),
        (json!({"crv": "P-521"}), Fault::KeyMember("x")),
        (json!({"crv": "P-384"}), Fault::KeyMember("x")),
        (json!({"x": P256.1}), Fault::KeyPoint),
        (json!({"x": format!("{}=", P256.0)}), Fault::KeyMember("x")),
        (json!({"d": "AA"}), Fault::KeyPrivate),
    ] {
        assert_eq!(key(ec(extra.clone())), Err(fault), "{extra}");
    }
    assert_eq!(VerifyingKey::from_jwk(r#"{"kty":"EC","kty":"oct"}"#, None), Err(Fault::KeyJson));
}

#[test]
fn a_private_key_is_taken_only_by_who_asks_for_it() {
    let private =
        ec(json!({"d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI", "key_ops": ["sign"]})).to_string();
    assert_eq!(VerifyingKey::from_jwk(&private, None), Err(Fault::KeyPrivate));
    let key = VerifyingKey::from_private_jwk(&private, None).unwrap();
    assert!(!key.to_jwk().unwrap().to_string().contains("\"d\""));
    assert!(!format!("{key:?}").contains("jpsQ"));
}

#[test]
fn a_weak_key_is_refused() {
    let rsa = |bytes: usize, e: &str| {
        let mut n = vec![0xc5; bytes];
        n[bytes - 1] = 0xc7;
        key(json!({"kty": "RSA", "alg": "RS256", "n": base64::encode(n), "e": e}))
    };
    assert!(rsa(256, "AQAB").is_ok() && rsa(1024, "AQAB").is_ok());
    for bytes in [128, 255, 1025] {
        assert_eq!(rsa(bytes, "AQAB"), Err(Fault::RsaSize), "{bytes}");
    }
    // 1, 3, 17, 65535, 65538, 2^32 + 1; and with a zero before it.
    for e in ["AQ", "Aw", "EQ", "__8", "AQAC", "AQAAAAE"] {
        assert_eq!(rsa(256, e), Err(Fault::RsaExponent), "{e}");
    }
    assert_eq!(rsa(256, "AAEAAQ"), Err(Fault::KeyMember("e")));
    let even = json!({"kty": "RSA", "alg": "RS256", "n": base64::encode([0xc4; 256]), "e": "AQAB"});
    assert_eq!(key(even), Err(Fault::RsaSize));

    let identity =
        json!({"kty": "OKP", "crv": "Ed25519", "x": base64::encode([&[1][..], &[0; 31]].concat())});
    assert_eq!(key(identity), Err(Fault::KeyPoint));
    assert_eq!(
        key(json!({"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})),
        Err(Fault::KeyCurve)
    );

    for (algorithm, length) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        assert!(VerifyingKey::hmac(&vec![7; length], algorithm).is_ok());
        assert_eq!(VerifyingKey::hmac(&vec![7; length - 1], algorithm), Err(Fault::SecretShort(algorithm)));
    }
}

/// Another key on the same curve (RFC 7517 A.1).
fn other(kid: &str) -> Value {
    let (x, y) =
        ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
    ec(json!({"kid": kid, "x": x, "y": y}))
}

/// RSA of 2048 bits, sound as far as anybody can see.
fn rsa(extra: Value) -> Value {
    let mut n = vec![0xc5; 256];
    n[255] = 0xc7;
    let mut jwk = json!({"kty": "RSA", "n": base64::encode(n), "e": "AQAB"});
    jwk.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    jwk
}

#[test]
fn what_others_write_beside_a_key_is_no_matter() {
    // As Microsoft's JsonWebKey writes what it does not know.
    let wordy = json!({"kid": "a", "alg": null, "use": "sig", "d": null, "dp": null, "dq": null, "oth": [], "p": null, "q": null,
        "qi": null, "key_ops": [], "x5c": [], "x5t": null, "x5t#S256": null, "nbf": 1_700_000_000, "exp": 1.5e9, "https://x": {"y": [1]}});
    assert!(key(ec(wordy)).is_ok());
    for extra in [json!({"d": ""}), json!({"d": 1}), json!({"oth": [{}]}), json!({"key_ops": ["encrypt"]})] {
        assert!(key(ec(extra.clone())).is_err(), "{extra}");
    }
    let set = |keys: Value| {
        KeySet::parse(
            &json!({ "keys": keys, "x": null }).to_string(),
            PrivatePart::Refuse,
            &[Algorithm::Rs256],
        )
    };
    let strange = json!([null, 7, "a", [], {}, ec(json!({"kid": 7})), {"kty": "AKP", "alg": "ML-DSA-44", "kid": "a"},
        {"kty": "OKP", "crv": "Ed448", "x": "AA", "kid": "a"}, rsa(json!({"alg": "RSA-OAEP", "kid": "a"})), ec(json!({"kid": "a"}))]);
    let read = set(strange).unwrap();
    let kids: Vec<_> = read.keys.iter().map(VerifyingKey::kid).collect();
    assert_eq!((kids, read.skipped.len()), (vec!["7", "a"], 8));
    assert_eq!(set(json!(null)).unwrap_err(), Fault::SetShape);
}

#[test]
fn one_key_may_be_published_for_several_algorithms_under_one_name() {
    let set = |keys: Value, fallback: &[Algorithm]| {
        KeySet::parse(&json!({ "keys": keys }).to_string(), PrivatePart::Refuse, fallback)
    };
    let header = |alg| Header { alg, typ: None, kid: Some("k".into()) };
    let named = |alg: &str| rsa(json!({"kid": "k", "alg": alg}));
    let curve = ec(json!({"kid": "k"}));
    let read =
        set(json!([named("RS256"), named("RS384"), named("PS256"), curve, named("RS256")]), &[]).unwrap();
    assert_eq!(read.keys.len(), 4);
    for algorithm in [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Ps256, Algorithm::Es256] {
        assert_eq!(read.key_for(&header(algorithm)).unwrap().algorithm(), algorithm);
    }
    let near = read.key_for(&header(Algorithm::Rs512)).unwrap();
    assert_ne!(near.algorithm(), Algorithm::Rs512, "a signature by that is for no key here");
    // One that names none is for those that are pinned.
    let plain = json!([rsa(json!({"kid": "k"})), named("RS256")]);
    let read = set(plain.clone(), &[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256]).unwrap();
    assert_eq!(
        read.keys.iter().map(VerifyingKey::algorithm).collect::<Vec<_>>(),
        [Algorithm::Rs256, Algorithm::Ps256]
    );
    let none = set(plain, &[Algorithm::Es256]).unwrap();
    assert_eq!((none.keys.len(), none.skipped.as_slice()), (1, &[(0, Fault::AlgorithmNeeded)][..]));
}

#[test]
fn p_521_is_verified_and_written_as_it_is_read() {
    let jwk = json!({"kty": "EC", "crv": "P-521", "kid": "k1", "alg": "ES512",
        "x": "ARUmxcEyjbdaN8Q_o1_xveDlTRu9gCWQv-Ajxndt_zxvMkGEdsFNqyy5TUlrwwzEOqCslkXEUU7SW6NOxPbl689i",
        "y": "AS9U1ZHk3nU3naLRKgKTptrLWSe4iTGxj2aFxt5sr9Dd0Y7mPZXAfIEmcuX-f2I8rXwOydAv25Bf6yElnBO6gW56"});
    let key = key(jwk).unwrap();
    assert_eq!(VerifyingKey::from_jwk(&key.to_jwk().unwrap().to_string(), None), Ok(key.clone()));
    let pem = key.to_pem().unwrap();
    assert_eq!(VerifyingKey::from_pem(&pem, None), Ok(key.clone().with_kid(key.thumbprint())));
    assert_eq!(
        VerifyingKey::from_pem(&pem, Some(Algorithm::Es384)),
        Err(Fault::KeyMismatch(Algorithm::Es384))
    );
}

#[test]
fn a_set_holds_each_name_once_and_one_kind_of_key() {
    let set = |keys: Value| {
        KeySet::parse(&json!({ "keys": keys }).to_string(), PrivatePart::Refuse, &[Algorithm::Rs256])
    };
    let secret = json!({"kty": "oct", "alg": "HS256", "kid": "s", "k": base64::encode([1; 32])});
    let read =
        set(json!([ec(json!({"kid": "a"})), ec(json!({"kid": "b", "use": "enc"})), {"kty": "new"}])).unwrap();
    assert_eq!(read.keys.iter().map(VerifyingKey::kid).collect::<Vec<_>>(), ["a"]);
    assert_eq!(read.skipped, [(1, Fault::KeyUse), (2, Fault::KeyType)]);
    assert_eq!(set(json!([ec(json!({"kid": "a"})), other("a")])).unwrap_err(), Fault::SetDuplicate);
    assert_eq!(set(json!([ec(json!({"kid": "a"})), other("b")])).unwrap().keys.len(), 2);
    let broken = ec(json!({"kid": "a", "x": "AA"}));
    assert_eq!(
        set(json!([ec(json!({"kid": "a"})), broken])).unwrap().keys.len(),
        1,
        "for what it was is not known"
    );
    let broken = ec(json!({"kid": "a", "x": "AA", "alg": "ES256"}));
    assert_eq!(set(json!([ec(json!({"kid": "a"})), broken])).unwrap_err(), Fault::SetDuplicate);
    assert_eq!(set(json!([ec(json!({})), ec(json!({}))])).unwrap().keys.len(), 1, "one key twice");
    assert_eq!(set(json!([ec(json!({"kid": "a"})), ec(json!({"kid": "a"}))])).unwrap().keys.len(), 1);
    assert!(set(json!([ec(json!({"kid": "a"})), ec(json!({"kid": "a", "use": "enc"}))])).is_ok());
    let mixed = json!([ec(json!({})), secret.clone()]);
    assert_eq!(
        set(mixed.clone()).unwrap().skipped,
        [(1, Fault::KeyPrivate)],
        "a published secret is nobody's"
    );
    let own = KeySet::parse(&json!({ "keys": mixed }).to_string(), PrivatePart::Drop, &[]);
    assert_eq!(own.unwrap_err(), Fault::SetMixed);
    assert_eq!(set(json!({})).unwrap_err(), Fault::SetShape);
    assert!(set(json!([])).unwrap().keys.is_empty());
    let published = set(json!([secret])).unwrap();
    assert_eq!((published.keys.len(), published.skipped.as_slice()), (0, &[(0, Fault::KeyPrivate)][..]));
    let own = json!({ "keys": [secret] }).to_string();
    assert_eq!(KeySet::parse(&own, PrivatePart::Drop, &[]).unwrap().keys.len(), 1);

    let header = |kid: Option<&str>, alg| Header { alg, typ: None, kid: kid.map(str::to_owned) };
    let two = set(json!([ec(json!({"kid": "a"})), ec(json!({"kid": "b"}))])).unwrap();
    assert_eq!(two.key_for(&header(Some("b"), Algorithm::Es256)).unwrap().kid(), "b");
    for wrong in
        [header(Some("c"), Algorithm::Es256), header(None, Algorithm::Es256), header(None, Algorithm::Rs256)]
    {
        assert_eq!(two.key_for(&wrong), Err(Fault::SetNoKey), "{wrong:?}");
    }
    assert_eq!(read.key_for(&header(None, Algorithm::Es256)).unwrap().kid(), "a");
}
