//! The scope catalogue in SQLite (the built-in scopes are rows, written when the store is made).

use super::{
    Rows, StoreError,
    change::{self, Change},
    table::{self, Columns, Noun, Table},
    value::{Value, to_json},
};
use crate::domain::{
    name::ScopeName,
    scope::{Catalogue, Scope},
};

pub(super) static TABLE: Table = Table::new("scope", "name, description, endpoints", 1);

/// All scopes; an error where one of them is damaged.
pub fn catalogue(c: &Rows<'_>) -> Result<Catalogue, StoreError> {
    table::all(sound(c)?)
}

/// The scopes that are not damaged, and what is wrong with the others: those cover nothing.
pub fn sound(c: &Rows<'_>) -> Result<(Catalogue, Vec<StoreError>), StoreError> {
    let (scopes, damaged) = table::sound(c, "name")?;
    let catalogue =
        Catalogue::new(scopes).map_err(|error| StoreError::row(TABLE.name, &error.pattern, &error.why))?;
    Ok((catalogue, damaged))
}

pub fn find(c: &Rows<'_>, name: &ScopeName) -> Result<Option<Scope>, StoreError> {
    table::find(c, name.as_str())
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
    TABLE.upsert(c, scope.values()?)?;
    change::append(c, &Change::Scope(scope.name.clone()))
}

/// Removes a scope; `false` where there was none.
pub fn delete(c: &Rows<'_>, name: &ScopeName) -> Result<bool, StoreError> {
    let removed = TABLE.delete(c, name.as_str())?;
    if removed {
        change::append(c, &Change::Scope(name.clone()))?;
    }
    Ok(removed)
}

impl Noun for Scope {
    const TABLE: &'static Table = &TABLE;

    fn values(&self) -> Result<Vec<Value>, StoreError> {
        Ok(vec![
            self.name.to_string().into(),
            self.description.clone().into(),
            to_json(&self.endpoints)?.into(),
        ])
    }

    fn read(_: &Rows<'_>, row: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { name: row.parse(0)?, description: row.get(1)?, endpoints: row.json(2)? })
    }
}
