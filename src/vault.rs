//! The vault: the master key, and everything sealed under it.
//!
//! Envelope encryption: each entry has a data key of its own, sealed under the master key; the
//! entry's identity is bound in as associated data. AES-256-GCM-SIV throughout.
//!
//! Pure: entries come in and go out as plain structs, the key file as text. No SQL, no files.

pub mod backup;
mod envelope;
mod error;
mod master_key;
mod random;
mod signing_key;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    encoding::AsDer,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::domain::{
    api_key::Pepper,
    audit::ChainKey,
    name::{IssuerName, Kid},
};

pub use envelope::SealedEntry;
pub use error::VaultError;
pub use master_key::{Cost, KeyFile, MasterKey};
pub use signing_key::{BadSigningKey, Imported, RsaBits, SigningPair};

use random::random;

/// The version of each entry that a new vault is made with, and the one that is used.
pub const VERSION: u32 = 1;

const PEPPER: &str = "pepper";
const SESSION: &str = "session";
const AUDIT: &str = "audit";
const ROWS: &str = "rows";
/// The version of the entry [`ROWS`] in a home that has an anchor. As nothing opens without this entry, and only the vault can
/// seal one, nobody takes back that there is an anchor.
const ANCHORED: u32 = 2;
/// What a vault consists of: 32 random bytes each.
const ENTRIES: [&str; 4] = [PEPPER, SESSION, AUDIT, ROWS];

/// An open vault: what the store's sealed entries decrypt to.
pub struct Vault {
    /// Kept for the entries that come and go: the private parts of signing keys, the secrets of issuers.
    master: MasterKey,
    store_id: String,
    pepper: Pepper,
    session_key: Zeroizing<[u8; 32]>,
    audit: AuditSigner,
    row_key: Zeroizing<[u8; 32]>,
}

impl Vault {
    /// Makes the keys of a new vault and seals them for the store `store_id`.
    pub fn create(master: &MasterKey, store_id: &str) -> Result<(Self, Vec<SealedEntry>), VaultError> {
        let entries = ENTRIES
            .iter()
            .map(|name| SealedEntry::seal(master, store_id, name, VERSION, &random()?[..]))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((Self::open(master, store_id, &entries)?, entries))
    }

    /// Opens what [`Vault::create`] sealed. All entries must be there and fit.
    pub fn open(master: &MasterKey, store_id: &str, entries: &[SealedEntry]) -> Result<Self, VaultError> {
        let key = |name: &str| key_of(master, store_id, entries, name);
        Ok(Self {
            master: master.clone(),
            store_id: store_id.to_owned(),
            pepper: Pepper::new(&*key(PEPPER)?),
            session_key: key(SESSION)?,
            audit: AuditSigner::open(master, store_id, entries)?,
            row_key: key(ROWS)?,
        })
    }

    /// The pepper under which API key secrets are digested.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// The key that binds MCP session ids to principals.
    pub fn session_key(&self) -> &[u8; 32] {
        &self.session_key
    }

    /// The key under which the store's rows are sealed.
    pub fn row_key(&self) -> &[u8; 32] {
        &self.row_key
    }

    /// The entry that keeps the private part of the signing key `kid`.
    pub fn seal_signing_key(&self, kid: &Kid, pair: &SigningPair) -> Result<SealedEntry, VaultError> {
        self.seal(&signing_key_entry(kid), &pair.to_bytes()?)
    }

    /// What [`Vault::seal_signing_key`] sealed for `kid`. An entry that was sealed for another key does not open.
    pub fn open_signing_key(&self, kid: &Kid, entry: &SealedEntry) -> Result<SigningPair, VaultError> {
        SigningPair::from_bytes(&self.open_entry(&signing_key_entry(kid), entry)?)
    }

    /// The entry that keeps the secret which the issuer `name` signs with.
    pub fn seal_issuer_secret(&self, name: &IssuerName, secret: &[u8]) -> Result<SealedEntry, VaultError> {
        self.seal(&issuer_entry(name), secret)
    }

    /// What [`Vault::seal_issuer_secret`] sealed for `name`.
    pub fn open_issuer_secret(
        &self,
        name: &IssuerName,
        entry: &SealedEntry,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.open_entry(&issuer_entry(name), entry)
    }

    /// The entry of the key under which rows are sealed, in a home that has an anchor: it takes the place of the other.
    pub fn seal_anchored(&self) -> Result<SealedEntry, VaultError> {
        SealedEntry::seal(&self.master, &self.store_id, ROWS, ANCHORED, &self.row_key[..])
    }

    fn seal(&self, name: &str, content: &[u8]) -> Result<SealedEntry, VaultError> {
        SealedEntry::seal(&self.master, &self.store_id, name, VERSION, content)
    }

    fn open_entry(&self, name: &str, entry: &SealedEntry) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if entry.name != name {
            return Err(VaultError::DoesNotFit(format!("its entry `{}` is not `{name}`", entry.name)));
        }
        entry.open(&self.master, &self.store_id)
    }

    /// The key that signs the heads of the audit chain. Cheap to clone.
    pub fn audit_signer(&self) -> &AuditSigner {
        &self.audit
    }
}

fn key_of(
    master: &MasterKey,
    store_id: &str,
    entries: &[SealedEntry],
    name: &str,
) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    entries
        .iter()
        .find(|entry| entry.name == name && (entry.version == VERSION || is_anchored(entry)))
        .ok_or_else(|| VaultError::DoesNotFit(format!("its entry `{name}` is missing")))?
        .open_key(master, store_id)
}

/// Whether it says that the home has an anchor; whether it is true is known once it was opened.
pub fn is_anchored(entry: &SealedEntry) -> bool {
    entry.name == ROWS && entry.version == ANCHORED
}

/// Under which name the private part of a signing key is kept.
pub fn signing_key_entry(kid: &Kid) -> String {
    format!("signing-key/{kid}")
}

/// Under which name the secret of an issuer is kept.
pub fn issuer_entry(name: &IssuerName) -> String {
    format!("issuer/{name}")
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

/// Signs the heads of the audit chain (Ed25519, RFC 8032).
#[derive(Clone)]
pub struct AuditSigner(Arc<Ed25519KeyPair>);

impl AuditSigner {
    /// The one of a vault, whatever is wrong with its other entries.
    pub fn open(master: &MasterKey, store_id: &str, entries: &[SealedEntry]) -> Result<Self, VaultError> {
        Self::from_seed(&*key_of(master, store_id, entries, AUDIT)?)
    }

    fn from_seed(seed: &[u8; 32]) -> Result<Self, VaultError> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map(|pair| Self(Arc::new(pair)))
            .map_err(|_| VaultError::Crypto("read the audit key"))
    }

    /// The 64 bytes of the signature over `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    /// The public key that verifies what it signs.
    pub fn key(&self) -> Result<ChainKey, VaultError> {
        ChainKey::parse(&self.public_key_pem()?).ok_or(VaultError::Crypto("read the audit key"))
    }

    /// The public key as PEM (`SubjectPublicKeyInfo`, RFC 8410): what an auditor verifies with.
    pub fn public_key_pem(&self) -> Result<String, VaultError> {
        let der = self.0.public_key().as_der().map_err(|_| VaultError::Crypto("write the audit key"))?;
        Ok(format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der.as_ref())
        ))
    }
}

impl fmt::Debug for AuditSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSigner(…)")
    }
}
