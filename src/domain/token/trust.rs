//! Whose tokens are believed, and by which keys.

use crate::domain::clock::Timestamp;
use crate::domain::decision::Reason;
use crate::domain::jose::{Algorithm, Header, VerifyingKey};
use crate::domain::name::{IssuerName, Subject};

use super::{ClaimNames, Profile};

/// A key of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    pub key: VerifyingKey,
    /// The first moment at which it proves nothing any more.
    pub until: Option<Timestamp>,
}

/// Somebody whose tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// `None` is this home itself.
    pub name: Option<IssuerName>,
    pub profile: Profile,
    /// What its tokens have in `iss`, compared letter by letter (RFC 8414 §3.3); empty where they have none.
    pub iss: Vec<String>,
    /// What its tokens have to be for; empty = what is asked of all.
    pub audiences: Vec<String>,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    pub names: ClaimNames,
    pub keys: Vec<TrustedKey>,
}

/// Why issuers cannot be believed side by side. Safe to show but for the names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTrust {
    #[error("two issuers have the same `iss`, so that each could speak for the other")]
    SharedName,
    #[error("only an issuer of the legacy profile, and only one, may have tokens without `iss`")]
    Nameless,
    #[error("an issuer has two keys of one `kid` for one algorithm")]
    SharedKid,
}

/// All whose tokens are believed, this home first.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    issuers: Vec<TrustedIssuer>,
}

impl Trust {
    /// Those whose tokens are believed; each can be told from the others by what its tokens say.
    ///
    /// # Errors
    /// See [`BadTrust`].
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, BadTrust> {
        for (place, issuer) in issuers.iter().enumerate() {
            let before = &issuers[..place];
            let is_shared = |iss: &String| before.iter().any(|other| other.iss.contains(iss));
            if issuer.iss.iter().any(is_shared) {
                return Err(BadTrust::SharedName);
            }
            let is_second = before.iter().any(|other| other.iss.is_empty());
            if issuer.iss.is_empty() && (issuer.profile != Profile::Legacy || is_second) {
                return Err(BadTrust::Nameless);
            }
            let kids = issuer.keys.iter().map(|trusted| (trusted.key.kid(), trusted.key.algorithm()));
            if kids.clone().enumerate().any(|(place, kid)| kids.clone().take(place).any(|other| other == kid))
            {
                return Err(BadTrust::SharedKid);
            }
        }
        Ok(Self { issuers })
    }

    pub fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    /// The issuer of this `iss`.
    ///
    /// # Errors
    /// [`Reason::WrongIssuer`] where none is registered.
    pub fn issuer(&self, iss: Option<&str>) -> Result<&TrustedIssuer, Reason> {
        let is_it = |issuer: &&TrustedIssuer| match iss {
            Some(iss) => issuer.iss.iter().any(|own| own == iss),
            None => issuer.iss.is_empty(),
        };
        self.issuers.iter().find(is_it).ok_or(Reason::WrongIssuer)
    }

    /// The issuer other than `issuer` for which alone subjects are that begin as this one does.
    pub fn whose_subject(&self, issuer: &TrustedIssuer, subject: &Subject) -> Option<&IssuerName> {
        let is_its =
            |other: &&TrustedIssuer| other.name != issuer.name && other.names.is_for_it_alone(subject);
        self.issuers.iter().find(is_its)?.name.as_ref()
    }
}

impl TrustedIssuer {
    /// The keys of this name that are not over, at most one for each algorithm.
    pub fn live_keys(&self, kid: &str, now: Timestamp) -> impl Iterator<Item = &VerifyingKey> {
        self.live(now).filter(move |key| key.kid() == kid)
    }

    fn live(&self, now: Timestamp) -> impl Iterator<Item = &VerifyingKey> {
        self.keys
            .iter()
            .filter(move |trusted| trusted.until.is_none_or(|end| now < end))
            .map(|trusted| &trusted.key)
    }

    /// The key that a header names, by name and algorithm, else the only one that its algorithm can mean.
    ///
    /// # Errors
    /// [`Reason::UnknownCredential`] where there is none, where it is over, and where a header without `kid` could mean
    /// several; [`Reason::BadSignature`] where the issuer does not sign with this algorithm, or not with this key.
    pub fn key_for(&self, header: &Header, now: Timestamp) -> Result<&VerifyingKey, Reason> {
        if !self.algorithms.contains(&header.alg) {
            return Err(Reason::BadSignature);
        }
        let named = || self.live(now).filter(|key| header.kid.as_ref().is_none_or(|kid| key.kid() == kid));
        let mut meant = named().filter(|key| key.algorithm() == header.alg);
        match (meant.next(), meant.next()) {
            (Some(key), None) => Ok(key),
            (None, _) if header.kid.is_some() && named().next().is_some() => Err(Reason::BadSignature),
            (None, _) if header.kid.is_some() => self.nameless(header, now).ok_or(Reason::UnknownCredential),
            _ => Err(Reason::UnknownCredential),
        }
    }

    /// The only key of a header's algorithm that was had without a name, by hand or in a set, so that whatever a token calls
    /// it says nothing. Of this home each key has one.
    fn nameless(&self, header: &Header, now: Timestamp) -> Option<&VerifyingKey> {
        let is_nameless = |key: &&VerifyingKey| self.name.is_some() && key.kid() == key.thumbprint();
        let mut meant = self.live(now).filter(is_nameless).filter(|key| key.algorithm() == header.alg);
        meant.next().filter(|_| meant.next().is_none())
    }
}
