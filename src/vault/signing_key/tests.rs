use super::*;
use crate::vault::{KeyFile, Vault};

const INPUT: &[u8] = b"header.payload";

fn issued() -> impl Iterator<Item = SigningPair> {
    Algorithm::ISSUED
        .into_iter()
        .map(|algorithm| SigningPair::generate(algorithm, RsaBits::default()).unwrap())
}

#[test]
fn what_a_key_signs_verifies_with_it_and_with_no_other() {
    for pair in issued() {
        let algorithm = pair.algorithm();
        let signature = pair.sign(INPUT).unwrap();
        let key = pair.verifying_key().unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.verify(INPUT, &signature), Ok(()), "{algorithm}");
        assert!(key.verify(b"header.paylocd", &signature).is_err(), "{algorithm}");
        let other = SigningPair::generate(algorithm, RsaBits::default()).unwrap();
        assert!(other.verifying_key().unwrap().verify(INPUT, &signature).is_err(), "{algorithm}");
    }
}

#[test]
fn what_only_verifies_is_not_made() {
    for algorithm in [Algorithm::Es384, Algorithm::Rs512, Algorithm::Ps384, Algorithm::Hs512] {
        let refused = SigningPair::generate(algorithm, RsaBits::default()).unwrap_err();
        assert_eq!(refused, BadSigningKey::NotIssued(algorithm));
        assert!(refused.to_string().contains("EdDSA, ES256, RS256, PS256, HS256"), "{refused}");
    }
}

#[test]
fn an_rsa_key_is_as_long_as_was_asked_for() {
    let pair = SigningPair::generate(Algorithm::Ps256, RsaBits::Rsa3072).unwrap();
    assert_eq!(pair.sign(INPUT).unwrap().len(), 3072 / 8);
    assert_eq!(RsaBits::of(pair.verifying_key().unwrap().to_jwk().as_ref()), RsaBits::Rsa3072);
    assert_eq!(RsaBits::of(None), RsaBits::Rsa2048);
}

#[test]
fn a_key_comes_out_of_the_vault_as_it_went_in_and_only_as_itself() {
    let master = KeyFile::generate().unwrap().master_key(None).unwrap();
    let (vault, _) = Vault::create(&master, "store").unwrap();
    let (kid, other) = ("one".parse().unwrap(), "two".parse().unwrap());
    for pair in issued() {
        let mut sealed = vault.seal_signing_key(&kid, &pair).unwrap();
        let opened = vault.open_signing_key(&kid, &sealed).unwrap();
        assert_eq!(opened.algorithm(), pair.algorithm());
        let signature = opened.sign(INPUT).unwrap();
        assert_eq!(pair.verifying_key().unwrap().verify(INPUT, &signature), Ok(()));
        assert!(matches!(vault.open_signing_key(&other, &sealed), Err(VaultError::DoesNotFit(_))));
        sealed.name = crate::vault::signing_key_entry(&other);
        assert!(matches!(vault.open_signing_key(&other, &sealed), Err(VaultError::DoesNotFit(_))));
    }
    let elsewhere = Vault::create(&master, "another").unwrap().0;
    let sealed = vault.seal_signing_key(&kid, &issued().next().unwrap()).unwrap();
    assert!(matches!(elsewhere.open_signing_key(&kid, &sealed), Err(VaultError::DoesNotFit(_))));
}

#[test]
fn nothing_of_a_key_shows_in_debug() {
    for pair in issued() {
        assert_eq!(format!("{pair:?}"), format!("SigningPair({}, …)", pair.algorithm()));
    }
}

/// PKCS#8 in PEM, as `openssl genpkey` writes it.
fn pem(pair: &SigningPair) -> String {
    let bytes = pair.to_bytes().unwrap();
    let at = bytes.iter().position(|&byte| byte == 0).unwrap();
    pem::encode(&Pem::new("PRIVATE KEY", &bytes[at + 1..]))
}

#[test]
fn a_key_in_pem_is_taken_for_what_it_is_and_for_nothing_else() {
    for pair in issued().filter(|pair| !pair.algorithm().is_symmetric()) {
        let algorithm = pair.algorithm();
        let imported = SigningPair::import(&pem(&pair), algorithm).unwrap();
        let signature = imported.pair.sign(INPUT).unwrap();
        assert_eq!(pair.verifying_key().unwrap().verify(INPUT, &signature), Ok(()), "{algorithm}");
        for other in Algorithm::ISSUED.into_iter().filter(|other| other.is_rsa() != algorithm.is_rsa()) {
            if other != algorithm {
                SigningPair::import(&pem(&pair), other).unwrap_err();
            }
        }
        let public = pair.public_pem().unwrap().unwrap();
        assert_eq!(SigningPair::import(&public, algorithm).unwrap_err(), BadSigningKey::Public);
        // The classic confusion: a public key taken for a shared secret.
        SigningPair::import(&public, Algorithm::Hs256).unwrap_err();
    }
}

/// RFC 8037 A.1, RFC 7515 A.3 and A.1.
const JWKS: [(Algorithm, &str); 3] = [
    (
        Algorithm::EdDsa,
        r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    ),
    (
        Algorithm::Es256,
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
    ),
    (
        Algorithm::Hs256,
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
    ),
];

#[test]
fn a_private_jwk_is_taken_with_its_name() {
    for (algorithm, jwk) in JWKS {
        let imported = SigningPair::import(jwk, algorithm).unwrap();
        assert_eq!(imported.kid.is_some(), algorithm == Algorithm::EdDsa);
        let signature = imported.pair.sign(INPUT).unwrap();
        assert_eq!(imported.pair.verifying_key().unwrap().verify(INPUT, &signature), Ok(()));
        for other in Algorithm::ISSUED.into_iter().filter(|other| *other != algorithm) {
            SigningPair::import(jwk, other).unwrap_err();
        }
    }
    // The signature that RFC 8037 A.4 has for this key.
    let (_, jwk) = JWKS[0];
    let signature = SigningPair::import(jwk, Algorithm::EdDsa)
        .unwrap()
        .pair
        .sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
        .unwrap();
    assert_eq!(
        crate::domain::jose::base64::encode(signature),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_jwk_that_does_not_fit_itself_is_refused() {
    let (_, ed) = JWKS[0];
    let (_, ec) = JWKS[1];
    for (algorithm, wrong) in [
        (Algorithm::EdDsa, ed.replace("11qYAY", "12qYAY")),
        (Algorithm::EdDsa, ed.replace("\"kid\"", "\"alg\":\"ES256\",\"kid\"")),
        (Algorithm::EdDsa, ed.replace("\"kid\"", "\"use\":\"enc\",\"kid\"")),
        (Algorithm::EdDsa, ed.replace("\"kid\"", "\"key_ops\":[\"verify\"],\"kid\"")),
        (Algorithm::EdDsa, ed.replace("\"kid\":\"ed\"", "\"kty\":\"OKP\"")),
        (Algorithm::EdDsa, ed.replace("uf2A\"", "uf2A==\"")),
        (Algorithm::EdDsa, ed.replace("\"d\"", "\"D\"")),
        (Algorithm::Es256, ec.replace("P-256", "P-384")),
        (Algorithm::Es256, ec.replace("f83OJ3", "f84OJ3")),
        (Algorithm::Hs256, r#"{"kty":"oct","k":"AAAA"}"#.to_owned()),
        (Algorithm::Hs256, "[]".to_owned()),
    ] {
        let refused = SigningPair::import(&wrong, algorithm).unwrap_err();
        assert!(!refused.to_string().contains("nWGxne"), "{refused}");
    }
}

#[test]
fn a_secret_is_long_enough_and_its_last_line_ends_where_it_seems_to() {
    let secret = "s".repeat(SHORTEST_SECRET);
    for text in [secret.clone(), secret.clone() + "\n", secret.clone() + "\r\n"] {
        let pair = SigningPair::import(&text, Algorithm::Hs256).unwrap().pair;
        let key = VerifyingKey::hmac(secret.as_bytes(), Algorithm::Hs256).unwrap();
        assert_eq!(key.verify(INPUT, &pair.sign(INPUT).unwrap()), Ok(()));
    }
    let short = SigningPair::import(&secret[1..], Algorithm::Hs256).unwrap_err();
    assert!(short.to_string().contains("31 bytes"), "{short}");
    SigningPair::import(&"s".repeat(LONGEST_SECRET + 1), Algorithm::Hs256).unwrap_err();
    assert_eq!(SigningPair::import(&secret, Algorithm::EdDsa).unwrap_err(), BadSigningKey::Shape);
}
