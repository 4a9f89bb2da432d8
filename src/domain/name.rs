//! The short texts by which people name things: subjects, scopes, policies, signing keys, issuers.
//!
//! Each is a type of its own that cannot hold a wrong value, so that no room re-checks it and
//! nobody passes a subject where a policy was meant.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a name of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a {kind} cannot be empty")]
    Empty { kind: &'static str },
    #[error("a {kind} has at most {most} characters; this one has {found}")]
    TooLong { kind: &'static str, most: usize, found: usize },
    #[error("a {kind} cannot begin or end with a space")]
    OuterSpace { kind: &'static str },
    #[error("`{character}` cannot stand in a {kind}; use {allowed}")]
    Character { kind: &'static str, character: String, allowed: &'static str },
}

struct Rule {
    kind: &'static str,
    most: usize,
    allowed: &'static str,
    test: fn(char) -> bool,
}

fn check(rule: &Rule, text: &str) -> Result<(), BadName> {
    let kind = rule.kind;
    if text.is_empty() {
        return Err(BadName::Empty { kind });
    }
    let found = text.chars().count();
    if found > rule.most {
        return Err(BadName::TooLong { kind, most: rule.most, found });
    }
    if text.trim() != text {
        return Err(BadName::OuterSpace { kind });
    }
    match text.chars().find(|&c| !(rule.test)(c)) {
        Some(c) => Err(BadName::Character {
            kind,
            character: super::text::visible(&c.to_string()).into_owned(),
            allowed: rule.allowed,
        }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$meta:meta])* $type:ident, $rule:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                const RULE: Rule = $rule;
                check(&RULE, text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// Whom a credential speaks for (the source document's `user_id`): 1–320 printable characters, no spaces at the ends:
    /// the 255 that an identity provider may choose (OpenID Connect Core §2), with room for the prefix of one. Foreign text:
    /// show it through [`super::text::visible`].
    Subject,
    Rule { kind: "subject", most: 320, allowed: "printable characters", test: |c| !super::text::is_deceptive(c) }
);

name!(
    /// The name of a scope: 1–64 of `A–Z a–z 0–9 : . _ - * /`. Whether it exists is the
    /// [`super::scope::Catalogue`]'s to say.
    ScopeName,
    Rule { kind: "scope", most: 64, allowed: "letters, digits and : . _ - * /", test: |c| c.is_ascii_alphanumeric() || ":._-*/".contains(c) }
);

name!(
    /// The name of a policy: 1–64 of `A–Z a–z 0–9 . _ -`.
    PolicyName,
    Rule { kind: "policy name", most: 64, allowed: "letters, digits and . _ -", test: |c| c.is_ascii_alphanumeric() || "._-".contains(c) }
);

name!(
    /// The id of a key that signs tokens (RFC 7515 §4.1.4): 1–64 of `A–Z a–z 0–9 . _ ~ -`. It is looked up, never used as
    /// a path or a query.
    Kid,
    Rule { kind: "key id (kid)", most: 64, allowed: "letters, digits and . _ ~ -", test: |c| c.is_ascii_alphanumeric() || "._~-".contains(c) }
);

name!(
    /// The name under which an external issuer of tokens is registered: 1–64 of `A–Z a–z 0–9 . _ -`.
    IssuerName,
    Rule { kind: "issuer name", most: 64, allowed: "letters, digits and . _ -", test: |c| c.is_ascii_alphanumeric() || "._-".contains(c) }
);

impl Default for PolicyName {
    /// The policy of every credential that was given no other.
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_what_their_kind_allows() {
        for subject in ["ana", "ci bot", "ana@example.org", "名前", &"é".repeat(320)] {
            assert_eq!(subject.parse::<Subject>().unwrap().as_str(), subject);
        }
        for scope in ["mcp:*", "tools:call/search_docs", "A.b-9"] {
            assert_eq!(scope.parse::<ScopeName>().unwrap().as_str(), scope);
        }
        assert!("read-only.v2_x".parse::<PolicyName>().is_ok());
        assert!("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".parse::<Kid>().is_ok());
        assert!("2026~a.b".parse::<Kid>().is_ok() && "corp.idp".parse::<IssuerName>().is_ok());
    }

    #[test]
    fn near_misses_are_refused() {
        for subject in
            ["", " ana", "ana ", "ana\u{3000}", "a\nb", "a\u{202E}b", "a\u{200B}b", &"é".repeat(321)]
        {
            assert!(subject.parse::<Subject>().is_err(), "{subject:?}");
        }
        for scope in ["", "two words", "mcp:é", " mcp:*", &"a".repeat(65)] {
            assert!(scope.parse::<ScopeName>().is_err(), "{scope:?}");
        }
        for policy in ["", "a b", "a:b", "a/b", "default\n"] {
            assert!(policy.parse::<PolicyName>().is_err(), "{policy:?}");
            assert!(policy.parse::<IssuerName>().is_err(), "{policy:?}");
        }
        for kid in ["", "../../etc/passwd", "a b", "a' OR 1=1", "a/b", "é", &"k".repeat(65)] {
            assert!(kid.parse::<Kid>().is_err(), "{kid:?}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_a_deceptive_character() {
        let error = "a\u{202E}b".parse::<Subject>().unwrap_err().to_string();
        assert!(error.contains("\\u{202e}") && !error.contains('\u{202E}'), "{error}");
    }
}
