//! Revocations of tokens in SQLite: one row for each target, however often it is revoked.

use super::{
    Rows, StoreError,
    change::{self, Change},
    sqlite::Row,
    table::{Table, moment},
};
use crate::domain::{
    clock::Timestamp,
    revocation::{Revocation, Target},
};

pub(super) static TABLE: Table =
    Table::new("revocation", "kind, issuer, object, cut, revoked_at, reason, ends_at", 3);

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
    let key = (target.kind(), issuer(target), target.object());
    c.one(&TABLE.select("WHERE kind = ?1 AND issuer = ?2 AND object = ?3"), key, |row| checked(c, row))
}

/// Calls `each` with every revocation, or with what is wrong with its row: the engine's first load.
pub fn each(c: &Rows<'_>, mut each: impl FnMut(Result<Revocation, StoreError>)) -> Result<(), StoreError> {
    c.each(&TABLE.select(""), (), |row| {
        each(checked(c, row));
        Ok(())
    })
}

/// The same without those of single tokens, of which there may be a million: what [`Change::Revocations`] asks to read.
pub fn each_but_tokens(
    c: &Rows<'_>,
    mut each: impl FnMut(Result<Revocation, StoreError>),
) -> Result<(), StoreError> {
    for kind in ["subject", "key", "issued_before"] {
        c.each(&TABLE.select("WHERE kind = ?1"), [kind], |row| {
            each(checked(c, row));
            Ok(())
        })?;
    }
    Ok(())
}

/// Adds a revocation, or puts it in the place of one of the same target.
pub fn upsert(c: &Rows<'_>, revocation: &Revocation) -> Result<(), StoreError> {
    let target = &revocation.target;
    TABLE.upsert(
        c,
        [
            target.kind().into(),
            issuer(target).into(),
            target.object().into(),
            moment(target.cut()),
            revocation.revoked_at.millis().into(),
            revocation.reason.clone().into(),
            moment(revocation.ends_at),
        ],
    )?;
    change::append(c, &change(target))
}

/// Removes up to `most` of those that can refuse nothing any more since before `before`; returns how many. Nothing is
/// told of it: what they refused is expired.
pub fn purge(c: &Rows<'_>, before: Timestamp, most: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM revocation WHERE (kind, issuer, object) IN
                   (SELECT kind, issuer, object FROM revocation WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2)";
    Ok(c.run(sql, (before.millis(), most))? as u64)
}

/// A row of the table.
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<Revocation, StoreError> {
    let row = TABLE.open(c, row)?;
    let named = || match row.text(1)? {
        "" => Ok(None),
        _ => row.parse(1).map(Some),
    };
    let target = match (row.text(0)?, row.moment_if_any(3)?) {
        ("token", None) => Target::Token { id: row.parse(2)? },
        ("subject", Some(cut)) => Target::Subject { subject: row.parse(2)?, cut },
        ("key", None) => Target::Key { issuer: named()?, kid: row.parse(2)? },
        ("issued_before", Some(moment)) => Target::IssuedBefore { issuer: named()?, moment },
        _ => return Err(row.bad("it is of a kind that this portcullis does not know")),
    };
    Ok(Revocation { target, revoked_at: row.moment(4)?, reason: row.get(5)?, ends_at: row.moment_if_any(6)? })
}
