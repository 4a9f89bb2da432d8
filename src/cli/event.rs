//! `portcullis event …`: recorded denials and security facts.

use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{
    error::{CliError, Code},
    input,
    output::{self, List},
    session::Session,
};
use crate::{domain::event, ops::event as ops, store::event::Query};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List events, newest first
    List(Listing),
}

#[derive(Debug, Args)]
pub struct Listing {
    /// Of this kind: the reason of a denial such as rate_limited, or lockout_started, or shadow_denied
    #[arg(long, value_parser = PossibleValuesParser::new(event::kinds()), hide_possible_values = true)]
    kind: Option<String>,
    /// Of this credential
    #[arg(long, value_name = "ID", value_parser = input::credential_id, allow_hyphen_values = true)]
    credential: Option<String>,
    /// From when: an age such as 24h, or an RFC 3339 time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on after this cursor (`next` of the page before)
    #[arg(long, value_name = "CURSOR", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..))]
    after: Option<i64>,
    /// Answer in CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub fn run(session: &Session, Verb::List(listing): Verb) -> Result<Code, CliError> {
    let now = session.now();
    let query = Query {
        kind: listing.kind,
        credential: listing.credential,
        since: listing.since.as_deref().map(|since| input::since(since, now)).transpose()?,
        before_seq: listing.after,
        limit: listing.limit + 1,
    };
    let mut items = ops::list(&session.reader()?, &query)?;
    let more = items.len() > listing.limit as usize;
    items.truncate(listing.limit as usize);
    let next = items.last().filter(|_| more).map(|event| event.seq.to_string());
    output::list(
        session.format(listing.csv),
        &["at", "kind", "subject", "credential", "endpoint", "address", "count", "detail"],
        &List { items, next },
        |event| {
            vec![
                event.at.to_string(),
                event.kind.clone(),
                event.subject.clone(),
                event.credential.clone(),
                event.endpoint.clone(),
                event.address.clone(),
                event.count.to_string(),
                event.detail.clone(),
            ]
        },
    )?;
    Ok(Code::Done)
}
