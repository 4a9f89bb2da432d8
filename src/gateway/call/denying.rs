//! What a call is refused with: what its client is told, and what it may do about it.

use super::Call;
use super::challenge::Challenge;
use super::credential::Manner;
use super::refusal::Refusal;
use crate::domain::decision::{Outcome, Principal, Reason};
use crate::domain::endpoint::Endpoint;
use crate::domain::text::excerpt;
use crate::engine::Decided;

impl Call<'_> {
    /// The refusal for a proof of possession that does not hold.
    pub(super) fn unproved(&self, reason: Reason) -> Refusal {
        Refusal::because(reason).challenged(Challenge::unproved(|| self.metadata()))
    }

    /// The refusal of what was used up before, or cannot be: of a token, or of the proof beside one that may be used again.
    pub(super) fn spent(&self, principal: &Principal, reason: Reason) -> Refusal {
        let is_of_proof = principal.is_proved_once() && reason == Reason::Replayed;
        if is_of_proof { self.unproved(reason) } else { self.unauthorized(reason) }
    }

    /// The refusal for the credential, with what its client may do about it.
    pub(super) fn unauthorized(&self, reason: Reason) -> Refusal {
        let refusal = Refusal::because(reason);
        if reason.is_unauthorized() { self.challenged(refusal) } else { refusal }
    }

    /// The refusal of who came with nothing, with the scopes for what it asks, which is known only now.
    pub fn advised(&self, refusal: Refusal) -> Refusal {
        let is_of_nothing = self.manner == Manner::Nothing && refusal.is_unauthorized();
        if is_of_nothing { self.challenged(refusal) } else { refusal }
    }

    fn challenged(&self, refusal: Refusal) -> Refusal {
        let scope = match (self.manner, self.asked.first()) {
            (Manner::Nothing, Some(asked)) => self.engine().narrowest_scope(&asked.endpoint),
            _ => None,
        };
        let takes_proofs = self.place.is_certain();
        let challenge =
            Challenge::unauthorized(self.manner, scope.as_deref(), takes_proofs, || self.metadata());
        refusal.challenged(challenge)
    }

    fn metadata(&self) -> Option<String> {
        self.place.metadata(&self.shared.settings).filter(|_| self.named_resource().is_some())
    }

    /// The refusal of all, since the call at `place` is denied.
    pub(super) fn denied(&self, place: usize, decided: &Decided) -> Refusal {
        let Outcome::Deny(denial) = &decided.decision.outcome else {
            return Refusal::because(Reason::Unavailable);
        };
        let refusal = Refusal::denied(denial, decided.decision.policy_revision, decided.charge.as_ref());
        match (denial.reason, self.asked.get(place)) {
            (Reason::InsufficientScope, Some(asked)) => {
                let scope = self.engine().narrowest_scope(&asked.endpoint);
                let would =
                    scope.as_ref().map_or(String::new(), |scope| format!("; the scope {scope} would"));
                let shown = excerpt(&asked.endpoint.shown());
                let refusal = refusal.saying(format!(
                    "none of this credential's scopes covers {shown}{would}{}",
                    self.hint(&asked.endpoint)
                ));
                match Challenge::insufficient(self.manner, scope.as_deref(), || self.metadata()) {
                    Some(challenge) => refusal.challenged(challenge),
                    None => refusal,
                }
                .wanting(scope)
            }
            (Reason::EndpointDenied, Some(asked)) => {
                let shown = excerpt(&asked.endpoint.shown());
                refusal.saying(format!("the policy does not admit {shown}{}", self.hint(&asked.endpoint)))
            }
            (Reason::RateLimited, _) => {
                match decided.charge.as_ref().and_then(|charge| charge.refusal(self.at)) {
                    Some(sentence) => refusal.saying(sentence),
                    None => refusal,
                }
            }
            (Reason::BadRequest, Some(asked)) => {
                asked.endpoint.objection().map_or(refusal, Refusal::objection)
            }
            _ => refusal,
        }
    }

    /// For who may have come to a wrong path.
    fn hint(&self, endpoint: &Endpoint) -> String {
        if endpoint.is_mcp() { String::new() } else { format!("; {}", self.way_to_mcp()) }
    }
}
