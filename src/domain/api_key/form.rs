//! The written form of an API key.
//!
//! `pcl_<env>_<id>_<secret><crc>`: env 1–8 of `[a-z0-9]`; id 22 and secret 43 base62 characters
//! (128 and 256 bits from the operating system); crc the CRC-32 (IEEE) of all before it as 6
//! base62 characters (`0-9A-Za-z`, left-padded with `0`), so that typing errors and scanners
//! need no look-up.

use std::fmt;
use std::str::FromStr;

use memchr::memchr_iter;
use serde::{Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

use crate::domain::secret::Secret;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What every API key begins with.
pub const MARK: &str = "pcl_";
const ID: usize = 22;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;

/// The public part of an API key: 22 base62 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID]);

/// Where a key belongs (`live`, `test`, …): 1–8 of `[a-z0-9]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Environment {
    text: [u8; 8],
    length: u8,
}

/// The secret part of an API key: 43 base62 characters, wiped when dropped.
#[derive(Clone)]
pub struct KeySecret(Zeroizing<[u8; SECRET]>);

/// Why a text is not an API key. Of the text it quotes the id alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("an API key has the form pcl_<env>_<id>_<secret>; this text has another shape")]
    Shape,
    #[error("the environment of an API key is 1 to 8 of a-z and 0-9")]
    Environment,
    #[error("the id of an API key is 22 letters and digits")]
    Id,
    #[error("the secret of an API key is 43 letters and digits")]
    Secret,
    #[error("the checksum does not fit: the key was mistyped or cut short; copy it again{}", claimed(.0.as_ref()))]
    Checksum(Option<KeyId>),
}

/// Whose key a mistyped one claims to be, where its id can be read.
fn claimed(id: Option<&KeyId>) -> String {
    id.map_or_else(String::new, |id| format!("; it claims to be {id}"))
}

/// An API key as a client presents it: well formed, not yet judged.
#[derive(Clone, Debug)]
pub struct PresentedKey {
    /// `None` in the split form (`X-API-Key-Id`, `X-API-Key-Secret`), which has no environment.
    pub environment: Option<Environment>,
    pub id: KeyId,
    pub secret: KeySecret,
}

impl PresentedKey {
    /// Reads the joined form. The checksum is looked at before the parts, so that a slip of the
    /// hand anywhere in a key of the right shape is called what it is.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let joined = text.strip_prefix(MARK).ok_or(BadKey::Shape)?.as_bytes();
        let mut marks = memchr_iter(b'_', joined);
        let (Some(first), Some(second), None) = (marks.next(), marks.next(), marks.next()) else {
            return Err(BadKey::Shape);
        };
        let (environment, id, rest) = (&joined[..first], &joined[first + 1..second], &joined[second + 1..]);
        let mistyped = || BadKey::Checksum(KeyId::read(id).ok());
        let (checked, checksum) = text.as_bytes().split_last_chunk::<CHECKSUM>().ok_or_else(mistyped)?;
        if rest.len() < CHECKSUM || *checksum != checksum_of(checked) {
            return Err(mistyped());
        }
        let secret = &rest[..rest.len() - CHECKSUM];
        Ok(Self {
            environment: Some(Environment::read(environment)?),
            id: KeyId::read(id)?,
            secret: KeySecret::read(secret)?,
        })
    }

    /// Reads the split form: the id alone, and the secret with or without its checksum. The
    /// checksum covers the environment, which this form does not have, so it is not checked.
    pub fn from_parts(id: &str, secret: &str) -> Result<Self, BadKey> {
        let secret = match secret.as_bytes() {
            joined if joined.len() == SECRET + CHECKSUM && is_base62(joined) => &joined[..SECRET],
            bare => bare,
        };
        Ok(Self { environment: None, id: id.parse()?, secret: KeySecret::read(secret)? })
    }
}

impl KeyId {
    /// A new id, from the operating system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut id = [0; ID];
        fill_base62(&mut id)?;
        Ok(Self(id))
    }

    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// Its first eight characters, by which people tell one from another.
    pub fn short(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn read(text: &[u8]) -> Result<Self, BadKey> {
        match <[u8; ID]>::try_from(text) {
            Ok(id) if is_base62(&id) => Ok(Self(id)),
            _ => Err(BadKey::Id),
        }
    }
}

impl FromStr for KeyId {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        Self::read(text.as_bytes())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Environment {
    pub fn as_str(&self) -> &str {
        ascii(&self.text[..usize::from(self.length)])
    }

    fn read(text: &[u8]) -> Result<Self, BadKey> {
        let mut environment = Self { text: [0; 8], length: 0 };
        for &byte in text {
            let free = environment.text.get_mut(usize::from(environment.length));
            match (free, byte) {
                (Some(free), b'a'..=b'z' | b'0'..=b'9') => *free = byte,
                _ => return Err(BadKey::Environment),
            }
            environment.length += 1;
        }
        if environment.length == 0 { Err(BadKey::Environment) } else { Ok(environment) }
    }
}

impl Default for Environment {
    /// `live`
    fn default() -> Self {
        Self { text: *b"live\0\0\0\0", length: 4 }
    }
}

impl FromStr for Environment {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        Self::read(text.as_bytes())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl KeySecret {
    /// A new secret, from the operating system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; SECRET]);
        fill_base62(&mut *secret)?;
        Ok(Self(secret))
    }

    /// The whole key in its joined form, with its checksum: what is shown once.
    pub fn join(&self, environment: Environment, id: KeyId) -> Secret {
        let environment = environment.as_str();
        // Of the right size from the start: a text that grows leaves copies of itself behind.
        let length = MARK.len() + environment.len() + ID + SECRET + CHECKSUM + 2;
        let mut text = String::with_capacity(length);
        for part in [MARK, environment, "_", id.as_str(), "_", ascii(&*self.0)] {
            text.push_str(part);
        }
        let checksum = checksum_of(text.as_bytes());
        text.push_str(ascii(&checksum));
        Secret::new(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &*self.0
    }

    fn read(text: &[u8]) -> Result<Self, BadKey> {
        let mut secret = Zeroizing::new([0; SECRET]);
        if text.len() != SECRET || !is_base62(text) {
            return Err(BadKey::Secret);
        }
        secret.copy_from_slice(text);
        Ok(Self(secret))
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

/// Looks at all of it, wherever the first other character stands: that is quicker than to stop there, and tells nothing.
fn is_base62(text: &[u8]) -> bool {
    text.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

/// The text of bytes that were made or checked to be ASCII here.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Uniform base62 characters. Bytes from 248 on are thrown away: 62 divides 248, so that what is
/// left has no bias.
fn fill_base62(out: &mut [u8]) -> Result<(), getrandom::Error> {
    const UNBIASED: u8 = 248;
    let mut random = [0; 64];
    let mut free = out.iter_mut();
    loop {
        getrandom::fill(&mut random)?;
        for byte in random.iter().filter(|&&byte| byte < UNBIASED) {
            let Some(slot) = free.next() else {
                random.zeroize();
                return Ok(());
            };
            *slot = BASE62[usize::from(byte % 62)];
        }
    }
}

/// The CRC-32 of `checked` in base62, most significant digit first.
fn checksum_of(checked: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(checked);
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}
