//! Who calls, always by whose word; and who this home is to those who read its tokens: its names as an issuer and as an
//! audience.

use std::borrow::Cow;

use serde::Serialize;
use url::Url;

use super::name::{IssuerName, Subject};

/// For whom a credential speaks. A subject alone tells nobody apart: each issuer has its own `alice`. Whatever goes by
/// caller (quota, sessions, exchange, usage, events, what the server is told) goes by this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Identity {
    /// By whose word; `None` = this home's own.
    pub issuer: Option<IssuerName>,
    pub subject: Subject,
}

impl Identity {
    /// A subject of this home.
    pub const fn own(subject: Subject) -> Self {
        Self { issuer: None, subject }
    }

    /// The issuer's name as tables have it: empty for this home.
    pub fn issuer_name(&self) -> &str {
        self.issuer.as_ref().map_or("", IssuerName::as_str)
    }
}

/// A subject as people read it: after the name of its issuer, which is empty where it is the home.
pub fn called<'a>(issuer: &str, subject: &'a str) -> Cow<'a, str> {
    match issuer {
        "" => subject.into(),
        issuer => format!("{issuer}: {subject}").into(),
    }
}

/// The names of this home. It goes by two: one that it was born with, and, once it is known, one made of its public URL;
/// what was issued under either is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeNames {
    urn: String,
    resource: Option<Url>,
}

impl HomeNames {
    /// `store_id` as the store was made with it; `resource`, the gateway's public MCP URL, where one was set.
    pub fn new(store_id: &str, resource: Option<Url>) -> Self {
        Self { urn: format!("urn:portcullis:{store_id}"), resource }
    }

    /// `iss` of what is issued: the origin of the public URL (RFC 8414 §2), else the name it was born with.
    pub fn issuer(&self) -> String {
        self.origin().unwrap_or_else(|| self.urn.clone())
    }

    /// The audience of what is issued where none is named: the public URL itself (RFC 8707 §2), else the name it was born
    /// with.
    pub fn audience(&self) -> String {
        self.resource.as_ref().map_or_else(|| self.urn.clone(), Url::to_string)
    }

    /// Every `iss` that means this home.
    pub fn issuers(&self) -> Vec<String> {
        self.origin().into_iter().chain([self.urn.clone()]).collect()
    }

    /// Every audience that means this home.
    pub fn audiences(&self) -> Vec<String> {
        self.resource.iter().map(Url::to_string).chain([self.urn.clone()]).collect()
    }

    pub fn resource(&self) -> Option<&Url> {
        self.resource.as_ref()
    }

    fn origin(&self) -> Option<String> {
        self.resource.as_ref().map(|url| url.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_goes_by_its_public_url_once_it_is_known() {
        let born = HomeNames::new("7", None);
        assert_eq!((born.issuer(), born.audience()), ("urn:portcullis:7".into(), "urn:portcullis:7".into()));
        let url = Url::parse("https://mcp.example.org:8443/mcp").unwrap();
        let known = HomeNames::new("7", Some(url));
        assert_eq!(known.issuer(), "https://mcp.example.org:8443");
        assert_eq!(known.audience(), "https://mcp.example.org:8443/mcp");
    }

    #[test]
    fn what_was_issued_before_the_url_was_known_is_still_its_own() {
        let known = HomeNames::new("7", Some(Url::parse("https://mcp.example.org/mcp").unwrap()));
        assert_eq!(known.issuers(), ["https://mcp.example.org", "urn:portcullis:7"]);
        assert_eq!(known.audiences(), ["https://mcp.example.org/mcp", "urn:portcullis:7"]);
        assert!(!known.audiences().contains(&"urn:portcullis:8".into()));
    }
}
