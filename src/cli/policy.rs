//! `portcullis policy …`: the acts on policies.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    edit,
    error::{CliError, Code},
    input,
    output::{self, List, Table},
    session::Session,
    simulate,
};
use crate::{
    domain::{
        clock::Timestamp,
        name::PolicyName,
        policy::{BadPolicy, Change, Fault, Policy, Revision},
        scope::Catalogue,
    },
    ops::{Ctx, policy as ops, scope},
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Save a new policy from a JSON document
    Create(Save),
    /// Save a policy from a JSON document: a new one, or a new revision
    Apply(Save),
    /// List policies
    List {
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Show a policy
    Show {
        /// The policy
        name: PolicyName,
        /// Not the newest but this revision
        #[arg(long, value_name = "REV", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
        revision: Option<u32>,
    },
    /// Open a policy in $EDITOR, check it, show what changed, save it
    Edit {
        /// The policy
        name: PolicyName,
        /// Why; it stands in the history
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Judge a document and save nothing; exit 1 if it is invalid
    Check {
        /// The document, or `-`
        file: PathBuf,
    },
    /// Decide on given or recorded calls under a policy; changes nothing
    Simulate(simulate::Options),
    /// List the revisions of a policy, newest first
    History {
        /// The policy
        name: PolicyName,
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Show what changed between two revisions
    Diff {
        /// The policy
        name: PolicyName,
        /// The older revision
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
        from: u32,
        /// The newer revision [default: the newest]
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
        to: Option<u32>,
    },
    /// Save an older revision again as the newest
    Rollback {
        /// The policy
        name: PolicyName,
        /// Which revision
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
        revision: u32,
        /// Why; it stands in the history
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Delete a policy that no credential is under
    Delete {
        /// The policy
        name: PolicyName,
        /// Why; it stands in the audit log
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Print the document of a policy as `apply` reads it
    #[command(override_usage = "portcullis policy export <NAME>\n       portcullis policy export --all")]
    Export {
        /// The policy
        #[arg(required_unless_present = "all")]
        name: Option<PolicyName>,
        /// All policies, as a list
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
}

#[derive(Debug, Args)]
pub struct Save {
    /// The document, or `-`
    file: PathBuf,
    /// Why; it stands in the history
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

/// A saved policy: the fields of the document, and those of its revision.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    policy: &'a Policy,
    revision: u32,
    author: &'a str,
    reason: &'a str,
    saved_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<u64>,
    /// What deserves a second look, where it was just saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<Fault>>,
}

impl<'a> Shown<'a> {
    fn new(revision: &'a Revision, credentials: Option<u64>) -> Self {
        Self {
            policy: &revision.policy,
            revision: revision.revision,
            author: &revision.author,
            reason: &revision.reason,
            saved_at: revision.saved_at,
            credentials,
            warnings: None,
        }
    }
}

/// What `check` found.
#[derive(Serialize)]
struct Checked {
    valid: bool,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Create(Save { file, reason }) => {
            let policy = read(&file)?;
            saved(session, &ops::create(&session.operator()?, policy, &reason)?)
        }
        Verb::Apply(Save { file, reason }) => {
            let policy = read(&file)?;
            saved(session, &ops::apply(&session.operator()?, policy, &reason)?)
        }
        Verb::List { csv } => list(session, csv),
        Verb::Show { name, revision } => show(session, &name, revision),
        Verb::Edit { name, reason } => edit::run(session, &name, &reason),
        Verb::Check { file } => check(session, &file),
        Verb::Simulate(options) => simulate::run(session, &options),
        Verb::History { name, csv } => history(session, &name, csv),
        Verb::Diff { name, from, to } => diff(session, &name, from, to),
        Verb::Rollback { name, revision, reason } => {
            saved(session, &ops::rollback(&session.operator()?, &name, revision, &reason)?)
        }
        Verb::Delete { name, reason } => delete(session, &name, &reason),
        Verb::Export { name, .. } => export(session, name.as_ref()),
    }
}

/// Reads a document; one that is wrong is bad input, with everything that is wrong with it.
pub fn read(file: &Path) -> Result<Policy, CliError> {
    Policy::from_json(&input::document(file)?).map_err(|bad| refused(&file.display().to_string(), &bad))
}

/// What is said of a wrong document.
pub fn refused(what: &str, bad: &BadPolicy) -> CliError {
    let faults = bad.faults.iter().map(|fault| format!("\n{}", told(fault))).collect::<String>();
    CliError::usage(format!("{what} is not a valid policy:{faults}"))
}

fn told(fault: &Fault) -> String {
    if fault.path.is_empty() { fault.message.clone() } else { format!("{}: {}", fault.path, fault.message) }
}

/// Says what was saved.
pub fn saved(session: &Session, revision: &Revision) -> Result<Code, CliError> {
    let warnings = revision.policy.warnings();
    for warning in &warnings {
        output::remark(&crate::domain::text::visible(&format!("look again: {}", told(warning))));
    }
    if session.json {
        output::json(&Shown { warnings: Some(warnings), ..Shown::new(revision, None) })?;
    } else {
        output::line(&format!("policy {} is at revision {}", revision.policy.name, revision.revision))?;
    }
    Ok(Code::Done)
}

fn list(session: &Session, csv: bool) -> Result<Code, CliError> {
    let (policies, damaged) = ops::sound(&session.lister()?)?;
    let items =
        policies.iter().map(|(revision, credentials)| Shown::new(revision, Some(*credentials))).collect();
    output::list(
        session.format(csv),
        &[
            "policy",
            "mode",
            "per minute",
            "per hour",
            "per day",
            "credentials",
            "revision",
            "saved",
            "description",
        ],
        &List { items, next: None },
        |shown| {
            let limits = &shown.policy.rate_limits;
            vec![
                shown.policy.name.to_string(),
                mode(shown.policy).into(),
                limit(limits.requests_per_minute),
                limit(limits.requests_per_hour),
                limit(limits.requests_per_day),
                shown.credentials.unwrap_or_default().to_string(),
                shown.revision.to_string(),
                shown.saved_at.to_string(),
                shown.policy.description.clone(),
            ]
        },
    )?;
    Ok(output::damaged(&damaged))
}

fn mode(policy: &Policy) -> &'static str {
    match policy.mode {
        crate::domain::policy::Mode::Enforce => "enforce",
        crate::domain::policy::Mode::Shadow => "shadow",
    }
}

fn limit(limit: Option<u32>) -> String {
    limit.map_or_else(|| "no limit".into(), |limit| limit.to_string())
}

fn show(session: &Session, name: &PolicyName, revision: Option<u32>) -> Result<Code, CliError> {
    let found = match revision {
        None => ops::show(&session.reader()?, name)?,
        Some(number) => of_history(ops::history(&session.reader()?, name)?, name, number)?,
    };
    if session.json {
        output::json(&Shown::new(&found, None))?;
        return Ok(Code::Done);
    }
    output::line(&found.policy.to_json())?;
    output::remark(&format!(
        "revision {} by {} at {}{}",
        found.revision,
        found.author,
        found.saved_at,
        if found.reason.is_empty() { String::new() } else { format!(": {}", found.reason) }
    ));
    Ok(Code::Done)
}

fn of_history(history: Vec<Revision>, name: &PolicyName, number: u32) -> Result<Revision, CliError> {
    history.into_iter().find(|revision| revision.revision == number).ok_or_else(|| {
        CliError::new(Code::NotFound, format!("policy {name} has no revision {number}"))
            .mend(format!("portcullis policy history {name}"))
    })
}

/// What documents are judged by: the home's catalogue, or the one that a home begins with where there is none.
pub fn catalogue(home: Option<&Ctx>) -> Result<Catalogue, CliError> {
    Ok(home.map_or_else(scope::initial, scope::list)?)
}

fn check(session: &Session, file: &Path) -> Result<Code, CliError> {
    let text = input::document(file)?;
    let checked = match ops::check(&catalogue(session.witness()?.as_ref())?, &text) {
        Ok((_, warnings)) => Checked { valid: true, faults: Vec::new(), warnings },
        Err(bad) => Checked { valid: false, faults: bad.faults, warnings: Vec::new() },
    };
    if session.json {
        output::json(&checked)?;
    } else {
        output::line(if checked.valid { "valid" } else { "NOT valid" })?;
        for fault in &checked.faults {
            output::line(&crate::domain::text::visible(&told(fault)))?;
        }
        for warning in &checked.warnings {
            output::line(&crate::domain::text::visible(&format!("look again: {}", told(warning))))?;
        }
    }
    Ok(if checked.valid { Code::Done } else { Code::No })
}

fn history(session: &Session, name: &PolicyName, csv: bool) -> Result<Code, CliError> {
    let revisions = ops::history(&session.reader()?, name)?;
    let items = revisions.iter().map(|revision| Shown::new(revision, None)).collect();
    output::list(
        session.format(csv),
        &["revision", "saved", "author", "reason"],
        &List { items, next: None },
        |shown| {
            vec![
                shown.revision.to_string(),
                shown.saved_at.to_string(),
                shown.author.into(),
                shown.reason.into(),
            ]
        },
    )?;
    Ok(Code::Done)
}

fn diff(session: &Session, name: &PolicyName, from: u32, to: Option<u32>) -> Result<Code, CliError> {
    let history = ops::history(&session.reader()?, name)?;
    let newest = history.first().map_or(0, |revision| revision.revision);
    let older = of_history(history.clone(), name, from)?;
    let newer = of_history(history, name, to.unwrap_or(newest))?;
    let changes = List { items: older.policy.diff(&newer.policy), next: None };
    if session.json {
        output::json(&changes)?;
    } else {
        show_changes(&changes.items)?;
    }
    Ok(Code::Done)
}

/// Field by field what changed.
pub fn show_changes(changes: &[Change]) -> Result<(), CliError> {
    if changes.is_empty() {
        return output::line("nothing changed");
    }
    let mut table = Table::new(&["field", "before", "after"]);
    for change in changes {
        table.row(vec![change.path.clone(), change.before.clone(), change.after.clone()]);
    }
    output::raw(table.render().as_bytes())
}

fn delete(session: &Session, name: &PolicyName, reason: &str) -> Result<Code, CliError> {
    ops::delete(&session.operator()?, name, reason)?;
    if session.json {
        output::json(&serde_json::json!({ "deleted": name }))?;
    } else {
        output::line(&format!("policy {name} deleted"))?;
    }
    Ok(Code::Done)
}

fn export(session: &Session, name: Option<&PolicyName>) -> Result<Code, CliError> {
    let ctx = session.reader()?;
    match name {
        Some(name) => output::line(&ops::show(&ctx, name)?.policy.to_json())?,
        None => {
            let policies =
                ops::list(&ctx)?.into_iter().map(|(revision, _)| revision.policy).collect::<Vec<_>>();
            output::json(&List { items: policies, next: None })?;
        }
    }
    Ok(Code::Done)
}
