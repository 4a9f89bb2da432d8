//! The scope catalogue in SQLite (the built-in scopes are rows, written when the store is made).
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::{
    Rows, StoreError,
    feed::{self, Change},
    seal::Table,
};
use crate::domain::{
    name::ScopeName,
    scope::{Catalogue, Scope},
};

pub(super) static TABLE: Table =
    Table { name: "scope", columns: "name, description, endpoints", width: 3, key: 1 };

/// All scopes; an error where one of them is damaged.
pub fn catalogue(c: &Rows<'_>) -> Result<Catalogue, StoreError> {
    let (catalogue, damaged) = sound(c)?;
    damaged.into_iter().next().map_or(Ok(catalogue), Err)
}

/// The scopes that are not damaged, and what is wrong with the others: those cover nothing.
pub fn sound(c: &Rows<'_>) -> Result<(Catalogue, Vec<StoreError>), StoreError> {
    let mut select = c.prepare_cached("SELECT name, description, endpoints, mac FROM scope ORDER BY name")?;
    let mut rows = select.query([])?;
    let (mut scopes, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match read(c, row) {
            Ok(scope) => scopes.push(scope),
            Err(error) => damaged.push(error),
        }
    }
    let catalogue =
        Catalogue::new(scopes).map_err(|error| StoreError::row(TABLE.name, &error.pattern, &error.why))?;
    Ok((catalogue, damaged))
}

pub fn find(c: &Rows<'_>, name: &ScopeName) -> Result<Option<Scope>, StoreError> {
    c.prepare_cached("SELECT name, description, endpoints, mac FROM scope WHERE name = ?1")?
        .query_row([name.as_str()], |row| Ok(read(c, row)))
        .optional()?
        .transpose()
}

/// Reads one scope of a catalogue anew; an error where it is damaged, and then it covers nothing.
pub fn renew(c: &Rows<'_>, catalogue: &mut Catalogue, name: &ScopeName) -> Result<(), StoreError> {
    let found = find(c, name);
    catalogue.remove(name);
    let Some(scope) = found? else { return Ok(()) };
    catalogue.put(scope).map_err(|error| StoreError::row(TABLE.name, &error.pattern, &error.why))
}

/// Adds a scope, or gives it another description and other endpoints.
pub fn upsert(c: &Rows<'_>, scope: &Scope) -> Result<(), StoreError> {
    let (name, endpoints) = (scope.name.to_string(), super::to_json(&scope.endpoints)?);
    let values = TABLE.seal(c, [name.into(), scope.description.clone().into(), endpoints.into()])?;
    c.prepare_cached(
        "INSERT INTO scope (name, description, endpoints, mac) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET description = ?2, endpoints = ?3, mac = ?4",
    )?
    .execute(params_from_iter(values))?;
    feed::append(c, &Change::Scope(scope.name.clone()))
}

/// Removes a scope; `false` where there was none.
pub fn delete(c: &Rows<'_>, name: &ScopeName) -> Result<bool, StoreError> {
    let removed = c.prepare_cached("DELETE FROM scope WHERE name = ?1")?.execute([name.as_str()])?;
    if removed > 0 {
        feed::append(c, &Change::Scope(name.clone()))?;
    }
    Ok(removed > 0)
}

fn read(c: &Rows<'_>, row: &Row<'_>) -> Result<Scope, StoreError> {
    TABLE.check(c, row, 0)?;
    let name: String = row.get(0)?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row(TABLE.name, &name, why);
    Ok(Scope {
        description: row.get(1)?,
        endpoints: serde_json::from_str(row.get_ref(2)?.as_str().map_err(|e| bad(&e))?)
            .map_err(|e| bad(&e))?,
        name: name.parse().map_err(|error| bad(&error))?,
    })
}
