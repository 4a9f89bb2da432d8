//! The signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::text::excerpt;

/// How a token is signed. There is no `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Ed25519; the one curve of RFC 8037 that is taken. RFC 9864 calls it `Ed25519`.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSASSA-PKCS1-v1_5.
    Rs256,
    Rs384,
    Rs512,
    /// RSASSA-PSS, the salt as long as the hash.
    Ps256,
    Ps384,
    Ps512,
    /// HMAC: who can verify can sign as well.
    Hs256,
    Hs384,
    Hs512,
}

/// What RFC 9864 calls EdDSA with a key on Ed25519, and the only kind of EdDSA here.
const ED25519: &str = "Ed25519";

/// A text that names no algorithm which is taken here; safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no signature algorithm known here; there are {known}", known = Algorithm::ALL.map(Algorithm::as_str).join(", "))]
pub struct BadAlgorithm(pub String);

impl Algorithm {
    pub const ALL: [Self; 13] = [
        Self::EdDsa,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// What signing keys are made for. The rest verifies what others signed.
    pub const ISSUED: [Self; 5] = [Self::EdDsa, Self::Es256, Self::Rs256, Self::Ps256, Self::Hs256];

    /// As it stands in a header that is written here.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Whether one secret both signs and verifies.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// The names of those that verify with a public key, as they stand in metadata.
    pub fn public_names() -> impl Iterator<Item = &'static str> {
        let public = Self::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric());
        public.map(Self::as_str).chain([ED25519])
    }

    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512)
    }
}

impl FromStr for Algorithm {
    type Err = BadAlgorithm;

    /// The exact name, or the other one of the same algorithm: RFC 7515 §4.1.1 makes them case-sensitive.
    fn from_str(text: &str) -> Result<Self, BadAlgorithm> {
        if text == ED25519 {
            return Ok(Self::EdDsa);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| BadAlgorithm(excerpt(text)))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_known_by_its_exact_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            assert_eq!(
                serde_json::from_str::<Algorithm>(&serde_json::to_string(&algorithm).unwrap()).unwrap(),
                algorithm
            );
        }
        for text in [
            "", "none", "None", "NONE", "nOnE", "hs256", "HS256 ", "ES521", "ES256K", "EDDSA", "ed25519",
            "Ed448", "ESP512", "HS1",
        ] {
            assert!(text.parse::<Algorithm>().is_err(), "{text}");
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDsa), "two names of one algorithm");
    }

    #[test]
    fn a_refusal_names_what_there_is() {
        let told = "none\u{202e}".parse::<Algorithm>().unwrap_err().to_string();
        assert!(told.contains("EdDSA, ES256") && !told.contains('\u{202e}'), "{told}");
    }
}
