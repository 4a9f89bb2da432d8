//! `portcullis scope …`: the acts on the scope catalogue.

use clap::Subcommand;
use serde::Serialize;

use super::{
    error::{CliError, Code},
    output::{self, List},
    session::Session,
};
use crate::{
    domain::{endpoint::EndpointPattern, name::ScopeName, scope::Scope, text::visible},
    ops::{scope as ops, without_repeats},
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the catalogue
    List {
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Add a scope, or change what one covers
    Set {
        /// The scope
        name: ScopeName,
        /// A pattern of endpoints that it covers; `*` stays inside a segment, `**` crosses segments, and all else means
        /// itself, `?` and `[` too
        #[arg(long = "endpoint", required = true, num_args = 1.., value_name = "PATTERN")]
        endpoints: Vec<EndpointPattern>,
        /// What it is for [default: as it was]
        #[arg(long)]
        description: Option<String>,
    },
    /// Remove a scope that nothing uses
    Remove {
        /// The scope
        name: ScopeName,
    },
}

/// A scope that was just set.
#[derive(Serialize)]
struct Saved<'a> {
    #[serde(flatten)]
    scope: &'a Scope,
    /// What deserves a second look, where anything does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::List { csv } => return list(session, csv),
        Verb::Set { name, endpoints, description } => {
            let ctx = session.operator()?;
            let before = ops::sound(&ctx)?.0.get(&name).cloned();
            let description = description.or_else(|| before.as_ref().map(|scope| scope.description.clone()));
            let endpoints = without_repeats(endpoints);
            let scope = Scope { name, description: description.unwrap_or_default(), endpoints };
            ops::set(&ctx, scope.clone())?;
            if let Some(before) = before.filter(|before| before.endpoints != scope.endpoints) {
                output::remark(&format!("before, it covered {}", patterns(&before)));
            }
            let doubts = |pattern: &EndpointPattern| {
                pattern
                    .doubts()
                    .into_iter()
                    .map(move |doubt| format!("{pattern}: {doubt}"))
                    .collect::<Vec<_>>()
            };
            let warnings: Vec<_> = scope.endpoints.iter().flat_map(doubts).collect();
            for warning in &warnings {
                output::remark(&visible(&format!("look again: {warning}")));
            }
            if session.json {
                output::json(&Saved { scope: &scope, warnings })?;
            } else {
                output::line(&format!("scope {} covers {}", scope.name, patterns(&scope)))?;
            }
        }
        Verb::Remove { name } => {
            ops::remove(&session.operator()?, &name)?;
            if session.json {
                output::json(&serde_json::json!({ "removed": name }))?;
            } else {
                output::line(&format!("scope {name} removed"))?;
            }
        }
    }
    Ok(Code::Done)
}

fn list(session: &Session, csv: bool) -> Result<Code, CliError> {
    let (catalogue, damaged) = ops::sound(&session.lister()?)?;
    let scopes = List { items: catalogue.iter().cloned().collect(), next: None };
    output::list(session.format(csv), &["scope", "description", "covers"], &scopes, |scope| {
        vec![scope.name.to_string(), scope.description.clone(), patterns(scope)]
    })?;
    Ok(output::damaged(&damaged))
}

fn patterns(scope: &Scope) -> String {
    scope.endpoints.iter().map(EndpointPattern::as_str).collect::<Vec<_>>().join(" ")
}
