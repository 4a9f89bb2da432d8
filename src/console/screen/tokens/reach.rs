//! Which tokens a revocation reaches: what it would end, asked before, and the revocation itself.

use crate::console::ask::{DAY, since};
use crate::console::effect::{Deed, Fault, Question};
use crate::console::layer::Turn;
use crate::console::tally::Tally;
use crate::domain::{
    clock::Timestamp,
    name::{Kid, Subject},
    pace::Unit,
    revocation::Target,
    token::{IssuedToken, TokenId},
    usage::Dimension,
};
use crate::ops::{self, Ctx, OpsError};
use crate::store::{self, StoreError};

/// So many of the busiest credentials are looked at to tell whether what is to be revoked is in use.
const BUSIEST: u32 = 1_000;
/// Revoked in one transaction, so that other writers get their turn between.
const AT_ONCE: usize = 500;

/// Which tokens a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Tokens(Vec<TokenId>),
    /// What speaks for the subject and was issued up to now, whoever issued it.
    Subject(Subject),
    /// All that the key signed; it is retired with it.
    Key(Kid),
    /// What this home issued before the moment.
    IssuedBefore(Timestamp),
}

impl Reach {
    /// As the store keeps it; one target a token.
    pub fn targets(&self, now: Timestamp) -> Vec<Target> {
        match self {
            Self::Tokens(ids) => ids.iter().map(|id| Target::Token { id: *id }).collect(),
            Self::Subject(subject) => vec![Target::Subject { subject: subject.clone(), cut: now }],
            Self::Key(kid) => vec![Target::Key { issuer: None, kid: kid.clone() }],
            Self::IssuedBefore(moment) => vec![Target::IssuedBefore { issuer: None, moment: *moment }],
        }
    }
}

/// What a revocation would end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Live tokens of this home.
    pub live: u64,
    /// Their calls in the last 24 hours.
    pub calls: u64,
}

/// What each of these would end, in their order.
#[derive(Debug)]
pub struct CountReached {
    pub reaches: Vec<Reach>,
    pub now: Timestamp,
}

impl Question for CountReached {
    type Answer = Vec<Reached>;
    const SLOW: bool = true;
    fn answer(&self, ctx: &Ctx) -> Result<Vec<Reached>, OpsError> {
        let busy = busy(ctx, self.now)?;
        self.reaches.iter().map(|reach| reached(ctx, reach, &busy, self.now)).collect()
    }
}

/// Ends what it reaches, for good.
#[derive(Debug)]
pub struct Revoke {
    pub reach: Reach,
    pub reason: String,
}

impl Deed for Revoke {
    /// How many live tokens ended.
    type Answer = Tally;
    const VERB: &'static str = "revoking";
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        Ok(Tally::at_pace(revoke(ctx, &self.reach, &self.reason)?, &ctx.pace))
    }
    fn unclaimed(tally: Tally, turn: &mut Turn<'_>) {
        tally.tell_left(turn);
    }
}

/// Returns how many live tokens ended. Of several, those that are revoked one by one already are left as they are.
fn revoke(ctx: &Ctx, reach: &Reach, why: &str) -> Result<u64, OpsError> {
    use ops::token::{revoke_all, revoke_issued_before, revoke_key, revoke_subject};
    match reach {
        Reach::Subject(subject) => revoke_subject(ctx, subject, why).map(|revoked| revoked.ended),
        Reach::Key(kid) => revoke_key(ctx, None, kid, why).map(|revoked| revoked.ended),
        Reach::IssuedBefore(moment) => {
            revoke_issued_before(ctx, None, *moment, why).map(|revoked| revoked.ended)
        }
        Reach::Tokens(ids) => {
            let mut ids = ids.clone();
            if ids.len() > 1 {
                let known = ctx.store.read(|c| {
                    ids.iter()
                        .map(|id| Ok(store::revocation::find(c, &Target::Token { id: *id })?.is_some()))
                        .collect::<Result<Vec<bool>, StoreError>>()
                })?;
                let mut known = known.into_iter();
                ids.retain(|_| !known.next().unwrap_or_default());
            }
            let mut ended = 0;
            ctx.pace.expect(ids.len() as u64, Unit::Items);
            for ids in ids.chunks(AT_ONCE) {
                if ctx.pace.is_cancelled() {
                    break;
                }
                ended += revoke_all(ctx, ids, why)?.iter().map(|revoked| revoked.ended).sum::<u64>();
                ctx.pace.step(ids.len() as u64);
            }
            Ok(ended)
        }
    }
}

/// Tokens that made calls in the last 24 hours, and how many.
fn busy(ctx: &Ctx, now: Timestamp) -> Result<Vec<(IssuedToken, u64)>, OpsError> {
    let top = ops::usage::top(ctx, since(now, DAY), Dimension::Credential, BUSIEST)?;
    ctx.store.read(|c| {
        let mut busy = Vec::new();
        for one in top {
            if let Ok(jti) = one.key.parse::<TokenId>()
                && let Some(token) = StoreError::none_where_damaged(store::token::find(c, jti))?
            {
                busy.push((token, one.totals.calls()));
            }
        }
        Ok(busy)
    })
}

fn reached(
    ctx: &Ctx,
    reach: &Reach,
    busy: &[(IssuedToken, u64)],
    now: Timestamp,
) -> Result<Reached, OpsError> {
    let targets = reach.targets(now);
    let is_meant = |token: &IssuedToken| targets.iter().any(|target| ops::token::means(target, token));
    let calls = busy.iter().filter(|(token, _)| is_meant(token)).map(|(_, calls)| calls).sum();
    Ok(Reached { live: ops::token::would_end(ctx, &targets)?, calls })
}
