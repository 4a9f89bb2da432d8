//! Issuers: whose tokens are taken besides our own, and what their claims mean here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::Timestamp;
use super::jose::Algorithm;
use super::name::{IssuerName, PolicyName, ScopeName};
use super::token::Profile;

/// What an issuer's claims mean here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The claim that names the subject.
    pub subject: String,
    /// The claim that holds the scopes, as a string or an array.
    pub scopes: String,
    /// What stands before each scope of ours in the issuer's; it is cut off.
    pub prefix: String,
    /// The issuer's names of scopes, and ours. Those that are not named keep their own.
    pub rename: BTreeMap<String, ScopeName>,
}

impl Default for Mapping {
    /// `sub` and `scope`, taken as they are.
    fn default() -> Self {
        Self { subject: "sub".into(), scopes: "scope".into(), prefix: String::new(), rename: BTreeMap::new() }
    }
}

/// A registered issuer. The secret of one that signs with HS256 is kept in the vault, not here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Issuer {
    pub name: IssuerName,
    pub profile: Profile,
    /// The `iss` of its tokens; `None` where they carry none, which one legacy issuer may do.
    pub iss: Option<String>,
    /// Where its metadata is found; `None` where its keys are pinned by hand.
    pub url: Option<String>,
    /// The audience that its tokens must be for; `None` = this home's own.
    pub audience: Option<String>,
    /// What its keys may sign with.
    pub algorithms: Vec<Algorithm>,
    pub mapping: Mapping,
    /// The policy that its tokens are under.
    pub policy: PolicyName,
    /// Its public keys as a JWK set (RFC 7517 §5).
    pub keys: Value,
    pub created_at: Timestamp,
    /// When its keys were last had.
    pub fetched_at: Option<Timestamp>,
    /// Why they could not be had since; empty where they could.
    pub last_error: String,
}
