//! Issuers of tokens besides this home, in SQLite. The secret of one that signs with HS256 is an entry of the vault.

use super::{
    Rows, Sound, StoreError,
    change::{self, Change},
    issuer_source, sealed_entry,
    table::{self, Columns, Noun, Table, moment},
    token,
    value::{Value, to_json},
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

pub(super) static TABLE: Table = Table::new("issuer", COLUMNS, 1);

pub fn find(c: &Rows<'_>, name: &IssuerName) -> Result<Option<Issuer>, StoreError> {
    table::find(c, name.as_str())
}

/// All of them, by name; an error where one is damaged.
pub fn list(c: &Rows<'_>) -> Result<Vec<Issuer>, StoreError> {
    table::all(sound(c)?)
}

/// Those that are not damaged, by name, and what is wrong with the others: their tokens are refused.
pub fn sound(c: &Rows<'_>) -> Result<Sound<Issuer>, StoreError> {
    table::sound(c, "name")
}

/// The secret that the issuer signs with, as the vault sealed it; `None` where it has none.
pub fn secret(c: &Rows<'_>, name: &IssuerName) -> Result<Option<SealedEntry>, StoreError> {
    sealed_entry::find(c, &issuer_entry(name))
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
        c.all(&sql, (prefix, now.millis()), |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)))
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
    table::insert(c, issuer)?;
    if let Some(secret) = secret {
        sealed_entry::insert(c, secret, issuer.created_at)?;
    }
    change::append(c, &Change::Issuers)
}

/// Writes an issuer anew; `false` where there is none. The seal of what was there is checked first, so that what was
/// tampered with is never sealed.
pub fn update(c: &Rows<'_>, issuer: &Issuer) -> Result<bool, StoreError> {
    let altered = table::alter(c, issuer.name.as_str(), |found: &mut Issuer| *found = issuer.clone())?;
    if altered {
        change::append(c, &Change::Issuers)?;
    }
    Ok(altered)
}

/// Puts a secret, or none, in the place of the one that an issuer signs with.
pub fn replace_secret(
    c: &Rows<'_>,
    name: &IssuerName,
    secret: Option<&SealedEntry>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sealed_entry::delete(c, &issuer_entry(name))?;
    secret.map_or(Ok(()), |secret| sealed_entry::insert(c, secret, now))
}

/// Removes an issuer and its secret; `false` where there is none.
pub fn delete(c: &Rows<'_>, name: &IssuerName) -> Result<bool, StoreError> {
    issuer_source::delete(c, name)?;
    let removed = TABLE.delete(c, name.as_str())?;
    if removed {
        sealed_entry::delete(c, &issuer_entry(name))?;
        change::append(c, &Change::Issuers)?;
    }
    Ok(removed)
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

impl Noun for Issuer {
    const TABLE: &'static Table = &TABLE;

    fn values(&self) -> Result<Vec<Value>, StoreError> {
        Ok(vec![
            self.name.to_string().into(),
            self.profile.as_str().into(),
            self.iss.clone().into(),
            self.url.clone().into(),
            audiences_to_text(&self.audiences)?.into(),
            to_json(&self.algorithms)?.into(),
            to_json(&self.mapping)?.into(),
            self.policy.to_string().into(),
            to_json(&self.keys)?.into(),
            self.created_at.millis().into(),
            moment(self.fetched_at),
            self.last_error.clone().into(),
        ])
    }

    fn read(_: &Rows<'_>, row: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.parse(0)?,
            profile: row.parse(1)?,
            iss: row.get(2)?,
            url: row.get(3)?,
            audiences: row.get::<Option<String>>(4)?.map_or_else(Vec::new, audiences_of_text),
            algorithms: row.json(5)?,
            mapping: row.json(6)?,
            policy: row.parse(7)?,
            keys: row.json(8)?,
            created_at: row.moment(9)?,
            fetched_at: row.moment_if_any(10)?,
            last_error: row.get(11)?,
        })
    }
}

#[cfg(test)]
mod tests;
