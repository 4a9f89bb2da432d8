//! Keys that sign whatever a test wants signed.

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use serde_json::{Value, json};

use crate::domain::jose::{Algorithm, VerifyingKey, base64};

enum Pair {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Secret(Vec<u8>),
}

pub(super) struct Signer {
    algorithm: Algorithm,
    kid: String,
    pair: Pair,
}

impl Signer {
    pub(super) fn new(algorithm: Algorithm, kid: &str) -> Self {
        let rsa = |encoding| Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()), encoding);
        let pair = match algorithm {
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
            Algorithm::Es256 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Algorithm::Es384 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            Algorithm::Es512 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap()),
            Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
            Algorithm::Ps384 => rsa(&RSA_PSS_SHA384),
            Algorithm::Ps512 => rsa(&RSA_PSS_SHA512),
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                Pair::Secret(kid.bytes().cycle().take(64).collect())
            }
        };
        Self { algorithm, kid: kid.into(), pair }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key in DER; `None` for a secret.
    pub(super) fn der(&self) -> Option<Vec<u8>> {
        Some(match &self.pair {
            Pair::Ed(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Rsa(pair, _) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Secret(_) => return None,
        })
    }

    pub(super) fn key(&self) -> VerifyingKey {
        let key = match (&self.pair, self.der()) {
            (Pair::Secret(secret), _) => VerifyingKey::hmac(secret, self.algorithm),
            (_, der) => {
                let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", der.unwrap()));
                VerifyingKey::from_pem(&pem, Some(self.algorithm))
            }
        };
        key.unwrap().with_kid(&self.kid)
    }

    pub(super) fn sign(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed(pair) => pair.sign(input).as_ref().to_vec(),
            Pair::Ec(pair) => pair.sign(&random, input).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, input, &mut signature).unwrap();
                signature
            }
            Pair::Secret(secret) => hmac_with(self.algorithm, secret, input),
        }
    }

    pub(super) fn header(&self, typ: &str) -> Value {
        json!({"alg": self.algorithm, "typ": typ, "kid": self.kid})
    }

    /// A token with exactly this header and payload.
    pub(super) fn token(&self, header: &Value, payload: &str) -> String {
        let input = format!("{}.{}", base64::encode(header.to_string()), base64::encode(payload));
        let signature = base64::encode(self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

pub(super) fn hmac_with(algorithm: Algorithm, secret: &[u8], input: &[u8]) -> Vec<u8> {
    let hash = match algorithm {
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(hash, secret), input).as_ref().to_vec()
}
