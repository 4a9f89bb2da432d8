//! The quota ledger: what has been leased in each cell, by all gateways on this store.
//!
//! Whoever holds a lease may admit that many requests before the lease ends, and not one later:
//! every admission then falls into the cell that was debited, so that several gateways together
//! never admit more than the limit, and one that dies can only under-admit.

mod foreign;

pub use foreign::{has_room, open_foreign, sweep};

use std::time::Duration;

use super::{Rows, StoreError, table::Table, value::ValueRef};
use crate::domain::{
    clock::Timestamp,
    name::{IssuerName, PolicyName, Subject},
    policy::RateLimits,
    quota::{Cells, Charge, Standing, Window, free_after},
};

pub(super) static TABLE: Table = Table::new("quota", "account, charged", 1);

/// Whose quota: an API key's id, or what [`account_of_subject`] says.
pub type Account = String;

/// The quota that all tokens of a subject under a policy share, so that whoever gets many has no more than one would have.
pub fn account_of_subject(subject: &Subject, policy: &PolicyName) -> Account {
    format!("{TOKENS}{policy}:{subject}")
}

/// The same for a subject of a registered issuer, who has nothing to do with one of the same name here.
pub fn account_of_foreign_subject(issuer: &IssuerName, subject: &Subject, policy: &PolicyName) -> Account {
    format!("{FOREIGN}{issuer}:{policy}:{subject}")
}

/// What the accounts of tokens begin with; no id of a key has a colon.
const TOKENS: &str = "tokens:";
/// What those of foreign subjects begin with.
const FOREIGN: &str = "issuer:";

/// How many cells of a window are kept, the newest. Eleven count at most; cells are never dropped for their age alone, so
/// that a clock which is set ahead and back again forgets nothing.
const KEPT: usize = 16;

/// The bytes of a cell in the store: the window's number, its start in milliseconds, what was charged; little-endian.
const CELL: usize = 1 + 8 + 4;

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

/// What was charged or leased in one tenth of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    window: Window,
    starts: Timestamp,
    used: u32,
}

/// One limited window as the ledger has it.
struct Tally {
    window: Window,
    limit: u32,
    cells: Cells,
    /// Start and charge of each cell that counts, oldest first.
    charged: Vec<(Timestamp, u64)>,
}

/// Makes the row of an account, in the transaction that makes its credential. Without it nothing is leased: a row that
/// was lost must not count as one that has charged nothing.
pub fn open(c: &Rows<'_>, account: &str) -> Result<(), StoreError> {
    TABLE.insert(c, [account.into(), Vec::new().into()])
}

/// The same for an account that credentials share: it may be there already.
pub fn open_shared(c: &Rows<'_>, account: &str) -> Result<(), StoreError> {
    if is_open(c, account)? { Ok(()) } else { open(c, account) }
}

/// Whether an account is there.
pub fn is_open(c: &Rows<'_>, account: &str) -> Result<bool, StoreError> {
    c.exists("SELECT 1 FROM quota WHERE account = ?1", [account])
}

/// Removes the row of an account whose credential is removed.
pub fn close(c: &Rows<'_>, account: &str) -> Result<(), StoreError> {
    TABLE.delete(c, account).map(|_| ())
}

/// Takes a lease: debits every limited window's current cell by the same number, or none. Within a transaction.
pub fn lease(
    c: &Rows<'_>,
    account: &str,
    limits: &RateLimits,
    want: u32,
    now: Timestamp,
) -> Result<Lease, StoreError> {
    let mut cells = charged(c, account, limits)?;
    let tallies = tallies(&cells, limits, now);
    let standings = standings(&tallies, limits, now);
    let granted = standings.iter().map(|(_, standing)| standing.remaining).fold(want, u32::min);
    let ends = tallies.iter().map(|tally| tally.cells.ends).min();
    let ends = ends.unwrap_or(Timestamp::from_millis(i64::MAX));
    if granted == 0 {
        let refused = match charge(&tallies, limits, 1, now) {
            Charge::Granted => None,
            Charge::Refused { window, limit, retry_after } => Some((window, limit, retry_after)),
        };
        return Ok(Lease { granted, at: now, ends, refused });
    }
    for tally in &tallies {
        debit(&mut cells, tally.window, tally.cells.current, granted);
    }
    if !tallies.is_empty() {
        write(c, account, &cells)?;
    }
    Ok(Lease { granted, at: now, ends, refused: None })
}

/// Gives back what was not used of a lease taken at `taken_at`, under the limits it was taken
/// under. Never more than what stands in a cell; what was dropped meanwhile is left alone.
pub fn give_back(
    c: &Rows<'_>,
    account: &str,
    limits: &RateLimits,
    taken_at: Timestamp,
    unused: u32,
) -> Result<(), StoreError> {
    let mut cells = charged(c, account, limits)?;
    for window in Window::ALL.into_iter().filter(|window| window.limit(limits).is_some()) {
        let starts = Cells::at(limits.algorithm, window, taken_at).current;
        if let Ok(index) = find(&cells, window, starts) {
            cells[index].used = cells[index].used.saturating_sub(unused);
        }
    }
    if cells.is_empty() { Ok(()) } else { write(c, account, &cells) }
}

/// How the limited windows stand, and whether `count` more would be granted.
pub fn peek(
    c: &Rows<'_>,
    account: &str,
    limits: &RateLimits,
    count: u32,
    now: Timestamp,
) -> Result<(Vec<(Window, Standing)>, Charge), StoreError> {
    let tallies = tallies(&charged(c, account, limits)?, limits, now);
    Ok((standings(&tallies, limits, now), charge(&tallies, limits, count, now)))
}

/// The accounts of keys and of issued tokens that have no row, each as an error that names it.
pub(super) fn missing(c: &Rows<'_>) -> Result<Vec<StoreError>, StoreError> {
    c.all(
        "SELECT id FROM api_key WHERE NOT EXISTS (SELECT 1 FROM quota WHERE account = api_key.id)
         UNION ALL
         SELECT account FROM (SELECT DISTINCT ?1 || policy || ':' || subject AS account FROM token) AS shared
         WHERE NOT EXISTS (SELECT 1 FROM quota WHERE quota.account = shared.account)",
        [TOKENS],
        |row| Ok(gone(row.text(0)?)),
    )
}

fn gone(account: &str) -> StoreError {
    StoreError::row(TABLE.name, account, "it is missing, and what it counted is not known")
}

/// All cells of an account, by window and start. Nothing is read where there is no limit to hold.
fn charged(c: &Rows<'_>, account: &str, limits: &RateLimits) -> Result<Vec<Cell>, StoreError> {
    if Window::ALL.into_iter().all(|window| window.limit(limits).is_none()) {
        return Ok(Vec::new());
    }
    let found = c.one(&TABLE.select("WHERE account = ?1"), [account], |row| {
        let columns = TABLE.open(c, row)?;
        decode(row.value(1)).ok_or_else(|| columns.bad("its cells cannot be read"))
    })?;
    found.ok_or_else(|| gone(account))
}

fn write(c: &Rows<'_>, account: &str, cells: &[Cell]) -> Result<(), StoreError> {
    TABLE.update(c, [account.into(), encode(cells).into()])
}

fn encode(cells: &[Cell]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * CELL);
    for cell in cells {
        bytes.push(number(cell.window));
        bytes.extend(cell.starts.millis().to_le_bytes());
        bytes.extend(cell.used.to_le_bytes());
    }
    bytes
}

fn decode(charged: ValueRef<'_>) -> Option<Vec<Cell>> {
    let ValueRef::Blob(bytes) = charged else { return None };
    let (cells, rest) = bytes.as_chunks::<CELL>();
    let cells = cells.iter().map(|&[window, a, b, c, d, e, f, g, h, used @ ..]| {
        let window = Window::ALL.into_iter().find(|known| number(*known) == window)?;
        let starts = Timestamp::from_millis(i64::from_le_bytes([a, b, c, d, e, f, g, h]));
        Some(Cell { window, starts, used: u32::from_le_bytes(used) })
    });
    cells.collect::<Option<_>>().filter(|_| rest.is_empty())
}

/// Where the cell is, or where it belongs.
fn find(cells: &[Cell], window: Window, starts: Timestamp) -> Result<usize, usize> {
    cells.binary_search_by_key(&(window, starts), |cell| (cell.window, cell.starts))
}

fn debit(cells: &mut Vec<Cell>, window: Window, starts: Timestamp, granted: u32) {
    match find(cells, window, starts) {
        Ok(index) => cells[index].used = cells[index].used.saturating_add(granted),
        Err(index) => cells.insert(index, Cell { window, starts, used: granted }),
    }
    let first = cells.partition_point(|cell| cell.window < window);
    let kept = cells[first..].partition_point(|cell| cell.window == window);
    cells.drain(first..first + kept.saturating_sub(KEPT));
}

fn tallies(cells: &[Cell], limits: &RateLimits, now: Timestamp) -> Vec<Tally> {
    let tally = |window: Window| {
        let limit = window.limit(limits)?;
        let current = Cells::at(limits.algorithm, window, now);
        // Cells after `now`, from a gateway whose clock is ahead, count as well: never too many.
        let counts = |cell: &&Cell| cell.window == window && cell.starts >= current.oldest && cell.used > 0;
        let charged = cells.iter().filter(counts).map(|cell| (cell.starts, u64::from(cell.used))).collect();
        Some(Tally { window, limit, cells: current, charged })
    };
    Window::ALL.into_iter().filter_map(tally).collect()
}

fn standings(tallies: &[Tally], limits: &RateLimits, now: Timestamp) -> Vec<(Window, Standing)> {
    let standing = |tally: &Tally| {
        let cells = tally.charged.iter().copied();
        (tally.window, Standing::at(limits.algorithm, tally.window, tally.limit, cells, now))
    };
    tallies.iter().map(standing).collect()
}

fn charge(tallies: &[Tally], limits: &RateLimits, count: u32, now: Timestamp) -> Charge {
    Charge::of(limits, |window, limit| {
        let tally = tallies.iter().find(|tally| tally.window == window)?;
        free_after(limits.algorithm, window, limit, count, tally.charged.iter().copied(), now)
    })
}

/// How the store numbers the windows.
fn number(window: Window) -> u8 {
    match window {
        Window::Minute => 0,
        Window::Hour => 1,
        Window::Day => 2,
    }
}

#[cfg(test)]
mod tests;
