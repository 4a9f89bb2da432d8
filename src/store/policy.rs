//! Policies and their revisions in SQLite.

use super::{
    Rows, Sound, StoreError,
    change::{self, Change},
    credential,
    sqlite::Row,
    table::{self, Table},
};
use crate::domain::{
    clock::Timestamp,
    name::PolicyName,
    policy::{Policy, Revision},
};

pub(super) static TABLE: Table = Table::new("policy", "name, revision", 1);

pub(super) static REVISIONS: Table =
    Table::new("policy_revision", "name, revision, document, author, reason, saved_at", 2);

/// The newest revisions, and the columns of one with both seals.
const IN_FORCE: &str = "policy p JOIN policy_revision r USING (name, revision)";
const COLUMNS: &str =
    "r.name, r.revision, document, author, reason, saved_at, r.mac, p.name, p.revision, p.mac";

/// The newest revision of one policy.
pub fn find(c: &Rows<'_>, name: &PolicyName) -> Result<Option<Revision>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM {IN_FORCE} WHERE p.name = ?1");
    c.one(&sql, [name.as_str()], |row| checked(c, row))
}

/// One revision, of a policy that there is or was.
pub fn revision(c: &Rows<'_>, name: &PolicyName, number: u32) -> Result<Option<Revision>, StoreError> {
    let sql = REVISIONS.select("WHERE name = ?1 AND revision = ?2");
    c.one(&sql, (name.as_str(), number), |row| {
        REVISIONS.check(c, row, 0)?;
        read(row)
    })
}

/// The newest revision of every policy, by name, with the number of credentials under it at `now`, as [`credential::under`]
/// counts them. As they stand there; an error where one cannot be read.
pub fn list(c: &Rows<'_>, now: Timestamp) -> Result<Vec<(Revision, u64)>, StoreError> {
    table::all(every(c, now, read)?)
}

/// Those that are not damaged, and what is wrong with the others. Where the vault is open, seals are checked.
pub fn sound(c: &Rows<'_>, now: Timestamp) -> Result<Sound<(Revision, u64)>, StoreError> {
    every(c, now, |row| checked(c, row))
}

fn every(
    c: &Rows<'_>,
    now: Timestamp,
    read: impl Fn(&Row<'_>) -> Result<Revision, StoreError>,
) -> Result<Sound<(Revision, u64)>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS}, {} FROM {IN_FORCE} ORDER BY p.name", credential::all_under("p.name"));
    table::sort_out(c, &sql, [now.millis()], |row| Ok((read(row)?, row.get::<i64>(10)?.unsigned_abs())))
}

/// The names of all policies.
pub fn names(c: &Rows<'_>) -> Result<Vec<PolicyName>, StoreError> {
    // What is no name is nobody's policy.
    let names =
        c.all("SELECT name FROM policy", (), |row| Ok(row.text(0).ok().and_then(|name| name.parse().ok())))?;
    Ok(names.into_iter().flatten().collect())
}

/// All revisions of one policy, newest first.
pub fn history(c: &Rows<'_>, name: &PolicyName) -> Result<Vec<Revision>, StoreError> {
    c.all(&REVISIONS.select("WHERE name = ?1 ORDER BY revision DESC"), [name.as_str()], read)
}

/// The number for the next revision of `name`. Numbers go on where a deleted policy left off.
pub fn next_revision(c: &Rows<'_>, name: &PolicyName) -> Result<u32, StoreError> {
    c.get("SELECT coalesce(max(revision), 0) + 1 FROM policy_revision WHERE name = ?1", [name.as_str()])
}

/// Saves a new revision and makes it the one in force.
pub fn insert(c: &Rows<'_>, revision: &Revision) -> Result<(), StoreError> {
    let name = &revision.policy.name;
    REVISIONS.insert(
        c,
        [
            name.to_string().into(),
            revision.revision.into(),
            revision.policy.to_json().into(),
            revision.author.clone().into(),
            revision.reason.clone().into(),
            revision.saved_at.millis().into(),
        ],
    )?;
    TABLE.upsert(c, [name.to_string().into(), revision.revision.into()])?;
    change::append(c, &Change::Policy(name.clone()))
}

/// Removes a policy; its revisions stay. `false` where there was none; a
/// [`StoreError::Constraint`] while credentials are under it.
pub fn delete(c: &Rows<'_>, name: &PolicyName) -> Result<bool, StoreError> {
    let removed = TABLE.delete(c, name.as_str())?;
    if removed {
        change::append(c, &Change::Policy(name.clone()))?;
    }
    Ok(removed)
}

/// A row of [`COLUMNS`].
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<Revision, StoreError> {
    TABLE.check(c, row, 7)?;
    REVISIONS.check(c, row, 0)?;
    read(row)
}

fn read(row: &Row<'_>) -> Result<Revision, StoreError> {
    let name: String = row.get(0)?;
    let document: String = row.get(2)?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row(TABLE.name, &name, why);
    let policy = Policy::from_json(&document).map_err(|error| bad(&error))?;
    if policy.name.as_str() != name {
        return Err(bad(&"its document bears another name"));
    }
    Ok(Revision {
        policy,
        revision: row.get(1)?,
        author: row.get(3)?,
        reason: row.get(4)?,
        saved_at: Timestamp::from_millis(row.get(5)?),
    })
}
