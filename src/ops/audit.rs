//! The audit chain as both roles read it: list, verify, head.

use std::ops::ControlFlow;

use super::{Ctx, OpsError};
use crate::domain::{
    audit::{ChainKey, Hash},
    pace::Unit,
};
use crate::store::{
    audit::{self, Entry, Query, verify::Verifier},
    home::Home,
    setting, vault_entry,
};

/// What `audit verify` found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Verdict {
    /// Whether the chain is whole *and* signed by the key that it must be signed by.
    pub valid: bool,
    pub verdict: Standing,
    /// Records found good: all of them, or those before the first bad one.
    pub records: u64,
    /// Hash of the last good record, hex; of 64 zeros where there is none.
    pub head: String,
    pub first_bad: Option<i64>,
    pub reason: Option<String>,
    /// The fingerprint of the key that the chain was verified with.
    pub key: Option<String>,
    pub key_from: KeyFrom,
}

/// How a chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Valid,
    Altered,
    /// It is whole, and signed by the key that lies beside it: whoever wrote all of it anew has put his own key there.
    Unproven,
}

/// Whence the key comes that a chain was verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFrom {
    /// Whoever asked has kept it.
    Given,
    /// Only who has the master key can have made it.
    Vault,
    /// It lies beside the chain, and proves nothing by itself.
    Store,
}

/// What the one who asks has kept elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub key: Option<KeptKey>,
    /// A head that must be in the chain.
    pub head: Option<Hash>,
}

#[derive(Clone, Debug)]
pub enum KeptKey {
    Key(ChainKey),
    /// See [`ChainKey::fingerprint`].
    Fingerprint(String),
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
    /// SHA-256 over its DER form, hex; empty where the store has no valid key.
    pub fingerprint: String,
}

/// Records verified between two looks at the database.
const STEP: u32 = 5_000;

pub fn list(ctx: &Ctx, q: &Query) -> Result<Vec<Entry>, OpsError> {
    ctx.store.read(|c| Ok(audit::list(c, q)?))
}

/// Verifies the whole chain with the key of the vault where `ctx` has one, else with the key beside the chain, which leaves
/// it unproven.
pub fn verify(ctx: &Ctx) -> Result<Verdict, OpsError> {
    verify_with(ctx, ctx.chain_key()?, &Kept::default())
}

/// The same against what was kept elsewhere; the vault of `home` is opened where it is at hand.
pub fn verify_against(ctx: &Ctx, home: &Home, kept: &Kept) -> Result<Verdict, OpsError> {
    let of_vault = match vault_entry::audit_key(&ctx.store, home) {
        // Whoever has kept the key needs no vault, whatever is wrong with this one.
        Err(_) if kept.key.is_some() => None,
        found => found?,
    };
    verify_with(ctx, of_vault, kept)
}

fn verify_with(ctx: &Ctx, of_vault: Option<ChainKey>, kept: &Kept) -> Result<Verdict, OpsError> {
    let beside = public_key(ctx)?.as_deref().and_then(ChainKey::parse);
    let fits =
        |key: &Option<ChainKey>, wanted: &str| key.as_ref().is_some_and(|key| key.fingerprint() == wanted);
    let (key, key_from) = match &kept.key {
        Some(KeptKey::Key(key)) => (Some(key.clone()), KeyFrom::Given),
        Some(KeptKey::Fingerprint(wanted)) if fits(&of_vault, wanted) => (of_vault.clone(), KeyFrom::Given),
        Some(KeptKey::Fingerprint(wanted)) if fits(&beside, wanted) => (beside.clone(), KeyFrom::Given),
        Some(KeptKey::Fingerprint(wanted)) => return Ok(stranger(beside.as_ref(), wanted)),
        None if of_vault.is_some() => (of_vault.clone(), KeyFrom::Vault),
        None => (beside.clone(), KeyFrom::Store),
    };
    let mut verifier = Verifier::new(key.clone(), ctx.now()).seeking(kept.head);
    let records = ctx.store.read(audit::head)?.map_or(0, |entry| entry.record.seq.unsigned_abs());
    ctx.pace.expect(records, Unit::Items);
    let fault = loop {
        ctx.pace.or_nothing()?;
        let step = ctx.store.read(|c| {
            ctx.store.read_usage(|usage| Ok::<_, OpsError>(verifier.step(c, Some(usage), STEP)?))
        })?;
        ctx.pace.step(STEP.into());
        if let ControlFlow::Break(fault) = step {
            break fault;
        }
    };
    let first_bad = fault.as_ref().map(|fault| fault.seq);
    let not_met = verifier.not_met().map(|head| {
        format!(
            "the head {} is not in it: records were cut from its end, or it was written anew",
            head.to_hex()
        )
    });
    let other_key = || {
        (key_from == KeyFrom::Vault && beside != of_vault)
            .then(|| "the store publishes another key than the vault has".to_owned())
    };
    let altered = fault.map(|fault| fault.reason).or(not_met).or_else(other_key);
    let verdict = match (&altered, key_from) {
        (Some(_), _) => Standing::Altered,
        (None, KeyFrom::Store) => Standing::Unproven,
        (None, KeyFrom::Given | KeyFrom::Vault) => Standing::Valid,
    };
    let unproven = || {
        (verdict == Standing::Unproven).then(|| {
            "it is signed by the key that lies beside it, and who wrote it anew would have put his own there".to_owned()
        })
    };
    Ok(Verdict {
        valid: verdict == Standing::Valid,
        verdict,
        records: verifier.records(),
        head: verifier.head().to_hex(),
        first_bad,
        reason: altered.or_else(unproven),
        key: key.map(|key| key.fingerprint()),
        key_from,
    })
}

/// The verdict where nobody here has the key of the fingerprint `wanted`: nothing was verified.
fn stranger(beside: Option<&ChainKey>, wanted: &str) -> Verdict {
    let beside = beside.map_or_else(|| "no key".to_owned(), |key| format!("the key {}", key.fingerprint()));
    Verdict {
        valid: false,
        verdict: Standing::Altered,
        records: 0,
        head: Hash::GENESIS.to_hex(),
        first_bad: None,
        reason: Some(format!("the store publishes {beside}, and not {wanted}")),
        key: None,
        key_from: KeyFrom::Given,
    }
}

pub fn head(ctx: &Ctx) -> Result<Head, OpsError> {
    let public_key = public_key(ctx)?.unwrap_or_default();
    let head = ctx.store.read(audit::head)?;
    Ok(Head {
        seq: head.as_ref().map_or(0, |entry| entry.record.seq),
        hash: head.as_ref().map_or(Hash::GENESIS, |entry| entry.hash).to_hex(),
        signature: head.and_then(|entry| entry.signature).map(hex::encode).unwrap_or_default(),
        fingerprint: ChainKey::parse(&public_key).map(|key| key.fingerprint()).unwrap_or_default(),
        public_key,
    })
}

fn public_key(ctx: &Ctx) -> Result<Option<String>, OpsError> {
    ctx.store.read(|c| Ok(setting::get(c, setting::AUDIT_PUBLIC_KEY)?))
}

#[cfg(test)]
mod tests;
