//! All that is known about one key.

use crate::console::effect::Question;
use crate::console::screen::told::Told;
use crate::console::theme::state_glyph;
use crate::console::widget::page::{Ink, Line};
use crate::console::widget::text::{count, moment, relative};
use crate::domain::api_key::{ApiKey, KeyId, KeyState};
use crate::domain::clock::Timestamp;
use crate::ops::{self, Ctx, OpsError};
use crate::store;

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
    tokens: u64,
    told: Told,
}

impl Question for ShowKey {
    type Answer = KeyDetail;
    fn answer(&self, ctx: &Ctx) -> Result<KeyDetail, OpsError> {
        let key = ops::api_key::show(ctx, self.id)?;
        let tokens = ctx.store.read(|c| store::token::live_on(c, self.id, self.now))?;
        let told = Told::read(ctx, self.id.as_str(), &key.policy, &key.scopes, self.now)?;
        Ok(KeyDetail { key, tokens, told })
    }
}

pub fn lines(detail: &KeyDetail, now: Timestamp) -> Vec<Line> {
    let key = &detail.key;
    let when = |at| format!("{} ({})", moment(at), relative(at, now));
    let state = key.state(now);
    let ink = match state {
        KeyState::Active => Ink::Good,
        KeyState::Disabled => Ink::Dim,
        KeyState::Expired => Ink::Warning,
        KeyState::Revoked => Ink::Bad,
    };
    let said = format!("{} {}", state_glyph(state), state.as_str());
    let mut lines = vec![
        Line::fact("state", said).ink(ink).note(key.revoked_reason.as_str()),
        Line::fact("subject", key.subject.as_str()).ink(Ink::Title),
    ];
    if !key.name.is_empty() {
        lines.push(Line::fact("name", key.name.as_str()));
    }
    lines.extend([
        Line::fact("id", key.id.as_str()),
        Line::fact("written", format!("pcl_{}_{}…", key.environment, key.id.short())),
        Line::fact("expires", key.expires_at.map_or_else(|| "never".into(), when)),
        Line::fact("created", when(key.created_at)),
    ]);
    lines.extend(key.rotated_at.map(|at| Line::fact("rotated", when(at))));
    let old = key.previous_until.filter(|at| *at > now);
    lines.extend(
        old.map(|at| Line::fact("old secret", format!("still taken, until {}", when(at))).ink(Ink::Warning)),
    );
    lines.extend(key.revoked_at.map(|at| Line::fact("revoked", when(at))));
    if detail.tokens > 0 {
        lines.push(Line::fact("tokens", format!("{} live rest on it", count(detail.tokens))));
    }
    lines.push(detail.told.policy(&key.policy));
    lines.extend(detail.told.lines(now));
    lines
}
