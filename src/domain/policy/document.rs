//! The JSON document: a strict reader that names every fault with its path, and the writer.

mod fault;
mod node;
mod reader;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::Policy;

pub use fault::{BadPolicy, Fault};

/// The largest document, in bytes.
pub const LARGEST: usize = 64 * 1024;

impl Policy {
    /// Reads a document: unknown and duplicate fields, wrong types, negative or absurd numbers,
    /// unknown timezones, bad networks and patterns are each refused with their path. Fields
    /// left out take the document's defaults; only `name` is required. Scopes are checked against
    /// the catalogue by the caller (`ops::policy`).
    pub fn from_json(text: &str) -> Result<Self, BadPolicy> {
        read(text)
    }

    /// The document, indented, each list on one line, fields in the design's order.
    pub fn to_json(&self) -> String {
        write(self)
    }
}

fn read(text: &str) -> Result<Policy, BadPolicy> {
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

fn write(policy: &Policy) -> String {
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
