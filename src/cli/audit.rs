//! `portcullis audit …`: read the chain, prove that nothing was altered.

mod kept;

use std::io::{self, Write};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::Serialize;

use super::{
    error::{CliError, Code},
    input::Span,
    output::{self, Page},
    session::Session,
    watched::Watched,
};
use crate::{
    domain::{
        act::Act,
        audit::{ChainKey, Record},
        clock::Timestamp,
        text::counted,
    },
    ops::audit::{self as ops, KeyFrom, Standing},
    store::audit::{Entry, Query},
};

/// How many records an export holds in memory at once.
const BATCH: i64 = 1000;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List records, newest first
    List(Listing),
    /// Verify the whole chain and its signatures; exit 1 if it was altered, or if nothing shows whose it is
    Verify(kept::Options),
    /// Print every record with its hash, signature and public key, oldest first, one JSON object a line
    Export,
    /// Print the head of the chain, the public key and its fingerprint: what to notarise elsewhere
    Head,
}

#[derive(Debug, Args)]
pub struct Listing {
    /// By this actor, such as cli:alice; alice alone is the same in every face
    #[arg(long)]
    actor: Option<String>,
    /// Of this act, such as key.revoke
    #[arg(long, value_parser = acts(), hide_possible_values = true)]
    act: Option<String>,
    /// Not of this act; once for each, or several between commas
    #[arg(long, value_delimiter = ',', value_parser = acts(), hide_possible_values = true, value_name = "ACT", conflicts_with = "act")]
    not_act: Vec<String>,
    /// Those of denials too (event.flush), one for the events of a minute or more, which are left out else
    #[arg(long, conflicts_with = "act")]
    denials: bool,
    /// On this object: a key's id, a policy's name
    #[arg(long)]
    object: Option<String>,
    #[command(flatten)]
    span: Span,
    #[command(flatten)]
    page: Page,
}

/// The names of acts.
fn acts() -> PossibleValuesParser {
    PossibleValuesParser::new(Act::ALL.iter().map(|act| act.as_str()))
}

impl Listing {
    fn query(self, now: Timestamp) -> Result<Query, CliError> {
        let is_left_out = |act: &Act| {
            let batch = *act == Act::EventFlush && !self.denials && self.act.is_none();
            batch || self.not_act.iter().any(|name| name == act.as_str())
        };
        let not_acts = Act::ALL.iter().filter(|act| is_left_out(act)).map(|act| act.as_str()).collect();
        let (since, until) = self.span.read(now)?;
        Ok(Query {
            not_acts,
            actor: self.actor,
            act: self.act,
            object: self.object,
            since,
            until,
            before_seq: self.page.after,
            limit: self.page.wanted(),
        })
    }
}

/// A record with its link, as scripts read it.
#[derive(Serialize)]
struct Link {
    #[serde(flatten)]
    record: Record,
    hash: String,
    signature: Option<String>,
}

/// The same with the public key (SPKI, base64) that verifies its signature, where it has one.
#[derive(Serialize)]
struct Exported<'a> {
    #[serde(flatten)]
    link: Link,
    public_key: Option<&'a str>,
}

impl From<Entry> for Link {
    fn from(entry: Entry) -> Self {
        Self { record: entry.record, hash: entry.hash.to_hex(), signature: entry.signature.map(hex::encode) }
    }
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::List(listing) => list(session, listing),
        Verb::Verify(kept) => verify(session, &kept),
        Verb::Export => export(session),
        Verb::Head => head(session),
    }
}

fn list(session: &Session, listing: Listing) -> Result<Code, CliError> {
    let page = listing.page.clone();
    let query = listing.query(session.now())?;
    let links = ops::list(&session.existing()?, &query)?.into_iter().map(Link::from).collect();
    output::list(
        session.format(page.csv),
        &["seq", "at", "actor", "act", "object", "detail"],
        &page.cut(links, |link| link.record.seq),
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

fn verify(session: &Session, kept: &kept::Options) -> Result<Code, CliError> {
    let ctx = session.existing()?;
    let kept = kept.read()?;
    let watched = Watched::new(&ctx.pace, "verifying");
    let verdict = ops::verify_against(&ctx, &session.home()?, &kept);
    drop(watched);
    let verdict = verdict?;
    if session.json {
        output::json(&verdict)?;
        return Ok(if verdict.valid { Code::Done } else { Code::No });
    }
    let key = verdict.key.as_deref().unwrap_or("none");
    let reason = verdict.reason.as_deref().unwrap_or("altered");
    match verdict.verdict {
        Standing::Valid => {
            output::line(&format!("valid: {}, head {}", counted(verdict.records, "record"), verdict.head))?;
            let whose = if verdict.key_from == KeyFrom::Vault { "of this vault" } else { "that was given" };
            output::line(&format!("signed by the key {whose}, {key}"))?;
            if kept.head.is_none() {
                output::line(
                    "records cut from its end show only against a head that was kept elsewhere: --head",
                )?;
            }
        }
        Standing::Altered => {
            let place = verdict.first_bad.map_or_else(String::new, |seq| format!(" at record {seq}"));
            output::line(&format!("NOT valid{place}: {reason}"))?;
        }
        Standing::Unproven => {
            output::line(&format!(
                "not proven: {} chained and signed, head {}, and nothing here shows by whom",
                counted(verdict.records, "record"),
                verdict.head
            ))?;
            output::line(reason)?;
            output::line(&format!(
                "compare its fingerprint with the one that was kept elsewhere, and then: \
                 portcullis audit verify --public-key {key}"
            ))?;
        }
    }
    Ok(if verdict.valid { Code::Done } else { Code::No })
}

fn export(session: &Session) -> Result<Code, CliError> {
    let ctx = session.existing()?;
    let newest = ops::list(&ctx, &Query { limit: 1, ..Query::default() })?;
    let last = newest.first().map_or(0, |entry| entry.record.seq);
    let key = ChainKey::parse(&ops::head(&ctx)?.public_key).map(|key| key.to_base64());
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut done = 0;
    while done < last {
        // Records are numbered without a gap, so a batch is a range of numbers.
        let query = Query { before_seq: Some(done + BATCH + 1), limit: BATCH as u32, ..Query::default() };
        for entry in ops::list(&ctx, &query)?.into_iter().rev().filter(|entry| entry.record.seq > done) {
            let link = Link::from(entry);
            let public_key = key.as_deref().filter(|_| link.signature.is_some());
            serde_json::to_writer(&mut out, &Exported { link, public_key }).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
        done += BATCH;
    }
    out.flush()?;
    Ok(Code::Done)
}

fn head(session: &Session) -> Result<Code, CliError> {
    let head = ops::head(&session.existing()?)?;
    if session.json {
        output::json(&head)?;
    } else {
        output::fields(&[
            ("seq", head.seq.to_string()),
            ("hash", head.hash.clone()),
            ("signature", head.signature.clone()),
            ("fingerprint", head.fingerprint.clone()),
        ])?;
        output::line(head.public_key.trim_end())?;
    }
    Ok(Code::Done)
}
