//! Signing keys in SQLite. Their private parts are entries of the vault, written and removed with the rows.
use rusqlite::{OptionalExtension, Row, params_from_iter, types::Value};

use super::{
    Rows, StoreError,
    feed::{self, Change},
    seal::Table,
    to_json, vault_entry,
};
use crate::{
    domain::{clock::Timestamp, name::Kid, signing_key::SigningKey},
    vault::{SealedEntry, signing_key_entry},
};

const COLUMNS: &str = "kid, algorithm, name, created_at, signs_from, signs_until, verifies_until, retired_at, \
                       public_jwk";

pub(super) static TABLE: Table = Table { name: "signing_key", columns: COLUMNS, width: 9, key: 1 };

pub fn find(c: &Rows<'_>, kid: &Kid) -> Result<Option<SigningKey>, StoreError> {
    c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM signing_key WHERE kid = ?1"))?
        .query_row([kid.as_str()], |row| Ok(checked(c, row)))
        .optional()?
        .transpose()
}

/// Every key that there ever was, the newest first; an error where one of them is damaged.
pub fn list(c: &Rows<'_>) -> Result<Vec<SigningKey>, StoreError> {
    let (keys, damaged) = sound(c)?;
    damaged.into_iter().next().map_or(Ok(keys), Err)
}

/// The keys that are not damaged, the newest first, and what is wrong with the others: what those signed is refused.
pub fn sound(c: &Rows<'_>) -> Result<(Vec<SigningKey>, Vec<StoreError>), StoreError> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {COLUMNS}, mac FROM signing_key ORDER BY signs_from DESC, created_at DESC, kid"
    ))?;
    let mut rows = select.query([])?;
    let (mut keys, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match checked(c, row) {
            Ok(key) => keys.push(key),
            Err(error) if error.is_of_one_row() => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((keys, damaged))
}

/// The private part as the vault sealed it; `None` where there is none (any more).
pub fn private(c: &Rows<'_>, kid: &Kid) -> Result<Option<SealedEntry>, StoreError> {
    vault_entry::find(c, &signing_key_entry(kid))
}

/// Adds a key with its private part. A [`StoreError::Constraint`] where the kid was ever used.
pub fn insert(
    c: &Rows<'_>,
    key: &SigningKey,
    private: &SealedEntry,
    now: Timestamp,
) -> Result<(), StoreError> {
    c.prepare_cached(&format!(
        "INSERT INTO signing_key ({COLUMNS}, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    ))?
    .execute(params_from_iter(sealed(c, key)?))?;
    vault_entry::insert(c, private, now)?;
    feed::append(c, &Change::SigningKeys)
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
    vault_entry::delete(c, &signing_key_entry(kid))?;
    alter(c, kid, |key| _ = key.retired_at.get_or_insert(at))
}

/// Writes a key anew with a change. Its seal is checked first, so that what was tampered with is never sealed.
fn alter(c: &Rows<'_>, kid: &Kid, change: impl FnOnce(&mut SigningKey)) -> Result<bool, StoreError> {
    let Some(mut key) = find(c, kid)? else { return Ok(false) };
    change(&mut key);
    c.prepare_cached(&format!(
        "UPDATE signing_key SET ({COLUMNS}, mac) = (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) WHERE kid = ?1"
    ))?
    .execute(params_from_iter(sealed(c, &key)?))?;
    feed::append(c, &Change::SigningKeys)?;
    Ok(true)
}

/// The values of [`COLUMNS`], and the seal.
fn sealed(c: &Rows<'_>, key: &SigningKey) -> Result<Vec<Value>, StoreError> {
    let moment = |moment: Option<Timestamp>| Value::from(moment.map(Timestamp::millis));
    TABLE.seal(
        c,
        [
            key.kid.to_string().into(),
            key.algorithm.to_string().into(),
            key.name.clone().into(),
            key.created_at.millis().into(),
            key.signs_from.millis().into(),
            moment(key.signs_until),
            moment(key.verifies_until),
            moment(key.retired_at),
            key.public.as_ref().map(to_json).transpose()?.into(),
        ],
    )
}

/// A row of [`COLUMNS`] and its seal.
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<SigningKey, StoreError> {
    TABLE.check(c, row, 0)?;
    let kid: &str = row.get_ref(0)?.as_str().map_err(|error| StoreError::row(TABLE.name, "?", error))?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row(TABLE.name, kid, why);
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(|error| bad(&error));
    let moment = |column: usize| -> Result<_, StoreError> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
    };
    let public: Option<String> = row.get(8)?;
    Ok(SigningKey {
        kid: kid.parse().map_err(|error| bad(&error))?,
        algorithm: text(1)?.parse().map_err(|error| bad(&error))?,
        name: row.get(2)?,
        created_at: Timestamp::from_millis(row.get(3)?),
        signs_from: Timestamp::from_millis(row.get(4)?),
        signs_until: moment(5)?,
        verifies_until: moment(6)?,
        retired_at: moment(7)?,
        public: public.map(|json| serde_json::from_str(&json)).transpose().map_err(|error| bad(&error))?,
    })
}
