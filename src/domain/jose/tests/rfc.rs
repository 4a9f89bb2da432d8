//! The examples of the RFCs.

use serde_json::json;

use super::*;

/// RFC 7515 appendix A.1 (HS256), A.2 (RS256), A.3 (ES256): one payload, three keys.
const PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn token(header: &str, signature: &str) -> Compact {
    Compact::parse(&format!("{header}.{PAYLOAD}.{signature}")).unwrap()
}

#[test]
fn rfc_7515_a_1_hs256() {
    let token =
        token("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    let jwk = json!({"kty": "oct",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"});
    assert_eq!(key(jwk.clone()), Err(Fault::AlgorithmNeeded));
    let key = VerifyingKey::from_jwk(&jwk.to_string(), Some(Algorithm::Hs256)).unwrap();
    assert_eq!(token.verify(&key), Ok(()));
    assert_eq!(token.header().typ.as_deref(), Some("JWT"));
    assert!(token.payload().starts_with(b"{\"iss\":\"joe\",\r\n"));
    assert_eq!((key.to_jwk(), key.to_pem()), (None, None), "a secret has no public part");
}

#[test]
fn rfc_7515_a_2_rs256() {
    let token = token(
        "eyJhbGciOiJSUzI1NiJ9",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    let jwk = json!({"kty": "RSA", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"});
    let key = VerifyingKey::from_jwk(&jwk.to_string(), Some(Algorithm::Rs256)).unwrap();
    assert_eq!(token.verify(&key), Ok(()));
    let other = VerifyingKey::from_jwk(&jwk.to_string(), Some(Algorithm::Ps256)).unwrap();
    assert_eq!(
        token.verify(&other),
        Err(Fault::WrongAlgorithm { token: Algorithm::Rs256, key: Algorithm::Ps256 }),
        "one key is for one algorithm"
    );
}

#[test]
fn rfc_7515_a_3_es256() {
    let token = token(
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    let key = key(json!({"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}))
    .unwrap();
    assert_eq!(token.verify(&key), Ok(()));
}

/// The example of RFC 7515 A.5, and its spellings.
#[test]
fn rfc_7515_a_5_is_not_signed() {
    assert_eq!(Compact::parse(&format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.")).unwrap_err(), Fault::Unsigned);
    for alg in ["none", "None", "NONE", "nOnE", " none", "none "] {
        let header = base64::encode(json!({ "alg": alg }).to_string());
        assert_eq!(Compact::parse(&format!("{header}.{PAYLOAD}.")).unwrap_err(), Fault::Unsigned, "{alg}");
    }
}

#[test]
fn rfc_7638_3_1_thumbprint() {
    let key = key(json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}))
    .unwrap();
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(key.kid(), "2011-04-29");
    assert_eq!(key.with_kid("mine").kid(), "mine");
}

/// RFC 8037 appendix A.2 (the public key), A.3 (its thumbprint), A.4 (a signature).
#[test]
fn rfc_8037_a_eddsa() {
    let key =
        key(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
            .unwrap();
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(key.kid(), key.thumbprint(), "a key without a name is called by its thumbprint");
    let token = Compact::parse(
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    )
    .unwrap();
    assert_eq!((token.verify(&key), token.payload()), (Ok(()), &b"Example of Ed25519 signing"[..]));
}
