//! `portcullis audit …`: read the chain, prove that nothing was altered.

use std::io::{self, Write};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::Serialize;

use super::{
    error::{CliError, Code},
    output::{self, Page},
    session::Session,
};
use crate::{
    domain::{act::Act, audit::Record},
    ops::audit as ops,
    store::audit::{Entry, Query},
};

/// How many records an export holds in memory at once.
const BATCH: i64 = 1000;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List records, newest first
    List(Listing),
    /// Verify the whole chain and its signatures; exit 1 if it was altered
    Verify,
    /// Print every record with its hash and signature, oldest first, one JSON object a line
    Export,
    /// Print the head of the chain and the public key: what to notarise elsewhere
    Head,
}

#[derive(Debug, Args)]
pub struct Listing {
    /// By this actor, such as cli:alice
    #[arg(long)]
    actor: Option<String>,
    /// Of this act, such as key.revoke
    #[arg(long, value_parser = PossibleValuesParser::new(Act::ALL.iter().map(|act| act.as_str())), hide_possible_values = true)]
    act: Option<String>,
    /// On this object: a key's id, a policy's name
    #[arg(long)]
    object: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// A record with its link, as scripts read it.
#[derive(Serialize)]
struct Link {
    #[serde(flatten)]
    record: Record,
    hash: String,
    signature: Option<String>,
}

impl From<Entry> for Link {
    fn from(entry: Entry) -> Self {
        Self { record: entry.record, hash: entry.hash.to_hex(), signature: entry.signature.map(hex::encode) }
    }
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::List(listing) => list(session, listing),
        Verb::Verify => verify(session),
        Verb::Export => export(session),
        Verb::Head => head(session),
    }
}

fn list(session: &Session, listing: Listing) -> Result<Code, CliError> {
    let query = Query {
        actor: listing.actor,
        act: listing.act,
        object: listing.object,
        before_seq: listing.page.after,
        limit: listing.page.wanted(),
    };
    let links = ops::list(&session.reader()?, &query)?.into_iter().map(Link::from).collect();
    output::list(
        session.format(listing.page.csv),
        &["seq", "at", "actor", "act", "object", "detail"],
        &listing.page.cut(links, |link| link.record.seq),
        |link| {
            let record = &link.record;
            vec![
                record.seq.to_string(),
                record.at.to_string(),
                record.actor.clone(),
                record.act.clone(),
                record.object.clone(),
                record.detail.to_string(),
            ]
        },
    )?;
    Ok(Code::Done)
}

fn verify(session: &Session) -> Result<Code, CliError> {
    let verdict = ops::verify(&session.reader()?)?;
    if session.json {
        output::json(&verdict)?;
    } else if verdict.valid {
        output::line(&format!("valid: {} records, head {}", verdict.records, verdict.head))?;
    } else {
        let place = verdict.first_bad.map_or_else(String::new, |seq| format!(" at record {seq}"));
        output::line(&format!("NOT valid{place}: {}", verdict.reason.as_deref().unwrap_or("altered")))?;
    }
    Ok(if verdict.valid { Code::Done } else { Code::No })
}

fn export(session: &Session) -> Result<Code, CliError> {
    let ctx = session.reader()?;
    let newest = ops::list(&ctx, &Query { limit: 1, ..Query::default() })?;
    let last = newest.first().map_or(0, |entry| entry.record.seq);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut done = 0;
    while done < last {
        // Records are numbered without a gap, so a batch is a range of numbers.
        let query = Query { before_seq: Some(done + BATCH + 1), limit: BATCH as u32, ..Query::default() };
        for entry in ops::list(&ctx, &query)?.into_iter().rev().filter(|entry| entry.record.seq > done) {
            serde_json::to_writer(&mut out, &Link::from(entry)).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
        done += BATCH;
    }
    out.flush()?;
    Ok(Code::Done)
}

fn head(session: &Session) -> Result<Code, CliError> {
    let head = ops::head(&session.reader()?)?;
    if session.json {
        output::json(&head)?;
    } else {
        output::fields(&[
            ("seq", head.seq.to_string()),
            ("hash", head.hash.clone()),
            ("signature", head.signature.clone()),
        ])?;
        output::line(head.public_key.trim_end())?;
    }
    Ok(Code::Done)
}
