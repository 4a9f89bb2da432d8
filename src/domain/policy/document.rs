//! The JSON document: a strict reader that names every fault with its path, and the writer.

mod node;
mod reader;

use std::fmt;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::Policy;

/// The largest document, in bytes.
pub const LARGEST: usize = 64 * 1024;

/// One thing wrong with a policy document; safe to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where, as a JSON path: `ip_restrictions.whitelist[2]`; empty = the document as a whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// `path: message`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// A policy document that was refused, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadPolicy {
    pub faults: Vec<Fault>,
}

/// One `path: message` a line.
impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for fault in &self.faults {
            write!(f, "{separator}{fault}")?;
            separator = "\n";
        }
        Ok(())
    }
}

pub(super) fn read(text: &str) -> Result<Policy, BadPolicy> {
    let whole = |message: String| BadPolicy { faults: vec![Fault::new("", message)] };
    if text.len() > LARGEST {
        return Err(whole(format!(
            "a policy document has at most {LARGEST} bytes; this one has {}",
            text.len()
        )));
    }
    let node = serde_json::from_str(text).map_err(|error| whole(format!("this is not JSON: {error}")))?;
    reader::policy(&node)
}

pub(super) fn write(policy: &Policy) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Lines(PrettyFormatter::new()));
    #[expect(clippy::expect_used, reason = "a policy has string keys only, and memory takes all writes")]
    policy.serialize(&mut serializer).expect("a policy is always JSON");
    String::from_utf8(out).unwrap_or_default()
}

/// Objects indented, lists on one line: the hours of a day would fill a screen otherwise.
struct Lines<'a>(PrettyFormatter<'a>);

impl Formatter for Lines<'_> {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        self.0.end_object_value(out)
    }
}
