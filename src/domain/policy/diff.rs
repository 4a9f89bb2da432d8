//! What changed between two revisions.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Policy, networks};

/// One field that differs between two revisions; values as compact JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub path: String,
    pub before: String,
    pub after: String,
}

impl Policy {
    /// What changed from `self` to `newer`: one entry a field that differs, in the document's
    /// order.
    pub fn diff(&self, newer: &Self) -> Vec<Change> {
        let both = self.fields().into_iter().zip(newer.fields());
        let changed = both.filter(|((_, before), (_, after))| before != after);
        changed
            .map(|((path, before), (_, after))| Change {
                path: path.to_owned(),
                before: before.to_string(),
                after: after.to_string(),
            })
            .collect()
    }

    /// Every field with its JSON path.
    fn fields(&self) -> [(&'static str, Value); 14] {
        let Self { rate_limits, ip_restrictions, time_restrictions, endpoint_restrictions, .. } = self;
        [
            ("name", json!(self.name)),
            ("description", json!(self.description)),
            ("mode", json!(self.mode)),
            ("scopes", json!(self.scopes)),
            ("rate_limits.requests_per_minute", json!(rate_limits.requests_per_minute)),
            ("rate_limits.requests_per_hour", json!(rate_limits.requests_per_hour)),
            ("rate_limits.requests_per_day", json!(rate_limits.requests_per_day)),
            ("rate_limits.algorithm", json!(rate_limits.algorithm)),
            ("ip_restrictions.whitelist", json!(networks::written(&ip_restrictions.whitelist))),
            ("ip_restrictions.blacklist", json!(networks::written(&ip_restrictions.blacklist))),
            ("time_restrictions.allowed_hours", json!(time_restrictions.allowed_hours)),
            ("time_restrictions.timezone", json!(time_restrictions.timezone)),
            ("endpoint_restrictions.allowed_endpoints", json!(endpoint_restrictions.allowed_endpoints)),
            ("endpoint_restrictions.blocked_endpoints", json!(endpoint_restrictions.blocked_endpoints)),
        ]
    }
}
