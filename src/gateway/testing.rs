//! What the gateway's tests have in common.

use std::sync::Arc;

use http::{Method, uri::PathAndQuery};

use super::upstream::RequestHead;
use crate::domain::credential::CredentialId;
use crate::domain::decision::{Account, Principal};
use crate::domain::identity::Identity;
use crate::domain::name::{PolicyName, ScopeName};
use crate::domain::policy::{CompiledPolicy, Policy};
use crate::domain::scope::Catalogue;

/// A principal under a policy without limits, which may list and call tools.
pub fn principal(subject: &str, credential: CredentialId) -> Principal {
    let scopes: Vec<ScopeName> = ["tools:list", "tools:call"].map(|name| name.parse().unwrap()).into();
    let catalogue = Catalogue::new(Catalogue::built_in()).unwrap();
    Principal {
        credential,
        identity: Identity::own(subject.parse().unwrap()),
        covered: Arc::new(catalogue.compile(&scopes)),
        scopes: scopes.into(),
        policy: CompiledPolicy::new(Policy::new(PolicyName::default()), 1).unwrap(),
        bound: None,
        account: match credential {
            CredentialId::ApiKey(id) => Account::ApiKey(id),
            CredentialId::Token(_) => Account::Tokens(format!("tokens:default:{subject}").into()),
        },
        expires_at: None,
        proof: None,
    }
}

/// The beginning of a request to the upstream.
pub fn request_head() -> RequestHead {
    RequestHead::new(&Method::GET, &PathAndQuery::from_static("/"))
}
