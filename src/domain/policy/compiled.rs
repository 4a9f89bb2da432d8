//! A policy ready for the hot path.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::Timelike;

use super::{BadPolicy, Fault, Hours, Policy};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{BadPattern, Endpoint, EndpointSet};

/// A policy ready for the hot path.
#[derive(Clone, Debug)]
pub struct CompiledPolicy {
    pub policy: Policy,
    pub revision: u32,
    pub allowed: EndpointSet,
    pub blocked: EndpointSet,
}

impl CompiledPolicy {
    /// Fails only where a list of patterns is too large to compile.
    pub fn new(policy: Policy, revision: u32) -> Result<Arc<Self>, BadPolicy> {
        let too_large = |list: &str, error: BadPattern| BadPolicy {
            faults: vec![Fault::new(format!("endpoint_restrictions.{list}"), error.to_string())],
        };
        let restrictions = &policy.endpoint_restrictions;
        let allowed = EndpointSet::new(&restrictions.allowed_endpoints)
            .map_err(|error| too_large("allowed_endpoints", error))?;
        let blocked = EndpointSet::blocking(&restrictions.blocked_endpoints)
            .map_err(|error| too_large("blocked_endpoints", error))?;
        Ok(Arc::new(Self { policy, revision, allowed, blocked }))
    }

    /// Blacklist beats whitelist; empty whitelist = any; an unknown address passes only where
    /// both lists are empty.
    pub fn allows_address(&self, address: Option<IpAddr>) -> bool {
        let restrictions = &self.policy.ip_restrictions;
        if restrictions.whitelist.is_empty() && restrictions.blacklist.is_empty() {
            return true;
        }
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return false;
        };
        let blocked = restrictions.blacklist.iter().any(|network| network.contains(&address));
        let listed = restrictions.whitelist.iter().any(|network| network.contains(&address));
        !blocked && (restrictions.whitelist.is_empty() || listed)
    }

    /// The wall-clock hour in the policy's timezone at that instant (DST included).
    pub fn allows_time(&self, at: Timestamp) -> bool {
        let restrictions = &self.policy.time_restrictions;
        if restrictions.allowed_hours == Hours::ALL {
            return true;
        }
        let local = at.to_utc().with_timezone(&restrictions.timezone);
        restrictions.allowed_hours.contains(local.hour())
    }

    /// Blocked beats allowed; empty allowed = all; protocol endpoints need no place in allowed.
    pub fn allows_endpoint(&self, endpoint: &Endpoint) -> bool {
        if self.blocked.hit(endpoint).is_some() {
            return false;
        }
        self.allowed.is_empty() || endpoint.is_protocol() || self.allowed.contains(endpoint)
    }
}
