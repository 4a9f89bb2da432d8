//! The master key, and the one line of text that it comes from.
//!
//! `vault.key` (or the file in `$PORTCULLIS_MASTER_KEY_FILE`) holds one of
//!
//! ```text
//! portcullis-vault-1 <base64 of the 32 bytes>
//! portcullis-vault-1-argon2id <KiB of memory>,<passes>,<lanes> <base64 of the salt>
//! ```

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{VaultError, random};
use crate::domain::secret::Secret;

const PLAIN: &str = "portcullis-vault-1";
const DERIVED: &str = "portcullis-vault-1-argon2id";

/// The key that every data key is sealed under. Wiped when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Derives the key from a passphrase (Argon2id, RFC 9106). Takes a fraction of a second.
    pub fn from_passphrase(passphrase: &Secret, salt: &[u8], cost: Cost) -> Result<Self, VaultError> {
        let refused =
            |_| VaultError::Key("the vault's key file asks for an Argon2id cost that is not valid".into());
        let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(32)).map_err(refused)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose().as_bytes(), salt, &mut *key)
            .map_err(refused)?;
        Ok(Self(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// What a passphrase costs to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The second choice of RFC 9106 §4: 64 MiB, three passes; one lane, as there is one waiting.
    const DEFAULT: Self = Self { memory: 64 * 1024, passes: 3, lanes: 1 };
    /// A key file that asks for more is not one of ours, and must not eat the machine.
    const MOST: Self = Self { memory: 4 * 1024 * 1024, passes: 64, lanes: 16 };

    fn is_sane(self) -> bool {
        self.memory <= Self::MOST.memory && self.passes <= Self::MOST.passes && self.lanes <= Self::MOST.lanes
    }
}

/// What a key file says: the key itself, or how to derive it from a passphrase.
#[derive(Clone)]
pub enum KeyFile {
    Key(MasterKey),
    Passphrase { salt: [u8; 16], cost: Cost },
}

impl KeyFile {
    /// A new random key.
    pub fn generate() -> Result<Self, VaultError> {
        random().map(|bytes| Self::Key(MasterKey(bytes)))
    }

    /// A new salt for a passphrase, at the cost of today.
    pub fn generate_for_passphrase() -> Result<Self, VaultError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| VaultError::Crypto("draw random bytes"))?;
        Ok(Self::Passphrase { salt, cost: Cost::DEFAULT })
    }

    /// Reads the file's text; `None` where it is not such a file. Never quotes it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let file = match words.next()? {
            PLAIN => {
                let bytes = Zeroizing::new(STANDARD.decode(words.next()?).ok()?);
                let mut key = Zeroizing::new([0; 32]);
                if bytes.len() != key.len() {
                    return None;
                }
                key.copy_from_slice(&bytes);
                Self::Key(MasterKey(key))
            }
            DERIVED => {
                let mut numbers = words.next()?.split(',').map(|number| number.parse().ok());
                let cost =
                    Cost { memory: numbers.next()??, passes: numbers.next()??, lanes: numbers.next()?? };
                if numbers.next().is_some() || !cost.is_sane() {
                    return None;
                }
                Self::Passphrase { salt: STANDARD.decode(words.next()?).ok()?.try_into().ok()?, cost }
            }
            _ => return None,
        };
        words.next().is_none().then_some(file)
    }

    /// The file's text: a line.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Key(key) => format!("{PLAIN} {}\n", *Zeroizing::new(STANDARD.encode(key.bytes()))),
            Self::Passphrase { salt, cost: Cost { memory, passes, lanes } } => {
                format!("{DERIVED} {memory},{passes},{lanes} {}\n", STANDARD.encode(salt))
            }
        })
    }

    /// The key, with the passphrase where one is needed.
    pub fn master_key(&self, passphrase: Option<&Secret>) -> Result<MasterKey, VaultError> {
        match (self, passphrase) {
            (Self::Key(key), _) => Ok(key.clone()),
            (Self::Passphrase { salt, cost }, Some(passphrase)) => {
                MasterKey::from_passphrase(passphrase, salt, *cost)
            }
            (Self::Passphrase { .. }, None) => Err(VaultError::Key(
                "the vault of this home is locked with a passphrase; put it into a file of mode 0600 and name \
                 that file in PORTCULLIS_PASSPHRASE_FILE"
                    .into(),
            )),
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "KeyFile::Key(…)",
            Self::Passphrase { .. } => "KeyFile::Passphrase(…)",
        })
    }
}
