//! `portcullis token …`: tokens, those of this home and those of others.

mod inspect;
mod signature;

use clap::Subcommand;

use super::{
    error::{CliError, Code},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what stands in a token and what it would be refused for; needs no key and proves nothing
    Inspect(inspect::Options),
    /// Verify the signature of a token, read from standard input, with a given key; exit 1 if it does not fit
    Verify(signature::Options),
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Inspect(options) => inspect::run(session, &options),
        Verb::Verify(options) => signature::run(session, &options),
    }
}
