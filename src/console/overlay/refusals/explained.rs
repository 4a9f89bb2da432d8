//! What was refused of late, and what is known of one refusal: the credential it befell, the policy that this is under, and
//! every check.

use crate::console::effect::Question;
use crate::domain::{
    credential::CredentialId,
    decision::{Check, Reason},
    event::{Event, SHADOW_DENIED},
    policy::Revision,
};
use crate::ops::{self, Ctx, OpsError, event::Explained};
use crate::store;

/// The most refusals that are listed.
const LISTED: u32 = 200;

/// What was refused of late, to all or to one credential, newest first.
#[derive(Debug)]
pub struct ListRefusals {
    pub credential: Option<String>,
}

impl Question for ListRefusals {
    type Answer = Vec<Event>;
    fn answer(&self, ctx: &Ctx) -> Result<Vec<Event>, OpsError> {
        let query =
            store::event::Query { credential: self.credential.clone(), limit: LISTED, ..Default::default() };
        Ok(ops::event::list(ctx, &query)?.into_iter().filter(is_refusal).collect())
    }
}

/// Whether an event is one of a call that was refused, or would have been.
pub fn is_refusal(event: &Event) -> bool {
    event.kind.parse::<Reason>().is_ok() || event.kind == SHADOW_DENIED
}

/// All about one refusal.
#[derive(Clone, Debug)]
pub struct Refused {
    pub event: Event,
    /// What its reason means.
    pub why: String,
    /// Which credential the call came with, where this home issued it and still has it.
    pub credential: Option<CredentialId>,
    /// The policy that the credential is under now.
    pub policy: Option<Revision>,
    /// Judged anew, for the moment of the call; none where nothing is known of the caller.
    pub checks: Vec<Check>,
}

/// Every check of one refusal.
#[derive(Debug)]
pub struct Explain(pub Event);

impl Question for Explain {
    type Answer = Refused;
    fn answer(&self, ctx: &Ctx) -> Result<Refused, OpsError> {
        let event = self.0.clone();
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
}
