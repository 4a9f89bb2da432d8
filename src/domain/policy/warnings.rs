//! What deserves a second look in a policy without being wrong.

use super::{Fault, Mode, Policy, networks};
use crate::domain::endpoint::{Endpoint, EndpointSet};
use crate::domain::quota::Window;

impl Policy {
    /// What deserves a second look without being wrong: a day's limit below an hour's, an empty
    /// hours list, a whitelist entry inside the blacklist…
    pub fn warnings(&self) -> Vec<Fault> {
        let mut warnings = Vec::new();
        if self.mode == Mode::Shadow {
            warnings.push(Fault::new(
                "mode",
                "a policy in shadow mode refuses nothing that the scopes cover; it only records",
            ));
        }
        self.warn_of_limits(&mut warnings);
        self.warn_of_networks(&mut warnings);
        if self.time_restrictions.allowed_hours.is_empty() {
            warnings.push(Fault::new(
                "time_restrictions.allowed_hours",
                "no hour is allowed, so every call is denied",
            ));
        }
        self.warn_of_endpoints(&mut warnings);
        warnings
    }

    fn warn_of_limits(&self, warnings: &mut Vec<Fault>) {
        let limits = Window::ALL.map(|window| (window, window.limit(&self.rate_limits)));
        for (position, (window, limit)) in limits.iter().enumerate() {
            let path = format!("rate_limits.requests_per_{}", window.as_str());
            let Some(limit) = *limit else { continue };
            if limit == 0 {
                warnings.push(Fault::new(path, "a limit of 0 denies every call"));
                continue;
            }
            let shorter =
                limits[..position].iter().rev().find_map(|(shorter, other)| Some((shorter, (*other)?)));
            if let Some((shorter, other)) = shorter.filter(|(_, other)| *other > limit) {
                let shorter = shorter.as_str();
                let message =
                    format!("{limit} is below the {other} of requests_per_{shorter}, which is never reached");
                warnings.push(Fault::new(path, message));
            }
        }
    }

    fn warn_of_networks(&self, warnings: &mut Vec<Fault>) {
        let restrictions = &self.ip_restrictions;
        for (position, network) in restrictions.whitelist.iter().enumerate() {
            if let Some(blocking) = restrictions.blacklist.iter().find(|blocked| blocked.contains(network)) {
                let message = format!(
                    "{} is never admitted: {} in the blacklist beats it",
                    networks::write(network),
                    networks::write(blocking)
                );
                warnings.push(Fault::new(format!("ip_restrictions.whitelist[{position}]"), message));
            }
        }
    }

    fn warn_of_endpoints(&self, warnings: &mut Vec<Fault>) {
        let restrictions = &self.endpoint_restrictions;
        for (position, pattern) in restrictions.allowed_endpoints.iter().enumerate() {
            if restrictions.blocked_endpoints.contains(pattern) {
                let path = format!("endpoint_restrictions.allowed_endpoints[{position}]");
                warnings.push(Fault::new(
                    path,
                    "this has no effect: the same is in blocked_endpoints, which beats it",
                ));
            }
        }
        let (allowed, blocked) = (&restrictions.allowed_endpoints, &restrictions.blocked_endpoints);
        for (list, patterns, others) in
            [("allowed_endpoints", allowed, blocked), ("blocked_endpoints", blocked, allowed)]
        {
            // What is in both lists has been told of.
            let alone = patterns.iter().enumerate().filter(|(_, pattern)| !others.contains(pattern));
            for (position, pattern) in alone {
                let path = format!("endpoint_restrictions.{list}[{position}]");
                warnings.extend(pattern.doubts().into_iter().map(|doubt| Fault::new(path.clone(), doubt)));
            }
        }
        for (position, pattern) in blocked.iter().enumerate() {
            // Names of tools and prompts may have slashes, and URIs do.
            let Some(method) =
                pattern.as_str().strip_suffix("/*").filter(|method| Endpoint::names_a_target(method))
            else {
                continue;
            };
            let message =
                format!("this leaves out what has a slash in its name; write {method}/** to block all");
            warnings
                .push(Fault::new(format!("endpoint_restrictions.blocked_endpoints[{position}]"), message));
        }
        let blocked = EndpointSet::blocking(blocked).unwrap_or_default();
        let shut = ["initialize", "server/discover"].into_iter().find(|method| {
            Endpoint::mcp(method, None).is_ok_and(|endpoint| blocked.hit(&endpoint).is_some())
        });
        if let Some(method) = shut {
            let message = format!("this blocks {method}, without which MCP clients cannot connect");
            warnings.push(Fault::new("endpoint_restrictions.blocked_endpoints", message));
        }
    }
}
