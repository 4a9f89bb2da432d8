//! Counters are added up. What a caller invents takes a bounded number of rows.

use std::collections::HashMap;

use super::{HOUR, MINUTE, floor};
use crate::domain::usage::{self, Count};
use crate::store::{Rows, StoreError};

/// How many endpoints of one credential are told apart within an hour; others are counted by their methods.
pub const MOST_ENDPOINTS: usize = 200;

/// Adds a flush of counters. Within a transaction.
pub fn add(c: &Rows<'_>, counts: &[Count]) -> Result<(), StoreError> {
    let mut endpoints = Endpoints { c, found: HashMap::new() };
    for count in counts {
        if count.credential == usage::NOBODY {
            add_stranger(c, count)?;
            continue;
        }
        let hour = floor(count.minute.millis(), HOUR);
        let endpoint = endpoints.counted(hour, count)?;
        for (table, at) in [("usage_hour", hour), ("usage_minute", floor(count.minute.millis(), MINUTE))] {
            let sql = format!(
                "INSERT INTO {table} (at, credential, issuer, subject, endpoint, outcome, calls)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (at, credential, endpoint, outcome) DO UPDATE SET calls = calls + excluded.calls"
            );
            let Count { credential, issuer, subject, outcome, .. } = count;
            c.run(&sql, (at, credential, issuer, subject, endpoint, outcome.code(), calls(count)))?;
        }
    }
    Ok(())
}

fn add_stranger(c: &Rows<'_>, count: &Count) -> Result<(), StoreError> {
    for (table, unit) in [("stranger_hour", HOUR), ("stranger_minute", MINUTE)] {
        let sql = format!(
            "INSERT INTO {table} (at, endpoint, outcome, calls) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (at, endpoint, outcome) DO UPDATE SET calls = calls + excluded.calls"
        );
        let endpoint = usage::method(&count.endpoint);
        let at = floor(count.minute.millis(), unit);
        c.run(&sql, (at, endpoint, count.outcome.code(), calls(count)))?;
    }
    Ok(())
}

fn calls(count: &Count) -> i64 {
    i64::try_from(count.calls).unwrap_or(i64::MAX)
}

/// The endpoints that hours tell apart.
struct Endpoints<'a> {
    c: &'a Rows<'a>,
    /// How many there are, of those hours and credentials that a new one came for.
    found: HashMap<(i64, &'a str), usize>,
}

impl<'a> Endpoints<'a> {
    /// What `count` is counted under: its endpoint where that is told apart already or there is room, else its method.
    fn counted(&mut self, hour: i64, count: &'a Count) -> Result<&'a str, StoreError> {
        let (credential, endpoint) = (count.credential.as_str(), count.endpoint.as_str());
        let is_known = self.c.exists(
            "SELECT 1 FROM usage_hour WHERE at = ?1 AND credential = ?2 AND endpoint = ?3",
            (hour, credential, endpoint),
        )?;
        if is_known {
            return Ok(endpoint);
        }
        let found = match self.found.get_mut(&(hour, credential)) {
            Some(found) => found,
            None => {
                let sql = "SELECT count(DISTINCT endpoint) FROM usage_hour WHERE at = ?1 AND credential = ?2";
                let found = self.c.count(sql, (hour, credential))?;
                self.found.entry((hour, credential)).or_insert(usize::try_from(found).unwrap_or(0))
            }
        };
        if *found >= MOST_ENDPOINTS {
            return Ok(usage::method(endpoint));
        }
        *found += 1;
        Ok(endpoint)
    }
}
