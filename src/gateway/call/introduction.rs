//! How the gateway tells the upstream who asks: the `X-Portcullis-*` fields.
//!
//! A client that is busy is introduced with the same fields each time; one thread keeps those that it made last.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::domain::credential::CredentialId;
use crate::domain::decision::Principal;
use crate::domain::identity::Identity;
use crate::domain::name::ScopeName;

use crate::gateway::wire::Lines;

/// Whose word it is; not told where it is this home's own.
pub const ISSUER: HeaderName = HeaderName::from_static("x-portcullis-issuer");
pub const SUBJECT: HeaderName = HeaderName::from_static("x-portcullis-subject");
pub const CREDENTIAL: HeaderName = HeaderName::from_static("x-portcullis-credential");
pub const SCOPES: HeaderName = HeaderName::from_static("x-portcullis-scopes");

/// Percent-encoding that can be undone without guessing: everything but visible ASCII, and the percent sign itself.
const NOT_VISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Introductions that a thread keeps.
const KEPT: usize = 1024;

/// A principal's fields.
#[derive(Clone, Debug)]
pub struct Introduction {
    identity: Identity,
    scopes: Arc<[ScopeName]>,
    fields: Vec<(HeaderName, HeaderValue)>,
    lines: Lines,
}

impl Introduction {
    fn new(principal: &Principal) -> Self {
        let scopes: Vec<&str> = principal.scopes.iter().map(|scope| scope.as_str()).collect();
        let Identity { issuer, subject } = &principal.identity;
        let issuer = issuer.as_ref().map(|issuer| (ISSUER, issuer.to_string()));
        let texts = issuer.into_iter().chain([
            (SUBJECT, utf8_percent_encode(subject.as_str(), NOT_VISIBLE).to_string()),
            (CREDENTIAL, principal.credential.to_string()),
            (SCOPES, scopes.join(" ")),
        ]);
        // Visible ASCII by their making; one that were not is left out rather than mangled.
        let fields = texts.filter_map(|(name, text)| Some((name, text.try_into().ok()?)));
        let fields: Vec<(HeaderName, HeaderValue)> = fields.collect();
        Self {
            identity: principal.identity.clone(),
            scopes: principal.scopes.clone(),
            lines: fields.iter().map(|(name, value)| (name, value)).collect(),
            fields,
        }
    }

    /// Whether it still says of its credential what is so.
    fn is_of(&self, principal: &Principal) -> bool {
        Arc::ptr_eq(&self.scopes, &principal.scopes) && self.identity == principal.identity
    }

    /// For a map of fields.
    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        &self.fields
    }

    /// The same as they are written in a head.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }
}

/// The introductions that one thread has made.
#[derive(Debug, Default)]
pub struct Introductions(RefCell<HashMap<CredentialId, Introduction, foldhash::fast::RandomState>>);

impl Introductions {
    /// Tells who asks.
    pub fn introduce(&self, principal: &Principal, tell: impl FnOnce(&Introduction)) {
        let mut kept = self.0.borrow_mut();
        match kept.get(&principal.credential).filter(|kept| kept.is_of(principal)) {
            Some(introduction) => tell(introduction),
            None => {
                let introduction = Introduction::new(principal);
                tell(&introduction);
                if kept.len() >= KEPT {
                    kept.clear();
                }
                kept.insert(principal.credential, introduction);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::KeyId;
    use crate::gateway::testing;
    use http::HeaderMap;

    fn introduced(introductions: &Introductions, principal: &Principal) -> HeaderMap {
        let mut fields = HeaderMap::new();
        introductions
            .introduce(principal, |introduction| fields.extend(introduction.fields().iter().cloned()));
        fields
    }

    #[test]
    fn what_has_changed_of_a_credential_is_said_at_once() {
        let introductions = Introductions::default();
        let id = CredentialId::ApiKey(KeyId::generate().unwrap());
        let mut principal = testing::principal("alice", id);
        for _ in 0..2 {
            let fields = introduced(&introductions, &principal);
            assert_eq!(fields[SUBJECT], "alice");
            assert!(!fields.contains_key(ISSUER), "by our own word");
            assert_eq!(fields[CREDENTIAL], id.to_string());
            assert_eq!(fields[SCOPES], "tools:list tools:call");
        }
        principal.scopes = principal.scopes[..1].into();
        assert_eq!(introduced(&introductions, &principal)[SCOPES], "tools:list");
        principal.identity.subject = "bob".parse().unwrap();
        assert_eq!(introduced(&introductions, &principal)[SUBJECT], "bob");
        principal.identity.issuer = Some("partner".parse().unwrap());
        assert_eq!(introduced(&introductions, &principal)[ISSUER], "partner");
    }

    #[test]
    fn many_clients_are_each_introduced_as_themselves() {
        let introductions = Introductions::default();
        let clients: Vec<_> = (0..2 * KEPT)
            .map(|number| {
                let id = CredentialId::ApiKey(KeyId::generate().unwrap());
                testing::principal(&format!("client {number}"), id)
            })
            .collect();
        for (number, client) in clients.iter().enumerate().chain(clients.iter().enumerate()) {
            assert_eq!(introduced(&introductions, client)[SUBJECT], format!("client%20{number}"));
        }
        assert!(introductions.0.borrow().len() <= KEPT);
    }
}
