//! The windows of one credential, counted in memory.

use std::collections::VecDeque;

use super::{
    Cells, Charge, Cost, Standing, Window, free_after, free_bound, free_spent, minute_of, still_counts,
};
use crate::domain::clock::Timestamp;
use crate::domain::policy::{Algorithm, RateLimits};

/// Cells of one window, oldest first.
type Row = VecDeque<(Timestamp, u64)>;

/// The windows of one credential in memory: exact, for one process. Holds only cells that may
/// still count, at most eleven a window.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    rows: [Row; Window::ALL.len()],
    /// The minute of the last free call, and how many there were in it.
    free: (u32, u32),
}

impl Counter {
    pub fn new() -> Self {
        Self::default()
    }

    /// Charges one request to every limited window, or to none.
    pub fn charge(&mut self, limits: &RateLimits, now: Timestamp) -> Charge {
        let outcome = self.peek(limits, now);
        if outcome.is_granted() {
            for (window, row) in Window::ALL.into_iter().zip(&mut self.rows) {
                if window.limit(limits).is_some() {
                    add_one(row, window, now);
                }
            }
        }
        outcome
    }

    /// Whether a charge would be granted, without making it.
    pub fn peek(&self, limits: &RateLimits, now: Timestamp) -> Charge {
        Charge::of(limits, |window, limit| {
            free_after(limits.algorithm, window, limit, 1, self.row(window).iter().copied(), now)
        })
    }

    /// Charges a call that costs so much.
    pub fn charge_call(&mut self, limits: &RateLimits, cost: Cost, now: Timestamp) -> Charge {
        if cost == Cost::Request {
            return self.charge(limits, now);
        }
        let outcome = self.peek_call(limits, cost, now);
        if cost == Cost::Free && outcome.is_granted() {
            let (minute, counted) = self.counted_free(now);
            self.free = (minute, counted.saturating_add(1));
        }
        outcome
    }

    /// Whether that would be granted, without doing it.
    pub fn peek_call(&self, limits: &RateLimits, cost: Cost, now: Timestamp) -> Charge {
        match cost {
            Cost::Request => self.peek(limits, now),
            Cost::Nothing => Charge::Granted,
            Cost::Free => Charge::of_nothing(limits).unwrap_or_else(|| match free_bound(limits) {
                Some(bound) if self.counted_free(now).1 >= bound => free_spent(bound, now),
                _ => Charge::Granted,
            }),
        }
    }

    fn counted_free(&self, now: Timestamp) -> (u32, u32) {
        let (of, counted) = self.free;
        still_counts(minute_of(now), of, counted)
    }

    /// How each limited window stands.
    pub fn standings(&self, limits: &RateLimits, now: Timestamp) -> Vec<(Window, Standing)> {
        let limited = Window::ALL.into_iter().filter_map(|window| Some((window, window.limit(limits)?)));
        let standing = |(window, limit)| {
            let cells = self.row(window).iter().copied();
            (window, Standing::at(limits.algorithm, window, limit, cells, now))
        };
        limited.map(standing).collect()
    }

    fn row(&self, window: Window) -> &Row {
        let [minute, hour, day] = &self.rows;
        match window {
            Window::Minute => minute,
            Window::Hour => hour,
            Window::Day => day,
        }
    }
}

fn add_one(row: &mut Row, window: Window, now: Timestamp) {
    // What is too old to slide is too old for a fixed window also.
    let cells = Cells::at(Algorithm::Sliding, window, now);
    while row.front().is_some_and(|(start, _)| *start < cells.oldest) {
        row.pop_front();
    }
    match row.back_mut() {
        // Later than `current` where the clock was set back: charged there it counts for longer.
        Some((start, charged)) if *start >= cells.current => *charged += 1,
        _ => row.push_back((cells.current, 1)),
    }
}
