//! How an issuer names its claims.

use crate::domain::name::Subject;

/// Which claims hold the subject, the scopes and the audience; issuers differ. See [`find_claim`](super::find_claim) for how they are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub subject: String,
    /// Each a text of scopes between spaces, a list of them, or an object that has them for names; all of them count.
    pub scopes: Vec<String>,
    /// What stands for the audience in the place of `aud`; `None` = nothing does.
    pub audience: Option<String>,
    /// What is put before each subject here; empty = nothing.
    pub prefix: String,
}

impl ClaimNames {
    /// Whether a subject of this name can only be the issuer's.
    pub fn is_for_it_alone(&self, subject: &Subject) -> bool {
        !self.prefix.is_empty() && subject.as_str().starts_with(&self.prefix)
    }

    /// What the issuer itself calls a subject, where that is not what it is called here.
    pub fn bare<'a>(&self, subject: &'a Subject) -> Option<&'a str> {
        subject.as_str().strip_prefix(&self.prefix).filter(|_| !self.prefix.is_empty())
    }
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { subject: "sub".into(), scopes: vec!["scope".into()], audience: None, prefix: String::new() }
    }
}
