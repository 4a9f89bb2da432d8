//! All that is known about one key.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use crate::console::ask::{DAY, covers, of_credential};
use crate::console::canvas::{Canvas, Piece, piece};
use crate::console::effect::Question;
use crate::console::theme::state_glyph;
use crate::console::widget::chart::sparkline;
use crate::console::widget::text::{clock, count, limits, moment, relative, wrap};
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::clock::Timestamp;
use crate::domain::event::Event;
use crate::domain::policy::Revision;
use crate::domain::usage::Totals;
use crate::ops::{self, Ctx, OpsError};
use crate::store::{self, StoreError, audit::Entry};

const LABEL: usize = 11;

/// All about one key.
#[derive(Debug)]
pub struct ShowKey {
    pub id: KeyId,
    pub now: Timestamp,
}

#[derive(Clone, Debug)]
pub struct KeyDetail {
    pub key: ApiKey,
    /// How many live tokens were got with it, and fall with it.
    pub tokens: u64,
    pub policy: Option<Revision>,
    /// What each of its scopes covers.
    pub covers: BTreeMap<String, Vec<String>>,
    /// The last 24 hours, 30 minutes a step, oldest first.
    pub series: Vec<(Timestamp, Totals)>,
    pub day: Totals,
    pub events: Vec<Event>,
    pub audit: Vec<Entry>,
}

impl Question for ShowKey {
    type Answer = KeyDetail;
    fn answer(&self, ctx: &Ctx) -> Result<KeyDetail, OpsError> {
        let (id, now) = (self.id, self.now);
        let key = ops::api_key::show(ctx, id)?;
        let (policy, catalogue, tokens) = ctx.store.read(|c| -> Result<_, StoreError> {
            Ok((
                StoreError::none_where_damaged(store::policy::find(c, &key.policy))?,
                store::scope::sound(c)?.0,
                store::token::live_on(c, id, now)?,
            ))
        })?;
        let day = of_credential(id.to_string(), now, DAY);
        let events = store::event::Query { credential: Some(id.to_string()), limit: 8, ..Default::default() };
        let audit = store::audit::Query { object: Some(id.to_string()), limit: 20, ..Default::default() };
        Ok(KeyDetail {
            policy,
            tokens,
            covers: covers(&catalogue, &key.scopes),
            series: ops::usage::series(ctx, day.clone(), 30)?,
            day: ops::usage::totals(ctx, day)?,
            events: ops::event::list(ctx, &events)?,
            audit: ops::audit::list(ctx, &audit)?,
            key,
        })
    }
}

/// A line of the detail; the chart is a line of its own kind.
enum Line<'a> {
    Pieces(Vec<Piece<'a>>),
    Heading(String),
    Chart,
}

/// How many lines there are, for scrolling.
pub fn rows(detail: &KeyDetail) -> u16 {
    let scopes: usize = detail.covers.values().map(|patterns| 1 + patterns.len().div_ceil(2)).sum();
    u16::try_from(26 + scopes + detail.events.len() + detail.audit.len()).unwrap_or(u16::MAX)
}

pub fn draw(detail: &KeyDetail, top: u16, canvas: &mut Canvas<'_>, area: Rect) {
    let lines = lines(detail, canvas, usize::from(area.width));
    let values: Vec<u64> = detail.series.iter().map(|(_, totals)| totals.calls()).collect();
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(usize::from(top))) {
        match line {
            Line::Pieces(pieces) => {
                canvas.put_pieces(area.x, y, area.width, pieces);
            }
            Line::Heading(text) => canvas.heading(area, y, text),
            Line::Chart => {
                let accent = canvas.theme().accent;
                let cells = u16::try_from(values.len()).unwrap_or(48).min(area.width);
                sparkline(canvas, Rect { y, height: 1, width: cells, ..area }, &values, accent);
            }
        }
    }
    if lines.len() > usize::from(top) + usize::from(area.height) {
        let dim = canvas.theme().dim;
        canvas.put(area.right().saturating_sub(1), area.bottom().saturating_sub(1), 1, "↓", dim);
    }
}

fn lines<'a>(detail: &'a KeyDetail, canvas: &Canvas<'_>, room: usize) -> Vec<Line<'a>> {
    let theme = canvas.theme();
    let key = &detail.key;
    let state = key.state(canvas.now);
    let labelled = |label: &'static str, mut rest: Vec<Piece<'a>>| {
        rest.insert(0, piece(format!("{label:<LABEL$}"), theme.dim));
        Line::Pieces(rest)
    };
    let fact = |label, value: String| labelled(label, vec![piece(value, theme.text)]);
    let when = |at| format!("{} ({})", moment(at), relative(at, canvas.now));

    let mut lines = vec![
        labelled(
            "state",
            vec![
                piece(format!("{} {}", state_glyph(state), state.as_str()), theme.state(state)),
                piece(if key.revoked_reason.is_empty() { "" } else { ": " }, theme.dim),
                piece(key.revoked_reason.as_str(), theme.text),
            ],
        ),
        labelled("subject", vec![piece(key.subject.as_str(), theme.title)]),
    ];
    if !key.name.is_empty() {
        lines.push(labelled("name", vec![piece(key.name.as_str(), theme.text)]));
    }
    lines.push(fact("id", key.id.to_string()));
    lines.push(fact("written", format!("pcl_{}_{}…", key.environment, key.id.short())));
    lines.push(fact("expires", key.expires_at.map_or_else(|| "never".into(), when)));
    lines.push(fact("created", when(key.created_at)));
    if let Some(at) = key.rotated_at {
        lines.push(fact("rotated", when(at)));
    }
    if let Some(at) = key.previous_until.filter(|at| *at > canvas.now) {
        lines.push(labelled(
            "old secret",
            vec![piece(format!("still taken, until {}", when(at)), theme.warning)],
        ));
    }
    if let Some(at) = key.revoked_at {
        lines.push(fact("revoked", when(at)));
    }
    if detail.tokens > 0 {
        lines.push(fact("tokens", format!("{} live rest on it", count(detail.tokens))));
    }
    lines.push(labelled("policy", policy_pieces(detail.policy.as_ref(), key.policy.as_str(), canvas)));

    lines.push(Line::Pieces(Vec::new()));
    lines.push(Line::Heading("Scopes".into()));
    for (scope, patterns) in &detail.covers {
        lines.push(Line::Pieces(vec![piece(scope.as_str(), theme.text)]));
        let covered = if patterns.is_empty() {
            "covers nothing: not in the catalogue".into()
        } else {
            patterns.join("  ")
        };
        let covered = canvas.shown(&covered).into_owned();
        lines.extend(
            wrap(&covered, room.saturating_sub(2))
                .into_iter()
                .map(|line| Line::Pieces(vec![piece(format!("  {line}"), theme.dim)])),
        );
    }

    lines.push(Line::Pieces(Vec::new()));
    lines.push(Line::Heading("Last 24 hours".into()));
    if detail.day.calls() == 0 {
        lines.push(Line::Pieces(vec![piece("no calls", theme.dim)]));
    } else {
        lines.push(Line::Chart);
        let mut totals = vec![piece(format!("✓ {} allowed", count(detail.day.allowed)), theme.allowed)];
        if detail.day.denied > 0 {
            totals.push(piece(format!("  ✕ {} denied", count(detail.day.denied)), theme.denied));
        }
        if detail.day.failed > 0 {
            totals.push(piece(format!("  ○ {} failed", count(detail.day.failed)), theme.failed));
        }
        lines.push(Line::Pieces(totals));
    }

    lines.push(Line::Pieces(Vec::new()));
    lines.push(Line::Heading("Refusals".into()));
    if detail.events.is_empty() {
        lines.push(Line::Pieces(vec![piece("none recorded", theme.dim)]));
    }
    lines.extend(detail.events.iter().map(|event| {
        let times = if event.count > 1 { format!(" ×{}", event.count) } else { String::new() };
        Line::Pieces(vec![
            piece(format!("{:<12}", clock(event.at, canvas.now)), theme.dim),
            piece(event.kind.as_str(), theme.denied),
            piece(times, theme.dim),
            piece("  ", theme.text),
            piece(event.endpoint.as_str(), theme.text),
            piece("  ", theme.text),
            piece(event.address.as_str(), theme.dim),
        ])
    }));

    lines.push(Line::Pieces(Vec::new()));
    lines.push(Line::Heading("Audit".into()));
    lines.extend(detail.audit.iter().map(|entry| {
        Line::Pieces(vec![
            piece(format!("{:<12}", clock(entry.record.at, canvas.now)), theme.dim),
            piece(format!("{:<12} ", entry.record.act), theme.text),
            piece(entry.record.actor.as_str(), theme.dim),
        ])
    }));
    lines
}

fn policy_pieces<'a>(revision: Option<&Revision>, name: &'a str, canvas: &Canvas<'_>) -> Vec<Piece<'a>> {
    let theme = canvas.theme();
    let mut pieces = vec![piece(name, theme.text)];
    match revision {
        Some(revision) => {
            pieces.push(piece(format!(" r{}  {}", revision.revision, limits(revision)), theme.dim));
        }
        None => pieces.push(piece("  is not there, or damaged", theme.bad)),
    }
    pieces
}
