//! `portcullis key …`: the acts on API keys.

mod set;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    error::{CliError, Code},
    input,
    output::{self, List},
    scan,
    session::Session,
    verify,
};
use crate::{
    domain::{
        api_key::{ApiKey, Environment, KeyId, KeyState},
        clock::{Timestamp, parse_life},
        filter::{Filter, KEY_FIELDS},
        name::{PolicyName, ScopeName, Subject},
    },
    ops::{
        Ctx, OpsError,
        api_key::{self as ops, DEFAULT_LIFE, IssuedKey, NewKey},
    },
    store::api_key::{Query, Sort},
};

const AFTER_CREATE: &str = "\
Such as: portcullis key create --subject alice --scope mcp:read --expires-in 8h > alice.key\n\
The scopes there are: portcullis scope list. The policies: portcullis policy list.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a key; prints it once, on standard output
    #[command(after_help = AFTER_CREATE)]
    Create(Create),
    /// List keys
    List(Listing),
    /// Show one key (never its secret)
    Show {
        /// The key's id
        id: String,
    },
    /// Judge a key read from standard input, alone or for a call; exit 0 allowed, 1 not
    Verify(verify::Options),
    /// Give a key a new secret under the same id; prints it once
    Rotate {
        /// The key's id
        id: String,
        /// For how long the old secret is still taken, such as 1h
        #[arg(long, default_value = "0", value_parser = input::grace, value_name = "LIFE", allow_hyphen_values = true)]
        grace: Duration,
    },
    /// Change keys in place: their policy, scopes, name or end. It holds at their next call, and for the tokens got with them
    Set(set::Options),
    /// Stop keys for now
    Disable {
        /// The keys' ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Let disabled keys in again
    Enable {
        /// The keys' ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Stop keys for good
    Revoke {
        /// The keys' ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Why; it stands in the audit log
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Remove keys that were revoked or expired long ago, or whose rows are damaged
    Purge {
        /// How long ago at least
        #[arg(long, default_value = "30d", value_parser = parse_life, value_name = "LIFE", allow_hyphen_values = true)]
        older_than: Duration,
        /// Those whose rows are damaged, which `doctor` names, and no others
        #[arg(long, conflicts_with = "older_than")]
        damaged: bool,
    },
    /// Find keys in files, folders or standard input (`-`); exit 1 if there are any
    Scan {
        /// Where to look
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// Whom the key speaks for
    #[arg(long)]
    subject: Subject,
    /// What it may reach; once for each scope, or several after one another or between commas
    #[arg(long = "scope", required = true, num_args = 1.., value_delimiter = ',', value_parser = input::scope, value_name = "SCOPE")]
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
}

#[derive(Debug, Args)]
pub struct Listing {
    /// Which: text, field:value, expires<30d, !not; all must hold
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// By which field
    #[arg(long, default_value = "created", value_parser = Sort::ALL.map(Sort::as_str))]
    sort: String,
    /// Greatest first
    #[arg(long)]
    desc: bool,
    /// How many at most
    #[arg(long, default_value_t = 100, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on after this cursor (`next` of the page before)
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Answer in CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// A key and what may be said of it now.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    key: &'a ApiKey,
    state: KeyState,
}

impl<'a> Shown<'a> {
    fn new(key: &'a ApiKey, now: Timestamp) -> Self {
        Self { key, state: key.state(now) }
    }
}

/// A key just made: the one answer that holds a secret.
#[derive(Serialize)]
struct Issued<'a> {
    id: KeyId,
    key: &'a str,
    secret: &'a str,
    subject: &'a Subject,
    scopes: &'a [ScopeName],
    policy: &'a PolicyName,
    name: &'a str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// Of a rotation: how many tokens fell with the old secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<u64>,
}

/// A key after an act, and how many tokens fell with it.
#[derive(Serialize)]
struct Changed<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    ended: u64,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Create(new) => create(session, new),
        Verb::List(listing) => list(session, &listing),
        Verb::Show { id } => show(session, &id),
        Verb::Verify(options) => verify::run(session, &options),
        Verb::Rotate { id, grace } => rotate(session, &id, grace),
        Verb::Set(options) => set::run(session, options),
        Verb::Disable { ids } => all(session, &ids, ops::disable_all),
        Verb::Enable { ids } => all(session, &ids, ops::enable_all),
        Verb::Revoke { ids, reason } => all(session, &ids, |ctx, ids| ops::revoke_all(ctx, ids, &reason)),
        Verb::Purge { damaged: true, .. } => purged(session, ops::purge_damaged(&session.operator()?)?),
        Verb::Purge { older_than, .. } => {
            let before = session.now().minus(older_than);
            purged(session, ops::purge(&session.operator()?, before)?)
        }
        Verb::Scan { paths } => scan::run(session, &paths),
    }
}

fn create(session: &Session, new: Create) -> Result<Code, CliError> {
    let life = if new.no_expiry { None } else { Some(new.expires_in.unwrap_or(DEFAULT_LIFE)) };
    output::require_reader()?;
    let ctx = session.operator()?;
    let issued = ops::create(
        &ctx,
        NewKey {
            subject: new.subject,
            scopes: new.scopes,
            policy: new.policy,
            name: new.name,
            environment: new.env,
            life,
        },
    )?;
    show_once(session, &issued, None)
}

fn rotate(session: &Session, id: &str, grace: Duration) -> Result<Code, CliError> {
    let id = input::key_id(id)?;
    output::require_reader()?;
    let issued = ops::rotate(&session.operator()?, id, grace)?;
    show_once(session, &issued, Some(issued.ended))
}

/// Prints a new secret: it alone on standard output, the explanation on standard error.
///
/// `ended`: of a rotation, how many tokens fell with the old secret.
fn show_once(session: &Session, issued: &IssuedKey, ended: Option<u64>) -> Result<Code, CliError> {
    let IssuedKey { key, text, .. } = issued;
    let done = if ended.is_some() { "rotated" } else { "made" };
    let written = if session.json {
        output::json(&Issued {
            id: key.id,
            key: text.expose(),
            secret: secret_part(text.expose()),
            subject: &key.subject,
            scopes: &key.scopes,
            policy: &key.policy,
            name: &key.name,
            created_at: key.created_at,
            expires_at: key.expires_at,
            ended,
        })
    } else {
        output::line(text.expose())
    };
    written.map_err(|_| {
        CliError::broken(format!("key {} was {done}, but standard output could not take its text", key.id))
            .mend(format!("portcullis key rotate {}", key.id))
    })?;
    if !session.json {
        let until =
            key.expires_at.map_or_else(|| "it never expires".into(), |at| format!("it expires at {at}"));
        output::remark(&format!(
            "key {} {done} for {} under policy {}; {until}.\nThis is the only time the key is shown: keep it where only its user can read it.",
            key.id, key.subject, key.policy
        ));
        if let Some(ended @ 1..) = ended {
            output::remark(&format!(
                "{ended} tokens that were got with the old secret are refused from now on."
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

fn list(session: &Session, listing: &Listing) -> Result<Code, CliError> {
    let now = session.now();
    let filter = Filter::parse(&listing.filter, KEY_FIELDS, now)
        .map_err(|error| CliError::usage(error.to_string()))?;
    let sort = Sort::ALL.into_iter().find(|sort| sort.as_str() == listing.sort).unwrap_or(Sort::Created);
    let query = Query { filter, sort, descending: listing.desc, now };
    let page = ops::list(&session.reader()?, &query, listing.after.as_deref(), listing.limit)?;
    let shown = page.items.iter().map(|key| Shown::new(key, now)).collect();
    output::list(
        session.format(listing.csv),
        &["id", "name", "subject", "policy", "scopes", "state", "expires", "created"],
        &List { items: shown, next: page.next },
        |shown| {
            let key = shown.key;
            vec![
                key.id.to_string(),
                key.name.clone(),
                key.subject.to_string(),
                key.policy.to_string(),
                joined(&key.scopes),
                shown.state.as_str().into(),
                moment(key.expires_at, "never"),
                key.created_at.to_string(),
            ]
        },
    )?;
    Ok(Code::Done)
}

fn show(session: &Session, id: &str) -> Result<Code, CliError> {
    let id = input::key_id(id)?;
    let key = ops::show(&session.reader()?, id)?;
    let shown = Shown::new(&key, session.now());
    if session.json {
        output::json(&shown)?;
        return Ok(Code::Done);
    }
    let mut fields = vec![
        ("id", key.id.to_string()),
        ("name", key.name.clone()),
        ("subject", key.subject.to_string()),
        ("environment", key.environment.to_string()),
        ("scopes", joined(&key.scopes)),
        ("policy", key.policy.to_string()),
        ("state", shown.state.as_str().into()),
        ("created", key.created_at.to_string()),
        ("expires", moment(key.expires_at, "never")),
    ];
    if key.rotated_at.is_some() {
        fields.push(("rotated", moment(key.rotated_at, "-")));
    }
    if key.previous_until.is_some() {
        fields.push(("old secret until", moment(key.previous_until, "-")));
    }
    if key.revoked_at.is_some() {
        fields.push(("revoked", moment(key.revoked_at, "-")));
        fields.push(("reason", key.revoked_reason.clone()));
    }
    output::fields(&fields)?;
    Ok(Code::Done)
}

/// Does one act to all of the keys, or to none.
fn all(
    session: &Session,
    ids: &[String],
    act: impl Fn(&Ctx, &[KeyId]) -> Result<Vec<ops::Altered>, OpsError>,
) -> Result<Code, CliError> {
    let ids = ids.iter().map(|id| input::key_id(id)).collect::<Result<Vec<_>, _>>()?;
    let altered = act(&session.operator()?, &ids)?;
    let now = session.now();
    let changed =
        altered.iter().map(|one| Changed { shown: Shown::new(&one.key, now), ended: one.ended }).collect();
    output::list(
        session.format(false),
        &["id", "subject", "state", "tokens ended"],
        &List { items: changed, next: None },
        |Changed { shown, ended }| {
            let key = shown.key;
            vec![key.id.to_string(), key.subject.to_string(), shown.state.as_str().into(), ended.to_string()]
        },
    )?;
    Ok(Code::Done)
}

fn purged(session: &Session, purged: u64) -> Result<Code, CliError> {
    if session.json {
        output::json(&serde_json::json!({ "purged": purged }))?;
    } else {
        output::line(&format!("{purged} keys removed"))?;
    }
    Ok(Code::Done)
}

fn joined(scopes: &[ScopeName]) -> String {
    scopes.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(" ")
}

fn moment(at: Option<Timestamp>, otherwise: &str) -> String {
    at.map_or_else(|| otherwise.to_owned(), |at| at.to_string())
}
