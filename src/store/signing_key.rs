//! Signing keys in SQLite. Their private parts are entries of the vault, written and removed with the rows.

use super::{
    Rows, Sound, StoreError,
    change::{self, Change},
    sealed_entry,
    table::{self, Columns, Noun, Table, moment},
    value::{Value, to_json},
};
use crate::{
    domain::{clock::Timestamp, name::Kid, signing_key::SigningKey},
    vault::{SealedEntry, signing_key_entry},
};

const COLUMNS: &str = "kid, algorithm, name, created_at, signs_from, signs_until, verifies_until, retired_at, \
                       public_jwk";

pub(super) static TABLE: Table = Table::new("signing_key", COLUMNS, 1);

pub fn find(c: &Rows<'_>, kid: &Kid) -> Result<Option<SigningKey>, StoreError> {
    table::find(c, kid.as_str())
}

/// Every key that there ever was, the newest first; an error where one of them is damaged.
pub fn list(c: &Rows<'_>) -> Result<Vec<SigningKey>, StoreError> {
    table::all(sound(c)?)
}

/// The keys that are not damaged, the newest first, and what is wrong with the others: what those signed is refused.
pub fn sound(c: &Rows<'_>) -> Result<Sound<SigningKey>, StoreError> {
    table::sound(c, "signs_from DESC, created_at DESC, kid")
}

/// The private part as the vault sealed it; `None` where there is none (any more).
pub fn private(c: &Rows<'_>, kid: &Kid) -> Result<Option<SealedEntry>, StoreError> {
    sealed_entry::find(c, &signing_key_entry(kid))
}

/// Adds a key with its private part. A [`StoreError::Constraint`] where the kid was ever used.
pub fn insert(
    c: &Rows<'_>,
    key: &SigningKey,
    private: &SealedEntry,
    now: Timestamp,
) -> Result<(), StoreError> {
    table::insert(c, key)?;
    sealed_entry::insert(c, private, now)?;
    change::append(c, &Change::SigningKeys)
}

/// Ends a key's signing at `signs_until` and its verifying at `verifies_until`, unless they end sooner; `false` where there
/// is none.
pub fn set_ending(
    c: &Rows<'_>,
    kid: &Kid,
    signs_until: Timestamp,
    verifies_until: Timestamp,
) -> Result<bool, StoreError> {
    let sooner = |end: Option<Timestamp>, new| Some(end.map_or(new, |end| end.min(new)));
    alter(c, kid, |key| {
        key.signs_until = sooner(key.signs_until, signs_until);
        key.verifies_until = sooner(key.verifies_until, verifies_until);
    })
}

/// Retires a key for good, and destroys its private part; `false` where there is none. The first retirement's moment
/// stays.
pub fn set_retired(c: &Rows<'_>, kid: &Kid, at: Timestamp) -> Result<bool, StoreError> {
    sealed_entry::delete(c, &signing_key_entry(kid))?;
    alter(c, kid, |key| _ = key.retired_at.get_or_insert(at))
}

fn alter(c: &Rows<'_>, kid: &Kid, change: impl FnOnce(&mut SigningKey)) -> Result<bool, StoreError> {
    let altered = table::alter(c, kid.as_str(), change)?;
    if altered {
        change::append(c, &Change::SigningKeys)?;
    }
    Ok(altered)
}

impl Noun for SigningKey {
    const TABLE: &'static Table = &TABLE;

    fn values(&self) -> Result<Vec<Value>, StoreError> {
        Ok(vec![
            self.kid.to_string().into(),
            self.algorithm.to_string().into(),
            self.name.clone().into(),
            self.created_at.millis().into(),
            self.signs_from.millis().into(),
            moment(self.signs_until),
            moment(self.verifies_until),
            moment(self.retired_at),
            self.public.as_ref().map(to_json).transpose()?.into(),
        ])
    }

    fn read(_: &Rows<'_>, row: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            kid: row.parse(0)?,
            algorithm: row.parse(1)?,
            name: row.get(2)?,
            created_at: row.moment(3)?,
            signs_from: row.moment(4)?,
            signs_until: row.moment_if_any(5)?,
            verifies_until: row.moment_if_any(6)?,
            retired_at: row.moment_if_any(7)?,
            public: row.json_if_any(8)?,
        })
    }
}
