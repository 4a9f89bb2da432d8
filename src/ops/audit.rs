//! The audit chain as both roles read it: list, verify, head.

use std::ops::ControlFlow;

use super::{Ctx, OpsError};
use crate::domain::audit::Hash;
use crate::store::{
    audit::{self, Entry, Query, verify::Verifier},
    setting,
};

/// What `audit verify` found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Verdict {
    pub valid: bool,
    /// Records found good: all of them, or those before the first bad one.
    pub records: u64,
    /// Hash of the last good record, hex; of 64 zeros where there is none.
    pub head: String,
    pub first_bad: Option<i64>,
    pub reason: Option<String>,
}

/// What to notarise elsewhere.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Head {
    pub seq: i64,
    pub hash: String,
    /// Over the 32 bytes of the hash, hex; empty where there is no record yet.
    pub signature: String,
    /// Ed25519, PEM (SPKI).
    pub public_key: String,
}

/// Records verified between two looks at the database.
const STEP: u32 = 5_000;

pub fn list(ctx: &Ctx, q: &Query) -> Result<Vec<Entry>, OpsError> {
    ctx.store.read(|c| Ok(audit::list(c, q)?))
}

/// Verifies the whole chain with the public key alone. (Opening the vault has checked, for an
/// operator, that this key is the vault's.)
pub fn verify(ctx: &Ctx) -> Result<Verdict, OpsError> {
    let public_key = public_key(ctx)?;
    let mut verifier = Verifier::new(public_key.as_deref(), ctx.now());
    let fault = loop {
        let step = ctx
            .store
            .read(|c| ctx.store.read_usage(|usage| Ok::<_, OpsError>(verifier.step(c, usage, STEP)?)))?;
        if let ControlFlow::Break(fault) = step {
            break fault;
        }
    };
    Ok(Verdict {
        valid: fault.is_none(),
        records: verifier.records(),
        head: verifier.head().to_hex(),
        first_bad: fault.as_ref().map(|fault| fault.seq),
        reason: fault.map(|fault| fault.reason),
    })
}

pub fn head(ctx: &Ctx) -> Result<Head, OpsError> {
    let public_key = public_key(ctx)?.unwrap_or_default();
    let head = ctx.store.read(|c| audit::head(c))?;
    Ok(Head {
        seq: head.as_ref().map_or(0, |entry| entry.record.seq),
        hash: head.as_ref().map_or(Hash::GENESIS, |entry| entry.hash).to_hex(),
        signature: head.and_then(|entry| entry.signature).map(hex::encode).unwrap_or_default(),
        public_key,
    })
}

fn public_key(ctx: &Ctx) -> Result<Option<String>, OpsError> {
    ctx.store.read(|c| Ok(setting::get(c, setting::AUDIT_PUBLIC_KEY)?))
}

#[cfg(test)]
mod tests;
