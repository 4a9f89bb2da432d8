//! What is known of one request while it is judged, and its one record.

pub mod challenge;
pub mod client_address;
pub mod credential;
mod denying;
pub mod headers;
pub mod introduction;
pub mod origin;
pub mod place;
pub mod refusal;
pub mod route;

use std::net::IpAddr;
use std::rc::Rc;

use http::Method;
use ipnet::IpNet;

use crate::domain::clock::Timestamp;
use crate::domain::credential::CredentialId;
use crate::domain::decision::{Decision, Principal, Reason, Request};
use crate::domain::endpoint::Endpoint;
use crate::domain::identity::Identity;
use crate::domain::quota::Charge;
use crate::domain::text::excerpt;
use crate::domain::token::{Possession, Shown, is_same_audience};
use crate::domain::usage;
use crate::engine::{Engine, Judged, Presented, Seen};

use self::client_address::{client_address, client_behind};
use self::credential::{Aim, Credential, Manner, Proof, Wrong};
use self::place::Place;
use self::refusal::Refusal;
use super::connection::peer::Peer;
use super::shared::Shared;
use super::wire::{Fields, RequestId, RequestIds};

/// What is said of a proof of possession that is not there, or that comes beside no token.
const NO_PROOF: &str = "proof: Authorization: DPoP needs a token, and one proof in DPoP";

/// One call of a request.
struct Asked {
    endpoint: Endpoint,
    /// What it names beside that, each to be allowed as well.
    parts: Vec<Endpoint>,
    /// Once it was admitted: whether a policy in shadow mode would have denied it.
    outcome: usage::Outcome,
}

/// One request: one or, in a batch, several calls. Whatever happens to it, each call is recorded once.
pub struct Call<'a> {
    shared: &'a Shared,
    place: Place<'a>,
    manner: Manner,
    pub request_id: RequestId,
    /// The client's; `None` where a trusted proxy does not tell it.
    pub address: Option<IpAddr>,
    pub at: Timestamp,
    asked: Vec<Asked>,
    credential: Option<CredentialId>,
    pub principal: Option<Rc<Principal>>,
    /// Whom a credential speaks for that proved itself and is refused all the same.
    identity: Option<Identity>,
    /// What the charge of it came to, where one call was charged.
    charge: Option<Charge>,
    /// Whether all were admitted.
    is_admitted: bool,
    recorded: bool,
}

impl<'a> Call<'a> {
    /// Of a request that comes from `peer`, or through it where it is a trusted proxy.
    pub fn new(shared: &'a Shared, ids: &RequestIds, peer: Peer, headers: &'a Fields) -> Self {
        let (settings, trusted) = (&shared.settings, &shared.settings.trusted_proxies);
        let place = Place::of(settings, peer.is_of(trusted), headers);
        Self::begin(shared, ids, client_address(peer, headers, trusted), place)
    }

    /// Of a request that a proxy holds back, and asks about.
    pub fn behind(
        shared: &'a Shared,
        ids: &RequestIds,
        proxy: Peer,
        headers: &'a Fields,
        trusted: &[IpNet],
    ) -> Self {
        let place = Place::behind(&shared.settings, headers);
        Self::begin(shared, ids, client_behind(proxy, headers, trusted), place)
    }

    /// Of who asks about a request, and may not.
    pub fn of_stranger(shared: &'a Shared, ids: &RequestIds, peer: Peer) -> Self {
        Self::begin(shared, ids, Some(peer.address), Place::default())
    }

    fn begin(shared: &'a Shared, ids: &RequestIds, address: Option<IpAddr>, place: Place<'a>) -> Self {
        let at = shared.engine.clock().now();
        Self {
            shared,
            place,
            manner: Manner::Nothing,
            request_id: ids.next(at),
            address,
            at,
            asked: Vec::new(),
            credential: None,
            principal: None,
            identity: None,
            charge: None,
            is_admitted: false,
            recorded: false,
        }
    }

    /// Adds a call: what it asks for.
    pub fn asks(&mut self, endpoint: Endpoint) {
        self.asked.push(Asked { endpoint, parts: Vec::new(), outcome: usage::Outcome::Allowed });
    }

    /// Adds to the last call what it names beside its endpoint: that is judged, and neither charged nor counted.
    pub fn asks_beside(&mut self, endpoint: Endpoint) {
        if let Some(asked) = self.asked.last_mut() {
            asked.parts.push(endpoint);
        }
    }

    /// How many bytes of all that was asked for have readings that are to be sought.
    pub fn to_be_read(&self) -> usize {
        self.judged().map(Endpoint::to_be_read).sum()
    }

    /// Every endpoint that is judged: those of each call, one after the other.
    fn judged(&self) -> impl Iterator<Item = &Endpoint> {
        self.asked.iter().flat_map(|asked| std::iter::once(&asked.endpoint).chain(&asked.parts))
    }

    fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// What a request to `path` came with.
    pub fn credential(
        &self,
        method: &Method,
        path: &str,
        headers: &Fields,
        query: Option<&str>,
    ) -> Credential {
        let settings = &self.shared.settings;
        credential::read(headers, query, settings.max_token, || {
            if !self.place.is_certain() {
                return None;
            }
            let mut urls = vec![format!("{}{path}", self.place.origin(settings))];
            if self.shared.mcp_path.matches(path) {
                urls.push(self.place.resource(settings));
            }
            Some(Aim { method: method.as_str().to_owned(), urls })
        })
    }

    /// Finds out who asks.
    ///
    /// # Errors
    /// What its client is told: 401 for whatever is wrong with it, 400 for a way in which none is taken, 503 where that cannot be
    /// known.
    pub fn authenticate(
        &mut self,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Rc<Principal>, Refusal> {
        self.at = now;
        self.manner = credential.manner;
        let presented = match &credential.presented {
            Ok(presented) => presented,
            Err(Wrong::Improper(message)) => return Err(Refusal::improper(message)),
            Err(Wrong::Proof(reason)) => {
                return Err(self.unproved(*reason).noting(NO_PROOF));
            }
            Err(Wrong::Long) => return Err(Refusal::long_token(self.shared.settings.max_token)),
        };
        let judged = match (presented, &credential.proof) {
            (Presented::Token(token), Some(Proof { text, aim })) => {
                self.engine().authenticate_bound(token, now, |bound_to| {
                    let (method, urls, token) = (&aim.method, &aim.urls, token.text.expose());
                    Possession::read(text, &Shown { method, urls, token, bound_to, now })
                })
            }
            (Presented::Nothing | Presented::Malformed(_) | Presented::ApiKey(_), _)
            | (Presented::Token(_), None) => self.engine().authenticate(presented, self.address, now),
        };
        match judged {
            Ok(principal) => {
                let principal = Rc::new(principal);
                self.credential = Some(principal.credential);
                self.principal = Some(principal.clone());
                Ok(principal)
            }
            Err(denied) => {
                // An id that nobody was given is nobody's; the engine looks whether somebody was given it.
                let is_known = denied.reason != Reason::UnknownCredential;
                self.credential = match presented {
                    Presented::ApiKey(key) if is_known => Some(CredentialId::ApiKey(key.id)),
                    Presented::Nothing
                    | Presented::Malformed(_)
                    | Presented::ApiKey(_)
                    | Presented::Token(_) => denied.credential,
                };
                self.identity = denied.identity;
                let refusal = match denied.is_of_proof {
                    true => self.unproved(denied.reason),
                    false => self.unauthorized(denied.reason),
                };
                Err(match denied.why {
                    Some(why) => refusal.noting(why),
                    None => refusal,
                })
            }
        }
    }

    /// What the metadata names as the resource: always one for which tokens are taken. Where a client may have had a say in
    /// the URL by which it came, that is named if it is one of these, and else nothing is.
    pub fn named_resource(&self) -> Option<String> {
        let (resource, audiences) = (self.resource(), self.engine().audiences());
        if audiences.iter().any(|known| is_same_audience(known, &resource)) {
            return Some(resource);
        }
        let is_url = |known: &String| known.starts_with("http://") || known.starts_with("https://");
        audiences.into_iter().find(is_url).filter(|_| self.is_place_certain())
    }

    /// By which URL this gateway was reached: scheme, host and port.
    pub fn origin(&self) -> String {
        self.place.origin(&self.shared.settings)
    }

    /// The URL of the MCP endpoint.
    pub fn resource(&self) -> String {
        self.place.resource(&self.shared.settings)
    }

    /// Whether that is certain, whatever clients say.
    pub fn is_place_certain(&self) -> bool {
        self.place.is_certain()
    }

    /// How the client reached this gateway or the proxy before it: `http` or `https`, and by which host.
    pub fn reached_by(&self) -> (&'static str, Option<&[u8]>) {
        let settings = &self.shared.settings;
        (self.place.scheme(settings), self.place.host(settings))
    }

    /// Whether all that was asked for was allowed.
    pub fn is_admitted(&self) -> bool {
        self.is_admitted
    }

    fn request(&self, endpoint: &Endpoint) -> Request {
        Request { endpoint: endpoint.clone(), address: self.address, at: self.at }
    }

    /// What must go on to be allowed while an answer to it is open.
    pub fn asked(&self) -> Vec<Request> {
        self.judged().map(|endpoint| self.request(endpoint)).collect()
    }

    /// Decides on every call, and charges for all; one that is denied denies all. What may be used once is used up last, and
    /// only by what everything else admits: each use leaves a row in the store.
    ///
    /// # Errors
    /// The first call that is denied, as its client is told; nothing was charged then. 401 where what may be used once was.
    pub async fn decide(&mut self, principal: &Principal) -> Result<(), Refusal> {
        let is_spending = self.engine().is_spending(principal);
        if is_spending {
            self.engine().require_unspent(principal).map_err(|reason| self.spent(principal, reason))?;
        }
        match self.asked.as_slice() {
            [asked] if asked.parts.is_empty() => {
                let decided = self.engine().decide(principal, &self.request(&asked.endpoint)).await;
                self.charge = decided.charge.clone();
                let outcome = outcome(&decided.decision).ok_or_else(|| self.denied(0, &decided))?;
                self.asked[0].outcome = outcome;
            }
            _ => {
                let decisions = self.engine().decide_all(principal, &self.asked(), self.at).await;
                let decisions = decisions.map_err(|denying| {
                    let place = self.call_at(denying.place);
                    self.charge = denying.decided.charge.clone();
                    self.denied(place, &denying.decided)
                })?;
                let mut outcomes = decisions.iter().filter_map(outcome);
                for asked in &mut self.asked {
                    let own = outcomes.by_ref().take(1 + asked.parts.len());
                    // A policy in shadow mode denies a call for what it names beside its endpoint, too.
                    let denied = own.filter(|outcome| *outcome != usage::Outcome::Allowed);
                    asked.outcome = denied.last().unwrap_or(usage::Outcome::Allowed);
                }
            }
        }
        if is_spending {
            self.engine().spend(principal).await.map_err(|reason| self.spent(principal, reason))?;
        }
        self.is_admitted = true;
        Ok(())
    }

    /// The place of the call to which what was judged at `judged` belongs. What it was denied for is what it is known by from
    /// then on.
    fn call_at(&mut self, judged: usize) -> usize {
        let mut first = 0;
        for (place, asked) in self.asked.iter_mut().enumerate() {
            let next = first + 1 + asked.parts.len();
            if judged < next {
                if let Some(part) = judged.checked_sub(first + 1) {
                    asked.endpoint = asked.parts.swap_remove(part);
                }
                return place;
            }
            first = next;
        }
        0
    }

    /// Where MCP is.
    pub fn way_to_mcp(&self) -> String {
        format!("MCP is served at {}", place::path(&self.shared.settings))
    }

    /// What is asked for, as it may be shown.
    pub fn shown(&self) -> String {
        self.asked.first().map_or_else(String::new, |asked| excerpt(&asked.endpoint.shown()))
    }

    /// The call went through to the upstream and an answer began.
    pub fn answered(&mut self) {
        self.record(None);
    }

    /// The call was refused, by us or for want of the upstream.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.record(Some(refusal));
    }

    fn record(&mut self, refusal: Option<&Refusal>) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let (refused, why) = (refusal.map(Refusal::outcome), refusal.and_then(Refusal::why));
        for Asked { endpoint, outcome, .. } in &self.asked {
            let judged = self.principal.as_deref().map(|principal| Judged {
                principal,
                endpoint,
                charge: self.charge.as_ref(),
            });
            self.record_one(&endpoint.shown(), refused.unwrap_or(*outcome), judged, why);
        }
        if self.asked.is_empty() {
            self.record_one("-", refused.unwrap_or(usage::Outcome::Allowed), None, why);
        }
    }

    fn record_one(
        &self,
        endpoint: &str,
        outcome: usage::Outcome,
        judged: Option<Judged<'_>>,
        why: Option<&str>,
    ) {
        let identity =
            self.principal.as_ref().map(|principal| &principal.identity).or(self.identity.as_ref());
        self.shared.engine.record(&Seen {
            credential: self.credential,
            issuer: identity.map(|identity| identity.issuer_name()),
            subject: identity.map(|identity| identity.subject.as_str()),
            endpoint,
            address: self.address,
            outcome,
            request_id: self.request_id.as_str(),
            at: self.at,
            judged,
            why,
        });
    }
}

/// What is recorded of a call that is let through; `None` of one that is not.
fn outcome(decision: &Decision) -> Option<usage::Outcome> {
    let shadowed = decision.shadowed.map_or(usage::Outcome::Allowed, usage::Outcome::Shadowed);
    decision.is_allowed().then_some(shadowed)
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // The client went away before the answer began: what was admitted is counted, the rest was never judged.
        if self.is_admitted {
            self.record(None);
        }
    }
}
