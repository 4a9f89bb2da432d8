//! Which revision of MCP a request speaks, and whether its headers agree with its body.
//!
//! From 2026-07-28 on, `Mcp-Method` and `Mcp-Name` mirror the body so that intermediaries can look without parsing. The
//! upstream acts on the body, so the gateway decides on the body, and refuses a request whose headers say otherwise
//! (MCP 2026-07-28, Streamable HTTP, Server Validation). Older requests need no such headers; but what has them must not
//! say otherwise either, for a server that speaks both eras may go by them.

use std::borrow::Cow;
use std::fmt::Display;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderName;

use crate::domain::endpoint::Endpoint;
use crate::domain::leak::{quoted, redacted};

use super::body::{Kind, Message, Version};
use crate::gateway::wire::{Fields, Several, text};

pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The revisions that the gateway speaks, oldest first.
const SUPPORTED: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", FIRST_NEW];
/// Those of them that a request chooses by itself, in headers that must agree with its body. The older ones are agreed
/// on in `initialize`: to offer them to a request of another version would lead it nowhere (MCP 2026-07-28, Versioning).
pub const BY_REQUEST: [&str; 1] = [FIRST_NEW];
/// The first revision without sessions.
const FIRST_NEW: &str = "2026-07-28";
/// The one revision with batches; also what a request without a version is taken for.
const WITH_BATCHES: &str = "2025-03-26";

/// How a value begins that is not given as it stands.
const ENCODED: &str = "=?base64?";

/// The two ways in which MCP has been spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Up to 2025-11-25: sessions, a GET stream, DELETE.
    Old { batches: bool },
    /// From 2026-07-28 on: each POST stands for itself.
    New,
}

/// Why headers and body do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// −32022.
    UnsupportedVersion(String),
    /// −32022, where only the headers are known: those of this older revision prove nothing.
    NeedsBody(String),
    /// −32602: the request's `_meta` does not say its protocol version.
    MissingMeta,
    /// −32020, with what is wrong.
    Header(Odd),
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// As the client is told.
    pub told: Cow<'static, str>,
    /// What the header says, and what the body: for the event.
    pub compared: Option<String>,
}

impl From<&'static str> for Odd {
    fn from(told: &'static str) -> Self {
        Self { told: told.into(), compared: None }
    }
}

impl From<String> for Odd {
    fn from(told: String) -> Self {
        Self { told: told.into(), compared: None }
    }
}

impl Odd {
    /// A header that says something else than the body; of the one is told what it says, of the other as it is put.
    fn other(told: &'static str, name: &HeaderName, says: &[u8], body: impl Display) -> Self {
        let says = quoted(&said(says));
        Self { told: told.into(), compared: Some(format!("{name} says `{says}`, {body}")) }
    }
}

/// The one value of a field that may stand once.
fn single<'a>(headers: &'a Fields, name: &HeaderName) -> Result<Option<&'a [u8]>, Mismatch> {
    let several = |Several| Mismatch::Header(format!("{name} stands more than once").into());
    headers.single(name).map_err(several)
}

/// The era by `MCP-Protocol-Version`.
///
/// # Errors
/// Where the version is none of MCP, or stands twice.
pub fn of(headers: &Fields) -> Result<Era, Mismatch> {
    let Some(value) = single(headers, &PROTOCOL_VERSION)? else {
        return Ok(Era::Old { batches: true });
    };
    match SUPPORTED.iter().find(|version| version.as_bytes() == value) {
        Some(&version) if version >= FIRST_NEW => Ok(Era::New),
        Some(&version) => Ok(Era::Old { batches: version == WITH_BATCHES }),
        // Without the credentials in it before it is cut: half of one would look like none.
        None => {
            Err(Mismatch::UnsupportedVersion(redacted(text(value).unwrap_or("")).chars().take(64).collect()))
        }
    }
}

/// Whether the headers of a POST agree with its one message.
///
/// # Errors
/// Where one of them says otherwise, is missing though the era needs it, or stands twice.
pub fn agree(era: Era, headers: &Fields, message: &Message<'_>) -> Result<(), Mismatch> {
    let version = single(headers, &PROTOCOL_VERSION)?;
    if let Version::Given(given) = &message.version
        && !says(version, given)
        && (version.is_some() || **given >= *FIRST_NEW)
    {
        let body = format!("and the _meta of the body `{}`", quoted(given));
        return Err(Mismatch::Header(Odd::other(
            "MCP-Protocol-Version is not the protocol version of the body's _meta",
            &PROTOCOL_VERSION,
            version.unwrap_or_default(),
            body,
        )));
    }
    // The old handshake may be tried in any era, and the headers of notifications are left open by the specification:
    // there they may be absent, as in all of the old era, and are never wrong.
    let is_request = matches!(message.kind, Kind::Request { .. });
    let must_say = era == Era::New && is_request && message.method() != Some("initialize");
    match (single(headers, &METHOD)?, message.method()) {
        (None, _) if must_say => return Err(Mismatch::Header("Mcp-Method is missing".into())),
        (Some(value), method) if !method.is_some_and(|method| says(Some(value), method)) => {
            let body = match method {
                Some(method) => format!("and the method of the body is `{}`", quoted(method)),
                None => "and the body is a response, which has none".into(),
            };
            let told = "Mcp-Method is not the method of the body";
            return Err(Mismatch::Header(Odd::other(told, &METHOD, value, body)));
        }
        _ => {}
    }
    match (single(headers, &NAME)?, message.nameable()) {
        (None, Some(_)) if era == Era::New && message.needs_target() => {
            return Err(Mismatch::Header("Mcp-Name is missing".into()));
        }
        (Some(value), None) => {
            let told = "Mcp-Name names what the body does not";
            return Err(Mismatch::Header(Odd::other(told, &NAME, value, "and the body names nothing")));
        }
        (Some(value), Some(name)) if decoded(value).as_deref() != Some(name) => {
            let body = format!("and the body names `{}`", quoted(name));
            let told = "Mcp-Name is not the name or URI of the body";
            return Err(Mismatch::Header(Odd::other(told, &NAME, value, body)));
        }
        _ => {}
    }
    if must_say && !matches!(message.version, Version::Given(_)) {
        return Err(Mismatch::MissingMeta);
    }
    Ok(())
}

/// Whether a request without a body names none in its headers: a server that goes by these would do what nobody judged.
///
/// # Errors
/// Where one does, or stands twice.
pub fn names_nothing(headers: &Fields) -> Result<(), Mismatch> {
    match (single(headers, &METHOD)?, single(headers, &NAME)?) {
        (None, None) => Ok(()),
        _ => Err(Mismatch::Header("Mcp-Method and Mcp-Name name what no body says".into())),
    }
}

/// What a POST asks for by its headers alone: the method, and the name or URI where it needs one. Servers must refuse a
/// body that says otherwise, but only from 2026-07-28 on; requests of older revisions are refused (Server Validation).
///
/// # Errors
/// Where one is missing, stands twice, or the version is an older one.
pub fn asked(headers: &Fields) -> Result<(&str, Option<Cow<'_, str>>), Mismatch> {
    if of(headers)? != Era::New {
        let version = single(headers, &PROTOCOL_VERSION)?.and_then(text);
        return Err(Mismatch::NeedsBody(version.unwrap_or("").to_owned()));
    }
    let method = single(headers, &METHOD)?.and_then(text).unwrap_or("");
    if method.is_empty() {
        return Err(Mismatch::Header("Mcp-Method is missing".into()));
    }
    let name = match single(headers, &NAME)? {
        Some(value) => {
            let wrong = || Mismatch::Header("Mcp-Name is neither plain text nor its base64 form".into());
            Some(decoded(value).ok_or_else(wrong)?)
        }
        None => None,
    };
    match name {
        None if Endpoint::names_a_target(method) => Err(Mismatch::Header("Mcp-Name is missing".into())),
        Some(name) if name.is_empty() => Err(Mismatch::Header("Mcp-Name is empty".into())),
        Some(_) if !is_nameable(method) => {
            Err(Mismatch::Header("Mcp-Name names what the method does not".into()))
        }
        name => Ok((method, name)),
    }
}

/// Whether requests of a method may carry `Mcp-Name`: extensions name what they act on in it as well.
fn is_nameable(method: &str) -> bool {
    let by_extensions =
        ["resources/subscribe", "resources/unsubscribe", "tasks/get", "tasks/update", "tasks/cancel"];
    Endpoint::names_a_target(method) || by_extensions.contains(&method)
}

fn says(value: Option<&[u8]>, text: &str) -> bool {
    value == Some(text.as_bytes())
}

/// What a header says, for quoting: never in base64, where a credential could not be seen.
fn said(value: &[u8]) -> Cow<'_, str> {
    match decoded(value) {
        Some(text) if !text.starts_with(ENCODED) => text,
        _ if value.starts_with(ENCODED.as_bytes()) => "=?base64?…".into(),
        _ => String::from_utf8_lossy(value),
    }
}

/// A value as it was meant: as it stands, or out of the sentinel `=?base64?…?=`. `None` where it is neither.
fn decoded(value: &[u8]) -> Option<Cow<'_, str>> {
    let text = text(value)?;
    match text.strip_prefix(ENCODED).and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(Cow::Borrowed(text)),
        Some(inner) => String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests;
