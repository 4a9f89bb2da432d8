//! Every check of a decision with its outcome, for `key verify` and `explain`. Without effect: no quota is charged, no failure
//! counted, nothing recorded.

use super::{
    Presented,
    authenticate::prove,
    snapshot::{KeyEntry, Snapshot},
};
use crate::domain::{
    api_key::{KeyState, Pepper, PresentedKey},
    decision::{self, Check, Decision, Principal, Reason, Request},
    quota::Charge,
};
use crate::store::{RowKey, Store, StoreError, quota};
use crate::vault::Vault;

/// What `explain` found.
#[derive(Clone, Debug)]
pub struct Explained {
    pub decision: Decision,
    pub checks: Vec<Check>,
    /// Who it would be; absent where the credential was refused.
    pub principal: Option<Principal>,
}

/// Every check with its outcome and without effect, as a look from outside a running engine: reads the one key and loads no
/// other. Lock-out is each gateway's own and is not judged. An error where a row that the answer rests on is damaged.
pub fn explain(
    store: &Store,
    vault: &Vault,
    presented: &Presented,
    request: &Request,
) -> Result<Explained, StoreError> {
    store.set_row_key(RowKey::new(vault.row_key()));
    let snapshot = match presented {
        Presented::ApiKey(key) => store.read(|c| Snapshot::load_one(c, key.id))?,
        Presented::Nothing | Presented::Malformed(_) => Snapshot::empty(),
    };
    Look { store, pepper: vault.pepper() }.explain(&snapshot, presented, request)
}

struct Look<'a> {
    store: &'a Store,
    pepper: &'a Pepper,
}

impl Look<'_> {
    fn explain(
        &self,
        snapshot: &Snapshot,
        presented: &Presented,
        request: &Request,
    ) -> Result<Explained, StoreError> {
        let mut checks = Vec::new();
        let key = match presented {
            Presented::Nothing => {
                checks.push(check("credential", false, "none was presented"));
                return Ok(refused(Reason::MissingCredential, checks));
            }
            Presented::Malformed(fault) => {
                checks.push(check("credential", false, fault));
                return Ok(refused(Reason::Malformed, checks));
            }
            Presented::ApiKey(key) => key,
        };
        checks.push(check("credential", true, "a well-formed API key"));
        let judged = snapshot.with(key.id, |entry| self.judge_key(entry, key, request, &mut checks));
        let principal = match judged {
            Ok(principal) => principal,
            Err(reason) => return Ok(refused(reason, checks)),
        };
        let charge = self.peek(&principal, request)?;
        checks.extend(decision::explain(&principal, request, &charge));
        let decision = decision::decide(&principal, request, || charge);
        Ok(Explained { decision, checks, principal: Some(principal) })
    }

    fn judge_key(
        &self,
        entry: Option<&KeyEntry>,
        key: &PresentedKey,
        request: &Request,
        checks: &mut Vec<Check>,
    ) -> Result<Principal, Reason> {
        let judged = prove(entry, key, &self.pepper.digest(&key.secret), request.at);
        let Some(entry) = entry else {
            checks.push(check("known", false, format_args!("there is no key {}", key.id)));
            return judged;
        };
        checks.push(check("known", true, format_args!("key {} of {}", key.id, entry.environment)));
        let is_proved = !matches!(judged, Err(Reason::BadSecret));
        checks.push(check(
            "secret",
            is_proved,
            if is_proved { "it fits" } else { "it does not fit this key" },
        ));
        if let Some(environment) = key.environment {
            let fits = environment == entry.environment;
            checks.push(check("environment", fits, format_args!("presented for {environment}")));
        }
        let state = entry.state(request.at);
        checks.push(check("state", state == KeyState::Active, format_args!("the key is {}", state.as_str())));
        judged
    }

    fn peek(&self, principal: &Principal, request: &Request) -> Result<Charge, StoreError> {
        let account = principal.credential.to_string();
        let limits = &*principal.limits();
        self.store.read(|c| Ok(quota::peek(c, &account, limits, request.at)?.1))
    }
}

fn check(name: &'static str, passed: bool, detail: impl std::fmt::Display) -> Check {
    Check { check: name, passed, detail: detail.to_string() }
}

fn refused(reason: Reason, checks: Vec<Check>) -> Explained {
    Explained { decision: Decision::deny(reason), checks, principal: None }
}
