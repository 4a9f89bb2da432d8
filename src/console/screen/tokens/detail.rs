//! All that is known about one token: what stands in it, how it stands, what it did.

use crate::console::effect::Question;
use crate::console::screen::told::Told;
use crate::console::theme::token_glyph;
use crate::console::widget::page::{Ink, Line};
use crate::console::widget::text::relative;
use crate::domain::clock::Timestamp;
use crate::domain::token::{ACCESS_TOKEN, IssuedToken, TokenId, TokenState};
use crate::ops::{self, Ctx, OpsError};
use crate::store::token::{Refusal, Standing};

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
    pub told: Told,
}

impl Question for ShowToken {
    type Answer = TokenDetail;
    fn answer(&self, ctx: &Ctx) -> Result<TokenDetail, OpsError> {
        let standing = ops::token::show(ctx, self.jti)?;
        let token = &standing.token;
        let told = Told::read(ctx, &self.jti.to_string(), &token.policy, &token.scopes, self.now)?;
        Ok(TokenDetail { told, standing })
    }
}

pub fn lines(detail: &TokenDetail, now: Timestamp) -> Vec<Line> {
    let mut lines = standing(detail, now);
    lines.extend([Line::Blank, Line::Heading("Header")]);
    lines.extend(header(&detail.standing.token));
    lines.extend([Line::Blank, Line::Heading("Claims")]);
    lines.extend(claims(detail, now));
    lines.extend(detail.told.lines(now));
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
    lines.push(detail.told.policy(&token.policy));
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
