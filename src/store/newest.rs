//! Lists of what is numbered, newest first.

use super::{
    Rows, StoreError,
    sqlite::{Row, bound},
    value::Value,
};

/// The first rows of a `SELECT … WHERE 1` in this order, at most `limit`, for which every condition holds that has a value;
/// its one placeholder stands for that.
pub(super) fn newest<T>(
    c: &Rows<'_>,
    select: &str,
    conditions: impl IntoIterator<Item = (&'static str, Option<Value>)>,
    order: &str,
    limit: u32,
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut sql = select.to_owned();
    let mut values = Vec::new();
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(&format!(" ORDER BY {order} LIMIT ?"));
    values.push(limit.into());
    c.all(&sql, bound(values), read)
}
