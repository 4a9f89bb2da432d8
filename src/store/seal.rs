//! Sealed rows: what a decision rests on cannot be altered unnoticed.
//!
//! Each row of a sealed table carries HMAC-SHA256 over the table's name and all of its other columns, its primary key
//! among them, under a key that only the vault holds. Whoever has opened the vault has every row checked that it acts
//! on; without the vault (an auditor) nothing can be checked, and nothing can be written. Pages and the windows that the
//! console shows are checked as well, and name what is damaged.
//!
//! A seal does not show that a row is missing, nor that it was replaced by an older one of itself.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::value::ValueRef;

/// The key under which rows are sealed: [`Vault::row_key`](crate::vault::Vault::row_key), as a keyed HMAC state.
#[derive(Clone)]
pub struct RowKey(Hmac<Sha256>);

impl RowKey {
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a short key with zeros to one block (RFC 2104 §2); a whole block cannot be of the wrong length.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self(Hmac::new((&*block).into()))
    }

    /// The seal of a row of `table` that holds `values`.
    pub(super) fn seal<'v>(&self, table: &str, values: impl Iterator<Item = ValueRef<'v>>) -> Vec<u8> {
        self.mac(table, values).finalize().into_bytes().to_vec()
    }

    /// Whether `seal` is that.
    pub(super) fn fits<'v>(
        &self,
        seal: &[u8],
        table: &str,
        values: impl Iterator<Item = ValueRef<'v>>,
    ) -> bool {
        self.mac(table, values).verify_slice(seal).is_ok()
    }

    /// The table's name, then each value with its type and length: no two rows give the same bytes.
    fn mac<'v>(&self, table: &str, values: impl Iterator<Item = ValueRef<'v>>) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        let mut absorb = |kind: u8, bytes: &[u8]| {
            let mut head = [kind; 9];
            head[1..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            mac.update(&head);
            mac.update(bytes);
        };
        absorb(b'T', table.as_bytes());
        for value in values {
            match value {
                ValueRef::Null => absorb(b'n', &[]),
                ValueRef::Integer(number) => absorb(b'i', &number.to_le_bytes()),
                ValueRef::Real(number) => absorb(b'r', &number.to_bits().to_le_bytes()),
                ValueRef::Text(bytes) => absorb(b't', bytes),
                ValueRef::Blob(bytes) => absorb(b'b', bytes),
            }
        }
        mac
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: u8, table: &str, values: &[ValueRef<'_>]) -> Vec<u8> {
        RowKey::new(&[key; 32]).seal(table, values.iter().copied())
    }

    #[test]
    fn values_of_other_kinds_or_cut_elsewhere_give_another_seal() {
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        let seals = [
            seal(7, "t", &[text("ab"), text("c")]),
            seal(7, "t", &[text("a"), text("bc")]),
            seal(7, "t", &[text("abc")]),
            seal(7, "t", &[text("ab"), text("c"), ValueRef::Null]),
            seal(7, "t", &[text("ab"), ValueRef::Blob(b"c")]),
            seal(7, "t", &[text("c"), text("ab")]),
            seal(7, "t", &[ValueRef::Integer(1), ValueRef::Null]),
            seal(7, "t", &[ValueRef::Real(1.0), ValueRef::Null]),
            seal(7, "t", &[text("1"), ValueRef::Null]),
            seal(7, "t", &[ValueRef::Null, ValueRef::Integer(1)]),
            seal(7, "u", &[text("ab"), text("c")]),
            seal(8, "t", &[text("ab"), text("c")]),
        ];
        let distinct: std::collections::HashSet<_> = seals.iter().collect();
        assert_eq!(distinct.len(), seals.len());
    }

    /// Homes of before hold such seals: no change of ours may give a row another one.
    #[test]
    fn the_seal_is_the_one_that_is_written_down_here() {
        let mut by_hand = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        by_hand.update(b"T\x01\0\0\0\0\0\0\0t");
        by_hand.update(b"t\x02\0\0\0\0\0\0\0abi\x08\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0n\0\0\0\0\0\0\0\0");
        by_hand.update(b"b\x01\0\0\0\0\0\0\0\xffr\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\xe0\x3f");
        let by_hand = by_hand.finalize().into_bytes().to_vec();
        let values = [
            ValueRef::Text(b"ab"),
            ValueRef::Integer(258),
            ValueRef::Null,
            ValueRef::Blob(&[255]),
            ValueRef::Real(0.5),
        ];
        assert_eq!(seal(7, "t", &values), by_hand);
        let key = RowKey::new(&[7; 32]);
        assert!(key.fits(&by_hand, "t", values.into_iter()));
        assert!(!key.fits(&by_hand, "u", values.into_iter()));
    }
}
