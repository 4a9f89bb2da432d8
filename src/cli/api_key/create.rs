//! `portcullis key create` and `key rotate`: what prints a secret, once.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::Serialize;

use super::from;
use crate::{
    cli::{
        error::{CliError, Code},
        handing_out::{self, Out, Taker},
        input, output,
        session::Session,
        watched::Watched,
    },
    domain::{
        api_key::{Environment, KeyId},
        clock::{Timestamp, parse_life},
        name::{PolicyName, ScopeName, Subject},
        text::counted,
    },
    ops::api_key::{self as ops, DEFAULT_LIFE, IssuedKey, NewKey},
};

pub const AFTER: &str = "\
Such as: portcullis key create --subject alice --scope mcp:read --expires-in 8h --out alice.key\n\
Many at once: portcullis key create --from people.csv --scope mcp:use --out keys.jsonl, where people.csv has a line of names\n\
(subject,scopes,policy,name,env,expires_in) and then a key a line; or JSON with these fields, an object a line. Only the\n\
subject must be there. Scopes stand with spaces between them, or in JSON as a list; expires_in may be never.\n\
The scopes there are: portcullis scope list. The policies: portcullis policy list.";

#[derive(Debug, Args)]
pub struct Options {
    /// Whom the key speaks for
    #[arg(long, required_unless_present = "from")]
    subject: Option<Subject>,
    /// What it may reach; once for each scope, or several after one another or between commas
    #[arg(long = "scope", required_unless_present = "from", num_args = 1.., value_delimiter = ',', value_parser = input::scope, value_name = "SCOPE")]
    scopes: Vec<ScopeName>,
    /// The policy it is under
    #[arg(long, default_value = "default")]
    policy: PolicyName,
    /// A label for people
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Where it belongs: 1 to 8 of a-z and 0-9
    #[arg(long, default_value = "live")]
    env: Environment,
    /// How long it lives, such as 30m, 24h or 90d [default: 24h]
    #[arg(long, value_parser = parse_life, value_name = "LIFE", allow_hyphen_values = true)]
    expires_in: Option<Duration>,
    /// It never expires
    #[arg(long, conflicts_with = "expires_in")]
    no_expiry: bool,
    /// Make all the keys that this file lists in CSV or JSON lines (`-` is standard input), or none; prints a JSON object a
    /// line. What a line leaves out is taken from the other options
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject", "name"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
}

/// A key just made: the one answer that holds a secret.
#[derive(Serialize)]
struct Issued<'a> {
    id: KeyId,
    /// Not where it is handed out in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    subject: &'a Subject,
    scopes: &'a [ScopeName],
    policy: &'a PolicyName,
    name: &'a str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// Of a rotation: how many tokens fell with the old secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<u64>,
    /// The file that the key is handed out in.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

impl<'a> Issued<'a> {
    fn new(IssuedKey { key, text, .. }: &'a IssuedKey, ended: Option<u64>, file: Option<String>) -> Self {
        let text = file.is_none().then(|| text.expose());
        Self {
            id: key.id,
            key: text,
            secret: text.map(secret_part),
            subject: &key.subject,
            scopes: &key.scopes,
            policy: &key.policy,
            name: &key.name,
            created_at: key.created_at,
            expires_at: key.expires_at,
            ended,
            file,
        }
    }
}

pub fn run(session: &Session, options: Options) -> Result<Code, CliError> {
    let life = if options.no_expiry { None } else { Some(options.expires_in.unwrap_or(DEFAULT_LIFE)) };
    let Options { subject, scopes, policy, name, env: environment, from, out, .. } = options;
    match (subject, from) {
        (Some(subject), None) => {
            let new = NewKey { subject, scopes, policy, name, environment, life };
            let taker = out.open(1, handing_out::OF_A_KEY)?;
            show_once(session, taker, &ops::create(&session.operator()?, new)?, None)
        }
        (_, Some(file)) => {
            let otherwise = from::Otherwise { scopes, policy, environment, life };
            let new = from::read(&file, &otherwise)?;
            many(session, out.open(new.len(), handing_out::OF_A_KEY)?, new)
        }
        (None, None) => Err(CliError::usage("a key speaks for somebody: --subject, or --from FILE for many")),
    }
}

/// Makes all of them or none, and prints each once.
fn many(session: &Session, mut taker: Taker, new: Vec<NewKey>) -> Result<Code, CliError> {
    let ctx = session.operator()?;
    let watched = Watched::new(&ctx.pace, "making keys");
    let issued = ops::create_all(&ctx, new);
    drop(watched);
    let issued = issued?;
    let mut written = 0;
    let wrote = taker.take(|out| {
        issued.iter().try_for_each(|one| {
            handing_out::json(out, &Issued::new(one, None, None))?;
            written += 1;
            Ok(())
        })
    });
    if let Err(error) = wrote {
        let made_at = issued.first().map_or_else(String::new, |one| one.key.created_at.to_string());
        let reached = match taker.file() {
            None => format!("about {written} written"),
            Some(_) => "it is removed, and nobody has any of them".into(),
        };
        return Err(CliError::broken(format!(
            "{} made, and {} did not take all of it: {error}; {reached}",
            counted(issued.len() as u64, "key"),
            taker.name()
        ))
        .mend(format!("revoke those that nobody has, and make them again: portcullis key list --all --filter 'created:={made_at}'")));
    }
    let made = counted(issued.len() as u64, "key") + " made";
    match taker.file() {
        None => output::remark(&format!(
            "{made}. This is the only time they are shown: keep each where only its user can read it."
        )),
        Some(file) if session.json => {
            output::json(&serde_json::json!({ "file": file, "keys": issued.len() }))?
        }
        Some(file) => output::line(&format!("{made}; they are in {file}, and nowhere else"))?,
    }
    Ok(Code::Done)
}

pub fn rotate(session: &Session, id: &str, grace: Duration, out: Out) -> Result<Code, CliError> {
    let id = input::key_id(id)?;
    let taker = out.open(1, handing_out::OF_A_KEY)?;
    let issued = ops::rotate(&session.operator()?, id, grace)?;
    show_once(session, taker, &issued, Some(issued.ended))
}

/// Hands out a new secret: it alone on standard output, or in a file that is named there; the explanation on standard error.
///
/// `ended`: of a rotation, how many tokens fell with the old secret.
fn show_once(
    session: &Session,
    mut taker: Taker,
    issued: &IssuedKey,
    ended: Option<u64>,
) -> Result<Code, CliError> {
    let IssuedKey { key, text, .. } = issued;
    let done = if ended.is_some() { "rotated" } else { "made" };
    let answer = Issued::new(issued, ended, taker.file());
    let written = taker.take(|out| match (session.json, &answer.file) {
        (true, None) => handing_out::json(out, &answer),
        _ => writeln!(out, "{}", text.expose()),
    });
    written.map_err(|_| {
        CliError::broken(format!("key {} was {done}, but {} could not take its text", key.id, taker.name()))
            .mend(format!("portcullis key rotate {}", key.id))
    })?;
    match &answer.file {
        Some(_) if session.json => output::json(&answer)?,
        Some(file) => output::line(&format!("key {} is in {file}", key.id))?,
        None => {}
    }
    if !session.json {
        let until =
            key.expires_at.map_or_else(|| "it never expires".into(), |at| format!("it expires at {at}"));
        output::remark(&format!(
            "key {} {done} for {} under policy {}; {until}.\n{}",
            key.id,
            key.subject,
            key.policy,
            handing_out::how_to_keep("key", answer.file.is_some())
        ));
        if ended.is_some() {
            output::remark(&match key.previous_until.filter(|until| session.now() < *until) {
                Some(until) => format!("The old secret is taken until {until}."),
                None => "The old secret is refused from now on (--grace keeps it for a while).".to_owned(),
            });
        }
        if let Some(ended @ 1..) = ended {
            output::remark(&format!(
                "{} that {} got with the old secret {} refused from now on.",
                counted(ended, "token"),
                if ended == 1 { "was" } else { "were" },
                if ended == 1 { "is" } else { "are" }
            ));
        }
    }
    Ok(Code::Done)
}

/// The 43 characters of the secret alone, without the checksum behind them.
fn secret_part(key: &str) -> &str {
    let proof = key.rsplit('_').next().unwrap_or_default();
    proof.get(..43).unwrap_or(proof)
}
