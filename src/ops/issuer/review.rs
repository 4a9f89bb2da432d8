//! What an issuer's tokens come to here, for people. Nothing is changed.

use super::*;
use crate::domain::{
    issuer::{Finding, review as reviewed},
    name::ScopeName,
    token::Verdict,
};
use crate::store::{trust, verdict};

/// A token, judged as one of an issuer.
#[derive(Clone, Debug)]
pub struct Review {
    pub verdict: Verdict,
    /// Claim by claim; empty where its form cannot be read.
    pub claims: Vec<Finding>,
    /// The scopes that it has here; none where it is not valid.
    pub scopes: Vec<ScopeName>,
}

impl Review {
    /// Whether it is valid, of this issuer, and good for anything.
    pub fn is_good(&self) -> bool {
        self.verdict.is_valid() && self.claims.iter().all(|finding| finding.passed)
    }
}

/// Judges `text` as of `at` as a token of the issuer `name`.
pub fn review(ctx: &Ctx, name: &IssuerName, text: &str, at: Timestamp) -> Result<Review, OpsError> {
    ctx.store.read(|c| {
        let issuer = find(c, name)?;
        let beliefs = trust::load(c, ctx.vault.as_deref())?;
        let verdict = verdict::of_token(c, &beliefs, text, &[], at)?;
        let catalogue = store::scope::sound(c)?.0;
        let mut claims = match &verdict.payload {
            Some(payload) => reviewed(&issuer, &beliefs.identity.audiences(), payload, &catalogue),
            None => Vec::new(),
        };
        if verdict.checks.iter().any(|check| check.check == "end" && !check.passed) {
            for finding in claims.iter_mut().filter(|finding| finding.claim == "exp") {
                finding.passed = false;
            }
        }
        let scopes = match verdict.verified() {
            Some(verified) if verified.issuer.as_ref() == Some(name) => {
                issuer.known_scopes(&verified.claims.scopes, &catalogue)
            }
            _ => Vec::new(),
        };
        Ok(Review { verdict, claims, scopes })
    })
}

/// What scopes of an issuer's token come to here.
pub fn scopes_here(ctx: &Ctx, name: &IssuerName, scopes: &[String]) -> Result<Vec<ScopeName>, OpsError> {
    ctx.store.read(|c| Ok(find(c, name)?.known_scopes(scopes, &store::scope::sound(c)?.0)))
}
