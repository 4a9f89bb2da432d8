//! The name of one token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH: usize = 22;

/// The name of one token: 128 bits, shown as 22 base62 characters. A token of this home carries it as its `jti`; that of
/// another issuer is a digest of who issued it and what it calls itself, so that no issuer can take another's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(u128);

/// A text that is not the id of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a token (jti) is 22 letters and digits")]
pub struct BadTokenId;

impl TokenId {
    /// A new id, from the operating system's randomness.
    ///
    /// # Errors
    /// Where the operating system has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The id of the token that `issuer` calls `jti`: the first 128 bits of SHA-256 over `issuer`, a NUL, `jti`.
    pub fn of(issuer: &str, jti: &str) -> Self {
        let mut hash = Sha256::new();
        for piece in [issuer.as_bytes(), &[0], jti.as_bytes()] {
            hash.update(piece);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self::from_bytes(first)
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl FromStr for TokenId {
    type Err = BadTokenId;

    fn from_str(text: &str) -> Result<Self, BadTokenId> {
        if text.len() != LENGTH {
            return Err(BadTokenId);
        }
        let digit = |byte: u8| DIGITS.iter().position(|&digit| digit == byte);
        let number = text.bytes().try_fold(0_u128, |number, byte| {
            number.checked_mul(62)?.checked_add(u128::try_from(digit(byte)?).ok()?)
        });
        number.map(Self).ok_or(BadTokenId)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; LENGTH];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = DIGITS[(rest % 62) as usize];
            rest /= 62;
        }
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TokenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        for bytes in [[0; 16], [0xff; 16], *b"0123456789abcdef"] {
            let id = TokenId::from_bytes(bytes);
            assert_eq!(id.to_string().len(), LENGTH);
            assert_eq!((id.to_string().parse(), id.to_bytes()), (Ok(id), bytes));
        }
        let most = TokenId::from_bytes([0xff; 16]).to_string();
        let beyond = most[..LENGTH - 1].to_owned() + "~";
        for text in ["", "0", &"z".repeat(22), &"0".repeat(21), &"0".repeat(23), &"-".repeat(22), &beyond] {
            assert_eq!(text.parse::<TokenId>(), Err(BadTokenId), "{text}");
        }
    }

    #[test]
    fn each_issuer_has_names_of_its_own() {
        assert_ne!(TokenId::of("https://a", "1"), TokenId::of("https://b", "1"));
        assert_ne!(TokenId::of("ab", "c"), TokenId::of("a", "bc"));
        assert_eq!(TokenId::of("a", "b"), TokenId::of("a", "b"));
        assert_ne!(TokenId::generate().unwrap(), TokenId::generate().unwrap());
    }
}
