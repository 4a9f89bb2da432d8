//! Quota: three windows (minute, hour, day) charged together or not at all.
//!
//! Both algorithms charge the same cells, tenths of a window aligned on the epoch (6 s, 6 min,
//! 2.4 h). `sliding` sums the last eleven, so that no interval of the window's length ever holds
//! more than N. `fixed` sums those of the current UTC minute, hour or day and admits exactly N in
//! each. The same cells are counted in memory ([`Counter`], for simulation) and in the store's
//! ledger, from which gateways lease.

mod cost;
mod counter;

pub use cost::{Bill, Cost, LEAST_FREE, free_bound, free_spent, minute_of, still_counts};
pub use counter::Counter;

use std::time::Duration;

use super::clock::Timestamp;
use super::policy::{Algorithm, RateLimits};
use super::text::all;

/// How long at least a refused caller is told to wait.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    Minute,
    Hour,
    Day,
}

impl Window {
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3600),
            Self::Day => Duration::from_secs(86_400),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    pub const fn limit(self, limits: &RateLimits) -> Option<u32> {
        match self {
            Self::Minute => limits.requests_per_minute,
            Self::Hour => limits.requests_per_hour,
            Self::Day => limits.requests_per_day,
        }
    }

    /// The length of one cell.
    pub const fn tenth(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(6),
            Self::Hour => Duration::from_secs(360),
            Self::Day => Duration::from_secs(8640),
        }
    }
}

/// The cells that count at one moment: what is charged now goes into `current`; what was
/// charged in the cells from `oldest` on counts against the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// Start of the tenth that `now` is in.
    pub current: Timestamp,
    /// Start of the oldest cell that still counts.
    pub oldest: Timestamp,
    /// When `current` ends.
    pub ends: Timestamp,
    /// `fixed`: when the window ends and all is free again; `sliding`: when `oldest` stops counting.
    pub resets: Timestamp,
}

impl Cells {
    pub fn at(algorithm: Algorithm, window: Window, now: Timestamp) -> Self {
        let current = aligned(now, window.tenth());
        let ends = current.plus(window.tenth());
        match algorithm {
            Algorithm::Sliding => {
                Self { current, oldest: current.minus(window.length()), ends, resets: ends }
            }
            Algorithm::Fixed => {
                let oldest = aligned(now, window.length());
                Self { current, oldest, ends, resets: oldest.plus(window.length()) }
            }
        }
    }
}

/// The first moment at which what was charged in the cell that starts at `start` no longer counts.
pub fn counts_until(algorithm: Algorithm, window: Window, start: Timestamp) -> Timestamp {
    match algorithm {
        Algorithm::Sliding => start.plus(window.length()).plus(window.tenth()),
        Algorithm::Fixed => aligned(start, window.length()).plus(window.length()),
    }
}

/// How many requests count at `now`. `cells`: start and charge of each. Cells that lie ahead of
/// `now` (another process's clock runs fast) count too.
pub fn used(
    algorithm: Algorithm,
    window: Window,
    cells: impl IntoIterator<Item = (Timestamp, u64)>,
    now: Timestamp,
) -> u64 {
    let oldest = Cells::at(algorithm, window, now).oldest;
    let counted = cells.into_iter().filter(|(start, _)| *start >= oldest);
    counted.fold(0, |sum, (_, charged)| sum.saturating_add(charged))
}

/// How long from `now` until `count` more requests fit into the window if nothing else is charged:
/// `None` where they fit now, else at least a millisecond. What is more than the limit never fits;
/// the answer is then the window's length. `cells`: start and charge of each, oldest first.
pub fn free_after<I>(
    algorithm: Algorithm,
    window: Window,
    limit: u32,
    count: u32,
    cells: I,
    now: Timestamp,
) -> Option<Duration>
where
    I: IntoIterator<Item = (Timestamp, u64)>,
    I::IntoIter: Clone,
{
    let Some(most) = limit.checked_sub(count).map(u64::from) else { return Some(window.length()) };
    let cells = cells.into_iter();
    let mut left = used(algorithm, window, cells.clone(), now);
    if left <= most {
        return None;
    }
    let oldest = Cells::at(algorithm, window, now).oldest;
    let mut frees = now;
    for (start, charged) in cells.filter(|(start, _)| *start >= oldest) {
        left = left.saturating_sub(charged);
        frees = counts_until(algorithm, window, start);
        if left <= most {
            break;
        }
    }
    Some(frees.since(now).max(SHORTEST_WAIT))
}

/// How a window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    pub limit: u32,
    pub remaining: u32,
    /// Until the window frees something (sliding; zero where nothing is charged) or starts anew
    /// (fixed).
    pub reset_after_ms: u64,
}

impl Standing {
    /// `cells`: start and charge of each, oldest first.
    pub fn at<I>(algorithm: Algorithm, window: Window, limit: u32, cells: I, now: Timestamp) -> Self
    where
        I: IntoIterator<Item = (Timestamp, u64)>,
        I::IntoIter: Clone,
    {
        let cells = cells.into_iter();
        let used = used(algorithm, window, cells.clone(), now);
        let now_cells = Cells::at(algorithm, window, now);
        let resets = match algorithm {
            Algorithm::Fixed => now_cells.resets,
            Algorithm::Sliding => {
                let mut charged = cells.filter(|(start, charged)| *start >= now_cells.oldest && *charged > 0);
                charged.next().map_or(now, |(start, _)| counts_until(algorithm, window, start))
            }
        };
        Self {
            limit,
            remaining: limit.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)),
            reset_after_ms: u64::try_from(resets.since(now).as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    Granted,
    /// `window` is spent, and of those that are it is the last to free; the earliest moment at
    /// which what was asked for fits into all windows is `retry_after` from now.
    Refused {
        window: Window,
        limit: u32,
        retry_after: Duration,
    },
}

impl Charge {
    /// The outcome for all windows: `wait` tells of each limited one how long until one more
    /// fits, as [`free_after`] does.
    pub fn of(limits: &RateLimits, mut wait: impl FnMut(Window, u32) -> Option<Duration>) -> Self {
        let mut outcome = Self::Granted;
        let mut longest = Duration::ZERO;
        for window in Window::ALL {
            let Some(limit) = window.limit(limits) else { continue };
            let Some(retry_after) = wait(window, limit) else { continue };
            if retry_after > longest {
                longest = retry_after;
                outcome = Self::Refused { window, limit, retry_after };
            }
        }
        outcome
    }

    /// What becomes of every call, whatever it costs, where a limit is 0: nothing passes. `None` where none is.
    pub fn of_nothing(limits: &RateLimits) -> Option<Self> {
        let refused = Self::of(limits, |window, limit| (limit == 0).then(|| window.length()));
        (!refused.is_granted()).then_some(refused)
    }

    /// Which window is spent and until when, for who is refused at `now`; `None` where it is granted.
    pub fn refusal(&self, now: Timestamp) -> Option<String> {
        let Self::Refused { window, limit, retry_after } = self else { return None };
        let window = window.as_str();
        if *limit == 0 {
            return Some(format!("the policy lets nothing through: its limit of the {window} is 0"));
        }
        // In whole seconds, and never too early.
        let until = now.plus(*retry_after).millis().saturating_add(999).div_euclid(1000).saturating_mul(1000);
        let until = Timestamp::from_millis(until);
        Some(format!(
            "{} of the {window} {} spent; the next one passes at {}",
            all(*limit, "call"),
            if *limit == 1 { "is" } else { "are" },
            until.to_utc().format("%FT%TZ")
        ))
    }

    pub const fn is_granted(&self) -> bool {
        matches!(self, Self::Granted)
    }
}

/// The last multiple of `step` since the epoch that is not after `now`.
fn aligned(now: Timestamp, step: Duration) -> Timestamp {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(now.millis().rem_euclid(step)))
}

#[cfg(test)]
mod tests;
