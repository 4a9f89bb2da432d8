//! `portcullis token …`: tokens, those of this home and those of others.

mod inspect;
mod issue;
mod list;
mod revoke;
mod signature;
mod verify;

use std::time::Duration;

use clap::Subcommand;

use super::{
    error::{CliError, Code},
    session::Session,
};
use crate::domain::clock::parse_life;

const AFTER_ISSUE: &str = "\
Such as: portcullis token issue --subject ci --scope mcp:read --expires-in 15m > ci.token\n\
The first token makes the first signing key. The scopes there are: portcullis scope list.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Issue a token; prints it once, on standard output
    #[command(after_help = AFTER_ISSUE)]
    Issue(issue::Options),
    /// List issued tokens
    List(list::Options),
    /// Show what is remembered of an issued token (never the token)
    Show {
        /// The token's id
        jti: String,
    },
    /// Show what stands in a token and what it would be refused for; needs no key and proves nothing
    Inspect(inspect::Options),
    /// Judge a token read from standard input, against this home or with a given key; exit 0 valid, 1 not
    Verify(verify::Options),
    /// Refuse tokens from now on: by id, by subject, by key, or by when they were issued
    Revoke(revoke::Options),
    /// Forget tokens that expired long ago, or whose rows are damaged
    Purge {
        /// How long ago at least
        #[arg(long, default_value = "7d", value_parser = parse_life, value_name = "LIFE", allow_hyphen_values = true)]
        older_than: Duration,
        /// Those whose rows are damaged, which `doctor` names, and no others
        #[arg(long, conflicts_with = "older_than")]
        damaged: bool,
    },
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Issue(options) => issue::run(session, options),
        Verb::List(options) => list::run(session, &options),
        Verb::Show { jti } => list::show(session, &jti),
        Verb::Inspect(options) => inspect::run(session, &options),
        Verb::Verify(options) => verify::run(session, &options),
        Verb::Revoke(options) => revoke::run(session, &options),
        Verb::Purge { older_than, damaged } => revoke::purge(session, (!damaged).then_some(older_than)),
    }
}
