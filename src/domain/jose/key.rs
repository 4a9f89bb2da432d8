//! A key that verifies signatures, with the one algorithm that it is for.

use std::fmt;

use aws_lc_rs::{
    encoding::AsDer,
    hmac, rsa,
    signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm},
};
use jsonwebtoken::{Algorithm as LibraryAlgorithm, DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
use pem::Pem;
use serde_json::Value;
use zeroize::Zeroizing;

use super::jwk::{Curve, Jwk, Material};
use super::{Algorithm, Fault, PrivatePart, weak};

/// A key, judged and parsed once. What is too weak to prove anything never becomes one.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: String,
    thumbprint: String,
    material: Material,
    verifier: Verifier,
}

#[derive(Clone)]
enum Verifier {
    /// What `jsonwebtoken` verifies with. The key was parsed once to judge it, which is where its DER is from.
    Public { algorithm: LibraryAlgorithm, key: DecodingKey, der: Vec<u8> },
    /// What `jsonwebtoken` has no name for, ES512, by the library under it.
    Parsed { key: ParsedPublicKey, der: Vec<u8> },
    /// Not left to `jsonwebtoken`, which keeps secrets in memory that nobody wipes.
    Secret(Box<hmac::Key>),
}

impl VerifyingKey {
    /// Reads a JWK. `algorithm` pins a key that names none; where both say one they must agree. A key on a curve is for
    /// the algorithm of that curve; RSA keys and secrets need one to be said.
    ///
    /// # Errors
    /// What is wrong with the key, its private part included.
    pub fn from_jwk(text: &str, algorithm: Option<Algorithm>) -> Result<Self, Fault> {
        Self::pinned(Jwk::parse(text, PrivatePart::Refuse)?, algorithm)
    }

    /// As [`VerifyingKey::from_jwk`], and the private part is left aside.
    pub fn from_private_jwk(text: &str, algorithm: Option<Algorithm>) -> Result<Self, Fault> {
        Self::pinned(Jwk::parse(text, PrivatePart::Drop)?, algorithm)
    }

    /// Reads one public key in PEM (RFC 7468): SubjectPublicKeyInfo, or for RSA the form of PKCS #1.
    ///
    /// # Errors
    /// As [`VerifyingKey::from_jwk`].
    pub fn from_pem(text: &str, algorithm: Option<Algorithm>) -> Result<Self, Fault> {
        let blocks = pem::parse_many(text).map_err(|_| Fault::Pem)?;
        let [block] = blocks.as_slice() else { return Err(Fault::Pem) };
        if block.tag().ends_with("PRIVATE KEY") {
            return Err(Fault::KeyPrivate);
        }
        if !matches!(block.tag(), "PUBLIC KEY" | "RSA PUBLIC KEY") {
            return Err(Fault::Pem);
        }
        let material = of_der(block.contents()).ok_or(Fault::Pem)?;
        let key = Self::pinned(Jwk { material, algorithm: None, kid: None }, algorithm)?;
        // One key has one spelling: what does not come out as it went in is another kind of key, or has something behind it.
        let same = block.tag() != "PUBLIC KEY" || key.der().is_some_and(|der| der == block.contents());
        if same { Ok(key) } else { Err(Fault::Pem) }
    }

    /// A key from a shared secret.
    ///
    /// # Errors
    /// Where the algorithm is none of HMAC, and where the secret is shorter than its hash or is a key in PEM: a public key
    /// taken for a secret lets everyone sign.
    pub fn hmac(secret: &[u8], algorithm: Algorithm) -> Result<Self, Fault> {
        let material = Material::Secret(Zeroizing::new(secret.to_vec()));
        Self::new(material, algorithm, None)
    }

    /// The same key under another name.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self { kid: kid.into(), ..self }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name that was given with it, else its thumbprint. Foreign text.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// RFC 7638, SHA-256, base64url.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The public key as a JWK, with `kid`, `alg` and `use`; `None` for a secret.
    pub fn to_jwk(&self) -> Option<Value> {
        self.material.to_jwk(self.algorithm, &self.kid)
    }

    /// The public key as SubjectPublicKeyInfo in PEM, lines ended by `\n`; `None` for a secret.
    pub fn to_pem(&self) -> Option<String> {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Some(pem::encode_config(&Pem::new("PUBLIC KEY", self.der()?), config))
    }

    /// Whether `signature` is this key's over `signing_input`.
    ///
    /// # Errors
    /// [`Fault::Signature`], whatever is wrong with it.
    pub fn verify(&self, signing_input: &[u8], signature: &[u8]) -> Result<(), Fault> {
        let is_signed = match &self.verifier {
            Verifier::Public { algorithm, key, .. } => (DEFAULT_PROVIDER.verifier_factory)(algorithm, key)
                .is_ok_and(|verifier| verifier.verify(signing_input, &signature.to_vec()).is_ok()),
            Verifier::Parsed { key, .. } => key.verify_sig(signing_input, signature).is_ok(),
            // In constant time.
            Verifier::Secret(key) => hmac::verify(key, signing_input, signature).is_ok(),
        };
        if is_signed { Ok(()) } else { Err(Fault::Signature) }
    }

    /// One key of a set. Of one that names no algorithm and could be for several, those of `fallback` that go with it.
    pub(super) fn from_set(jwk: Jwk, fallback: &[Algorithm]) -> Result<Vec<Self>, Fault> {
        let goes_with: fn(Algorithm) -> bool = match (jwk.algorithm, &jwk.material) {
            (None, Material::Rsa { .. }) => Algorithm::is_rsa,
            (None, Material::Secret(_)) => Algorithm::is_symmetric,
            _ => return Ok(vec![Self::pinned(jwk, None)?]),
        };
        let meant: Vec<_> = fallback.iter().copied().filter(|algorithm| goes_with(*algorithm)).collect();
        if meant.is_empty() {
            return Err(Fault::AlgorithmNeeded);
        }
        meant.into_iter().map(|algorithm| Self::pinned(jwk.clone(), Some(algorithm))).collect()
    }

    fn pinned(jwk: Jwk, wanted: Option<Algorithm>) -> Result<Self, Fault> {
        let own = jwk.algorithm.or(match &jwk.material {
            Material::Ed25519(_) => Some(Algorithm::EdDsa),
            Material::Ec { curve: Curve::P256, .. } => Some(Algorithm::Es256),
            Material::Ec { curve: Curve::P384, .. } => Some(Algorithm::Es384),
            Material::Ec { curve: Curve::P521, .. } => Some(Algorithm::Es512),
            Material::Rsa { .. } | Material::Secret(_) => None,
        });
        let algorithm = match (own, wanted) {
            (Some(own), Some(wanted)) if own != wanted => return Err(Fault::KeyMismatch(wanted)),
            (own, wanted) => own.or(wanted).ok_or(Fault::AlgorithmNeeded)?,
        };
        Self::new(jwk.material, algorithm, jwk.kid)
    }

    fn new(material: Material, algorithm: Algorithm, kid: Option<String>) -> Result<Self, Fault> {
        let verifier = verifier(&material, algorithm)?;
        let thumbprint = material.thumbprint();
        Ok(Self { algorithm, kid: kid.unwrap_or_else(|| thumbprint.clone()), thumbprint, material, verifier })
    }

    /// SubjectPublicKeyInfo; `None` for a secret.
    fn der(&self) -> Option<Vec<u8>> {
        match &self.verifier {
            Verifier::Public { der, .. } | Verifier::Parsed { der, .. } => Some(der.clone()),
            Verifier::Secret(_) => None,
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Two keys are one where they are the same key for the same algorithm under the same name.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        (self.algorithm, &self.kid, &self.thumbprint) == (other.algorithm, &other.kid, &other.thumbprint)
    }
}

impl Eq for VerifyingKey {}

fn verifier(material: &Material, algorithm: Algorithm) -> Result<Verifier, Fault> {
    match material {
        Material::Rsa { n, e } => {
            let parameters = rsa_parameters(algorithm).ok_or(Fault::KeyMismatch(algorithm))?;
            require_sound_rsa(n, e)?;
            let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters);
            public(key.ok(), algorithm, DecodingKey::from_rsa_raw_components(n, e))
                .ok_or(Fault::KeyMember("n"))
        }
        Material::Ec { curve, x, y } => {
            let verification: &'static dyn VerificationAlgorithm = match (curve, algorithm) {
                (Curve::P256, Algorithm::Es256) => &signature::ECDSA_P256_SHA256_FIXED,
                (Curve::P384, Algorithm::Es384) => &signature::ECDSA_P384_SHA384_FIXED,
                (Curve::P521, Algorithm::Es512) => &signature::ECDSA_P521_SHA512_FIXED,
                _ => return Err(Fault::KeyMismatch(algorithm)),
            };
            // SEC 1 §2.3.3: an uncompressed point.
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            let key = ParsedPublicKey::new(verification, &point);
            public(key.ok(), algorithm, DecodingKey::from_ec_der(&point)).ok_or(Fault::KeyPoint)
        }
        Material::Ed25519(x) => {
            if algorithm != Algorithm::EdDsa {
                return Err(Fault::KeyMismatch(algorithm));
            }
            if weak::is_small_order(x) {
                return Err(Fault::KeyPoint);
            }
            let key = ParsedPublicKey::new(&signature::ED25519, x);
            public(key.ok(), algorithm, DecodingKey::from_ed_der(x)).ok_or(Fault::KeyPoint)
        }
        Material::Secret(secret) => {
            let (hash, length) = match algorithm {
                Algorithm::Hs256 => (hmac::HMAC_SHA256, 32),
                Algorithm::Hs384 => (hmac::HMAC_SHA384, 48),
                Algorithm::Hs512 => (hmac::HMAC_SHA512, 64),
                _ => return Err(Fault::KeyMismatch(algorithm)),
            };
            if secret.len() < length {
                return Err(Fault::SecretShort(algorithm));
            }
            if memchr::memmem::find(secret, b"-----BEGIN ").is_some() {
                return Err(Fault::KeyMismatch(algorithm));
            }
            Ok(Verifier::Secret(Box::new(hmac::Key::new(hash, secret))))
        }
    }
}

/// `parsed`: the key in its place on the curve or in its size, whose DER is the one spelling of it.
fn public(parsed: Option<ParsedPublicKey>, algorithm: Algorithm, key: DecodingKey) -> Option<Verifier> {
    let parsed = parsed?;
    let der = parsed.as_der().ok()?.as_ref().to_vec();
    Some(match in_library(algorithm) {
        Some(algorithm) => Verifier::Public { algorithm, key, der },
        None => Verifier::Parsed { key: parsed, der },
    })
}

/// `None` for what the library does not know.
fn in_library(algorithm: Algorithm) -> Option<LibraryAlgorithm> {
    Some(match algorithm {
        Algorithm::EdDsa => LibraryAlgorithm::EdDSA,
        Algorithm::Es256 => LibraryAlgorithm::ES256,
        Algorithm::Es384 => LibraryAlgorithm::ES384,
        Algorithm::Es512 => return None,
        Algorithm::Rs256 => LibraryAlgorithm::RS256,
        Algorithm::Rs384 => LibraryAlgorithm::RS384,
        Algorithm::Rs512 => LibraryAlgorithm::RS512,
        Algorithm::Ps256 => LibraryAlgorithm::PS256,
        Algorithm::Ps384 => LibraryAlgorithm::PS384,
        Algorithm::Ps512 => LibraryAlgorithm::PS512,
        Algorithm::Hs256 => LibraryAlgorithm::HS256,
        Algorithm::Hs384 => LibraryAlgorithm::HS384,
        Algorithm::Hs512 => LibraryAlgorithm::HS512,
    })
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// `n` and `e` without leading zeros.
fn require_sound_rsa(n: &[u8], e: &[u8]) -> Result<(), Fault> {
    let bits = n.first().map_or(0, |first| 8 * n.len() - first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) || n.last().is_some_and(|last| last % 2 == 0) {
        return Err(Fault::RsaSize);
    }
    // FIPS 186-5 §5.1 and SP 800-56B: odd, above 2^16. Small ones have forgeries behind them, great ones only cost.
    let exponent = e.iter().try_fold(0_u32, |value, &byte| value.checked_mul(256)?.checked_add(byte.into()));
    if !exponent.is_some_and(|e| e >= 65537 && e % 2 == 1) {
        return Err(Fault::RsaExponent);
    }
    if weak::is_roca(n) { Err(Fault::Roca) } else { Ok(()) }
}

/// What a public key in DER consists of; `None` where it is none of the kinds that are taken.
fn of_der(der: &[u8]) -> Option<Material> {
    if let Ok(key) = rsa::PublicKey::from_der(der) {
        let bytes = |number: aws_lc_rs::io::Positive<'_>| number.big_endian_without_leading_zero().to_vec();
        return Some(Material::Rsa { n: bytes(key.modulus()), e: bytes(key.exponent()) });
    }
    let spki = |algorithm: &'static dyn VerificationAlgorithm| {
        let key = ParsedPublicKey::new(algorithm, der).ok()?.as_der().ok()?;
        (key.as_ref() == der).then_some(key)
    };
    if let Some(key) = spki(&signature::ED25519) {
        return Some(Material::Ed25519(*key.as_ref().last_chunk()?));
    }
    let point = |curve: Curve, key: &[u8]| {
        let (x, y) = key.get(key.len().checked_sub(2 * curve.length())?..)?.split_at(curve.length());
        Some(Material::Ec { curve, x: x.to_vec(), y: y.to_vec() })
    };
    let curves: [(Curve, &'static dyn VerificationAlgorithm); 3] = [
        (Curve::P256, &signature::ECDSA_P256_SHA256_FIXED),
        (Curve::P384, &signature::ECDSA_P384_SHA384_FIXED),
        (Curve::P521, &signature::ECDSA_P521_SHA512_FIXED),
    ];
    curves.into_iter().find_map(|(curve, algorithm)| point(curve, spki(algorithm)?.as_ref()))
}
