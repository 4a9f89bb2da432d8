//! On whose behalf an act is done, and the one way in which acts are done.

use std::sync::Arc;

use serde_json::{Value, json};

use super::OpsError;
use crate::{
    domain::{
        act::Act,
        audit::ChainKey,
        clock::{Clock, Timestamp},
        pace::{Pace, Unit},
        text::visible,
    },
    store::{
        Mode, Rows, Store, StoreError, anchor, audit,
        feed::{self, Change},
        home::{Home, VAULT_KEY},
        setting,
        upgrade::{self, Upgraded},
        vault_entry,
    },
    vault::Vault,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May change things.
    Operator,
    /// Read-only.
    Auditor,
}

/// On whose behalf, with what, as of when.
#[derive(Clone)]
pub struct Ctx {
    pub store: Store,
    /// Absent in read-only contexts: an auditor needs no vault.
    pub vault: Option<Arc<Vault>>,
    pub clock: Arc<dyn Clock>,
    /// The face and the real user: `cli:alice (uid 1000)`, `console:root (uid 0, SUDO_USER alice)`, `gateway`.
    pub actor: String,
    pub role: Role,
    /// How far what is done here has come, for who watches.
    pub pace: Pace,
    /// Where the store was of an earlier release when this was opened.
    pub upgraded: Option<Upgraded>,
}

/// The longest actor in the audit log, in characters.
const LONGEST_ACTOR: usize = 128;

/// Holds the store against what the home remembers of it; says whether it remembers anything. What is read first is the older
/// of the two: another process that makes the home at this moment may have both between our two looks, and then we look again.
fn require_anchor(store: &Store, key: Option<&ChainKey>) -> Result<bool, StoreError> {
    let look = || {
        let found = anchor::read(store.home())?;
        store.read(|c| anchor::check(c, found.as_ref(), key))?;
        Ok(found.is_some())
    };
    look().or_else(|_: StoreError| look())
}

impl Ctx {
    /// Opens home, store and (read-write) vault, for the user of this process. Makes all of it
    /// on first use, with its `home.create` record.
    pub fn open(home: &Home, mode: Mode, face: &str, clock: Arc<dyn Clock>) -> Result<Self, OpsError> {
        let store = Store::open(home, mode)?;
        if mode == Mode::ReadOnly {
            // Whoever has no vault believes the key beside the chain here; `audit verify` says what that is worth.
            let key = store.read(|c| setting::get(c, setting::AUDIT_PUBLIC_KEY))?;
            require_anchor(&store, key.as_deref().and_then(ChainKey::parse).as_ref())?;
            store.heed_chain()?;
            return Ok(Self {
                store,
                vault: None,
                clock,
                actor: actor_of_process(face),
                role: Role::Auditor,
                pace: Pace::default(),
                upgraded: None,
            });
        }
        require_anchor(&store, None)?;
        // Where a store is made beside a vault that was there before, the chain says so.
        let is_found = store.home().join(VAULT_KEY).symlink_metadata().is_ok();
        let detail = if is_found { json!({ "vault_key": "found" }) } else { json!({}) };
        let mut ctx = Self::with_vault(store, home, face, clock, (Act::HomeCreate, detail))?;
        let has_anchor = require_anchor(&ctx.store, ctx.chain_key()?.as_ref())?;
        ctx.store.heed_chain()?;
        ctx.keep_anchor(has_anchor);
        ctx.upgraded = ctx.record_upgrade();
        Ok(ctx)
    }

    /// Has the audit log say that the store was brought up to date, where it does not yet; returns what was done. On a full
    /// disk that waits for the next one who opens it.
    pub(super) fn record_upgrade(&self) -> Option<Upgraded> {
        if !self.store.read(upgrade::noted).is_ok_and(|noted| noted.is_some()) {
            return None;
        }
        let (to, version) = (self.store.versions(), env!("CARGO_PKG_VERSION"));
        let recorded = to.map_err(OpsError::from).and_then(|to| {
            self.perform(Act::StoreUpgrade, "", move |deed| {
                let upgraded = upgrade::noted(deed.c)?;
                if let Some(Upgraded { from, copy, .. }) = &upgraded {
                    deed.record("", json!({ "from": from, "to": to, "version": version, "copy": copy }))?;
                    upgrade::forget(deed.c)?;
                }
                Ok(upgraded)
            })
        });
        recorded.unwrap_or_else(|error| {
            tracing::warn!(%error, "that the store was brought up to date is not yet in the audit log");
            None
        })
    }

    /// The same for the operator alone, whatever the home remembers, and without having it remember anything: for the act
    /// that accepts the store as it is. Makes nothing.
    pub(super) fn open_unanchored(
        store: Store,
        home: &Home,
        face: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpsError> {
        let vault = vault_entry::open_vault(&store, home)?;
        sign_heads(&store, &vault);
        let actor = actor_of_process(face);
        Ok(Self::of_operator(store, vault, clock, actor))
    }

    /// Makes the store of a home that has none any more. `act` is the first record of its chain.
    pub(super) fn make(
        home: &Home,
        face: &str,
        clock: Arc<dyn Clock>,
        act: Act,
        detail: Value,
    ) -> Result<Self, OpsError> {
        let ctx = Self::with_vault(Store::make_anew(home)?, home, face, clock, (act, detail))?;
        ctx.keep_anchor(false);
        Ok(ctx)
    }

    fn of_operator(store: Store, vault: Vault, clock: Arc<dyn Clock>, actor: String) -> Self {
        Self {
            store,
            vault: Some(Arc::new(vault)),
            clock,
            actor,
            role: Role::Operator,
            pace: Pace::default(),
            upgraded: None,
        }
    }

    fn with_vault(
        store: Store,
        home: &Home,
        face: &str,
        clock: Arc<dyn Clock>,
        (act, detail): (Act, Value),
    ) -> Result<Self, OpsError> {
        let actor = actor_of_process(face);
        let (first, first_actor, now) = (store.clone(), actor.clone(), clock.now());
        let vault = vault_entry::open_or_create(&store, home, now, move |c, vault| {
            sign_heads(&first, vault);
            audit::append(c, now, &first_actor, act, "", detail)?;
            Ok::<_, OpsError>(())
        })?;
        sign_heads(&store, &vault);
        Ok(Self::of_operator(store, vault, clock, actor))
    }

    /// What the vault says that the audit chain is signed by; `None` where there is no vault at hand.
    pub(super) fn chain_key(&self) -> Result<Option<ChainKey>, StoreError> {
        Ok(self.vault.as_ref().map(|vault| vault.audit_signer().key()).transpose()?)
    }

    /// Has the home remember its store from now on, one from before there were anchors too. A disk that is full or a file
    /// system that is read-only does not keep anybody from what else can be done there.
    fn keep_anchor(&self, has_one: bool) {
        let Some(vault) = &self.vault else { return };
        let kept = self.store.is_anchored().and_then(|is_known| {
            if !is_known && !has_one {
                self.store.anchor_anew(vault, self.now())?;
            } else if !is_known {
                self.store.set_anchored(vault, self.now())?;
            }
            self.store.keep_anchor(vault.audit_signer().clone(), Arc::clone(&self.clock))
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "the home does not remember its store");
        }
    }

    /// As an operator where that can be, else as an auditor, with the reason why: what the
    /// console shows. Fails where the store cannot even be read.
    pub fn open_or_read_only(
        home: &Home,
        face: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<String>), OpsError> {
        match Self::open(home, Mode::ReadWrite, face, clock.clone()) {
            Ok(ctx) => Ok((ctx, None)),
            Err(refusal) => match Self::open(home, Mode::ReadOnly, face, clock) {
                Ok(ctx) => Ok((ctx, Some(refusal.to_string()))),
                // What mends the first mends both.
                Err(_) => Err(refusal),
            },
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The moment by which it is judged at `now` whether something has ended, as gateways of this home do.
    pub fn judge_by(&self, now: Timestamp) -> Timestamp {
        self.store.high_water().judge_by(now)
    }

    /// The vault, which `act` needs; an auditor has none.
    pub(super) fn vault(&self, act: Act) -> Result<&Vault, OpsError> {
        self.vault.as_deref().ok_or(OpsError::ReadOnly { act, what: "session" })
    }

    /// Refuses `act` to an auditor.
    pub fn require_operator(&self, act: Act) -> Result<(), OpsError> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Auditor => Err(OpsError::ReadOnly { act, what: "session" }),
        }
    }

    /// Does one act on `object`: checks the role, runs `job` in one transaction and, where it is
    /// refused, records the attempt. An act that stops somebody or makes room is done on a full disk as well.
    /// Clones of `job` may run, but only one is kept.
    pub(super) fn perform<T: Send + 'static>(
        &self,
        act: Act,
        object: &str,
        job: impl FnOnce(&Deed<'_>) -> Result<T, OpsError> + Clone + Send + 'static,
    ) -> Result<T, OpsError> {
        self.require_operator(act)?;
        let (actor, now) = (self.actor.clone(), self.now());
        let job = move |c: &Rows<'_>| job(&Deed { c, act, actor, now });
        let must_fit = act.stops_somebody() || act.makes_room();
        let done = if must_fit { self.store.write_though_full(job) } else { self.store.write(job) };
        if let Err(refusal) = &done {
            self.record_refusal(act, object, refusal);
        }
        done
    }

    /// The same to many objects, so many at once and each batch by itself, until it is told to end. `job` says to how many
    /// it was done; returns to how many in all.
    pub(super) fn perform_in_batches<T: Clone + Send + 'static>(
        &self,
        act: Act,
        objects: &[T],
        at_once: usize,
        job: impl Fn(&Deed<'_>, Vec<T>) -> Result<u64, OpsError> + Clone + Send + 'static,
    ) -> Result<u64, OpsError> {
        self.pace.expect(objects.len() as u64, Unit::Items);
        let mut done = 0;
        for batch in objects.chunks(at_once) {
            if self.pace.is_cancelled() {
                break;
            }
            let (own, job) = (batch.to_vec(), job.clone());
            done += self.perform(act, "", move |deed| job(deed, own))?;
            self.pace.step(batch.len() as u64);
        }
        Ok(done)
    }

    /// Checks what was asked for before any transaction, and records where it is refused.
    pub(super) fn check<T>(
        &self,
        act: Act,
        object: &str,
        check: impl FnOnce() -> Result<T, OpsError>,
    ) -> Result<T, OpsError> {
        self.require_operator(act)?;
        check().inspect_err(|refusal| self.record_refusal(act, object, refusal))
    }

    /// In a transaction of its own. Never masks the refusal itself, and says nothing of faults
    /// of the store, which could not record them. Where a row is damaged every gateway is told to
    /// load everything anew, so that none goes on by what it read before the damage.
    fn record_refusal(&self, act: Act, object: &str, refusal: &OpsError) {
        let kind = match refusal {
            OpsError::NotFound(_) => "not_found",
            OpsError::Conflict(_) => "conflict",
            OpsError::Invalid(_) => "invalid",
            OpsError::Store(error) if error.is_of_one_row() => "damaged",
            OpsError::ReadOnly { .. } | OpsError::Cancelled(_) | OpsError::Store(_) | OpsError::Vault(_) => {
                return;
            }
        };
        let is_damaged = kind == "damaged";
        let detail = json!({ "act": act.as_str(), "kind": kind, "reason": refusal.to_string() });
        let (actor, object, now) = (self.actor.clone(), object.to_owned(), self.now());
        let written = self.store.write(move |c| {
            audit::append(c, now, &actor, Act::Refused, &object, detail)?;
            if is_damaged { feed::append(c, &Change::All) } else { Ok::<_, StoreError>(()) }
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a refused attempt could not be recorded");
        }
    }
}

/// An act while it is being done: its transaction, and its record.
pub(super) struct Deed<'a> {
    pub c: &'a Rows<'a>,
    pub now: Timestamp,
    pub actor: String,
    act: Act,
}

impl Deed<'_> {
    /// Records that the act was done to `object`.
    pub fn record(&self, object: &str, detail: Value) -> Result<(), OpsError> {
        audit::append(self.c, self.now, &self.actor, self.act, object, detail)?;
        Ok(())
    }
}

/// Has the head of the audit chain signed in every commit from now on.
fn sign_heads(store: &Store, vault: &Vault) {
    let signer = vault.audit_signer().clone();
    store.set_before_commit(Arc::new(move |c| audit::sign_head(c, |head| signer.sign(head))));
}

/// The face, the user of this process by the system's user database, and whom `sudo` says that it serves. What stands in
/// `$USER` anybody can write there.
fn actor_of_process(face: &str) -> String {
    let uid = nix::unistd::Uid::current();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    actor(face, name, uid.as_raw(), std::env::var("SUDO_USER").ok())
}

fn actor(face: &str, name: Option<String>, uid: u32, sudo_user: Option<String>) -> String {
    let user = match name {
        Some(name) => format!("{name} (uid {uid}"),
        None => format!("(uid {uid}"),
    };
    let sudo = sudo_user.map(|user| user.trim().to_owned()).filter(|user| !user.is_empty());
    let beside = sudo.map_or_else(String::new, |user| format!(", SUDO_USER {user}"));
    let text = format!("{face}:{user}{beside}");
    visible(&text).chars().take(LONGEST_ACTOR - 1).chain([')']).collect()
}

#[cfg(test)]
mod tests;
