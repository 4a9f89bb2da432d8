//! The public key of a chain: what its heads are verified with, and the fingerprint by which people compare it.

use std::fmt;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

/// An Ed25519 public key (RFC 8032) as `SubjectPublicKeyInfo` (RFC 8410).
#[derive(Clone)]
pub struct ChainKey {
    der: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl ChainKey {
    /// Reads a PEM file, or its body alone; `None` where it is no such key.
    pub fn parse(pem: &str) -> Option<Self> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = BASE64_STANDARD.decode(body).ok()?;
        let parsed = ParsedPublicKey::new(&ED25519, &der).ok()?;
        Some(Self { der, parsed })
    }

    /// SHA-256 over the DER form, in lower-case hex.
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }

    /// The DER form in base64: the body of the PEM file.
    pub fn to_base64(&self) -> String {
        BASE64_STANDARD.encode(&self.der)
    }

    /// Whether `signature` was made over `message` by who holds the private key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for ChainKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}
