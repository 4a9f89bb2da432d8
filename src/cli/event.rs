//! `portcullis event …`: recorded denials and security facts, and room among them.

use std::net::IpAddr;

use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{
    error::{CliError, Code},
    input::{self, Span},
    output::{self, Page},
    session::Session,
    usage::Purge,
};
use crate::{
    domain::event,
    ops::event as ops,
    store::{event::Query, room::Part},
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List events, newest first
    ///
    /// The first refusal of its kind is told at once. Those like it follow as one event, with their number, when their minute
    /// is over.
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
    /// Of this endpoint, such as tools/call/search_docs
    #[arg(long)]
    endpoint: Option<String>,
    /// From this address
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    #[command(flatten)]
    span: Span,
    #[command(flatten)]
    page: Page,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::List(listing) => list(session, listing),
        Verb::Purge(purge) => purge.run(session, "event", Part::Events, ops::purge),
    }
}

fn list(session: &Session, listing: Listing) -> Result<Code, CliError> {
    let (since, until) = listing.span.read(session.now())?;
    let query = Query {
        kind: listing.kind,
        credential: listing.credential,
        issuer: listing.issuer,
        subject: listing.subject,
        endpoint: listing.endpoint,
        address: listing.address.map(|address| address.to_canonical().to_string()),
        since,
        until,
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
