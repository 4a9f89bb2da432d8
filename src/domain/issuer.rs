//! Issuers: whose tokens are taken besides our own, and what their claims mean here.

mod keys;
mod metadata;
mod preset;
mod review;
mod several;
mod source;
mod standing;
mod terms;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::Timestamp;
use super::jose::Algorithm;
use super::name::{IssuerName, PolicyName, ScopeName, Subject};
use super::token::Profile;

pub use keys::{BadKeys, IssuerKeys, PublishedKey};
pub use metadata::{BadMetadata, Metadata, locations};
pub use preset::{NoPreset, Preset};
pub use review::{Finding, review};
pub use source::Source;
pub use standing::IssuerState;
pub use terms::IssuerTerms;

/// What an issuer's claims mean here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The preset that it was begun from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// The claim that names the subject. Claims are named as [`find_claim`](super::token::find_claim) has it.
    pub subject: String,
    /// What stands here before each subject of the issuer, so that no server takes one for a subject of this home.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject_prefix: String,
    /// The claims that hold the scopes, groups or roles, in any form; all of them count.
    #[serde(with = "several")]
    pub scopes: Vec<String>,
    /// The claim that stands for the audience in the place of `aud`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What stands before each scope of ours in the issuer's; it is cut off.
    pub prefix: String,
    /// The issuer's names of scopes, and ours. Those that are not named keep their own.
    pub rename: BTreeMap<String, ScopeName>,
    /// Whether those that are not named count for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_mapped: bool,
}

impl Default for Mapping {
    /// `sub` and `scope`, taken as they are.
    fn default() -> Self {
        Self {
            like: None,
            subject: "sub".into(),
            subject_prefix: String::new(),
            scopes: vec!["scope".into()],
            audience: None,
            prefix: String::new(),
            rename: BTreeMap::new(),
            only_mapped: false,
        }
    }
}

impl Mapping {
    /// Whether a subject of this name can only be the issuer's.
    pub fn is_for_it_alone(&self, subject: &Subject) -> bool {
        !self.subject_prefix.is_empty() && subject.as_str().starts_with(&self.subject_prefix)
    }

    /// What an issuer's scopes are called here. Those that stand for none of ours are left out, and those that are
    /// `reserved` unless they are renamed to: no issuer gives those by its own word.
    pub fn scopes_here(&self, scopes: &[String], reserved: impl Fn(&ScopeName) -> bool) -> Vec<ScopeName> {
        let here = |scope: &String| match self.rename.get(scope) {
            Some(name) => Some(name.clone()),
            None if self.only_mapped => None,
            None => scope.strip_prefix(&self.prefix)?.parse().ok().filter(|name| !reserved(name)),
        };
        scopes.iter().filter_map(here).collect()
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
    /// The audiences of which its tokens must be for one; none = this home's own.
    #[serde(rename = "audience", with = "several")]
    pub audiences: Vec<String>,
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

impl Issuer {
    /// The audiences as they are written: none as `null`, one as a text, several as a list.
    pub fn audience(&self) -> Value {
        // Texts can always be written.
        several::serialize(&self.audiences, serde_json::value::Serializer).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuers_scopes_are_called_what_they_are_here() {
        let here = |mapping: &Mapping, scopes: &[&str]| {
            let scopes: Vec<_> = scopes.iter().map(|&scope| scope.to_owned()).collect();
            mapping
                .scopes_here(&scopes, |scope| scope.as_str() == "mcp:*")
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(here(&Mapping::default(), &["tools:list", "?"]), ["tools:list"]);
        let rename = [("reader".to_owned(), "mcp:read".parse().unwrap())].into();
        let mapping = Mapping { prefix: "api://gate/".into(), rename, ..Mapping::default() };
        let scopes = ["reader", "api://gate/tools:call", "tools:list", "api://other/tools:list"];
        assert_eq!(here(&mapping, &scopes), ["mcp:read", "tools:call"], "what has no prefix is not for us");
        assert!(here(&mapping, &["api://gate/mcp:*", "mcp:*"]).is_empty(), "by its own word");
        let rename = [("admin".to_owned(), "mcp:*".parse().unwrap())].into();
        let mapping = Mapping { rename, ..mapping };
        assert_eq!(here(&mapping, &["admin"]), ["mcp:*"], "an operator has said so");
        let mapping = Mapping { only_mapped: true, ..mapping };
        assert_eq!(here(&mapping, &["admin", "api://gate/tools:call"]), ["mcp:*"], "no other name counts");
    }

    #[test]
    fn a_mapping_of_before_is_read_and_written_as_it_stood() {
        let old = r#"{"subject":"email","subject_prefix":"corp/","scopes":"scp","prefix":"x/","rename":{"a":"mcp:read"}}"#;
        let read: Mapping = serde_json::from_str(old).unwrap();
        assert_eq!(
            (read.scopes.as_slice(), read.audience.as_deref(), read.only_mapped),
            (&["scp".to_owned()][..], None, false)
        );
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
        let several = Mapping { scopes: vec!["scp".into(), "roles".into()], ..read };
        let text = serde_json::to_string(&several).unwrap();
        assert!(text.contains(r#""scopes":["scp","roles"]"#), "{text}");
        assert_eq!(serde_json::from_str::<Mapping>(&text).unwrap(), several);
        for wrong in ["7", "[7]", "{}"] {
            assert!(serde_json::from_str::<Mapping>(&old.replace("\"scp\"", wrong)).is_err(), "{wrong}");
        }
    }
}
