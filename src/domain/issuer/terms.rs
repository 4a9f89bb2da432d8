//! What of an issuer can be changed while it is registered, and what falls with a change.

use serde::{Deserialize, Serialize};

use super::{Issuer, Mapping, Source, several};
use crate::domain::jose::Algorithm;
use crate::domain::name::PolicyName;
use crate::domain::token::Profile;

/// What of an issuer can be changed, but for its keys. What its subjects and tokens are known by (its name here, and its
/// `iss`) stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerTerms {
    pub profile: Profile,
    /// Where its metadata is; `None` where its keys are given by hand.
    pub url: Option<String>,
    /// Hosts that may be at private addresses.
    pub allow_private: Vec<String>,
    #[serde(rename = "audience", with = "several")]
    pub audiences: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    pub policy: PolicyName,
    pub mapping: Mapping,
}

impl Issuer {
    /// `source`: from where its keys are fetched.
    pub fn terms(&self, source: Option<&Source>) -> IssuerTerms {
        IssuerTerms {
            profile: self.profile,
            url: self.url.clone(),
            allow_private: source.map(|source| source.allow_private.clone()).unwrap_or_default(),
            audiences: self.audiences.clone(),
            algorithms: self.algorithms.clone(),
            policy: self.policy.clone(),
            mapping: self.mapping.clone(),
        }
    }
}

impl IssuerTerms {
    /// What falls of the issuer's tokens where these terms follow on `before`, each in a sentence: what was taken and is
    /// refused, or means less.
    pub fn falls(&self, before: &Self) -> Vec<String> {
        let mut falls = Vec::new();
        let mut add = |is_so: bool, told: String| falls.extend(is_so.then_some(told));
        // Whatever fits RFC 9068 fits what identity providers issue.
        let is_wider = (before.profile, self.profile) == (Profile::AtJwt, Profile::Oidc);
        add(
            self.profile != before.profile && !is_wider,
            format!("tokens that are not of the {} profile are refused", self.profile),
        );
        for gone in before.algorithms.iter().filter(|one| !self.algorithms.contains(one)) {
            add(true, format!("tokens signed with {gone} are refused"));
        }
        match (before.audiences.as_slice(), self.audiences.as_slice()) {
            ([], []) => {}
            ([], _) => add(true, "tokens that are for this home alone are refused".into()),
            (gone, _) => {
                for gone in gone.iter().filter(|one| !self.audiences.contains(one)) {
                    add(true, format!("tokens that are for `{gone}` alone are refused"));
                }
            }
        }
        add(
            self.policy != before.policy,
            format!("its tokens are under policy {}, and what they spend is counted anew", self.policy),
        );
        falls.extend(self.mapping.falls(&before.mapping));
        falls
    }
}

impl Mapping {
    fn falls(&self, before: &Self) -> Vec<String> {
        let mut falls = Vec::new();
        let mut add = |is_so: bool, told: String| falls.extend(is_so.then_some(told));
        let aud = |mapping: &Self| mapping.audience.clone().unwrap_or_else(|| "aud".into());
        add(
            self.audience != before.audience,
            format!("`{}` no longer says whom a token is for, but `{}` does", aud(before), aud(self)),
        );
        let is_renamed = self.subject != before.subject;
        add(
            is_renamed || self.subject_prefix != before.subject_prefix,
            "its subjects are called otherwise here: their sessions end, and what they spend is counted anew"
                .into(),
        );
        add(
            is_renamed,
            format!(
                "who was revoked as a subject by what `{}` says is taken again: revoke them by what `{}` says (portcullis \
                 token revoke --subject)",
                before.subject, self.subject
            ),
        );
        for gone in before.scopes.iter().filter(|claim| !self.scopes.contains(claim)) {
            add(true, format!("what stands in `{gone}` gives no scope"));
        }
        for (theirs, ours) in
            before.rename.iter().filter(|(theirs, ours)| self.rename.get(*theirs) != Some(*ours))
        {
            add(true, format!("`{theirs}` does not mean {ours} any more"));
        }
        add(
            self.prefix != before.prefix && !self.prefix.is_empty(),
            format!("scopes that do not begin with `{}` count for nothing", self.prefix),
        );
        add(self.only_mapped && !before.only_mapped, "scopes that are not mapped count for nothing".into());
        falls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(change: impl FnOnce(&mut IssuerTerms)) -> IssuerTerms {
        let mapping = Mapping {
            scopes: vec!["scope".into(), "roles".into()],
            rename: [("reader".to_owned(), "mcp:read".parse().unwrap())].into(),
            ..Mapping::default()
        };
        let mut terms = IssuerTerms {
            profile: Profile::Oidc,
            url: None,
            allow_private: Vec::new(),
            audiences: vec!["a".into(), "b".into()],
            algorithms: vec![Algorithm::EdDsa, Algorithm::Rs256],
            policy: PolicyName::default(),
            mapping,
        };
        change(&mut terms);
        terms
    }

    #[test]
    fn what_is_narrower_falls_and_what_is_wider_does_not() {
        let before = terms(|_| ());
        assert_eq!(before.falls(&before), [""; 0]);
        type Change = fn(&mut IssuerTerms);
        let changes: [(Change, &str); 12] = [
            (|terms| terms.profile = Profile::AtJwt, "not of the at-jwt profile"),
            (|terms| terms.algorithms = vec![Algorithm::EdDsa], "signed with RS256"),
            (|terms| terms.audiences = vec!["b".into()], "for `a` alone"),
            (|terms| terms.policy = "strict".parse().unwrap(), "under policy strict"),
            (|terms| terms.mapping.audience = Some("azp".into()), "`aud` no longer says"),
            (|terms| terms.mapping.subject_prefix = "corp/".into(), "called otherwise"),
            (|terms| terms.mapping.scopes = vec!["roles".into()], "`scope` gives no scope"),
            (|terms| terms.mapping.rename.clear(), "`reader` does not mean mcp:read"),
            (
                |terms| _ = terms.mapping.rename.insert("reader".into(), "mcp:use".parse().unwrap()),
                "`reader` does not mean mcp:read",
            ),
            (|terms| terms.mapping.prefix = "gate/".into(), "do not begin with `gate/`"),
            (|terms| terms.mapping.only_mapped = true, "not mapped"),
            (|terms| terms.audiences.clear(), "for `b` alone"),
        ];
        for (change, told) in changes {
            let falls = terms(change).falls(&before);
            assert!(falls.iter().any(|fall| fall.contains(told)), "{told}: {falls:?}");
        }
        let renamed = terms(|terms| terms.mapping.subject = "email".into()).falls(&before);
        assert!(renamed.len() == 2 && renamed[1].contains("by what `email` says"), "{renamed:?}");
        let wider: [(Change, Change); 5] = [
            (|_| (), |terms| terms.audiences.push("c".into())),
            (|_| (), |terms| terms.algorithms.push(Algorithm::Es256)),
            (|_| (), |terms| terms.mapping.scopes.push("groups".into())),
            (|_| (), |terms| _ = terms.mapping.rename.insert("admin".into(), "mcp:use".parse().unwrap())),
            (|terms| terms.profile = Profile::AtJwt, |terms| terms.profile = Profile::Oidc),
        ];
        for (before, after) in wider {
            assert_eq!(terms(after).falls(&terms(before)), [""; 0]);
        }
    }
}
