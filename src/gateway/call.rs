//! What is known of one request while it is judged, and its one record.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::clock::Timestamp;
use crate::domain::decision::{CredentialId, Denial, Outcome, Principal, Reason, Request};
use crate::domain::endpoint::Endpoint;
use crate::domain::usage;
use crate::engine::{Engine, Presented, Seen};

use super::refusal::Refusal;
use super::request_id::{RequestId, RequestIds};
use super::worker::Shared;

/// One call of a request.
struct Asked {
    endpoint: Endpoint,
    cost: u32,
    /// Once it was admitted: whether a policy in shadow mode would have denied it.
    outcome: usage::Outcome,
}

/// One request: one or, in a batch, several calls. Whatever happens to it, each call is recorded once.
pub struct Call {
    engine: Arc<Engine>,
    pub request_id: RequestId,
    pub address: Option<IpAddr>,
    pub at: Timestamp,
    asked: Vec<Asked>,
    credential: Option<CredentialId>,
    pub principal: Option<Rc<Principal>>,
    /// Whether all were admitted.
    is_admitted: bool,
    recorded: bool,
}

impl Call {
    pub fn new(shared: &Shared, ids: &RequestIds, address: Option<IpAddr>) -> Self {
        let at = shared.engine.clock().now();
        Self {
            engine: shared.engine.clone(),
            request_id: ids.next(at),
            address,
            at,
            asked: Vec::new(),
            credential: None,
            principal: None,
            is_admitted: false,
            recorded: false,
        }
    }

    /// Adds a call: what it asks for and what it costs.
    pub fn asks(&mut self, endpoint: Endpoint, cost: u32) {
        self.asked.push(Asked { endpoint, cost, outcome: usage::Outcome::Allowed });
    }

    /// Finds out who asks.
    pub fn authenticate(&mut self, presented: &Presented, now: Timestamp) -> Result<Rc<Principal>, Refusal> {
        self.at = now;
        match self.engine.authenticate(presented, self.address, now) {
            Ok(principal) => {
                let principal = Rc::new(principal);
                self.credential = Some(principal.credential);
                self.principal = Some(principal.clone());
                Ok(principal)
            }
            Err(reason) => {
                // An id that nobody was given must not fill the counters.
                let is_known = !matches!(reason, Reason::UnknownCredential | Reason::LockedOut);
                if let (Presented::ApiKey(key), true) = (presented, is_known) {
                    self.credential = Some(CredentialId::ApiKey(key.id));
                }
                Err(Refusal::because(reason))
            }
        }
    }

    fn request(&self, endpoint: &Endpoint, cost: u32) -> Request {
        Request { endpoint: endpoint.clone(), address: self.address, at: self.at, cost }
    }

    /// What must go on to be allowed while an answer to it is open.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.iter().map(|asked| self.request(&asked.endpoint, 0)).collect()
    }

    /// Decides on every call; one that is denied denies all. A batch is judged as a whole before any of it is charged.
    pub async fn decide(&mut self, principal: &Principal) -> Result<(), Refusal> {
        if self.asked.len() > 1 {
            for asked in &self.asked {
                self.decide_one(principal, &asked.endpoint, 0).await?;
            }
        }
        for index in 0..self.asked.len() {
            let Asked { endpoint, cost, .. } = &self.asked[index];
            self.asked[index].outcome = self.decide_one(principal, endpoint, *cost).await?;
        }
        self.is_admitted = true;
        Ok(())
    }

    async fn decide_one(
        &self,
        principal: &Principal,
        endpoint: &Endpoint,
        cost: u32,
    ) -> Result<usage::Outcome, Refusal> {
        let decided = self.engine.decide(principal, &self.request(endpoint, cost)).await;
        let decision = decided.decision;
        match decision.outcome {
            Outcome::Allow => Ok(decision.shadowed.map_or(usage::Outcome::Allowed, usage::Outcome::Shadowed)),
            Outcome::Deny(denial) => {
                let scopes = self.scopes_for(&denial, endpoint);
                Err(Refusal::denied(&denial, decision.policy_revision, decided.charge.as_ref(), &scopes))
            }
        }
    }

    fn scopes_for(&self, denial: &Denial, endpoint: &Endpoint) -> Vec<String> {
        match denial.reason {
            Reason::InsufficientScope => self.engine.sufficient_scopes(endpoint),
            _ => Vec::new(),
        }
    }

    /// The call went through to the upstream and an answer began.
    pub fn answered(&mut self) {
        self.record(None);
    }

    /// The call was refused, by us or for want of the upstream.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.record(Some(refusal.outcome()));
    }

    fn record(&mut self, refused: Option<usage::Outcome>) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        for Asked { endpoint, outcome, .. } in &self.asked {
            self.record_one(endpoint.as_str(), refused.unwrap_or(*outcome));
        }
        if self.asked.is_empty() {
            self.record_one("-", refused.unwrap_or(usage::Outcome::Allowed));
        }
    }

    fn record_one(&self, endpoint: &str, outcome: usage::Outcome) {
        self.engine.record(&Seen {
            credential: self.credential,
            subject: self.principal.as_ref().map(|principal| principal.subject.as_str()),
            endpoint,
            address: self.address,
            outcome,
            request_id: self.request_id.as_str(),
            at: self.at,
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // The client went away before the answer began: what was admitted is counted, the rest was never judged.
        if self.is_admitted {
            self.record(None);
        }
    }
}
