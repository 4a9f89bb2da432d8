//! `portcullis usage …`: how many calls, by whom, of what, when.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{
    error::{CliError, Code},
    input,
    output::{self, Format, List, Table},
    session::Session,
    watched::Watched,
};
use crate::{
    domain::{
        clock::{Timestamp, parse_life},
        identity::called,
        text::{counted, plural},
        usage::{self, Dimension, Totals},
    },
    ops::{Ctx, OpsError, credential, usage as ops},
    store::{
        room::{self, Part},
        usage::Query,
    },
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Totals, and what became of the calls
    Summary {
        /// Answer in CSV: the outcomes
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        #[command(flatten)]
        range: Range,
    },
    /// The busiest credentials, subjects, issuers, endpoints or outcomes
    Top {
        /// By what
        #[arg(long, value_enum, default_value = "credential")]
        by: By,
        /// How many at most
        #[arg(long, default_value_t = 10, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        #[command(flatten)]
        range: Range,
    },
    /// Totals per step of time, oldest first
    Series {
        /// How long a step is, in whole minutes, such as 5m or 1h
        #[arg(long, default_value = "1h", value_parser = parse_life, value_name = "LIFE", allow_hyphen_values = true)]
        step: Duration,
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        #[command(flatten)]
        range: Range,
    },
    /// Remove old counters, and give their room back to the disk
    Purge(Purge),
}

#[derive(Debug, Args)]
pub struct Purge {
    /// How long ago at least
    #[arg(long, default_value = "30d", value_parser = input::grace, value_name = "LIFE", allow_hyphen_values = true)]
    older_than: Duration,
    /// What strangers left, and nothing else
    #[arg(long)]
    strangers: bool,
}

impl Purge {
    /// Removes what is meant, each called `what`, and says how much that was.
    pub fn run(
        &self,
        session: &Session,
        what: &str,
        part: Part,
        purge: impl FnOnce(&Ctx, Timestamp, bool) -> Result<u64, OpsError>,
    ) -> Result<Code, CliError> {
        let before = session.now().minus(self.older_than);
        let ctx = session.operator()?;
        let watched = Watched::new(&ctx.pace, "removing");
        let purged = purge(&ctx, before, self.strangers)?;
        if session.json {
            output::json(&serde_json::json!({ "purged": purged }))?;
        } else {
            output::line(&format!("{} removed", counted(purged, what)))?;
        }
        if purged == 0 {
            output::remark(&format!(
                "nothing is from before {}{}",
                room::Cut::of(part, before).before,
                if part.is_event() { "" } else { ": counters go by whole hours" }
            ));
        }
        Ok(watched.code())
    }
}

#[derive(Debug, Args)]
pub struct Range {
    /// From when: an age such as 24h, a date, or an RFC 3339 time
    #[arg(long, default_value = "24h", value_name = "TIME", allow_hyphen_values = true)]
    since: String,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Of this credential only
    #[arg(long, value_name = "ID", value_parser = input::credential_id, allow_hyphen_values = true)]
    credential: Option<String>,
    /// Of the subjects of this issuer only; '' is the home itself
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Of this subject only, whoever its issuer is
    #[arg(long)]
    subject: Option<String>,
    /// Of this endpoint only
    #[arg(long)]
    endpoint: Option<String>,
}

impl Range {
    fn query(&self, now: Timestamp) -> Result<Query, CliError> {
        let since = input::since(&self.since, now)?;
        // The minute that runs counts too.
        let end = now.plus(Duration::from_secs(60));
        let until = self.until.as_deref().map_or(Ok(end), |until| input::since(until, now))?;
        if since >= until {
            return Err(CliError::usage(format!(
                "the range is empty: it begins at {since} and ends at {until}"
            )));
        }
        Ok(Query {
            since,
            until,
            credential: self.credential.clone(),
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            endpoint: self.endpoint.clone(),
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum By {
    Credential,
    Subject,
    Issuer,
    Endpoint,
    Outcome,
}

impl From<By> for Dimension {
    fn from(by: By) -> Self {
        match by {
            By::Credential => Self::Credential,
            By::Subject => Self::Subject,
            By::Issuer => Self::Issuer,
            By::Endpoint => Self::Endpoint,
            By::Outcome => Self::Outcome,
        }
    }
}

/// Totals with their sum.
#[derive(Serialize)]
pub struct Calls {
    calls: u64,
    #[serde(flatten)]
    totals: Totals,
}

impl From<Totals> for Calls {
    fn from(totals: Totals) -> Self {
        Self { calls: totals.calls(), totals }
    }
}

impl Calls {
    fn cells(&self) -> [String; 4] {
        [self.calls, self.totals.allowed, self.totals.denied, self.totals.failed]
            .map(|count| count.to_string())
    }
}

/// One line of `top`.
#[derive(Serialize)]
pub struct Busy {
    key: String,
    /// Whose subject it is, where it is one or speaks for one; empty: the home's.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Whose credential it is, where that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// What people call it, where it is one that is remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(flatten)]
    calls: Calls,
}

impl Busy {
    pub fn all(top: Vec<usage::Busy>) -> Vec<Self> {
        let line = |one: usage::Busy| Self {
            key: one.key,
            issuer: one.issuer,
            subject: None,
            name: None,
            calls: one.totals.into(),
        };
        top.into_iter().map(line).collect()
    }

    /// The same of credentials, with what people know them by: of those that this home remembers that, of others, such as
    /// tokens of other issuers, what the counters keep.
    fn credentials(ctx: &Ctx, top: Vec<usage::Busy>) -> Result<Vec<Self>, OpsError> {
        let named = |busy: usage::Busy| {
            let found = credential::show(ctx, &busy.key)?;
            let subject = found.as_ref().map(|found| found.subject().to_string()).or(busy.subject.clone());
            Ok(Self {
                issuer: busy.issuer.filter(|_| subject.is_some()),
                subject,
                name: found.map(|found| found.name().to_owned()),
                key: busy.key,
                calls: busy.totals.into(),
            })
        };
        top.into_iter().map(named).collect()
    }

    /// The cells of a credential, for people or for machines. People are not told twice of a token that is called like its
    /// subject.
    fn named_cells(&self, format: Format) -> Vec<String> {
        let of = |text: &Option<String>| text.clone().unwrap_or_else(|| usage::NOBODY.into());
        let (issuer, subject) = (self.issuer.as_deref().unwrap_or_default(), self.subject.as_deref());
        let name = self.name.as_deref().filter(|name| !name.is_empty() && Some(*name) != subject);
        let name = || name.unwrap_or(usage::NOBODY).to_owned();
        let counts = std::iter::once(self.key.clone()).chain(self.calls.cells());
        match (format, subject) {
            (Format::Table, Some(subject)) => {
                counts.chain([called(issuer, subject).into_owned(), name()]).collect()
            }
            (Format::Table, None) if self.key != usage::NOBODY => {
                counts.chain([usage::NOT_KEPT.into(), name()]).collect()
            }
            _ => counts.chain([of(&self.subject), of(&self.name), issuer.to_owned()]).collect(),
        }
    }

    pub fn cells(&self) -> Vec<String> {
        std::iter::once(self.key.clone()).chain(self.calls.cells()).chain(self.issuer.clone()).collect()
    }
}

#[derive(Serialize)]
struct Step {
    at: Timestamp,
    #[serde(flatten)]
    calls: Calls,
}

#[derive(Serialize)]
struct Summary {
    since: Timestamp,
    until: Timestamp,
    #[serde(flatten)]
    calls: Calls,
    outcomes: Vec<Busy>,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Purge(purge) => return purge.run(session, "counter", Part::Hours, ops::purge),
        Verb::Summary { csv, range } => summary(session, &range, csv)?,
        Verb::Top { by, limit, csv, range } => {
            let query = range.query(session.now())?;
            let ctx = session.reader()?;
            let top = ops::top(&ctx, query, by.into(), limit)?;
            let format = session.format(csv);
            // In CSV it is `key`, as in JSON, whatever it is of.
            let of = match (format, by) {
                (Format::Json | Format::Csv, _) => "key",
                (Format::Table, By::Credential) => "credential",
                (Format::Table, By::Subject) => "subject",
                (Format::Table, By::Issuer) => "issuer",
                (Format::Table, By::Endpoint) => "endpoint",
                (Format::Table, By::Outcome) => "outcome",
            };
            let counts = [of, "calls", "allowed", "denied", "failed"];
            match by {
                By::Credential => {
                    let who: &[_] = match format {
                        // People read it before the subject.
                        Format::Table => &["subject", "name"],
                        Format::Json | Format::Csv => &["subject", "name", "issuer"],
                    };
                    let headers = [counts.as_slice(), who].concat();
                    let list = List { items: Busy::credentials(&ctx, top)?, next: None };
                    output::list(format, &headers, &list, |busy| busy.named_cells(format))?;
                }
                By::Subject => {
                    let headers = [counts.as_slice(), &["issuer"]].concat();
                    output::list(format, &headers, &List { items: Busy::all(top), next: None }, Busy::cells)?;
                }
                By::Issuer | By::Endpoint | By::Outcome => {
                    output::list(format, &counts, &List { items: Busy::all(top), next: None }, Busy::cells)?;
                }
            }
        }
        Verb::Series { step, csv, range } => {
            let query = range.query(session.now())?;
            let series = ops::series(&session.reader()?, query, minutes(step)?)?;
            let items = series.into_iter().map(|(at, totals)| Step { at, calls: totals.into() }).collect();
            let headers = ["at", "calls", "allowed", "denied", "failed"];
            output::list(session.format(csv), &headers, &List { items, next: None }, |step| {
                std::iter::once(step.at.to_string()).chain(step.calls.cells()).collect()
            })?;
        }
    }
    Ok(Code::Done)
}

fn summary(session: &Session, range: &Range, csv: bool) -> Result<(), CliError> {
    let now = session.now();
    let query = range.query(now)?;
    let ctx = session.reader()?;
    let summary = Summary {
        since: query.since,
        // What is asked for reaches a minute further, so that the minute that runs counts.
        until: query.until.min(now.max(query.since)),
        calls: ops::totals(&ctx, query.clone())?.into(),
        outcomes: Busy::all(ops::top(&ctx, query, Dimension::Outcome, 100)?),
    };
    if session.json {
        return output::json(&summary);
    }
    let mut table = Table::new(&["outcome", "calls"]);
    for outcome in &summary.outcomes {
        table.row(vec![outcome.key.clone(), outcome.calls.calls.to_string()]);
    }
    if csv {
        return output::raw(&table.csv()?);
    }
    let [calls, allowed, denied, failed] = summary.calls.cells();
    output::line(&format!(
        "{calls} {} from {} to {}: {allowed} allowed, {denied} denied, {failed} failed",
        plural(summary.calls.calls, "call"),
        summary.since,
        summary.until
    ))?;
    output::raw(table.render().as_bytes())
}

fn minutes(step: Duration) -> Result<u32, CliError> {
    let seconds = step.as_secs();
    let whole = seconds.is_multiple_of(60) && step.subsec_nanos() == 0;
    u32::try_from(seconds / 60)
        .ok()
        .filter(|&minutes| whole && minutes > 0)
        .ok_or_else(|| CliError::usage("a step is a whole number of minutes, such as 5m or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_whole_minutes() {
        assert_eq!(minutes(Duration::from_secs(300)).unwrap(), 5);
        assert!(minutes(Duration::from_secs(90)).is_err());
        assert!(minutes(Duration::from_secs(1)).is_err());
    }
}
