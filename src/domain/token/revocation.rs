//! What was taken back before it ended by itself.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::{Claims, Parent, TokenId};
use crate::domain::clock::Timestamp;
use crate::domain::name::{IssuerName, Subject};

/// Whose tokens a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Whoever issued them.
    Anyone,
    /// This home.
    Home,
    Issuer(IssuerName),
}

impl Whose {
    fn includes(&self, issuer: Option<&IssuerName>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Home => issuer.is_none(),
            Self::Issuer(name) => issuer == Some(name),
        }
    }
}

/// One act of taking back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revocation {
    Token(TokenId),
    /// All tokens of a subject that were issued up to a moment, that moment included.
    Subject {
        whose: Whose,
        subject: Subject,
        until: Timestamp,
    },
    /// All that a key signed.
    Key {
        whose: Whose,
        kid: String,
    },
    /// All that was issued before a moment.
    IssuedBefore {
        whose: Whose,
        moment: Timestamp,
    },
}

/// Why a token is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    Token,
    Subject,
    Key,
    IssuedBefore,
    /// What it was narrowed from is revoked, or its key is gone.
    Parent,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Token => "this token was revoked",
            Self::Subject => {
                "the tokens of this subject were revoked, up to a moment that is not before this one's issue"
            }
            Self::Key => "everything that this key signed was revoked",
            Self::IssuedBefore => "everything issued before a moment was revoked, and this one was",
            Self::Parent => "a token that this one was narrowed from was revoked",
        })
    }
}

/// All that was taken back, in memory.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    tokens: HashSet<TokenId>,
    subjects: HashMap<Subject, Vec<(Whose, Timestamp)>>,
    keys: HashMap<String, Vec<Whose>>,
    before: Vec<(Whose, Timestamp)>,
}

impl Revocations {
    pub fn add(&mut self, revocation: Revocation) {
        match revocation {
            Revocation::Token(id) => _ = self.tokens.insert(id),
            Revocation::Subject { whose, subject, until } => {
                latest(self.subjects.entry(subject).or_default(), whose, until);
            }
            Revocation::Key { whose, kid } => {
                let known = self.keys.entry(kid).or_default();
                if !known.contains(&whose) {
                    known.push(whose);
                }
            }
            Revocation::IssuedBefore { whose, moment } => latest(&mut self.before, whose, moment),
        }
    }

    /// Takes in all of `others`.
    pub fn merge(&mut self, others: Self) {
        self.tokens.extend(others.tokens);
        for (subject, cuts) in others.subjects {
            cuts.into_iter().for_each(|(whose, until)| {
                self.add(Revocation::Subject { whose, subject: subject.clone(), until });
            });
        }
        for (kid, whose) in others.keys {
            whose.into_iter().for_each(|whose| self.add(Revocation::Key { whose, kid: kid.clone() }));
        }
        others
            .before
            .into_iter()
            .for_each(|(whose, moment)| self.add(Revocation::IssuedBefore { whose, moment }));
    }

    /// Whether and how a token of `issuer` (`None` = this home) that the key `kid` signed was taken back, or one that it
    /// was narrowed from. `bare`: what the issuer itself calls the subject, where that is another name: a revocation may be
    /// from before it was given the prefix.
    pub fn revoked(
        &self,
        claims: &Claims,
        issuer: Option<&IssuerName>,
        bare: Option<&str>,
        kid: &str,
    ) -> Option<Revoked> {
        let subjects = [Some(claims.subject.as_str()), bare];
        let falls = |Parent { jti, kid, issued_at }: &Parent| {
            self.refuses(*jti, subjects, *issued_at, issuer, kid.as_str()).is_some()
        };
        self.refuses(claims.id, subjects, claims.issued_at, issuer, kid)
            .or_else(|| claims.grounds.parents.iter().any(falls).then_some(Revoked::Parent))
    }

    fn refuses(
        &self,
        id: TokenId,
        subjects: [Option<&str>; 2],
        issued: Timestamp,
        issuer: Option<&IssuerName>,
        kid: &str,
    ) -> Option<Revoked> {
        if self.tokens.contains(&id) {
            return Some(Revoked::Token);
        }
        let mut cuts =
            subjects.into_iter().flatten().filter_map(|subject| self.subjects.get(subject)).flatten();
        if cuts.any(|(whose, until)| issued <= *until && whose.includes(issuer)) {
            return Some(Revoked::Subject);
        }
        if self.keys.get(kid).is_some_and(|whose| whose.iter().any(|whose| whose.includes(issuer))) {
            return Some(Revoked::Key);
        }
        let is_before = self.before.iter().any(|(whose, moment)| issued < *moment && whose.includes(issuer));
        is_before.then_some(Revoked::IssuedBefore)
    }
}

impl Extend<Revocation> for Revocations {
    fn extend<I: IntoIterator<Item = Revocation>>(&mut self, revocations: I) {
        revocations.into_iter().for_each(|revocation| self.add(revocation));
    }
}

impl FromIterator<Revocation> for Revocations {
    fn from_iter<I: IntoIterator<Item = Revocation>>(revocations: I) -> Self {
        let mut all = Self::default();
        all.extend(revocations);
        all
    }
}

/// Of two moments for the same issuer the later one counts.
fn latest(cuts: &mut Vec<(Whose, Timestamp)>, whose: Whose, moment: Timestamp) {
    match cuts.iter_mut().find(|(known, _)| *known == whose) {
        Some((_, known)) => *known = moment.max(*known),
        None => cuts.push((whose, moment)),
    }
}
