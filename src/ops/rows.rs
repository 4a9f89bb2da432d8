//! Whether the rows that decisions rest on are as they were written.

use super::{Ctx, OpsError};
use crate::store::{
    examine::{self, Examined},
    home::Home,
    stops, vault_entry,
};

/// What the audit chain says of those who were stopped and the tables do not bear out, each in a sentence; nothing where
/// all is well. Needs no vault.
pub fn contradictions(ctx: &Ctx) -> Result<Vec<String>, OpsError> {
    let now = ctx.now();
    Ok(ctx.store.read(|c| stops::contradictions(c, now))?)
}

/// Has the seals of rows checked from now on where the vault of `home` is at hand; else rows are shown as they stand.
pub fn check_seals(ctx: &Ctx, home: &Home) {
    if ctx.vault.is_none()
        && let Err(error) = vault_entry::open_vault(&ctx.store, home)
    {
        tracing::debug!(%error, "seals are not checked");
    }
}

/// Checks every sealed row, with the vault of `home`, which it opens where `ctx` has not; changes nothing. An error where the
/// vault cannot be opened or the store not be read: then nothing is known. Takes seconds for a million keys.
pub fn examine(ctx: &Ctx, home: &Home) -> Result<Examined, OpsError> {
    if ctx.vault.is_none() {
        vault_entry::open_vault(&ctx.store, home)?;
    }
    Ok(ctx.store.read(examine::examine)?)
}
