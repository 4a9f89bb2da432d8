//! The classic attacks on tokens, each with the token that it was made from being believed.

use super::signer::hmac_with;
use super::*;
use crate::domain::jose::base64;

/// `header.payload.` and no signature.
fn unsigned(header: &str, payload: &str) -> String {
    format!("{}.{}.", base64::encode(header), base64::encode(payload))
}

#[test]
fn no_unsigned_token_in_any_spelling() {
    let scene = Scene::new();
    let payload = payload().to_string();
    for alg in ["none", "None", "NONE", "nOnE", "none ", "NoNe\u{0}", "n\u{f6}ne", ""] {
        for typ in ["at+jwt", "JWT"] {
            let header = json!({"alg": alg, "typ": typ, "kid": "EdDSA"}).to_string();
            assert_eq!(scene.reason(&unsigned(&header, &payload)), Some(Reason::Malformed), "{alg}");
        }
    }
    let token = scene.token(&json!({}));
    let (head, _) = token.rsplit_once('.').unwrap();
    assert_eq!(scene.reason(&format!("{head}.")), Some(Reason::BadSignature), "the signature cut off");
    assert_eq!(scene.reason(head), Some(Reason::Malformed));
}

#[test]
fn no_public_key_as_a_secret() {
    let scene = Scene::with_every_algorithm();
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa] {
        let signer = scene.signer(algorithm);
        let der = signer.der().unwrap();
        let pem = signer.key().to_pem().unwrap();
        let jwk = signer.key().to_jwk().unwrap().to_string();
        let trimmed = pem.trim_end().to_owned();
        let crlf = pem.replace('\n', "\r\n");
        for secret in [der.as_slice(), pem.as_bytes(), trimmed.as_bytes(), crlf.as_bytes(), jwk.as_bytes()] {
            for confused in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
                for kid in [Some(algorithm.as_str()), Some("HS256"), None] {
                    let mut header = json!({"alg": confused, "typ": "at+jwt"});
                    if let Some(kid) = kid {
                        header["kid"] = kid.into();
                    }
                    let input = format!(
                        "{}.{}",
                        base64::encode(header.to_string()),
                        base64::encode(payload().to_string())
                    );
                    let signature = base64::encode(hmac_with(confused, secret, input.as_bytes()));
                    assert_eq!(
                        scene.reason(&format!("{input}.{signature}")),
                        Some(Reason::BadSignature),
                        "{header}"
                    );
                }
            }
        }
    }
}

/// Each key signs under the name of each other, and says its own algorithm or the other's.
#[test]
fn a_key_is_for_its_own_algorithm() {
    let scene = Scene::with_every_algorithm();
    for signer in &scene.home {
        for other in scene.home.iter().filter(|other| other.algorithm() != signer.algorithm()) {
            for alg in [signer.algorithm(), other.algorithm()] {
                let header = json!({"alg": alg, "typ": "at+jwt", "kid": other.algorithm()});
                assert_eq!(
                    scene.reason(&signer.token(&header, &payload().to_string())),
                    Some(Reason::BadSignature),
                    "{header}"
                );
            }
        }
    }
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    let scene = Scene::new();
    let signer = scene.signer(Algorithm::EdDsa);
    let huge = "k".repeat(5000);
    for kid in [
        "",
        "../../../../dev/null",
        "..\\..\\nul",
        "/dev/null",
        "EdDSA\u{0}",
        "EdDSA ",
        "eddsa",
        "' OR '1'='1",
        "x' UNION SELECT 'AA';--",
        "https://evil.example/jwks.json",
        "|sleep 1",
        "${jndi:ldap://evil}",
        "EdDSA\n",
        "\u{202e}ASDdE",
        huge.as_str(),
    ] {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
        assert_eq!(
            scene.reason(&signer.token(&header, &payload().to_string())),
            Some(Reason::UnknownCredential),
            "{kid}"
        );
    }
    for kid in [json!(["EdDSA"]), json!({"$ne": ""}), json!(true)] {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
        assert_eq!(
            scene.reason(&signer.token(&header, &payload().to_string())),
            Some(Reason::Malformed),
            "{kid}"
        );
    }
    for (kid, reason) in [(json!(1), Some(Reason::UnknownCredential)), (json!(null), None)] {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
        assert_eq!(scene.reason(&signer.token(&header, &payload().to_string())), reason, "{kid}");
    }
}

#[test]
fn a_token_does_not_bring_its_own_key() {
    let scene = Scene::new();
    let thief = Signer::new(Algorithm::EdDsa, "EdDSA");
    let jwk = thief.key().to_jwk().unwrap();
    let der = base64::encode(thief.der().unwrap());
    let brought = [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!([der])),
        ("x5t", json!("AA")),
    ];
    for (name, value) in brought {
        let mut header = thief.header("at+jwt");
        header[name] = value;
        assert_eq!(
            scene.reason(&thief.token(&header, &payload().to_string())),
            Some(Reason::BadSignature),
            "{name}"
        );
        let honest = scene.signer(Algorithm::EdDsa).token(&header, &payload().to_string());
        assert_eq!(scene.reason(&honest), None, "{name} counts for nothing, not even against");
    }
}

/// CVE-2022-21449: zeros fit every message where nobody looks.
#[test]
fn no_psychic_signature() {
    let scene = Scene::new();
    let signer = scene.signer(Algorithm::Es256);
    let token = signer.token(&signer.header("at+jwt"), &payload().to_string());
    assert_eq!(scene.reason(&token), None);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let one = [&[0; 31][..], &[1]].concat();
    let halves = [vec![0; 32], one, order, vec![0xff; 32]];
    let mut forged: Vec<Vec<u8>> =
        halves.iter().flat_map(|a| halves.iter().map(|b| [a.as_slice(), b].concat())).collect();
    // ASN.1 in place of the two numbers side by side (RFC 7518 §3.4), with the right numbers.
    let integer = |n: &[u8]| if n[0] & 0x80 == 0 { n.to_vec() } else { [&[0], n].concat() };
    let der_integer = |n: &[u8]| [&[2, integer(n).len() as u8][..], &integer(n)].concat();
    let inner = [der_integer(r), der_integer(s)].concat();
    forged.push([&[0x30, inner.len() as u8][..], &inner].concat());
    forged.push(Vec::new());
    forged.push([signature.as_slice(), &[0]].concat());
    forged.push([&[0], r, &[0], s].concat());
    forged.push([s, r].concat());
    for forged in forged {
        let token = format!("{input}.{}", base64::encode(&forged));
        assert_eq!(scene.reason(&token), Some(Reason::BadSignature), "{}", hex::encode(forged));
    }
}

/// RFC 8032 §5.1.7: S below the order of the group, or one message has many signatures.
#[test]
fn no_second_signature_of_one_token() {
    let scene = Scene::new();
    let token = scene.token(&json!({}));
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::decode(signature).unwrap();
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut shifted = signature.clone();
    let mut carry = 0;
    for (byte, add) in shifted[32..].iter_mut().zip(&order) {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    // The neutral element as R, with S = 0: fits everything under a key of small order, which is never taken as a key.
    let neutral = [&[1][..], &[0; 63]].concat();
    for forged in [shifted, neutral, vec![0; 64], signature[..63].to_vec()] {
        let token = format!("{input}.{}", base64::encode(&forged));
        assert_eq!(scene.reason(&token), Some(Reason::BadSignature), "{}", hex::encode(forged));
    }
}
