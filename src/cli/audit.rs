//! `portcullis audit …`: read the chain, prove that nothing was altered.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::Serialize;

use super::{
    error::{CliError, Code},
    input,
    output::{self, Page},
    session::Session,
};
use crate::{
    domain::{
        act::Act,
        audit::{ChainKey, Hash, Record},
    },
    ops::audit::{self as ops, KeptKey, KeyFrom, Standing},
    store::audit::{Entry, Query},
};

/// How many records an export holds in memory at once.
const BATCH: i64 = 1000;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List records, newest first
    List(Listing),
    /// Verify the whole chain and its signatures; exit 1 if it was altered, or if nothing shows whose it is
    Verify(Kept),
    /// Print every record with its hash, signature and public key, oldest first, one JSON object a line
    Export,
    /// Print the head of the chain, the public key and its fingerprint: what to notarise elsewhere
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

/// What was kept elsewhere, where whoever alters the chain cannot reach it.
#[derive(Debug, Args)]
pub struct Kept {
    /// The public key that must have signed it, or its fingerprint, as `audit head` prints them [default: the vault's]
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    public_key: Option<String>,
    /// A head that must be in it: the hash, or a file with what `audit head --json` printed
    #[arg(long, value_name = "HASH|FILE")]
    head: Option<String>,
}

impl Kept {
    fn read(&self) -> Result<ops::Kept, CliError> {
        let key = self.public_key.as_deref().map(kept_key).transpose()?;
        Ok(ops::Kept { key, head: self.head.as_deref().map(kept_head).transpose()? })
    }
}

/// Tools write fingerprints with and without colons, in either case.
fn kept_key(text: &str) -> Result<KeptKey, CliError> {
    let digits = text.trim().replace(':', "");
    if let Some(fingerprint) = Hash::from_hex(&digits) {
        return Ok(KeptKey::Fingerprint(fingerprint.to_hex()));
    }
    let file = input::document(Path::new(text))?;
    let of_head = serde_json::from_str::<serde_json::Value>(&file).ok();
    let pem = of_head.as_ref().and_then(|head| head["public_key"].as_str()).unwrap_or(&file);
    ChainKey::parse(pem).map(KeptKey::Key).ok_or_else(|| {
        CliError::usage(format!(
            "--public-key: {text} holds no Ed25519 public key in PEM, as `audit head` prints it"
        ))
    })
}

fn kept_head(text: &str) -> Result<Hash, CliError> {
    if let Some(hash) = Hash::from_hex(text.trim()) {
        return Ok(hash);
    }
    let file = input::document(&PathBuf::from(text))?;
    let of_head = serde_json::from_str::<serde_json::Value>(&file).ok();
    let hash = of_head.as_ref().and_then(|head| head["hash"].as_str()).unwrap_or(file.trim());
    Hash::from_hex(hash).ok_or_else(|| {
        CliError::usage(format!(
            "--head: {text} is neither a hash of 64 hex digits nor a file with a head in it"
        ))
    })
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

fn verify(session: &Session, kept: &Kept) -> Result<Code, CliError> {
    let kept = kept.read()?;
    let verdict = ops::verify_against(&session.reader()?, &session.home()?, &kept)?;
    if session.json {
        output::json(&verdict)?;
        return Ok(if verdict.valid { Code::Done } else { Code::No });
    }
    let key = verdict.key.as_deref().unwrap_or("none");
    let reason = verdict.reason.as_deref().unwrap_or("altered");
    match verdict.verdict {
        Standing::Valid => {
            output::line(&format!("valid: {} records, head {}", verdict.records, verdict.head))?;
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
                "not proven: {} records are chained and signed, head {}, and nothing here shows by whom",
                verdict.records, verdict.head
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
    let ctx = session.reader()?;
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
    let head = ops::head(&session.reader()?)?;
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
