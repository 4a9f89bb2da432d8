//! The quota ledger: what has been leased in each cell, by all gateways on this store.
//!
//! Whoever holds a lease may admit that many requests before the lease ends, and not one later:
//! every admission then falls into the cell that was debited, so that several gateways together
//! never admit more than the limit, and one that dies can only under-admit.

use std::time::Duration;

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    policy::RateLimits,
    quota::{Cells, Charge, Standing, Window, free_after},
};
use rusqlite::Connection;

/// Whose quota: a credential's id.
pub type Account = String;

/// How long cells are kept: longer than any window counts them.
const RETENTION: Duration = Duration::from_secs(2 * 86_400);

/// Up to `want` requests leased for use before `ends` (the end of the shortest cell charged).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub granted: u32,
    pub at: Timestamp,
    /// Exclusive. Without any limit there is nothing to end: the last representable moment.
    pub ends: Timestamp,
    /// Where nothing was granted: the window to wait for, its limit, and how long.
    pub refused: Option<(Window, u32, Duration)>,
}

/// One limited window as the ledger has it.
struct Tally {
    window: Window,
    limit: u32,
    cells: Cells,
    /// Start and charge of each cell that counts, oldest first.
    charged: Vec<(Timestamp, u64)>,
}

/// Takes a lease: debits every limited window's current cell by the same number, or none. Within a transaction.
pub fn lease(
    c: &Connection,
    account: &str,
    limits: &RateLimits,
    want: u32,
    now: Timestamp,
) -> Result<Lease, StoreError> {
    let tallies = tallies(c, account, limits, now)?;
    let standings = standings(&tallies, limits, now);
    let granted = standings.iter().map(|(_, standing)| standing.remaining).fold(want, u32::min);
    let ends = tallies.iter().map(|tally| tally.cells.ends).min();
    let ends = ends.unwrap_or(Timestamp::from_millis(i64::MAX));
    if granted == 0 {
        let refused = match charge(&tallies, limits, now) {
            Charge::Granted => None,
            Charge::Refused { window, limit, retry_after } => Some((window, limit, retry_after)),
        };
        return Ok(Lease { granted, at: now, ends, refused });
    }
    let mut debit = c.prepare_cached(
        "INSERT INTO quota_cell (account, window, starts, used) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (account, window, starts) DO UPDATE SET used = used + excluded.used",
    )?;
    for tally in &tallies {
        debit.execute((account, number(tally.window), tally.cells.current.millis(), granted))?;
    }
    Ok(Lease { granted, at: now, ends, refused: None })
}

/// Gives back what was not used of a lease taken at `taken_at`, under the limits it was taken
/// under. Never more than what stands in a cell; what was swept meanwhile is left alone.
pub fn give_back(
    c: &Connection,
    account: &str,
    limits: &RateLimits,
    taken_at: Timestamp,
    unused: u32,
) -> Result<(), StoreError> {
    if unused == 0 {
        return Ok(());
    }
    let mut credit = c.prepare_cached(
        "UPDATE quota_cell SET used = max(0, used - ?4) WHERE account = ?1 AND window = ?2 AND starts = ?3",
    )?;
    for window in Window::ALL.into_iter().filter(|window| window.limit(limits).is_some()) {
        let cell = Cells::at(limits.algorithm, window, taken_at).current;
        credit.execute((account, number(window), cell.millis(), unused))?;
    }
    Ok(())
}

/// How the limited windows stand, and whether one more would be granted.
pub fn peek(
    c: &Connection,
    account: &str,
    limits: &RateLimits,
    now: Timestamp,
) -> Result<(Vec<(Window, Standing)>, Charge), StoreError> {
    let tallies = tallies(c, account, limits, now)?;
    Ok((standings(&tallies, limits, now), charge(&tallies, limits, now)))
}

/// Removes cells that no window counts any more; returns how many.
pub fn sweep(c: &Connection, now: Timestamp) -> Result<usize, StoreError> {
    Ok(c.execute("DELETE FROM quota_cell WHERE starts < ?1", [now.minus(RETENTION).millis()])?)
}

fn tallies(
    c: &Connection,
    account: &str,
    limits: &RateLimits,
    now: Timestamp,
) -> Result<Vec<Tally>, StoreError> {
    // Cells after `now`, from a gateway whose clock is ahead, count as well: never too many.
    let mut select = c.prepare_cached(
        "SELECT starts, used FROM quota_cell
         WHERE account = ?1 AND window = ?2 AND starts >= ?3 AND used > 0 ORDER BY starts",
    )?;
    let mut tallies = Vec::with_capacity(Window::ALL.len());
    for window in Window::ALL {
        let Some(limit) = window.limit(limits) else { continue };
        let cells = Cells::at(limits.algorithm, window, now);
        let charged = select
            .query_map((account, number(window), cells.oldest.millis()), |row| {
                let used: i64 = row.get(1)?;
                Ok((Timestamp::from_millis(row.get(0)?), u64::try_from(used).unwrap_or(0)))
            })?
            .collect::<Result<_, _>>()?;
        tallies.push(Tally { window, limit, cells, charged });
    }
    Ok(tallies)
}

fn standings(tallies: &[Tally], limits: &RateLimits, now: Timestamp) -> Vec<(Window, Standing)> {
    let standing = |tally: &Tally| {
        let cells = tally.charged.iter().copied();
        (tally.window, Standing::at(limits.algorithm, tally.window, tally.limit, cells, now))
    };
    tallies.iter().map(standing).collect()
}

fn charge(tallies: &[Tally], limits: &RateLimits, now: Timestamp) -> Charge {
    Charge::of(limits, |window, limit| {
        let tally = tallies.iter().find(|tally| tally.window == window)?;
        free_after(limits.algorithm, window, limit, tally.charged.iter().copied(), now)
    })
}

/// How the schema numbers the windows.
fn number(window: Window) -> i64 {
    match window {
        Window::Minute => 0,
        Window::Hour => 1,
        Window::Day => 2,
    }
}

#[cfg(test)]
mod tests;
