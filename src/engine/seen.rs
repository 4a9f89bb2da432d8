//! One call as it was seen, and what was compared with what.

use crate::domain::{
    clock::Timestamp,
    credential::CredentialId,
    decision::{self, Principal, Reason, Request},
    endpoint::Endpoint,
    leak,
    quota::Charge,
    text::visible,
    usage::Outcome,
};
use std::net::IpAddr;

/// One call as it was seen, for the counters.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The credential that was presented, whether it proved itself or not.
    pub credential: Option<CredentialId>,
    /// Who vouches for the subject: the name of a registered issuer; `None` where it is the home, or nobody.
    pub issuer: Option<&'a str>,
    /// Whom it speaks for; `None` where it did not prove itself.
    pub subject: Option<&'a str>,
    pub endpoint: &'a str,
    pub address: Option<IpAddr>,
    pub outcome: Outcome,
    pub request_id: &'a str,
    pub at: Timestamp,
    /// By what it was judged, where it was.
    pub judged: Option<Judged<'a>>,
    /// Why it was denied, where that was for another reason: the check that failed, and what it compared with what.
    pub why: Option<&'a str>,
}

/// What a call was judged by, so that the event of a denial can say what was compared with what.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    pub principal: &'a Principal,
    pub endpoint: &'a Endpoint,
    /// What the charge came to, where it was asked.
    pub charge: Option<&'a Charge>,
}

impl Seen<'_> {
    /// The request's id, and why it was denied: whatever callers had a say in is without credentials, and harmless.
    pub(super) fn detail(&self, reason: Reason) -> String {
        let why = self.judged.and_then(|Judged { principal, endpoint, charge }| {
            let request = Request { endpoint: endpoint.clone(), address: self.address, at: self.at };
            decision::why(principal, &request, reason, charge)
        });
        match why.as_deref().or(self.why) {
            Some(why) => format!("{}; {}", self.request_id, visible(&leak::redacted(why))),
            None => self.request_id.to_owned(),
        }
    }
}
