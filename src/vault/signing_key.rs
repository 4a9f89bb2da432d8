//! The private part of a signing key: made, read from what other tools write, kept, and signed with.
//!
//! It leaves the vault only sealed. One algorithm is pinned to it, and stands in what is sealed, so that no row of the
//! store can have a key sign in another way than it was made for.

mod import;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use hmac::{Hmac, KeyInit, Mac};
use pem::Pem;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{VaultError, random};
use crate::domain::jose::{Algorithm, VerifyingKey};

pub use import::Imported;

/// The shortest secret of HS256 in bytes: as long as its hash (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;
/// The longest that is taken.
const LONGEST_SECRET: usize = 4096;

/// How long the modulus of a new RSA key is, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaBits {
    #[default]
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl RsaBits {
    pub const ALL: [Self; 3] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    pub const fn bits(self) -> u32 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }

    /// As long as the modulus of the RSA key `jwk`; the shortest where it is of another length or no RSA key.
    pub fn of(jwk: Option<&serde_json::Value>) -> Self {
        let modulus = jwk.and_then(|jwk| jwk["n"].as_str()).map_or(0, |modulus| modulus.len() * 6);
        let fits = |bits: &Self| (bits.bits() as usize..bits.bits() as usize + 12).contains(&modulus);
        Self::ALL.into_iter().find(fits).unwrap_or_default()
    }

    const fn size(self) -> KeySize {
        match self {
            Self::Rsa2048 => KeySize::Rsa2048,
            Self::Rsa3072 => KeySize::Rsa3072,
            Self::Rsa4096 => KeySize::Rsa4096,
        }
    }
}

/// Why a text is no private key that can be taken. Never quotes the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSigningKey {
    #[error("{0} is for verifying only; signing keys are for {known}", known = Algorithm::ISSUED.map(Algorithm::as_str).join(", "))]
    NotIssued(Algorithm),
    #[error(
        "this is neither a private key in PEM (PKCS#8, SEC1 or PKCS#1, without a passphrase) nor a private JWK; \
         `openssl pkey -in FILE` writes one"
    )]
    Shape,
    #[error("this is a public key, and signing needs the private one")]
    Public,
    #[error("this key cannot be used for {algorithm}: {why}")]
    Unfit { algorithm: Algorithm, why: String },
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// A key that signs. Never leaves the vault but sealed.
pub struct SigningPair {
    algorithm: Algorithm,
    private: Private,
}

enum Private {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Hmac(Zeroizing<Vec<u8>>),
}

impl SigningPair {
    /// A new key from the operating system's randomness. `bits` counts for RSA alone. Takes a fraction of a second for
    /// RSA. Fails for what is only verified.
    pub fn generate(algorithm: Algorithm, bits: RsaBits) -> Result<Self, BadSigningKey> {
        const FAILED: VaultError = VaultError::Crypto("make a signing key");
        let private = match algorithm {
            Algorithm::EdDsa => Private::Ed25519(Ed25519KeyPair::generate().map_err(|_| FAILED)?),
            Algorithm::Es256 => {
                Private::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| FAILED)?)
            }
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Private::Rsa(RsaKeyPair::generate(bits.size()).map_err(|_| FAILED)?)
            }
            Algorithm::Hs256 => Private::Hmac(Zeroizing::new(random()?.to_vec())),
            other => return Err(BadSigningKey::NotIssued(other)),
        };
        Ok(Self { algorithm, private })
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature over `signing_input` in the form of a JWS (RFC 7518 §3): for ES256 the two numbers of 32 bytes each.
    pub fn sign(&self, signing_input: &[u8]) -> Result<Vec<u8>, VaultError> {
        const FAILED: VaultError = VaultError::Crypto("sign");
        let random = SystemRandom::new();
        match &self.private {
            Private::Ed25519(pair) => Ok(pair.try_sign(signing_input).map_err(|_| FAILED)?.as_ref().to_vec()),
            Private::Ecdsa(pair) => {
                Ok(pair.sign(&random, signing_input).map_err(|_| FAILED)?.as_ref().to_vec())
            }
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = match self.algorithm {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, signing_input, &mut signature).map_err(|_| FAILED)?;
                Ok(signature)
            }
            Private::Hmac(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| FAILED)?;
                mac.update(signing_input);
                Ok(mac.finalize().into_bytes().to_vec())
            }
        }
    }

    /// What its signatures are verified with.
    pub fn verifying_key(&self) -> Result<VerifyingKey, BadSigningKey> {
        let key = match (&self.private, self.public_pem()?) {
            (Private::Hmac(secret), _) => VerifyingKey::hmac(secret, self.algorithm),
            (_, pem) => VerifyingKey::from_pem(&pem.unwrap_or_default(), Some(self.algorithm)),
        };
        key.map_err(|fault| BadSigningKey::Unfit { algorithm: self.algorithm, why: fault.to_string() })
    }

    /// The public part as PEM (`SubjectPublicKeyInfo`, RFC 5280); `None` for HS256, which has none.
    pub fn public_pem(&self) -> Result<Option<String>, VaultError> {
        const FAILED: VaultError = VaultError::Crypto("write a public key");
        let der = match &self.private {
            Private::Ed25519(pair) => pair.public_key().as_der(),
            Private::Ecdsa(pair) => pair.public_key().as_der(),
            Private::Rsa(pair) => pair.public_key().as_der(),
            Private::Hmac(_) => return Ok(None),
        };
        Ok(Some(pem::encode(&Pem::new("PUBLIC KEY", der.map_err(|_| FAILED)?.as_ref()))))
    }

    /// What is sealed: the algorithm's name, a zero byte, then PKCS#8 or, for HS256, the secret.
    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        const FAILED: VaultError = VaultError::Crypto("write a signing key");
        let der: Pkcs8V1Der<'_>;
        let document;
        let content = match &self.private {
            Private::Ed25519(pair) => {
                document = pair.to_pkcs8v1().map_err(|_| FAILED)?;
                document.as_ref()
            }
            Private::Ecdsa(pair) => {
                document = pair.to_pkcs8v1().map_err(|_| FAILED)?;
                document.as_ref()
            }
            Private::Rsa(pair) => {
                der = pair.as_der().map_err(|_| FAILED)?;
                der.as_ref()
            }
            Private::Hmac(secret) => secret,
        };
        let name = self.algorithm.as_str().as_bytes();
        // Of the right size from the start: a buffer that grows leaves copies of itself behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(name.len() + 1 + content.len()));
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(content);
        Ok(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        let misfit = || VaultError::DoesNotFit("one of its signing keys cannot be read".into());
        let end = bytes.iter().position(|&byte| byte == 0).ok_or_else(misfit)?;
        let algorithm = std::str::from_utf8(&bytes[..end]).ok().and_then(|name| name.parse().ok());
        Self::from_pkcs8(algorithm.ok_or_else(misfit)?, &bytes[end + 1..]).map_err(|_| misfit())
    }

    /// PKCS#8 or, for HS256, the secret itself.
    fn from_pkcs8(algorithm: Algorithm, content: &[u8]) -> Result<Self, BadSigningKey> {
        let unfit = |why: &str| BadSigningKey::Unfit { algorithm, why: why.to_owned() };
        let private = match algorithm {
            // What other tools write (PKCS#8 v1, RFC 8410) has no public part to compare with.
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(content)
                .map(Private::Ed25519)
                .map_err(|_| unfit("it is not an Ed25519 key"))?,
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, content)
                .map(Private::Ecdsa)
                .map_err(|_| unfit("it is not a key on P-256"))?,
            Algorithm::Rs256 | Algorithm::Ps256 => RsaKeyPair::from_pkcs8(content)
                .map(Private::Rsa)
                .map_err(|_| unfit("it is not a sound RSA key of 2048 to 8192 bits"))?,
            Algorithm::Hs256 => match content.len() {
                SHORTEST_SECRET..=LONGEST_SECRET => Private::Hmac(Zeroizing::new(content.to_vec())),
                length => {
                    return Err(unfit(&format!(
                        "the secret has {length} bytes, and {SHORTEST_SECRET} to {LONGEST_SECRET} are taken"
                    )));
                }
            },
            other => return Err(BadSigningKey::NotIssued(other)),
        };
        Ok(Self { algorithm, private })
    }
}

impl fmt::Debug for SigningPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningPair({}, …)", self.algorithm)
    }
}
