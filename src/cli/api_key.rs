//! `portcullis key …`: the acts on API keys.

mod create;
mod from;
mod list;
mod set;

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;
use serde::Serialize;

use super::{
    error::{CliError, Code},
    handing_out::Out,
    input,
    output::{self, List},
    scan,
    session::Session,
    verify,
    watched::Watched,
};
use crate::{
    domain::{
        api_key::{ApiKey, KeyId, KeyState},
        clock::{Timestamp, parse_life},
        credential::Kind,
        text::{counted, visible},
    },
    ops::{
        Ctx, OpsError, api_key as ops, credential,
        event::{self, Lockout},
    },
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a key; prints it once, on standard output
    #[command(after_help = create::AFTER)]
    Create(create::Options),
    /// List keys
    List(list::Options),
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
        #[command(flatten)]
        out: Out,
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
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
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

    /// Its cells in a list, under [`COLUMNS`].
    fn cells(&self) -> Vec<String> {
        let Self { key, state } = self;
        vec![
            key.id.to_string(),
            key.name.clone(),
            key.subject.to_string(),
            key.policy.to_string(),
            output::scopes(&key.scopes),
            state.as_str().into(),
            moment(key.expires_at, "never"),
        ]
    }
}

/// One key, and which gateways may have locked it out.
#[derive(Serialize)]
struct One<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    lockouts: Vec<Lockout>,
}

/// Of a list of keys.
const COLUMNS: [&str; 7] = ["id", "name", "subject", "policy", "scopes", "state", "expires"];

/// A key after an act, and how many tokens fell with it.
#[derive(Serialize)]
struct Changed<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    ended: u64,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Create(options) => create::run(session, options),
        Verb::List(options) => list::run(session, &options),
        Verb::Show { id } => show(session, &id),
        Verb::Verify(options) => verify::run(session, &options),
        Verb::Rotate { id, grace, out } => create::rotate(session, &id, grace, out),
        Verb::Set(options) => set::run(session, options),
        Verb::Disable { ids } => all(session, &ids, ops::disable_all),
        Verb::Enable { ids } => all(session, &ids, ops::enable_all),
        Verb::Revoke { ids, reason } => all(session, &ids, |ctx, ids| ops::revoke_all(ctx, ids, &reason)),
        Verb::Purge { older_than, damaged } => purge(session, (!damaged).then_some(older_than)),
        Verb::Scan { paths, csv } => scan::run(session, &paths, csv),
    }
}

fn show(session: &Session, id: &str) -> Result<Code, CliError> {
    let id = input::key_id(id)?;
    let ctx = session.lister()?;
    let key = ops::show(&ctx, id)?;
    let shown = Shown::new(&key, session.now());
    let lockouts = lockouts(&ctx, id, session.now());
    if session.json {
        output::json(&One { shown, lockouts })?;
        return Ok(Code::Done);
    }
    let mut fields = vec![
        ("id", key.id.to_string()),
        ("name", key.name.clone()),
        ("subject", key.subject.to_string()),
        ("environment", key.environment.to_string()),
        ("scopes", output::scopes(&key.scopes)),
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
    fields.extend(lockouts.iter().map(|lockout| ("locked out", lockout.told())));
    output::fields(&fields)?;
    Ok(Code::Done)
}

/// Which gateways may have locked a key out at `at`. Whatever else is asked about it is answered also where that cannot be told.
pub fn lockouts(ctx: &Ctx, id: KeyId, at: Timestamp) -> Vec<Lockout> {
    event::lockouts(ctx, id, at).unwrap_or_else(|error| {
        output::remark(&format!("whether it is locked out cannot be told: {}", visible(&error.to_string())));
        Vec::new()
    })
}

/// Does one act to all of the keys, or to none.
fn all(
    session: &Session,
    ids: &[String],
    act: impl Fn(&Ctx, &[KeyId]) -> Result<Vec<ops::Altered>, OpsError>,
) -> Result<Code, CliError> {
    let ids = ids.iter().map(|id| input::key_id(id)).collect::<Result<Vec<_>, _>>()?;
    let ctx = session.operator()?;
    let watched = Watched::new(&ctx.pace, "changing");
    let altered = act(&ctx, &ids);
    drop(watched);
    let altered = altered?;
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

/// Removes what ended so long ago, or where that is `None` what is damaged.
fn purge(session: &Session, older_than: Option<Duration>) -> Result<Code, CliError> {
    let ctx = session.operator()?;
    let watched = Watched::new(&ctx.pace, "removing");
    let purged = match older_than {
        Some(older_than) => ops::purge(&ctx, session.now().minus(older_than))?,
        None => credential::purge_damaged(&ctx, Kind::ApiKey)?,
    };
    if session.json {
        output::json(&serde_json::json!({ "purged": purged }))?;
    } else {
        output::line(&format!("{} removed", counted(purged, "key")))?;
    }
    Ok(watched.code())
}

fn moment(at: Option<Timestamp>, otherwise: &str) -> String {
    at.map_or_else(|| otherwise.to_owned(), |at| at.to_string())
}
