//! What is asked about the keys that sign, and the end of one.

use crate::console::effect::{Deed, Fault, Question};
use crate::console::tally::Tally;
use crate::domain::clock::Timestamp;
use crate::domain::name::Kid;
use crate::domain::signing_key::SigningKey;
use crate::ops::{self, Ctx, OpsError};
use crate::store::{self, StoreError};

/// The signing keys, the newest first.
#[derive(Clone, Debug, Default)]
pub struct KeysInUse {
    pub sound: Vec<KeyInUse>,
    /// What is wrong with those that are damaged: what they signed is refused.
    pub damaged: Vec<String>,
}

/// A signing key, and how many tokens that it signed have not ended by themselves.
#[derive(Clone, Debug)]
pub struct KeyInUse {
    pub key: SigningKey,
    pub tokens: u64,
}

#[derive(Debug)]
pub struct ListSigningKeys {
    pub now: Timestamp,
}

impl Question for ListSigningKeys {
    type Answer = KeysInUse;
    fn answer(&self, ctx: &Ctx) -> Result<KeysInUse, OpsError> {
        let keys = ctx.store.read(|c| -> Result<_, StoreError> {
            let (sound, damaged) = store::signing_key::sound(c)?;
            let in_use = |key: SigningKey| {
                let tokens = store::token::unexpired_of(c, &key.kid, self.now)?;
                Ok::<_, StoreError>(KeyInUse { key, tokens })
            };
            Ok(KeysInUse {
                sound: sound.into_iter().map(in_use).collect::<Result<_, _>>()?,
                damaged: damaged.iter().map(ToString::to_string).collect(),
            })
        })?;
        Ok(keys)
    }
}

/// Ends a key and all that it signed, for good.
#[derive(Debug)]
pub struct Retire {
    pub kid: Kid,
    pub reason: String,
}

impl Deed for Retire {
    type Answer = Tally;
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        ops::signing_key::retire(ctx, &self.kid, &self.reason)?;
        Ok(Tally::all(1))
    }
}
