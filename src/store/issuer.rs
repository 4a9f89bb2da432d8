//! Issuers of tokens besides this home, in SQLite. The secret of one that signs with HS256 is an entry of the vault.
use rusqlite::{OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{
    Rows, StoreError,
    feed::{self, Change},
    issuer_source,
    seal::Table,
    to_json, token, vault_entry,
};
use crate::{
    domain::{
        clock::Timestamp,
        issuer::Issuer,
        name::{IssuerName, Subject},
        revocation::Target,
    },
    vault::{SealedEntry, issuer_entry},
};

const COLUMNS: &str = "name, profile, iss, url, audience, algorithms, mapping, policy, keys, created_at, \
                       fetched_at, last_error";

pub(super) static TABLE: Table = Table { name: "issuer", columns: COLUMNS, width: 12, key: 1 };

pub fn find(c: &Rows<'_>, name: &IssuerName) -> Result<Option<Issuer>, StoreError> {
    c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM issuer WHERE name = ?1"))?
        .query_row([name.as_str()], |row| Ok(checked(c, row)))
        .optional()?
        .transpose()
}

/// All of them, by name; an error where one is damaged.
pub fn list(c: &Rows<'_>) -> Result<Vec<Issuer>, StoreError> {
    let (issuers, damaged) = sound(c)?;
    damaged.into_iter().next().map_or(Ok(issuers), Err)
}

/// Those that are not damaged, by name, and what is wrong with the others: their tokens are refused.
pub fn sound(c: &Rows<'_>) -> Result<(Vec<Issuer>, Vec<StoreError>), StoreError> {
    let mut select = c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM issuer ORDER BY name"))?;
    let mut rows = select.query([])?;
    let (mut issuers, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match checked(c, row) {
            Ok(issuer) => issuers.push(issuer),
            Err(error) if error.is_of_one_row() => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((issuers, damaged))
}

/// The secret that the issuer signs with, as the vault sealed it; `None` where it has none.
pub fn secret(c: &Rows<'_>, name: &IssuerName) -> Result<Option<SealedEntry>, StoreError> {
    vault_entry::find(c, &issuer_entry(name))
}

/// A key or live token of this home whose subject begins with `prefix`, in words, and its subject.
pub fn holder_of(
    c: &Rows<'_>,
    prefix: &str,
    now: Timestamp,
) -> Result<Option<(String, Subject)>, StoreError> {
    let subjects = |table: &str, is_live: &str, what: &str| {
        let sql = format!(
            "SELECT min({what}), subject FROM {table} WHERE substr(subject, 1, length(?1)) = ?1 AND {is_live} GROUP BY subject"
        );
        let mut select = c.prepare_cached(&sql)?;
        let rows = select.query_map(params![prefix, now.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<Vec<(String, String)>, _>>()
    };
    let keys = subjects(
        "api_key",
        "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
        "'key ' || id",
    )?;
    let tokens = subjects("token", "expires_at > ?2", "'a token'")?;
    let is_key = |what: &str| what.starts_with("key");
    for (what, subject) in keys.into_iter().chain(tokens) {
        let subject: Subject =
            subject.parse().map_err(|error| StoreError::row("subject", &subject, error))?;
        let target = Target::Subject { subject: subject.clone(), cut: Timestamp::END };
        if is_key(&what) || token::live_of(c, &target, now)? > 0 {
            return Ok(Some((what, subject)));
        }
    }
    Ok(None)
}

/// Adds an issuer, with its secret where it signs with one. A [`StoreError::Constraint`] where the name, or its `iss`, is
/// taken.
pub fn insert(c: &Rows<'_>, issuer: &Issuer, secret: Option<&SealedEntry>) -> Result<(), StoreError> {
    c.prepare_cached(&format!(
        "INSERT INTO issuer ({COLUMNS}, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    ))?
    .execute(params_from_iter(sealed(c, issuer)?))?;
    if let Some(secret) = secret {
        vault_entry::insert(c, secret, issuer.created_at)?;
    }
    feed::append(c, &Change::Issuers)
}

/// Writes an issuer anew; `false` where there is none. The seal of what was there is checked first, so that what was
/// tampered with is never sealed.
pub fn update(c: &Rows<'_>, issuer: &Issuer) -> Result<bool, StoreError> {
    if find(c, &issuer.name)?.is_none() {
        return Ok(false);
    }
    c.prepare_cached(&format!(
        "UPDATE issuer SET ({COLUMNS}, mac) =
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) WHERE name = ?1"
    ))?
    .execute(params_from_iter(sealed(c, issuer)?))?;
    feed::append(c, &Change::Issuers)?;
    Ok(true)
}

/// Puts a secret, or none, in the place of the one that an issuer signs with.
pub fn replace_secret(
    c: &Rows<'_>,
    name: &IssuerName,
    secret: Option<&SealedEntry>,
    now: Timestamp,
) -> Result<(), StoreError> {
    vault_entry::delete(c, &issuer_entry(name))?;
    secret.map_or(Ok(()), |secret| vault_entry::insert(c, secret, now))
}

/// Removes an issuer and its secret; `false` where there is none.
pub fn delete(c: &Rows<'_>, name: &IssuerName) -> Result<bool, StoreError> {
    issuer_source::delete(c, name)?;
    let removed = c.prepare_cached("DELETE FROM issuer WHERE name = ?1")?.execute([name.as_str()])?;
    if removed > 0 {
        vault_entry::delete(c, &issuer_entry(name))?;
        feed::append(c, &Change::Issuers)?;
    }
    Ok(removed > 0)
}

/// One audience stands there as it is, as in stores of before there could be several; these as a JSON array.
fn audiences_to_text(audiences: &[String]) -> Result<Option<String>, StoreError> {
    match audiences {
        [] => Ok(None),
        [one] if serde_json::from_str::<Vec<String>>(one).is_err() => Ok(Some(one.clone())),
        several => to_json(&several).map(Some),
    }
}

fn audiences_of_text(text: String) -> Vec<String> {
    serde_json::from_str(&text).unwrap_or_else(|_| vec![text])
}

/// The values of [`COLUMNS`], and the seal.
fn sealed(c: &Rows<'_>, issuer: &Issuer) -> Result<Vec<Value>, StoreError> {
    TABLE.seal(
        c,
        [
            issuer.name.to_string().into(),
            issuer.profile.as_str().to_owned().into(),
            issuer.iss.clone().into(),
            issuer.url.clone().into(),
            audiences_to_text(&issuer.audiences)?.into(),
            to_json(&issuer.algorithms)?.into(),
            to_json(&issuer.mapping)?.into(),
            issuer.policy.to_string().into(),
            to_json(&issuer.keys)?.into(),
            issuer.created_at.millis().into(),
            issuer.fetched_at.map(Timestamp::millis).into(),
            issuer.last_error.clone().into(),
        ],
    )
}

/// A row of [`COLUMNS`] and its seal.
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<Issuer, StoreError> {
    TABLE.check(c, row, 0)?;
    let name: &str = row.get_ref(0)?.as_str().map_err(|error| StoreError::row(TABLE.name, "?", error))?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row(TABLE.name, name, why);
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(|error| bad(&error));
    Ok(Issuer {
        name: name.parse().map_err(|error| bad(&error))?,
        profile: text(1)?.parse().map_err(|error| bad(&error))?,
        iss: row.get(2)?,
        url: row.get(3)?,
        audiences: row.get::<_, Option<String>>(4)?.map_or_else(Vec::new, audiences_of_text),
        algorithms: serde_json::from_str(text(5)?).map_err(|error| bad(&error))?,
        mapping: serde_json::from_str(text(6)?).map_err(|error| bad(&error))?,
        policy: text(7)?.parse().map_err(|error| bad(&error))?,
        keys: serde_json::from_str(text(8)?).map_err(|error| bad(&error))?,
        created_at: Timestamp::from_millis(row.get(9)?),
        fetched_at: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_millis),
        last_error: row.get(11)?,
    })
}

#[cfg(test)]
mod tests;
