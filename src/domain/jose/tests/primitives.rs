//! The published vectors of the signature algorithms themselves, through [`VerifyingKey`].

use serde_json::Value;

use super::*;

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// Judges every vector of `file`; `wanted` says of a group and a test whether the signature is to be taken. Returns how many were.
fn judge(file: &str, algorithm: Algorithm, wanted: impl Fn(&Value, &Value) -> bool) -> Option<usize> {
    let document: Value = serde_json::from_slice(&std::fs::read(vectors()?.join(file)).unwrap()).unwrap();
    let mut taken = 0;
    for group in document["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let (key, signature) = match group.get("publicKeyPem") {
                Some(pem) => (VerifyingKey::from_pem(pem.as_str().unwrap(), Some(algorithm)), &test["sig"]),
                None => (VerifyingKey::hmac(&bytes(&test["key"]), algorithm), &test["tag"]),
            };
            let verified = key.and_then(|key| key.verify(&bytes(&test["msg"]), &bytes(signature)));
            assert_eq!(verified.is_ok(), wanted(group, test), "{file} {}: {verified:?}", test["tcId"]);
            taken += usize::from(verified.is_ok());
        }
    }
    Some(taken)
}

fn is_valid(_: &Value, test: &Value) -> bool {
    test["result"] == "valid"
}

#[test]
fn es256() {
    assert!(
        judge("ecdsa_secp256r1_sha256_p1363_test.json", Algorithm::Es256, is_valid)
            .is_none_or(|taken| taken == 173)
    );
}

#[test]
fn eddsa() {
    assert!(judge("ed25519_test.json", Algorithm::EdDsa, is_valid).is_none_or(|taken| taken == 88));
}

/// Keys with an exponent of 3 are refused. One vector leaves out a NULL that PKCS #1 demands, which may be taken and is not.
#[test]
fn rs256() {
    let is_sound = |group: &Value, test: &Value| {
        is_valid(group, test) && group["publicKey"]["publicExponent"] == "010001"
    };
    assert!(
        judge("rsa_signature_2048_sha256_test.json", Algorithm::Rs256, is_sound)
            .is_none_or(|taken| taken == 7)
    );
}

#[test]
fn ps256() {
    assert!(
        judge("rsa_pss_2048_sha256_mgf1_32_test.json", Algorithm::Ps256, is_valid)
            .is_none_or(|taken| taken == 63)
    );
    // Every hash and length of salt, of which RFC 7518 §3.5 allows one.
    let is_of_jws = |group: &Value, _: &Value| {
        group["sha"] == "SHA-256" && group["mgfSha"] == "SHA-256" && group["sLen"] == 32
    };
    assert!(judge("rsa_pss_misc_test.json", Algorithm::Ps256, is_of_jws).is_none_or(|taken| taken == 1));
}

#[test]
fn hs256() {
    let is_whole = |group: &Value, test: &Value| {
        is_valid(group, test) && group["keySize"].as_u64() >= Some(256) && group["tagSize"] == 256
    };
    assert!(judge("hmac_sha256_test.json", Algorithm::Hs256, is_whole).is_none_or(|taken| taken > 10));
}
