//! What calls cost, and the bound of what costs nothing.
//!
//! Most calls cost one request. Notifications and most protocol endpoints are free, and have a bound of their own: so many
//! in each UTC minute. Ending a session is not even counted.

use super::{Charge, Window, aligned};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Endpoint;
use crate::domain::policy::RateLimits;

/// How many free calls there may be in a minute for each request of the limit.
const FREE_FOR_EACH: u32 = 10;
/// How many free calls a minute holds at least, wherever anything passes at all.
pub const LEAST_FREE: u32 = 60;

/// What one call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// A request of every window.
    Request,
    /// A place among the free calls of its minute.
    Free,
    /// Nothing: it ends a session, which always passes.
    Nothing,
}

impl Cost {
    pub fn of(endpoint: &Endpoint) -> Self {
        match endpoint.as_str() {
            "session/end" => Self::Nothing,
            "initialize" | "server/discover" => Self::Request,
            _ if endpoint.is_protocol() => Self::Free,
            _ => Self::Request,
        }
    }

    /// Whether what is decided together with other calls belongs to one of them, and costs nothing of its own: a resource
    /// that `subscriptions/listen` names.
    pub fn is_part(endpoint: &Endpoint) -> bool {
        endpoint.as_str().starts_with("subscriptions/listen/")
    }
}

/// What the calls of one request cost together. It is charged whole or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    pub requests: u32,
    pub free: u32,
    /// How many of the calls cost nothing.
    pub ends: u32,
}

impl Bill {
    pub fn add(&mut self, cost: Cost) {
        let sum = match cost {
            Cost::Request => &mut self.requests,
            Cost::Free => &mut self.free,
            Cost::Nothing => &mut self.ends,
        };
        *sum = sum.saturating_add(1);
    }
}

/// How many free calls a minute holds: ten times the limit of the shortest window that has one, and at least 60. `None` = as
/// many as come, where no window has a limit.
pub fn free_bound(limits: &RateLimits) -> Option<u32> {
    let limit = Window::ALL.into_iter().find_map(|window| window.limit(limits))?;
    Some(limit.saturating_mul(FREE_FOR_EACH).max(LEAST_FREE))
}

/// The refusal of a free call, until the next minute begins.
pub fn free_spent(bound: u32, now: Timestamp) -> Charge {
    let window = Window::Minute;
    let next = aligned(now, window.length()).plus(window.length());
    Charge::Refused { window, limit: bound, retry_after: next.since(now) }
}

/// The number of the UTC minute that a moment is in.
pub fn minute_of(now: Timestamp) -> u32 {
    let length = i64::try_from(Window::Minute.length().as_millis()).unwrap_or(i64::MAX);
    u32::try_from(now.millis().div_euclid(length)).unwrap_or(0)
}

/// What was counted up to `minute`, where `counted` stands for the minute `of`: what is of another minute counts no more. Of
/// several threads one may be late by a moment, and counts on in the minute that has begun; a clock set back is not late.
pub fn still_counts(minute: u32, of: u32, counted: u32) -> (u32, u32) {
    if of == minute || of == minute.saturating_add(1) { (of, counted) } else { (minute, 0) }
}
