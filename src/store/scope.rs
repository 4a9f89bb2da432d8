//! The scope catalogue in SQLite (the built-in scopes are rows, written when the store is made).
use rusqlite::{Connection, Row};

use super::{
    StoreError,
    feed::{self, Change},
};
use crate::domain::{
    name::ScopeName,
    scope::{Catalogue, Scope},
};

pub fn catalogue(c: &Connection) -> Result<Catalogue, StoreError> {
    let mut select = c.prepare_cached("SELECT name, description, endpoints FROM scope ORDER BY name")?;
    let mut rows = select.query([])?;
    let mut scopes = Vec::new();
    while let Some(row) = rows.next()? {
        scopes.push(read(row)?);
    }
    Catalogue::new(scopes).map_err(|error| StoreError::row("scope", &error.pattern, &error.why))
}

/// Adds a scope, or gives it another description and other endpoints.
pub fn upsert(c: &Connection, scope: &Scope) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO scope (name, description, endpoints) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET description = ?2, endpoints = ?3",
    )?
    .execute((scope.name.as_str(), &scope.description, super::to_json(&scope.endpoints)?))?;
    feed::append(c, &Change::Scopes)
}

/// Removes a scope; `false` where there was none.
pub fn delete(c: &Connection, name: &ScopeName) -> Result<bool, StoreError> {
    let removed = c.prepare_cached("DELETE FROM scope WHERE name = ?1")?.execute([name.as_str()])?;
    if removed > 0 {
        feed::append(c, &Change::Scopes)?;
    }
    Ok(removed > 0)
}

fn read(row: &Row<'_>) -> Result<Scope, StoreError> {
    let name: String = row.get(0)?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row("scope", &name, why);
    Ok(Scope {
        description: row.get(1)?,
        endpoints: serde_json::from_str(row.get_ref(2)?.as_str().map_err(|e| bad(&e))?)
            .map_err(|e| bad(&e))?,
        name: name.parse().map_err(|error| bad(&error))?,
    })
}
