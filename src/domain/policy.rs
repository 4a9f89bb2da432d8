//! Policies: the document of limits that every credential is under.
//!
//! The JSON has the source document's field names (part "API Key Policy Management"); the same
//! object stands in the CLI, the store, the console and exports. It is read in [`document`],
//! field by field as people type it in [`field`], and made ready for the hot path in
//! [`compiled`].

mod compiled;
mod diff;
pub mod document;
pub mod field;
mod hours;
mod networks;
mod warnings;

pub use compiled::CompiledPolicy;
pub use diff::Change;
pub use document::{BadPolicy, Fault};
pub use hours::Hours;

use chrono_tz::Tz;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::endpoint::EndpointPattern;
use super::name::{PolicyName, ScopeName};
use super::scope;

/// The document, valid in every field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    pub name: PolicyName,
    /// At most 500 characters; foreign text.
    pub description: String,
    pub mode: Mode,
    /// The ceiling for credentials under it; empty = no ceiling.
    pub scopes: Vec<ScopeName>,
    pub rate_limits: RateLimits,
    pub ip_restrictions: IpRestrictions,
    pub time_restrictions: TimeRestrictions,
    pub endpoint_restrictions: EndpointRestrictions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Enforce,
    /// Decide and record, let through.
    Shadow,
}

impl Mode {
    pub const ALL: [Self; 2] = [Self::Enforce, Self::Shadow];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// `None` = no limit, 0 = nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RateLimits {
    pub requests_per_minute: Option<u32>,
    pub requests_per_hour: Option<u32>,
    pub requests_per_day: Option<u32>,
    pub algorithm: Algorithm,
}

/// The document's defaults: 100, 1 000 and 10 000, sliding.
impl Default for RateLimits {
    fn default() -> Self {
        Self {
            requests_per_minute: Some(100),
            requests_per_hour: Some(1000),
            requests_per_day: Some(10_000),
            algorithm: Algorithm::Sliding,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Never more than N in any interval of the window's length.
    #[default]
    Sliding,
    /// Exactly N in each UTC minute, hour, day.
    Fixed,
}

impl Algorithm {
    pub const ALL: [Self; 2] = [Self::Sliding, Self::Fixed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::Fixed => "fixed",
        }
    }
}

/// Networks; a single address is a network of one. v4-mapped v6 addresses are v4, so that a v6
/// network never holds a v4 address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IpRestrictions {
    #[serde(serialize_with = "networks::serialize")]
    pub whitelist: Vec<IpNet>,
    #[serde(serialize_with = "networks::serialize")]
    pub blacklist: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimeRestrictions {
    /// Hours of the wall clock in which calls are allowed.
    pub allowed_hours: Hours,
    pub timezone: Tz,
}

/// Every hour, UTC.
impl Default for TimeRestrictions {
    fn default() -> Self {
        Self { allowed_hours: Hours::ALL, timezone: Tz::UTC }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EndpointRestrictions {
    /// Empty = all that the scopes cover.
    pub allowed_endpoints: Vec<EndpointPattern>,
    /// Beats `allowed_endpoints`.
    pub blocked_endpoints: Vec<EndpointPattern>,
}

/// One saved state of a policy. Revisions count from 1 for each policy.
#[derive(Clone, Debug, Serialize)]
pub struct Revision {
    pub policy: Policy,
    pub revision: u32,
    pub author: String,
    pub reason: String,
    pub saved_at: Timestamp,
}

impl Policy {
    /// A policy with the document's defaults under `name`.
    pub fn new(name: PolicyName) -> Self {
        Self {
            name,
            description: String::new(),
            mode: Mode::default(),
            scopes: Vec::new(),
            rate_limits: RateLimits::default(),
            ip_restrictions: IpRestrictions::default(),
            time_restrictions: TimeRestrictions::default(),
            endpoint_restrictions: EndpointRestrictions::default(),
        }
    }

    /// The scopes of a credential that holds `held`, under this policy's ceiling: those that
    /// both name. `mcp:*` on one side stands for all that the other names, since it covers them.
    pub fn effective_scopes(&self, held: &[ScopeName]) -> Vec<ScopeName> {
        let everything = |scopes: &[ScopeName]| scopes.iter().any(|name| name.as_str() == scope::EVERYTHING);
        let ceiling = &self.scopes;
        if ceiling.is_empty() || everything(ceiling) {
            return held.to_vec();
        }
        if everything(held) {
            return ceiling.clone();
        }
        held.iter().filter(|name| ceiling.contains(name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
