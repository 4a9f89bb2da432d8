//! Lists of what is numbered, newest first.

use rusqlite::{Connection, Row, ToSql};

use super::StoreError;

/// The first rows of a `SELECT … WHERE 1` in this order, at most `limit`, for which every condition holds that has a value;
/// its one placeholder stands for that.
pub(super) fn newest<T>(
    c: &Connection,
    select: &str,
    conditions: &[(&str, Option<&dyn ToSql>)],
    order: &str,
    limit: u32,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut sql = select.to_owned();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(&format!(" ORDER BY {order} LIMIT ?"));
    values.push(&limit);
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(values.as_slice())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}
