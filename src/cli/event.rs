//! `portcullis event …`: recorded denials and security facts, and room among them.

use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{
    error::{CliError, Code},
    input,
    output::{self, Page},
    session::Session,
    usage::Purge,
};
use crate::{domain::event, ops::event as ops, store::event::Query};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List events, newest first
    List(Listing),
    /// Remove old events, and give their room back to the disk; the audit log says so
    Purge(Purge),
}

#[derive(Debug, Args)]
pub struct Listing {
    /// Of this kind: the reason of a denial such as rate_limited, or lockout_started, or shadow_denied
    #[arg(long, value_parser = PossibleValuesParser::new(event::kinds()), hide_possible_values = true)]
    kind: Option<String>,
    /// Of this credential
    #[arg(long, value_name = "ID", value_parser = input::credential_id, allow_hyphen_values = true)]
    credential: Option<String>,
    /// Of the subjects of this issuer; '' is the home itself
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Of this subject, whoever its issuer is
    #[arg(long)]
    subject: Option<String>,
    /// From when: an age such as 24h, or an RFC 3339 time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    #[command(flatten)]
    page: Page,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::List(listing) => list(session, listing),
        Verb::Purge(purge) => purge.run(session, "events", ops::purge),
    }
}

fn list(session: &Session, listing: Listing) -> Result<Code, CliError> {
    let now = session.now();
    let query = Query {
        kind: listing.kind,
        credential: listing.credential,
        issuer: listing.issuer,
        subject: listing.subject,
        since: listing.since.as_deref().map(|since| input::since(since, now)).transpose()?,
        before_seq: listing.page.after,
        limit: listing.page.wanted(),
    };
    let events = ops::list(&session.reader()?, &query)?;
    output::list(
        session.format(listing.page.csv),
        &["at", "kind", "subject", "credential", "endpoint", "address", "count", "detail", "issuer"],
        &listing.page.cut(events, |event| event.seq),
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
                event.issuer.clone(),
            ]
        },
    )?;
    Ok(Code::Done)
}
