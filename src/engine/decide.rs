//! The whole decision on the calls of a principal: the pure one, and the charge that it ends with.

use super::Engine;
use crate::domain::{
    clock::Timestamp,
    decision::{self, Decision, Principal, Reason, Request},
    quota::{Bill, Charge, Cost},
};

/// A decision, and what became of the charge it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    /// `None` where the quota was not asked, since something else had already denied.
    pub charge: Option<Charge>,
}

impl Decided {
    fn unavailable() -> Self {
        Self { decision: Decision::deny(Reason::Unavailable), charge: None }
    }
}

/// One of the calls of a request, by its place, is denied, and so are all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denying {
    pub place: usize,
    pub decided: Decided,
}

impl Engine {
    /// The whole decision for a principal; charges the quota. Waits only where a lease has run out, and at most two
    /// seconds; a ledger that does not answer by then denies as `unavailable`.
    pub async fn decide(&self, principal: &Principal, request: &Request) -> Decided {
        let (account, limits) = (&principal.account, &*principal.limits());
        let mut charge = None;
        let mut must_wait = false;
        let decision = decision::decide(principal, request, || {
            charge = match Cost::of(&request.endpoint) {
                Cost::Request => self.quota.try_charge(account, limits, 1, request.at),
                Cost::Free => Some(self.quota.charge_free(account, limits, 1, request.at)),
                Cost::Nothing => Some(self.charge_ends(principal, 1, request.at)),
            };
            must_wait = charge.is_none();
            charge.clone().unwrap_or(Charge::Granted)
        });
        if !must_wait {
            return Decided { decision, charge };
        }
        let Ok(charge) = self.quota.charge(account, limits, 1, request.at).await else {
            return Decided::unavailable();
        };
        let decision = decision::decide(principal, request, || charge.clone());
        Decided { decision, charge: Some(charge) }
    }

    /// The same for all calls of one request, made at `at`: they pass together, for one charge, or not at all.
    ///
    /// # Errors
    /// The first that is denied. Nothing was charged then.
    pub async fn decide_all(
        &self,
        principal: &Principal,
        requests: &[Request],
        at: Timestamp,
    ) -> Result<Vec<Decision>, Denying> {
        let mut bill = Bill::default();
        let decide = |charge: &mut dyn FnMut(&Request) -> Charge| {
            let decisions = requests.iter().enumerate().map(|(place, request)| {
                let mut charged = None;
                let decision = decision::decide(principal, request, || {
                    let charge = charge(request);
                    charged = Some(charge.clone());
                    charge
                });
                match decision.is_allowed() {
                    true => Ok(decision),
                    false => Err(Denying { place, decided: Decided { decision, charge: charged } }),
                }
            });
            decisions.collect::<Result<Vec<_>, _>>()
        };
        decide(&mut |request| {
            if !Cost::is_part(&request.endpoint) {
                bill.add(Cost::of(&request.endpoint));
            }
            Charge::Granted
        })?;
        let unavailable = |_| Denying { place: 0, decided: Decided::unavailable() };
        let charge = self.charge_all(principal, bill, at).await.map_err(unavailable)?;
        decide(&mut |_| charge.clone())
    }

    async fn charge_all(&self, principal: &Principal, bill: Bill, at: Timestamp) -> Result<Charge, ()> {
        let ends = self.charge_ends(principal, bill.ends, at);
        if !ends.is_granted() {
            return Ok(ends);
        }
        let charge = self.quota.charge_all(&principal.account, &principal.limits(), bill, at).await;
        charge.map_err(|_| ())
    }

    /// Ending a session always passes. Where each use of a credential leaves a row in the store, sixty a minute do.
    fn charge_ends(&self, principal: &Principal, count: u32, at: Timestamp) -> Charge {
        if count == 0 || !self.is_spending(principal) {
            return Charge::Granted;
        }
        self.quota.charge_ends(&principal.account, count, at)
    }
}
