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
        (json!({"key_ops": []}), Fault::KeyUse),
        (json!({"key_ops": "verify"}), Fault::KeyMember("key_ops")),
        (json!({"alg": "ES512"}), Fault::KeyAlgorithm),
        (json!({"alg": "ES384"}), Fault::KeyMismatch(Algorithm::Es384)),
        (json!({"alg": "HS256"}), Fault::KeyMismatch(Algorithm::Hs256)),
        (json!({"alg": null}), Fault::KeyMember("alg")),
        (json!({"kid": ""}), Fault::KeyMember("kid")),
        (json!({"kid": 7}), Fault::KeyMember("kid")),
        (json!({"kty": "ec"}), Fault::KeyType),
        (json!({"crv": "P-521"}), Fault::KeyCurve),
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
    assert_eq!(
        set(json!([ec(json!({"kid": "a"})), ec(json!({"kid": "a"}))])).unwrap_err(),
        Fault::SetDuplicate
    );
    let broken = ec(json!({"kid": "a", "x": "AA"}));
    assert_eq!(set(json!([ec(json!({"kid": "a"})), broken])).unwrap_err(), Fault::SetDuplicate);
    assert_eq!(set(json!([ec(json!({})), ec(json!({}))])).unwrap_err(), Fault::SetDuplicate, "one key twice");
    assert!(set(json!([ec(json!({"kid": "a"})), ec(json!({"kid": "a", "use": "enc"}))])).is_ok());
    assert_eq!(set(json!([ec(json!({})), secret.clone()])).unwrap_err(), Fault::SetMixed);
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
