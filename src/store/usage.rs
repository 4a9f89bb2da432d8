//! Usage counters in SQLite (`usage.db`): by the minute for eight days, by the hour for long ranges.

mod add;

pub use add::{MOST_ENDPOINTS, add};

use std::time::Duration;

use super::{
    Rows, StoreError,
    sqlite::{BadColumn, Row, bound},
    value::Value,
};
use crate::domain::{
    clock::Timestamp,
    usage::{Busy, Count, Dimension, Outcome, Totals},
};

/// How long the counters by the minute are kept.
pub const MINUTES_RETENTION: Duration = Duration::from_secs(8 * 86_400);
/// How long the counters by the hour are kept.
pub const HOURS_RETENTION: Duration = Duration::from_secs(400 * 86_400);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Sums by outcome; the names are [`Outcome::code`]'s. What is neither allowed nor failed was denied.
const SUMS: &str = "
    coalesce(sum(calls) FILTER (WHERE outcome = 'allowed' OR outcome LIKE 'shadow:%'), 0),
    coalesce(sum(calls) FILTER (WHERE outcome <> 'allowed' AND outcome <> 'failed' AND outcome NOT LIKE 'shadow:%'), 0),
    coalesce(sum(calls) FILTER (WHERE outcome = 'failed'), 0)";

/// Which calls: `since..until`, and one credential, issuer, subject or endpoint only where named.
/// Rounded to whole minutes; ranges of more than 24 hours, and older than the counters by the
/// minute, to whole hours: the first from its start, the last to its end.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub since: Timestamp,
    pub until: Timestamp,
    pub credential: Option<String>,
    /// Empty: the home itself.
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub endpoint: Option<String>,
}

/// Which tables answer a query, and from when on.
struct Grain {
    /// What is known of credentials, and of strangers.
    tables: [&'static str; 2],
    unit: i64,
    since: i64,
    until: i64,
}

/// The counters of strangers as those of a credential that is not known.
macro_rules! strangers {
    ($table:literal) => {
        concat!(
            "(SELECT at, '-' AS credential, '' AS issuer, '-' AS subject, endpoint, outcome, calls FROM ",
            $table,
            ")"
        )
    };
}

const BY_MINUTE: [&str; 2] = ["usage_minute", strangers!("stranger_minute")];
const BY_HOUR: [&str; 2] = ["usage_hour", strangers!("stranger_hour")];

pub fn totals(c: &Rows<'_>, q: &Query) -> Result<Totals, StoreError> {
    let grain = grain(c, q)?;
    let (condition, values) = conditions(q, &grain);
    let mut totals = Totals::default();
    for table in grain.tables {
        let sql = format!("SELECT {SUMS} FROM {table} WHERE {condition}");
        let found = c.one(&sql, bound(values.clone()), |row| Ok(sums(row, 0)?))?;
        totals = totals.plus(found.unwrap_or_default());
    }
    Ok(totals)
}

/// The busiest first; equals by name.
pub fn top(c: &Rows<'_>, q: &Query, by: Dimension, limit: u32) -> Result<Vec<Busy>, StoreError> {
    let (column, group, issuer, subject) = match by {
        Dimension::Credential => ("credential", "1", "issuer", "nullif(subject, '-')"),
        Dimension::Subject => ("subject", "1, 2", "issuer", "NULL"),
        Dimension::Issuer => ("issuer", "1", "NULL", "NULL"),
        Dimension::Endpoint => ("endpoint", "1", "NULL", "NULL"),
        Dimension::Outcome => ("outcome", "1", "NULL", "NULL"),
    };
    let grain = grain(c, q)?;
    let (condition, values) = conditions(q, &grain);
    // What is not grouped by is of the row with the maximum (SQLite, "bare columns in an aggregate query"): the last one
    // that names a subject. One who only names an id has none.
    let of = |table| {
        format!(
            "SELECT {column}, {issuer}, {subject}, max(CASE WHEN subject <> '-' THEN at END), sum(calls), {SUMS}
             FROM {table} WHERE {condition} GROUP BY {group}"
        )
    };
    let [known, strangers] = grain.tables.map(of);
    let sql = format!(
        "WITH part (key, issuer, subject, last, calls, allowed, denied, failed) AS ({known} UNION ALL {strangers})
         SELECT key, issuer, subject, max(last), sum(allowed), sum(denied), sum(failed) FROM part
         GROUP BY {group} ORDER BY sum(calls) DESC, 1, 2 LIMIT ?"
    );
    let values = [values.clone(), values, vec![limit.into()]].concat();
    c.all(&sql, bound(values), |row| {
        Ok(Busy { key: row.get(0)?, issuer: row.get(1)?, subject: row.get(2)?, totals: sums(row, 4)? })
    })
}

/// Totals per step of `step_minutes` (at least one; whole hours where the hours answer), oldest
/// first, empty steps included. At most [`MOST_STEPS`]: later ones are left out.
pub fn series(c: &Rows<'_>, q: &Query, step_minutes: u32) -> Result<Vec<(Timestamp, Totals)>, StoreError> {
    let grain = grain(c, q)?;
    let step = (i64::from(step_minutes.max(1)) * MINUTE + grain.unit - 1) / grain.unit * grain.unit;
    let (condition, values) = conditions(q, &grain);
    // The step's values stand first in the statement.
    let values = [vec![grain.since.into(), step.into()], values].concat();
    let span = q.until.millis().saturating_sub(grain.since).max(0);
    let steps = (span / step + i64::from(span % step != 0)).min(MOST_STEPS);
    let mut series: Vec<_> =
        (0..steps).map(|n| (Timestamp::from_millis(grain.since + n * step), Totals::default())).collect();
    for table in grain.tables {
        let sql = format!("SELECT (at - ?) / ? AS step, {SUMS} FROM {table} WHERE {condition} GROUP BY step");
        c.each(&sql, bound(values.clone()), |row| {
            let slot = usize::try_from(row.get::<i64>(0)?).ok().and_then(|n| series.get_mut(n));
            if let Some((_, totals)) = slot {
                *totals = totals.plus(sums(row, 1)?);
            }
            Ok(())
        })?;
    }
    Ok(series)
}

/// The most steps that [`series`] answers with.
pub const MOST_STEPS: i64 = 20_000;

/// Calls `each` with every counter by the minute of `since..until`, oldest first: what a replay reads.
pub fn each_minute(
    c: &Rows<'_>,
    since: Timestamp,
    until: Timestamp,
    mut each: impl FnMut(Count),
) -> Result<(), StoreError> {
    c.each(
        "SELECT at, credential, issuer, subject, endpoint, outcome, calls FROM usage_minute
         WHERE at >= ?1 AND at < ?2 ORDER BY at, credential, endpoint, outcome",
        (floor(since.millis(), MINUTE), until.millis()),
        |row| {
            let Some(outcome) = Outcome::from_code(row.text(5).unwrap_or_default()) else { return Ok(()) };
            each(Count {
                minute: Timestamp::from_millis(row.get(0)?),
                credential: row.get(1)?,
                issuer: row.get(2)?,
                subject: row.get(3)?,
                endpoint: row.get(4)?,
                outcome,
                calls: unsigned(row, 6)?,
            });
            Ok(())
        },
    )
}

fn grain(c: &Rows<'_>, q: &Query) -> Result<Grain, StoreError> {
    let (since, until) = (q.since.millis(), q.until.millis());
    let by_hour = Grain { tables: BY_HOUR, unit: HOUR, since: floor(since, HOUR), until };
    let by_minute = Grain { tables: BY_MINUTE, unit: MINUTE, since: floor(since, MINUTE), until };
    if until.saturating_sub(since) > DAY {
        return Ok(by_hour);
    }
    // A short range of long ago: its minutes are swept, its hours are not.
    let oldest: Vec<(Option<i64>, Option<i64>)> = c.all(
        "SELECT (SELECT min(at) FROM usage_minute), (SELECT min(at) FROM usage_hour)
         UNION ALL SELECT (SELECT min(at) FROM stranger_minute), (SELECT min(at) FROM stranger_hour)",
        (),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let is_swept = oldest.into_iter().any(|(minutes, hours)| {
        let kept_from = minutes.unwrap_or(i64::MAX);
        by_minute.since < kept_from && hours.is_some_and(|hour| hour < floor(kept_from, HOUR))
    });
    Ok(if is_swept { by_hour } else { by_minute })
}

fn conditions(q: &Query, grain: &Grain) -> (String, Vec<Value>) {
    let mut sql = "at >= ? AND at < ?".to_owned();
    let mut values = vec![grain.since.into(), grain.until.into()];
    for (condition, value) in [
        (" AND credential = ?", &q.credential),
        (" AND issuer = ?", &q.issuer),
        (" AND subject = ?", &q.subject),
        (" AND endpoint = ?", &q.endpoint),
    ] {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value.as_str().into());
        }
    }
    (sql, values)
}

fn sums(row: &Row<'_>, first: usize) -> Result<Totals, BadColumn> {
    Ok(Totals {
        allowed: unsigned(row, first)?,
        denied: unsigned(row, first + 1)?,
        failed: unsigned(row, first + 2)?,
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, BadColumn> {
    Ok(u64::try_from(row.get::<i64>(column)?).unwrap_or(0))
}

fn floor(millis: i64, unit: i64) -> i64 {
    millis - millis.rem_euclid(unit)
}

#[cfg(test)]
mod tests;
