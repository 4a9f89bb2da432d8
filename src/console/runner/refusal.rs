//! What was refused of late, and what is known of one refusal: the credential it befell, the policy that this is under, and
//! every check.

use crate::console::effect::Refused;
use crate::domain::{
    decision::Reason,
    event::{Event, SHADOW_DENIED},
};
use crate::ops::{self, Ctx, OpsError, event::Explained};
use crate::store;

/// The most refusals that are listed.
const LISTED: u32 = 200;

/// Refusals of late, of all or of one credential, newest first.
pub fn list(ctx: &Ctx, credential: Option<String>) -> Result<Vec<Event>, OpsError> {
    let query = store::event::Query { credential, limit: LISTED, ..Default::default() };
    let is_refusal = |kind: &str| kind.parse::<Reason>().is_ok() || kind == SHADOW_DENIED;
    Ok(ops::event::list(ctx, &query)?.into_iter().filter(|event| is_refusal(&event.kind)).collect())
}

pub fn of(ctx: &Ctx, event: Event) -> Result<Refused, OpsError> {
    let why = match event.kind.parse::<Reason>() {
        Ok(reason) => reason.explanation().to_owned(),
        Err(_) => "a policy in shadow mode would have denied it; it was let through".to_owned(),
    };
    Ok(match ops::event::explain(ctx, &event)? {
        Some(Explained { credential, policy, checks }) => {
            Refused { event, why, credential: Some(credential), policy, checks }
        }
        None => Refused { event, why, credential: None, policy: None, checks: Vec::new() },
    })
}
