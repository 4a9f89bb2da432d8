//! What is told of every credential, beside what it is itself: its policy, what its scopes cover, what it did and what was done to
//! it.

use std::collections::BTreeMap;

use crate::console::ask::{DAY, of_credential};
use crate::console::widget::page::{Ink, Line};
use crate::console::widget::text::{clock, count, limits};
use crate::domain::clock::Timestamp;
use crate::domain::event::Event;
use crate::domain::name::{PolicyName, ScopeName};
use crate::domain::policy::Revision;
use crate::domain::usage::Totals;
use crate::ops::{self, Ctx, OpsError};
use crate::store::audit::Entry;
use crate::store::{self, StoreError};

#[derive(Clone, Debug)]
pub struct Told {
    policy: Option<Revision>,
    /// What each of its scopes covers.
    pub covers: BTreeMap<String, Vec<String>>,
    /// The last 24 hours, 30 minutes a step, oldest first.
    series: Vec<(Timestamp, Totals)>,
    pub day: Totals,
    events: Vec<Event>,
    pub audit: Vec<Entry>,
}

impl Told {
    /// Of the credential with this id, which is under `policy` and has the scopes.
    pub fn read(
        ctx: &Ctx,
        id: &str,
        policy: &PolicyName,
        scopes: &[ScopeName],
        now: Timestamp,
    ) -> Result<Self, OpsError> {
        let (policy, catalogue) = ctx.store.read(|c| -> Result<_, StoreError> {
            let policy = StoreError::none_where_damaged(store::policy::find(c, policy))?;
            Ok((policy, store::scope::sound(c)?.0))
        })?;
        let covers = scopes.iter().map(|name| {
            let patterns = catalogue.get(name).map(|scope| scope.endpoints.as_slice()).unwrap_or_default();
            let patterns = patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
            (name.as_str().to_owned(), patterns)
        });
        let day = of_credential(id.to_owned(), now, DAY);
        let events = store::event::Query { credential: Some(id.to_owned()), limit: 8, ..Default::default() };
        let audit = store::audit::Query { object: Some(id.to_owned()), limit: 20, ..Default::default() };
        Ok(Self {
            policy,
            covers: covers.collect(),
            series: ops::usage::series(ctx, day.clone(), 30)?,
            day: ops::usage::totals(ctx, day)?,
            events: ops::event::list(ctx, &events)?,
            audit: ops::audit::list(ctx, &audit)?,
        })
    }

    /// Its policy, by the name that it bears, and what that limits.
    pub fn policy(&self, name: &PolicyName) -> Line {
        match &self.policy {
            Some(revision) => {
                let note = format!("r{}  {}", revision.revision, limits(revision));
                Line::fact("policy", name.as_str()).note(note)
            }
            None => Line::fact("policy", format!("{name} is not there, or damaged")).ink(Ink::Bad),
        }
    }

    /// What its scopes cover, what it did of late, what was refused to it, and what was done to it.
    pub fn lines(&self, now: Timestamp) -> Vec<Line> {
        let mut lines = vec![Line::Blank, Line::Heading("What its scopes cover")];
        for (scope, patterns) in &self.covers {
            let covered = if patterns.is_empty() {
                "nothing: not in the catalogue any more".into()
            } else {
                patterns.join("  ")
            };
            lines.push(Line::fact(scope, covered));
        }
        lines.extend([Line::Blank, Line::Heading("Last 24 hours")]);
        lines.extend(self.calls());
        lines.extend([Line::Blank, Line::Heading("Refusals")]);
        if self.events.is_empty() {
            lines.push(Line::Text("none recorded".into(), Ink::Dim));
        }
        lines.extend(self.events.iter().map(|event| {
            let times = if event.count > 1 { format!(" ×{}", event.count) } else { String::new() };
            Line::Row(vec![
                (format!("{:<12}", clock(event.at, now)), Ink::Dim),
                (event.kind.clone(), Ink::Bad),
                (format!("{times}  "), Ink::Dim),
                (format!("{}  ", event.endpoint), Ink::Text),
                (event.address.clone(), Ink::Dim),
            ])
        }));
        lines.extend([Line::Blank, Line::Heading("Audit")]);
        lines.extend(self.audit.iter().map(|entry| {
            Line::Row(vec![
                (format!("{:<12}", clock(entry.record.at, now)), Ink::Dim),
                (format!("{:<13} ", entry.record.act), Ink::Text),
                (entry.record.actor.clone(), Ink::Dim),
            ])
        }));
        lines
    }

    fn calls(&self) -> Vec<Line> {
        if self.day.calls() == 0 {
            return vec![Line::Text("no calls".into(), Ink::Dim)];
        }
        let mut totals = vec![(format!("✓ {} allowed", count(self.day.allowed)), Ink::Good)];
        if self.day.denied > 0 {
            totals.push((format!("  ✕ {} denied", count(self.day.denied)), Ink::Bad));
        }
        if self.day.failed > 0 {
            totals.push((format!("  ○ {} failed", count(self.day.failed)), Ink::Warning));
        }
        let series = self.series.iter().map(|(_, totals)| totals.calls()).collect();
        vec![Line::Chart(series), Line::Row(totals)]
    }
}
