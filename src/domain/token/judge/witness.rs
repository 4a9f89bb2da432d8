//! Who looks on while a token is judged: one who stops at the first check that fails, and one who writes down everything.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::Verdict;
use crate::domain::decision::{Check, Reason};
use crate::domain::jose::Header;
use crate::domain::name::IssuerName;
use crate::domain::token::Claims;

/// The first check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub check: &'static str,
    pub reason: Reason,
    /// What it compared with what. Harmless to show, to those who run this home and to nobody else.
    pub detail: String,
}

impl Failed {
    pub fn of(check: &'static str, reason: Reason, detail: impl Display) -> Self {
        Self { check, reason, detail: detail.to_string() }
    }

    /// Both in one sentence, for an event.
    pub fn why(&self) -> String {
        format!("{}: {}", self.check, self.detail)
    }
}

/// Looks on while a token is judged.
pub(super) trait Witness {
    /// The outcome of a check; `None` to stop.
    fn see(
        &mut self,
        check: &'static str,
        failed: Option<Reason>,
        detail: impl FnOnce() -> String,
    ) -> Option<()>;
    fn header(&mut self, _: &Header) {}
    fn payload(&mut self, _: &Map<String, Value>) {}
    fn claims(&mut self, _: &Claims, _: Option<&IssuerName>) {}
}

/// Stops at the first failure, and has nothing explained but that.
#[derive(Default)]
pub(super) struct First {
    pub failed: Option<Failed>,
    pub claims: Option<Box<Claims>>,
    pub issuer: Option<IssuerName>,
}

impl Witness for First {
    fn see(
        &mut self,
        check: &'static str,
        failed: Option<Reason>,
        detail: impl FnOnce() -> String,
    ) -> Option<()> {
        self.failed = failed.map(|reason| Failed::of(check, reason, detail()));
        if failed.is_some() { None } else { Some(()) }
    }
    fn claims(&mut self, claims: &Claims, issuer: Option<&IssuerName>) {
        self.claims = Some(Box::new(claims.clone()));
        self.issuer = issuer.cloned();
    }
}

/// Writes down everything, and goes on.
impl Witness for Verdict {
    fn see(
        &mut self,
        check: &'static str,
        failed: Option<Reason>,
        detail: impl FnOnce() -> String,
    ) -> Option<()> {
        self.reason = self.reason.or(failed);
        self.checks.push(Check { check, passed: failed.is_none(), detail: detail() });
        Some(())
    }
    fn header(&mut self, header: &Header) {
        self.header = Some(header.clone());
    }
    fn payload(&mut self, payload: &Map<String, Value>) {
        self.payload = Some(payload.clone());
    }
    fn claims(&mut self, claims: &Claims, issuer: Option<&IssuerName>) {
        self.claims = Some(claims.clone());
        self.issuer = Some(issuer.cloned());
    }
}
