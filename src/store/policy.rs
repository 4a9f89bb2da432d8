//! Policies and their revisions in SQLite.
use rusqlite::{OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{
    Rows, Sound, StoreError,
    feed::{self, Change},
    seal::Table,
};
use crate::domain::{
    clock::Timestamp,
    name::PolicyName,
    policy::{Policy, Revision},
};

pub(super) static TABLE: Table = Table { name: "policy", columns: "name, revision", width: 2, key: 1 };

pub(super) static REVISIONS: Table = Table {
    name: "policy_revision",
    columns: "name, revision, document, author, reason, saved_at",
    width: 6,
    key: 2,
};

/// The newest revision of one policy.
pub fn find(c: &Rows<'_>, name: &PolicyName) -> Result<Option<Revision>, StoreError> {
    c.prepare_cached(
        "SELECT r.name, r.revision, document, author, reason, saved_at, r.mac, p.name, p.revision, p.mac
         FROM policy p JOIN policy_revision r USING (name, revision) WHERE p.name = ?1",
    )?
    .query_row([name.as_str()], |row| {
        Ok(TABLE.check(c, row, 7).and_then(|()| REVISIONS.check(c, row, 0)).and_then(|()| read(row)))
    })
    .optional()?
    .transpose()
}

/// One revision, of a policy that there is or was.
pub fn revision(c: &Rows<'_>, name: &PolicyName, number: u32) -> Result<Option<Revision>, StoreError> {
    c.prepare_cached(
        "SELECT name, revision, document, author, reason, saved_at, mac
         FROM policy_revision WHERE name = ?1 AND revision = ?2",
    )?
    .query_row(params![name.as_str(), number], |row| Ok(REVISIONS.check(c, row, 0).and_then(|()| read(row))))
    .optional()?
    .transpose()
}

/// The newest revision of every policy, by name, with the number of credentials under it: keys, and tokens that have not
/// expired at `now`. As they stand there; an error where one cannot be read.
pub fn list(c: &Rows<'_>, now: Timestamp) -> Result<Vec<(Revision, u64)>, StoreError> {
    let (policies, damaged) = every(c, now, |_| Ok(()))?;
    damaged.into_iter().next().map_or(Ok(policies), Err)
}

/// Those that are not damaged, and what is wrong with the others. Where the vault is open, seals are checked.
pub fn sound(c: &Rows<'_>, now: Timestamp) -> Result<Sound<(Revision, u64)>, StoreError> {
    every(c, now, |row| TABLE.check(c, row, 7).and_then(|()| REVISIONS.check(c, row, 0)))
}

fn every(
    c: &Rows<'_>,
    now: Timestamp,
    check: impl Fn(&Row<'_>) -> Result<(), StoreError>,
) -> Result<Sound<(Revision, u64)>, StoreError> {
    let mut select = c.prepare_cached(
        "SELECT r.name, r.revision, document, author, reason, saved_at, r.mac, p.name, p.revision, p.mac,
                (SELECT count(*) FROM api_key WHERE api_key.policy = p.name)
                + (SELECT count(*) FROM token WHERE token.policy = p.name AND token.expires_at > ?1)
         FROM policy p JOIN policy_revision r USING (name, revision) ORDER BY p.name",
    )?;
    let mut rows = select.query([now.millis()])?;
    let (mut policies, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match check(row).and_then(|()| read(row)) {
            Ok(revision) => policies.push((revision, row.get::<_, i64>(10)?.unsigned_abs())),
            Err(error) if error.is_of_one_row() => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((policies, damaged))
}

/// How many keys are under the policy, whatever their state.
pub fn keys_under(c: &Rows<'_>, name: &PolicyName) -> Result<u64, StoreError> {
    let mut select = c.prepare_cached("SELECT count(*) FROM api_key WHERE policy = ?1")?;
    let count: i64 = select.query_row([name.as_str()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The names of all policies.
pub fn names(c: &Rows<'_>) -> Result<Vec<PolicyName>, StoreError> {
    let mut select = c.prepare_cached("SELECT name FROM policy")?;
    let mut rows = select.query([])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        // What is no name is nobody's policy.
        names.extend(row.get_ref(0)?.as_str().ok().and_then(|name| name.parse().ok()));
    }
    Ok(names)
}

/// All revisions of one policy, newest first.
pub fn history(c: &Rows<'_>, name: &PolicyName) -> Result<Vec<Revision>, StoreError> {
    let mut select = c.prepare_cached(
        "SELECT name, revision, document, author, reason, saved_at
         FROM policy_revision WHERE name = ?1 ORDER BY revision DESC",
    )?;
    let mut rows = select.query([name.as_str()])?;
    let mut history = Vec::new();
    while let Some(row) = rows.next()? {
        history.push(read(row)?);
    }
    Ok(history)
}

/// The number for the next revision of `name`. Numbers go on where a deleted policy left off.
pub fn next_revision(c: &Rows<'_>, name: &PolicyName) -> Result<u32, StoreError> {
    let mut select =
        c.prepare_cached("SELECT coalesce(max(revision), 0) + 1 FROM policy_revision WHERE name = ?1")?;
    Ok(select.query_row([name.as_str()], |row| row.get(0))?)
}

/// Saves a new revision and makes it the one in force.
pub fn insert(c: &Rows<'_>, revision: &Revision) -> Result<(), StoreError> {
    let name = &revision.policy.name;
    let values = REVISIONS.seal(
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
    c.prepare_cached(
        "INSERT INTO policy_revision (name, revision, document, author, reason, saved_at, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params_from_iter(values))?;
    let values = TABLE.seal(c, [name.to_string().into(), Value::from(revision.revision)])?;
    c.prepare_cached(
        "INSERT INTO policy (name, revision, mac) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET revision = ?2, mac = ?3",
    )?
    .execute(params_from_iter(values))?;
    feed::append(c, &Change::Policy(name.clone()))
}

/// Removes a policy; its revisions stay. `false` where there was none; a
/// [`StoreError::Constraint`] while credentials are under it.
pub fn delete(c: &Rows<'_>, name: &PolicyName) -> Result<bool, StoreError> {
    let removed = c.prepare_cached("DELETE FROM policy WHERE name = ?1")?.execute([name.as_str()])?;
    if removed > 0 {
        feed::append(c, &Change::Policy(name.clone()))?;
    }
    Ok(removed > 0)
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
