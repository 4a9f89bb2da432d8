//! Single fields of a policy as people type them, in a form or as an option: each parser with
//! the error that says what would be right, and where it helps the writer that is its inverse.
//!
//! Lists are separated by commas or spaces, and an item that is there twice is taken once; an empty text is an empty list.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use chrono_tz::{TZ_VARIANTS, Tz};
use ipnet::IpNet;

use super::{Algorithm, Hours, Mode, networks};
use crate::domain::endpoint::EndpointPattern;
use crate::domain::name::{PolicyName, ScopeName};
use crate::domain::text::excerpt;

/// The most requests that a window can be limited to.
pub const MOST_REQUESTS: u32 = 1_000_000_000;

/// The most characters of a description.
pub const LONGEST_DESCRIPTION: usize = 500;

/// What is wrong with a field and what would be right; safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadField(pub String);

pub fn parse_name(text: &str) -> Result<PolicyName, BadField> {
    text.parse().map_err(bad)
}

pub fn parse_description(text: &str) -> Result<String, BadField> {
    let found = text.chars().count();
    if found > LONGEST_DESCRIPTION {
        return Err(BadField(format!(
            "a description has at most {LONGEST_DESCRIPTION} characters; this one has {found}"
        )));
    }
    Ok(text.to_owned())
}

pub fn parse_mode(text: &str) -> Result<Mode, BadField> {
    one_of("mode", text, Mode::ALL.map(|mode| (mode.as_str(), mode)))
}

pub fn parse_algorithm(text: &str) -> Result<Algorithm, BadField> {
    one_of("algorithm", text, Algorithm::ALL.map(|algorithm| (algorithm.as_str(), algorithm)))
}

pub fn parse_scope(text: &str) -> Result<ScopeName, BadField> {
    text.parse().map_err(bad)
}

pub fn parse_scopes_line(text: &str) -> Result<Vec<ScopeName>, BadField> {
    list(text, parse_scope)
}

/// `none` (or nothing typed) = no limit; 0 = nothing passes.
pub fn parse_limit(text: &str) -> Result<Option<u32>, BadField> {
    let text = text.trim();
    if text.is_empty() || text == "none" {
        return Ok(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(limit) if digits && limit <= MOST_REQUESTS => Ok(Some(limit)),
        _ => Err(BadField(format!(
            "`{}` is not a limit; write a whole number from 0 to {MOST_REQUESTS}, or none",
            excerpt(text)
        ))),
    }
}

/// The inverse of [`parse_limit`].
pub fn write_limit(limit: Option<u32>) -> String {
    limit.map_or("none".into(), |limit| limit.to_string())
}

/// An address or a CIDR network, v4 or v6. v4-mapped v6 becomes v4.
pub fn parse_network(text: &str) -> Result<IpNet, BadField> {
    networks::read(text).map_err(BadField)
}

pub fn parse_networks_line(text: &str) -> Result<Vec<IpNet>, BadField> {
    list(text, parse_network)
}

/// The inverse of [`parse_networks_line`].
pub fn write_networks_line(networks: &[IpNet]) -> String {
    networks::written(networks).join(", ")
}

pub fn parse_endpoint(text: &str) -> Result<EndpointPattern, BadField> {
    EndpointPattern::from_str(text).map_err(bad)
}

pub fn parse_endpoints_line(text: &str) -> Result<Vec<EndpointPattern>, BadField> {
    list(text, parse_endpoint)
}

/// Items joined as the parsers of lines read them.
pub fn write_line<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// `8-17,20` = from 08:00 to 17:59 and from 20:00 to 20:59; `22-5` runs past midnight; `all`;
/// `none` (or nothing typed) = never. [`Hours`] is displayed in the same way.
pub fn parse_hours(text: &str) -> Result<Hours, BadField> {
    match text.trim() {
        "all" => return Ok(Hours::ALL),
        "none" => return Ok(Hours::NONE),
        _ => {}
    }
    let mut chosen = [false; 24];
    for item in items(text) {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        let Some((from, to)) = hour(from).zip(hour(to)) else {
            return Err(BadField(format!(
                "`{}` is not an hour; write hours from 0 to 23 such as 8-17,20, or all, or none",
                excerpt(item)
            )));
        };
        let length = (to + 24 - from) % 24;
        for hour in (0..=length).map(|step| (from + step) % 24) {
            chosen[hour] = true;
        }
    }
    Ok((0..24).zip(chosen).filter(|(_, chosen)| *chosen).map(|(hour, _)| hour).collect())
}

/// A name of the IANA time zone database.
pub fn parse_timezone(text: &str) -> Result<Tz, BadField> {
    text.parse().map_err(|_| {
        let known = TZ_VARIANTS.iter().map(|zone| zone.name());
        BadField(format!(
            "`{}` is not a timezone; {}",
            excerpt(text),
            did_you_mean(text, known)
                .unwrap_or_else(|| "write an IANA name such as Europe/Berlin or UTC".into())
        ))
    })
}

/// `did you mean …?` with the nearest of `known`, where one is near.
pub(super) fn did_you_mean<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    const NEAR: f64 = 0.85;
    const LONGEST: usize = 64;
    if text.len() > LONGEST {
        return None;
    }
    let typed = text.to_lowercase().replace(' ', "_");
    let scored = known.map(|name| (strsim::jaro_winkler(&typed, &name.to_lowercase()), name));
    let (score, name) = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (score >= NEAR).then(|| format!("did you mean {name}?"))
}

fn hour(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok().filter(|&hour| hour < 24) } else { None }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}

fn list<T: Clone + Eq + Hash>(
    text: &str,
    parse: fn(&str) -> Result<T, BadField>,
) -> Result<Vec<T>, BadField> {
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for item in items(text) {
        let parsed = parse(item)?;
        if seen.insert(parsed.clone()) {
            list.push(parsed);
        }
    }
    Ok(list)
}

fn one_of<T: Copy, const N: usize>(kind: &str, text: &str, known: [(&str, T); N]) -> Result<T, BadField> {
    match known.iter().find(|(name, _)| *name == text) {
        Some((_, value)) => Ok(*value),
        None => {
            let names = known.map(|(name, _)| name).join(" or ");
            Err(BadField(format!("`{}` is not a {kind}; write {names}", excerpt(text))))
        }
    }
}

fn bad(error: impl Display) -> BadField {
    BadField(error.to_string())
}
