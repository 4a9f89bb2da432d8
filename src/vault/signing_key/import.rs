//! Private keys as other tools write them: PEM (PKCS#8, SEC1, PKCS#1), a private JWK (RFC 7517), or for HS256 the secret
//! itself.

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, Zeroizing};

use super::{BadSigningKey, Private, SigningPair};
use crate::domain::{jose::Algorithm, name::Kid};

/// A key that was read, and the id that it came with, where that is one that is taken here.
#[derive(Debug)]
pub struct Imported {
    pub pair: SigningPair,
    pub kid: Option<Kid>,
}

impl SigningPair {
    /// Reads a private key for `algorithm`. A text that begins with `{` is a JWK, one with `-----BEGIN` is PEM; any other
    /// is the secret of HS256, less the line's end that editors add. What could not be verified with is refused.
    pub fn import(text: &str, algorithm: Algorithm) -> Result<Imported, BadSigningKey> {
        if !Algorithm::ISSUED.contains(&algorithm) {
            return Err(BadSigningKey::NotIssued(algorithm));
        }
        let imported = if text.trim_start().starts_with('{') {
            from_jwk(text, algorithm)?
        } else if text.contains("-----BEGIN") {
            Imported { pair: from_pem(text, algorithm)?, kid: None }
        } else if algorithm == Algorithm::Hs256 {
            let secret = text.trim_end_matches(['\n', '\r']).as_bytes();
            Imported { pair: Self::from_pkcs8(algorithm, secret)?, kid: None }
        } else {
            return Err(BadSigningKey::Shape);
        };
        imported.pair.verifying_key()?;
        Ok(imported)
    }
}

fn from_pem(text: &str, algorithm: Algorithm) -> Result<SigningPair, BadSigningKey> {
    if text.contains("-----BEGIN PUBLIC KEY-----") || text.contains("-----BEGIN RSA PUBLIC KEY-----") {
        return Err(BadSigningKey::Public);
    }
    if algorithm == Algorithm::Hs256 {
        // A PEM as the secret of an HMAC is the classic way to have a public key taken for one.
        return Err(unfit(algorithm, "a key in PEM is no shared secret"));
    }
    let mut der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| BadSigningKey::Shape)?;
    let pair = match (&der, algorithm) {
        (PrivateKeyDer::Pkcs8(key), _) => SigningPair::from_pkcs8(algorithm, key.secret_pkcs8_der()),
        (PrivateKeyDer::Sec1(key), Algorithm::Es256) => {
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_sec1_der())
                .map(|pair| SigningPair { algorithm, private: Private::Ecdsa(pair) })
                .map_err(|_| unfit(algorithm, "it is not a key on P-256"))
        }
        (PrivateKeyDer::Pkcs1(key), Algorithm::Rs256 | Algorithm::Ps256) => {
            RsaKeyPair::from_der(key.secret_pkcs1_der())
                .map(|pair| SigningPair { algorithm, private: Private::Rsa(pair) })
                .map_err(|_| unfit(algorithm, "it is not a sound RSA key of 2048 to 8192 bits"))
        }
        _ => Err(unfit(algorithm, "it is a key of another kind")),
    };
    der.zeroize();
    pair
}

/// The members of a private JWK that are used (RFC 7518 §6, RFC 8037 §2). A member that stands twice is refused by serde.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    k: Option<Octets>,
    d: Option<Octets>,
    x: Option<Octets>,
    y: Option<Octets>,
    n: Option<Octets>,
    e: Option<Octets>,
    p: Option<Octets>,
    q: Option<Octets>,
    dp: Option<Octets>,
    dq: Option<Octets>,
    qi: Option<Octets>,
}

/// Base64url without padding (RFC 7515 §2), decoded.
struct Octets(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes =
            URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| serde::de::Error::custom("base64url"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

fn from_jwk(text: &str, algorithm: Algorithm) -> Result<Imported, BadSigningKey> {
    let jwk: Jwk = serde_json::from_str(text).map_err(|_| BadSigningKey::Shape)?;
    if jwk.alg.as_deref().is_some_and(|named| named != algorithm.as_str()) {
        return Err(unfit(algorithm, "its member `alg` names another algorithm"));
    }
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig")
        || jwk.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "sign"))
    {
        return Err(unfit(algorithm, "its member `use` or `key_ops` says that it is not for signing"));
    }
    let pair = match (jwk.kty.as_str(), jwk.crv.as_deref(), algorithm) {
        ("OKP", Some("Ed25519"), Algorithm::EdDsa) => {
            Ed25519KeyPair::from_seed_and_public_key(private(&jwk.d)?, part(&jwk.x)?)
                .map(|pair| SigningPair { algorithm, private: Private::Ed25519(pair) })
                .map_err(|_| unfit(algorithm, "its private and its public part do not fit"))?
        }
        ("EC", Some("P-256"), Algorithm::Es256) => {
            let point = [&[4], part(&jwk.x)?, part(&jwk.y)?].concat();
            EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                private(&jwk.d)?,
                &point,
            )
            .map(|pair| SigningPair { algorithm, private: Private::Ecdsa(pair) })
            .map_err(|_| unfit(algorithm, "its private and its public part do not fit"))?
        }
        ("RSA", _, Algorithm::Rs256 | Algorithm::Ps256) => {
            let components = KeyPairComponents {
                public_key: PublicKeyComponents { n: part(&jwk.n)?, e: part(&jwk.e)? },
                d: private(&jwk.d)?,
                p: part(&jwk.p)?,
                q: part(&jwk.q)?,
                dP: part(&jwk.dp)?,
                dQ: part(&jwk.dq)?,
                qInv: part(&jwk.qi)?,
            };
            RsaKeyPair::from_components(&components)
                .map(|pair| SigningPair { algorithm, private: Private::Rsa(pair) })
                .map_err(|_| unfit(algorithm, "it is not a sound RSA key of 2048 to 8192 bits"))?
        }
        ("oct", _, Algorithm::Hs256) => SigningPair::from_pkcs8(algorithm, part(&jwk.k)?)?,
        _ => return Err(unfit(algorithm, "its member `kty` or `crv` says that it is of another kind")),
    };
    Ok(Imported { pair, kid: jwk.kid.and_then(|kid| kid.parse().ok()) })
}

fn part(member: &Option<Octets>) -> Result<&[u8], BadSigningKey> {
    member.as_ref().map(|octets| octets.0.as_slice()).ok_or(BadSigningKey::Shape)
}

/// The member without which a JWK is a public one.
fn private(member: &Option<Octets>) -> Result<&[u8], BadSigningKey> {
    part(member).map_err(|_| BadSigningKey::Public)
}

fn unfit(algorithm: Algorithm, why: &str) -> BadSigningKey {
    BadSigningKey::Unfit { algorithm, why: why.to_owned() }
}
