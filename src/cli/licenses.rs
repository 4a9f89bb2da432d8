//! `portcullis licenses`: what is compiled in, by whom, and under which licences.

use serde::Serialize;

use super::{
    error::{CliError, Code},
    output::{self, List},
    session::Session,
};

/// Written by `assets/licenses.py`, and held against Cargo.lock by a test.
const TEXT: &str = include_str!("../../assets/licenses.txt");

/// A crate that is compiled in.
#[derive(Debug, Serialize)]
struct Crate {
    name: &'static str,
    version: &'static str,
    /// An SPDX expression.
    license: &'static str,
    repository: &'static str,
}

pub fn run(session: &Session) -> Result<Code, CliError> {
    if session.json {
        output::json(&List { items: crates().collect(), next: None })?;
    } else {
        output::raw(TEXT.as_bytes())?;
    }
    Ok(Code::Done)
}

/// Those that the text lists before the licences themselves.
fn crates() -> impl Iterator<Item = Crate> {
    let list = TEXT.lines().take_while(|line| !line.starts_with("===="));
    list.filter_map(|line| {
        let (named, rest) = line.split_once(" | ")?;
        let ((name, version), (license, repository)) = (named.split_once(' ')?, rest.split_once(" | ")?);
        Some(Crate { name, version, license, repository })
    })
}
