//! From JSON to a policy. Goes on after a fault, so that all are told at once.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::node::Node;
use super::{BadPolicy, Fault};
use crate::domain::name::PolicyName;
use crate::domain::policy::field::{self, BadField, MOST_REQUESTS, did_you_mean};
use crate::domain::policy::{
    EndpointRestrictions, Hours, IpRestrictions, Policy, RateLimits, TimeRestrictions,
};
use crate::domain::text::excerpt;

pub(super) fn policy(document: &Node) -> Result<Policy, BadPolicy> {
    let mut faults = Vec::new();
    let policy = read(document, &mut faults);
    match policy {
        Some(policy) if faults.is_empty() => Ok(policy),
        _ => Err(BadPolicy { faults }),
    }
}

/// `None` where there is no name, which has no default.
fn read(document: &Node, faults: &mut Vec<Fault>) -> Option<Policy> {
    let mut document = Object::open("", document, faults)?;
    let name: Option<PolicyName> = document.text("name", field::parse_name);
    if !document.fields.contains_key("name") {
        document.faults.push(Fault::new("name", "a policy needs a name"));
    }
    // Where the name is at fault the rest is read for its faults alone.
    let mut policy = Policy::new(name.unwrap_or_default());
    if let Some(description) = document.text("description", field::parse_description) {
        policy.description = description;
    }
    if let Some(mode) = document.text("mode", field::parse_mode) {
        policy.mode = mode;
    }
    if let Some(scopes) = document.texts("scopes", field::parse_scope) {
        policy.scopes = scopes;
    }
    document.section("rate_limits", |section| rate_limits(section, &mut policy.rate_limits));
    document.section("ip_restrictions", |section| ip_restrictions(section, &mut policy.ip_restrictions));
    document
        .section("time_restrictions", |section| time_restrictions(section, &mut policy.time_restrictions));
    document.section("endpoint_restrictions", |section| {
        endpoint_restrictions(section, &mut policy.endpoint_restrictions);
    });
    document.close();
    Some(policy)
}

fn rate_limits(section: &mut Object<'_, '_>, limits: &mut RateLimits) {
    for (name, limit) in [
        ("requests_per_minute", &mut limits.requests_per_minute),
        ("requests_per_hour", &mut limits.requests_per_hour),
        ("requests_per_day", &mut limits.requests_per_day),
    ] {
        if let Some(read) = section.limit(name) {
            *limit = read;
        }
    }
    if let Some(algorithm) = section.text("algorithm", field::parse_algorithm) {
        limits.algorithm = algorithm;
    }
}

fn ip_restrictions(section: &mut Object<'_, '_>, restrictions: &mut IpRestrictions) {
    for (name, networks) in
        [("whitelist", &mut restrictions.whitelist), ("blacklist", &mut restrictions.blacklist)]
    {
        if let Some(read) = section.texts(name, field::parse_network) {
            *networks = read;
        }
    }
}

fn time_restrictions(section: &mut Object<'_, '_>, restrictions: &mut TimeRestrictions) {
    if let Some(hours) = section.hours("allowed_hours") {
        restrictions.allowed_hours = hours;
    }
    if let Some(timezone) = section.text("timezone", field::parse_timezone) {
        restrictions.timezone = timezone;
    }
}

fn endpoint_restrictions(section: &mut Object<'_, '_>, restrictions: &mut EndpointRestrictions) {
    for (name, patterns) in [
        ("allowed_endpoints", &mut restrictions.allowed_endpoints),
        ("blocked_endpoints", &mut restrictions.blocked_endpoints),
    ] {
        if let Some(read) = section.texts(name, field::parse_endpoint) {
            *patterns = read;
        }
    }
}

/// An object that is being read. What was asked for by name is what is known.
struct Object<'a, 'f> {
    path: &'static str,
    fields: HashMap<&'a str, &'a Node>,
    /// In the order of the document.
    names: Vec<&'a str>,
    known: Vec<&'static str>,
    faults: &'f mut Vec<Fault>,
}

impl<'a, 'f> Object<'a, 'f> {
    fn open(path: &'static str, node: &'a Node, faults: &'f mut Vec<Fault>) -> Option<Self> {
        let Node::Object(entries) = node else {
            let what = if path.is_empty() { "a policy document" } else { "this" };
            faults.push(Fault::new(path, format!("{what} is an object, not {}", node.kind())));
            return None;
        };
        let mut object = Self { path, fields: HashMap::new(), names: Vec::new(), known: Vec::new(), faults };
        for (name, value) in entries {
            object.names.push(name);
            if object.fields.insert(name, value).is_some() {
                object.fault(name, "this field is there twice; write it once");
            }
        }
        Some(object)
    }

    /// Reports the fields that nobody asked for.
    fn close(mut self) {
        for name in std::mem::take(&mut self.names) {
            if self.known.contains(&name) {
                continue;
            }
            let mend = did_you_mean(name, self.known.iter().copied())
                .unwrap_or_else(|| format!("there are {}", self.known.join(", ")));
            self.fault(name, format!("there is no such field; {mend}"));
        }
    }

    fn fault(&mut self, name: &str, message: impl Into<String>) {
        let path = path_of(self.path, &excerpt(name));
        self.faults.push(Fault::new(path, message));
    }

    fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        self.fields.get(name).copied()
    }

    fn section(&mut self, name: &'static str, read: impl FnOnce(&mut Object<'_, '_>)) {
        let Some(node) = self.get(name) else { return };
        if let Some(mut section) = Object::open(name, node, self.faults) {
            read(&mut section);
            section.close();
        }
    }

    fn text<T>(&mut self, name: &'static str, parse: fn(&str) -> Result<T, BadField>) -> Option<T> {
        let node = self.get(name)?;
        match read_text(node, parse) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault(name, message);
                None
            }
        }
    }

    fn texts<T: Clone + Eq + Hash>(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<T, BadField>,
    ) -> Option<Vec<T>> {
        self.list(name, |node| read_text(node, parse))
    }

    fn hours(&mut self, name: &'static str) -> Option<Hours> {
        let hours = self.list(name, |node| match node {
            Node::Whole(hour) if *hour < 24 => Ok(u32::try_from(*hour).unwrap_or_default()),
            _ => Err("an hour is a whole number from 0 to 23".into()),
        })?;
        Some(hours.into_iter().collect())
    }

    fn limit(&mut self, name: &'static str) -> Option<Option<u32>> {
        let message = match self.get(name)? {
            Node::Null => return Some(None),
            Node::Whole(number) => match u32::try_from(*number) {
                Ok(limit) if limit <= MOST_REQUESTS => return Some(Some(limit)),
                _ => format!("{number} is more than the most, {MOST_REQUESTS}; write null for no limit"),
            },
            Node::Negative(number) => {
                format!("{number} is negative; write 0 for nothing or null for no limit")
            }
            Node::Float(number) => {
                format!(
                    "{number} is not a whole number from 0 to {MOST_REQUESTS}, written without fraction or exponent"
                )
            }
            other => format!("a limit is a whole number or null, not {}", other.kind()),
        };
        self.fault(name, message);
        None
    }

    /// A list, of which each item is taken once. Each item's fault has the item's path.
    fn list<T: Clone + Eq + Hash>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let Node::List(items) = self.get(name)? else {
            self.fault(name, "this is a list");
            return None;
        };
        let mut seen = HashSet::new();
        let mut list = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            match read(item) {
                Ok(value) if seen.insert(value.clone()) => list.push(value),
                Ok(_) => {}
                Err(message) => {
                    let path = format!("{}[{position}]", path_of(self.path, name));
                    self.faults.push(Fault::new(path, message));
                }
            }
        }
        Some(list)
    }
}

fn path_of(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

fn read_text<T>(node: &Node, parse: fn(&str) -> Result<T, BadField>) -> Result<T, String> {
    match node {
        Node::Text(text) => parse(text).map_err(|error| error.to_string()),
        other => Err(format!("this is a text, not {}", other.kind())),
    }
}
