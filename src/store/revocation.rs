//! Revocations of tokens in SQLite: one row for each target, however often it is revoked.
use rusqlite::{OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{
    Rows, StoreError,
    feed::{self, Change},
    seal::Table,
};
use crate::domain::{
    clock::Timestamp,
    revocation::{Revocation, Target},
};

const COLUMNS: &str = "kind, issuer, object, cut, revoked_at, reason, ends_at";

pub(super) static TABLE: Table = Table { name: "revocation", columns: COLUMNS, width: 7, key: 3 };

/// What a revocation is told by in the feed: a token by its id, any other as one of few.
fn change(target: &Target) -> Change {
    match target {
        Target::Token { id } => Change::Revoked(*id),
        Target::Subject { .. } | Target::Key { .. } | Target::IssuedBefore { .. } => Change::Revocations,
    }
}

fn issuer(target: &Target) -> &str {
    target.issuer().map_or("", |name| name.as_str())
}

/// The revocation of the same target, whatever its cut.
pub fn find(c: &Rows<'_>, target: &Target) -> Result<Option<Revocation>, StoreError> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS}, mac FROM revocation WHERE kind = ?1 AND issuer = ?2 AND object = ?3"
    ))?
    .query_row([target.kind(), issuer(target), &target.object()], |row| Ok(checked(c, row)))
    .optional()?
    .transpose()
}

/// Calls `each` with every revocation, or with what is wrong with its row: the engine's first load.
pub fn each(c: &Rows<'_>, mut each: impl FnMut(Result<Revocation, StoreError>)) -> Result<(), StoreError> {
    let mut select = c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM revocation"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        each(checked(c, row));
    }
    Ok(())
}

/// The same without those of single tokens, of which there may be a million: what [`Change::Revocations`] asks to read.
pub fn each_but_tokens(
    c: &Rows<'_>,
    mut each: impl FnMut(Result<Revocation, StoreError>),
) -> Result<(), StoreError> {
    for kind in ["subject", "key", "issued_before"] {
        let mut select =
            c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM revocation WHERE kind = ?1"))?;
        let mut rows = select.query([kind])?;
        while let Some(row) = rows.next()? {
            each(checked(c, row));
        }
    }
    Ok(())
}

/// Adds a revocation, or puts it in the place of one of the same target.
pub fn upsert(c: &Rows<'_>, revocation: &Revocation) -> Result<(), StoreError> {
    let target = &revocation.target;
    let moment = |moment: Option<Timestamp>| Value::from(moment.map(Timestamp::millis));
    let values = TABLE.seal(
        c,
        [
            target.kind().to_owned().into(),
            issuer(target).to_owned().into(),
            target.object().into(),
            moment(target.cut()),
            revocation.revoked_at.millis().into(),
            revocation.reason.clone().into(),
            moment(revocation.ends_at),
        ],
    )?;
    c.prepare_cached(&format!(
        "INSERT INTO revocation ({COLUMNS}, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (kind, issuer, object) DO UPDATE
         SET cut = ?4, revoked_at = ?5, reason = ?6, ends_at = ?7, mac = ?8"
    ))?
    .execute(params_from_iter(values))?;
    feed::append(c, &change(target))
}

/// Removes up to `most` of those that can refuse nothing any more since before `before`; returns how many. Nothing is
/// told of it: what they refused is expired.
pub fn purge(c: &Rows<'_>, before: Timestamp, most: u32) -> Result<u64, StoreError> {
    let removed = c
        .prepare_cached(
            "DELETE FROM revocation WHERE (kind, issuer, object) IN
                 (SELECT kind, issuer, object FROM revocation WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2)",
        )?
        .execute(params![before.millis(), most])?;
    Ok(removed as u64)
}

/// A row of [`COLUMNS`] and its seal.
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<Revocation, StoreError> {
    TABLE.check(c, row, 0)?;
    let kind: String = row.get(0)?;
    let issuer: String = row.get(1)?;
    let object: String = row.get(2)?;
    let bad = |why: &dyn std::fmt::Display| {
        StoreError::row(TABLE.name, &[&*kind, &*issuer, &*object].join(" "), why)
    };
    let cut = row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis);
    let named = || match issuer.as_str() {
        "" => Ok(None),
        name => name.parse().map(Some).map_err(|error| bad(&error)),
    };
    let target = match (kind.as_str(), cut) {
        ("token", None) => Target::Token { id: object.parse().map_err(|error| bad(&error))? },
        ("subject", Some(cut)) => {
            Target::Subject { subject: object.parse().map_err(|error| bad(&error))?, cut }
        }
        ("key", None) => Target::Key { issuer: named()?, kid: object.parse().map_err(|error| bad(&error))? },
        ("issued_before", Some(moment)) => Target::IssuedBefore { issuer: named()?, moment },
        _ => return Err(bad(&"it is of a kind that this portcullis does not know")),
    };
    Ok(Revocation {
        target,
        revoked_at: Timestamp::from_millis(row.get(4)?),
        reason: row.get(5)?,
        ends_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
    })
}
