//! One sealed entry: a data key under the master key, the content under the data key.
//!
//! Both layers are AES-256-GCM-SIV (RFC 8452) under a random nonce, written before the
//! ciphertext. The associated data is `layer | store id | table | name | version`, so that an
//! entry opens only in its own place of its own store.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::{MasterKey, VaultError, random};

/// An entry of the vault as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEntry {
    pub name: String,
    pub version: u32,
    /// The data key under the master key.
    pub wrapped_key: Vec<u8>,
    /// The content under the data key.
    pub sealed: Vec<u8>,
}

impl SealedEntry {
    /// Seals `content` under a new data key.
    pub(super) fn seal(
        master: &MasterKey,
        store_id: &str,
        name: &str,
        version: u32,
        content: &[u8],
    ) -> Result<Self, VaultError> {
        let data_key = random()?;
        Ok(Self {
            name: name.to_owned(),
            version,
            wrapped_key: seal(master.bytes(), &context("key", store_id, name, version), &*data_key)?,
            sealed: seal(&data_key, &context("entry", store_id, name, version), content)?,
        })
    }

    /// The content, where master key, store and place are those that it was sealed for.
    pub(super) fn open(&self, master: &MasterKey, store_id: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let context = |layer| context(layer, store_id, &self.name, self.version);
        open(master.bytes(), &context("key"), &self.wrapped_key)
            .and_then(|data_key| key(&data_key))
            .and_then(|data_key| open(&data_key, &context("entry"), &self.sealed))
            .ok_or_else(|| {
                VaultError::DoesNotFit(format!(
                    "its entry `{}` does not open with this master key in this store",
                    self.name
                ))
            })
    }

    /// The content of an entry that is a key of 32 bytes.
    pub(super) fn open_key(
        &self,
        master: &MasterKey,
        store_id: &str,
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        key(&self.open(master, store_id)?)
            .ok_or_else(|| VaultError::DoesNotFit(format!("its entry `{}` is no key of 32 bytes", self.name)))
    }
}

/// Parts are separated by a zero byte, which none of them can hold.
fn context(layer: &str, store_id: &str, name: &str, version: u32) -> Vec<u8> {
    format!("portcullis-vault-1\0{layer}\0{store_id}\0vault_entry\0{name}\0{version}").into_bytes()
}

pub(super) fn seal(key: &[u8; 32], context: &[u8], content: &[u8]) -> Result<Vec<u8>, VaultError> {
    const FAILED: VaultError = VaultError::Crypto("seal an entry");
    let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key).map_err(|_| FAILED)?;
    let mut body = Zeroizing::new(content.to_vec());
    let (nonce, tag) = key.seal_in_place_separate_tag(Aad::from(context), &mut body).map_err(|_| FAILED)?;
    Ok([&nonce.as_ref()[..], &body[..], tag.as_ref()].concat())
}

pub(super) fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key).ok()?;
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = key.open_in_place(nonce, Aad::from(context), &mut body).ok()?.len();
    body.truncate(length);
    Some(body)
}

fn key(content: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if content.len() != key.len() {
        return None;
    }
    key.copy_from_slice(content);
    Some(key)
}
