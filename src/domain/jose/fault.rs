//! What can be wrong with a token's form, with a signature, or with a key.

use std::fmt;

use super::Algorithm;

/// The longest token that is read, in bytes: no longer one fits into the head of a request, whose fields may have as much.
pub const LONGEST: usize = 32 * 1024;

/// A part of a token in compact form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Header,
    Payload,
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// One fault. [`Fault::code`] is stable, the sentence is for people; neither quotes the token or the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    #[error("the token is longer than {most} bytes", most = LONGEST)]
    TooLong,
    #[error("a token has three parts between two dots; this text has another shape")]
    Parts,
    /// Five parts, or `enc` in the header (RFC 7516 §9).
    #[error("this is an encrypted token (JWE); only signed ones (JWS) are taken")]
    Encrypted,
    /// A character outside the alphabet, padding, or bits that encode nothing (RFC 7515 §2, RFC 4648 §3.5).
    #[error("the {0} is not base64url without padding, in the one way that its bytes are written")]
    Base64(Part),
    #[error("the {0} is not one JSON object with each name once, in UTF-8, at most 64 deep")]
    Json(Part),
    #[error("`{0}` in the header is not what it has to be: a text")]
    HeaderType(&'static str),
    #[error("the header names no algorithm")]
    NoAlgorithm,
    /// Any spelling of `none`.
    #[error("the token says that it is not signed (`none`); no unsigned token is ever taken")]
    Unsigned,
    #[error("the header names an algorithm that is not known here")]
    UnknownAlgorithm,
    /// RFC 7515 §4.1.11, RFC 7797.
    #[error("the header demands an extension (`crit`, `b64`) that is not understood here")]
    Critical,
    /// RFC 7519 §5.2.
    #[error("the payload is a token again (`cty`); a nested token is not taken")]
    Nested,

    #[error("the token says {token}, and the key is for {key} alone")]
    WrongAlgorithm { token: Algorithm, key: Algorithm },
    #[error("the signature does not fit")]
    Signature,

    #[error("the key is not a JSON object with each name once (a JWK)")]
    KeyJson,
    #[error("`{0}` of the key is missing, or is not what it has to be")]
    KeyMember(&'static str),
    #[error("the key's type is none of RSA, EC, OKP and oct")]
    KeyType,
    #[error("the key's curve is none of P-256, P-384, P-521 and Ed25519")]
    KeyCurve,
    #[error("the key is for another use than verifying signatures (`use`, `key_ops`)")]
    KeyUse,
    #[error("the key's own algorithm (`alg`) is none that is known here")]
    KeyAlgorithm,
    #[error("the algorithm {0} does not go with this key")]
    KeyMismatch(Algorithm),
    #[error("which algorithm the key is for is said nowhere; name it, such as RS256 or PS256")]
    AlgorithmNeeded,
    #[error("the key holds its private part; give the public one alone")]
    KeyPrivate,
    #[error("an RSA key has 2048 to 8192 bits; this one has not")]
    RsaSize,
    #[error("the RSA key's exponent is even, below 65537 or beyond 32 bits")]
    RsaExponent,
    /// CVE-2017-15361.
    #[error("the RSA key was made by a flawed generator (ROCA) and can be factored; make another")]
    Roca,
    #[error("the key's point is not on its curve, or generates too small a group")]
    KeyPoint,
    #[error("the secret is shorter than the hash of {0}; make one of at least as many bytes (RFC 7518 §3.2)")]
    SecretShort(Algorithm),
    #[error("this is not one public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    Pem,
    #[error("two keys of the set have the same `kid` for one algorithm, and a token would mean either")]
    SetDuplicate,
    #[error("the set holds secrets (`oct`) beside public keys; keep them apart")]
    SetMixed,
    #[error("the set of keys is not an object with `keys`, a list of at most 100")]
    SetShape,
    #[error("the set holds no key that this token could have been signed with")]
    SetNoKey,
}

impl Fault {
    /// The name by which scripts know it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Parts => "wrong_parts",
            Self::Encrypted => "encrypted",
            Self::Base64(_) => "bad_base64",
            Self::Json(_) => "bad_json",
            Self::HeaderType(_) => "bad_header",
            Self::NoAlgorithm => "no_algorithm",
            Self::Unsigned => "unsigned",
            Self::UnknownAlgorithm => "unknown_algorithm",
            Self::Critical => "critical",
            Self::Nested => "nested",
            Self::WrongAlgorithm { .. } => "wrong_algorithm",
            Self::Signature => "bad_signature",
            Self::KeyJson => "bad_key",
            Self::KeyMember(_) => "bad_key_member",
            Self::KeyType => "key_type",
            Self::KeyCurve => "key_curve",
            Self::KeyUse => "key_use",
            Self::KeyAlgorithm => "key_algorithm",
            Self::KeyMismatch(_) => "key_mismatch",
            Self::AlgorithmNeeded => "algorithm_needed",
            Self::KeyPrivate => "key_private",
            Self::RsaSize => "rsa_size",
            Self::RsaExponent => "rsa_exponent",
            Self::Roca => "roca",
            Self::KeyPoint => "key_point",
            Self::SecretShort(_) => "secret_short",
            Self::Pem => "bad_pem",
            Self::SetDuplicate => "duplicate_kid",
            Self::SetMixed => "mixed_set",
            Self::SetShape => "bad_key_set",
            Self::SetNoKey => "no_key",
        }
    }
}
