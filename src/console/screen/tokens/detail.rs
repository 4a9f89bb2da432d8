//! All that is known about one token: what stands in it, how it stands, what it did.

use std::collections::BTreeMap;

use crate::console::ask::{DAY, covers, of_credential};
use crate::console::effect::Question;
use crate::console::theme::token_glyph;
use crate::console::widget::page::{Ink, Line};
use crate::console::widget::text::{clock, count, limits, relative};
use crate::domain::clock::Timestamp;
use crate::domain::event::Event;
use crate::domain::policy::Revision;
use crate::domain::token::{ACCESS_TOKEN, IssuedToken, TokenId, TokenState};
use crate::domain::usage::Totals;
use crate::ops::{self, Ctx, OpsError};
use crate::store::audit::Entry;
use crate::store::token::{Refusal, Standing};
use crate::store::{self, StoreError};

use super::explain::{claim, header_member, time};

/// All about one token.
#[derive(Debug)]
pub struct ShowToken {
    pub jti: TokenId,
    pub now: Timestamp,
}

#[derive(Clone, Debug)]
pub struct TokenDetail {
    pub standing: Standing,
    pub policy: Option<Revision>,
    /// What each of its scopes covers.
    pub covers: BTreeMap<String, Vec<String>>,
    /// The last 24 hours, 30 minutes a step, oldest first.
    pub series: Vec<(Timestamp, Totals)>,
    pub day: Totals,
    pub events: Vec<Event>,
    pub audit: Vec<Entry>,
}

impl Question for ShowToken {
    type Answer = TokenDetail;
    fn answer(&self, ctx: &Ctx) -> Result<TokenDetail, OpsError> {
        let standing = ops::token::show(ctx, self.jti)?;
        let (policy, catalogue) = ctx.store.read(|c| -> Result<_, StoreError> {
            let policy = StoreError::none_where_damaged(store::policy::find(c, &standing.token.policy))?;
            Ok((policy, store::scope::sound(c)?.0))
        })?;
        let id = self.jti.to_string();
        let day = of_credential(id.clone(), self.now, DAY);
        let events = store::event::Query { credential: Some(id.clone()), limit: 8, ..Default::default() };
        let audit = store::audit::Query { object: Some(id), limit: 20, ..Default::default() };
        Ok(TokenDetail {
            policy,
            covers: covers(&catalogue, &standing.token.scopes),
            series: ops::usage::series(ctx, day.clone(), 30)?,
            day: ops::usage::totals(ctx, day)?,
            events: ops::event::list(ctx, &events)?,
            audit: ops::audit::list(ctx, &audit)?,
            standing,
        })
    }
}

pub fn lines(detail: &TokenDetail, now: Timestamp) -> Vec<Line> {
    let mut lines = standing(detail, now);
    lines.extend([Line::Blank, Line::Heading("Header")]);
    lines.extend(header(&detail.standing.token));
    lines.extend([Line::Blank, Line::Heading("Claims")]);
    lines.extend(claims(detail, now));
    lines.extend([Line::Blank, Line::Heading("What its scopes cover")]);
    for (scope, patterns) in &detail.covers {
        let covered = if patterns.is_empty() {
            "nothing: not in the catalogue any more".into()
        } else {
            patterns.join("  ")
        };
        lines.push(Line::fact(scope, covered));
    }
    lines.extend([Line::Blank, Line::Heading("Last 24 hours")]);
    lines.extend(use_of(detail));
    lines.extend([Line::Blank, Line::Heading("Refusals")]);
    if detail.events.is_empty() {
        lines.push(Line::Text("none recorded".into(), Ink::Dim));
    }
    lines.extend(detail.events.iter().map(|event| {
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
    lines.extend(detail.audit.iter().map(|entry| {
        Line::Row(vec![
            (format!("{:<12}", clock(entry.record.at, now)), Ink::Dim),
            (format!("{:<13} ", entry.record.act), Ink::Text),
            (entry.record.actor.clone(), Ink::Dim),
        ])
    }));
    lines
}

/// How it stands, and why.
fn standing(detail: &TokenDetail, now: Timestamp) -> Vec<Line> {
    let token = &detail.standing.token;
    let state = token.state(now, detail.standing.state == TokenState::Revoked);
    let (ink, note) = match state {
        TokenState::Live => (Ink::Good, format!("ends {}", relative(token.expires_at, now))),
        TokenState::Expiring => (Ink::Warning, format!("ends {}", relative(token.expires_at, now))),
        TokenState::Expired => (Ink::Dim, format!("ended {}", relative(token.expires_at, now))),
        TokenState::Revoked => (Ink::Bad, String::new()),
    };
    let said = format!("{} {}", token_glyph(state), state.as_str());
    let mut lines = vec![Line::fact("state", said).ink(ink).note(note)];
    match &detail.standing.refusal {
        None => {}
        Some(Refusal::KeyRetired { retired_key }) => {
            lines.push(Line::fact("refused", format!("its signing key {retired_key} is retired")));
        }
        Some(Refusal::Fallen { kind, fallen_with, why }) => {
            lines.push(Line::fact("fell", format!("with {kind} {fallen_with}")).note(*why));
        }
        Some(Refusal::Revoked(revocation)) => {
            let how = match revocation.target.kind() {
                "token" => "this token alone",
                "subject" => "all of its subject",
                "key" => "all of its key",
                _ => "all from before a moment",
            };
            lines.push(Line::fact("revoked", time(revocation.revoked_at, now)).note(how));
            if !revocation.reason.is_empty() {
                lines.push(Line::fact("reason", revocation.reason.clone()));
            }
        }
    }
    lines.push(Line::fact("subject", token.subject.as_str()).ink(Ink::Title));
    lines.push(Line::fact("issued by", token.issued_by.clone()).note(relative(token.issued_at, now)));
    if let Some(key) = &token.rests_on.key {
        lines.push(Line::fact("rests on", format!("key {}", key.id)));
    }
    for parent in &token.rests_on.parents {
        lines.push(Line::fact("rests on", format!("token {}", parent.jti)));
    }
    let policy = match &detail.policy {
        Some(revision) => Line::fact("policy", token.policy.as_str()).note(format!(
            "r{}  {}",
            revision.revision,
            limits(revision)
        )),
        None => Line::fact("policy", format!("{} is not there, or damaged", token.policy)).ink(Ink::Bad),
    };
    lines.push(policy);
    lines
}

fn header(token: &IssuedToken) -> Vec<Line> {
    vec![
        header_member("typ", ACCESS_TOKEN),
        header_member("alg", token.algorithm.as_str()),
        header_member("kid", token.kid.as_str()),
    ]
}

fn claims(detail: &TokenDetail, now: Timestamp) -> Vec<Line> {
    let token = &detail.standing.token;
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut lines = vec![
        claim("sub", token.subject.as_str()),
        claim("client_id", token.client.clone()),
        claim("aud", token.audience.join(", ")),
        claim("scope", scopes.join(" ")),
        claim("iat", time(token.issued_at, now)),
        claim("exp", time(token.expires_at, now)),
        claim("jti", token.jti.to_string()),
        claim("policy_name", token.policy.as_str()),
    ];
    if let Some(uses) = token.max_uses {
        lines.push(claim("max_uses", uses.to_string()));
    }
    if let Some(bound) = &token.bound {
        lines.push(claim("policy", bound.to_string()));
    }
    lines
}

fn use_of(detail: &TokenDetail) -> Vec<Line> {
    if detail.day.calls() == 0 {
        return vec![Line::Text("no calls".into(), Ink::Dim)];
    }
    let mut totals = vec![(format!("✓ {} allowed", count(detail.day.allowed)), Ink::Good)];
    if detail.day.denied > 0 {
        totals.push((format!("  ✕ {} denied", count(detail.day.denied)), Ink::Bad));
    }
    if detail.day.failed > 0 {
        totals.push((format!("  ○ {} failed", count(detail.day.failed)), Ink::Warning));
    }
    vec![Line::Chart(detail.series.iter().map(|(_, totals)| totals.calls()).collect()), Line::Row(totals)]
}
