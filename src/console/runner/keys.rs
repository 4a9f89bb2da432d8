//! Acts on several keys.

use crate::console::effect::{Answer, Fault, Partly};
use crate::domain::api_key::KeyId;
use crate::ops::api_key::Changes;
use crate::ops::{self, Ctx, OpsError};
use crate::store;

use super::fault;

/// Does `each` to every key. One that is gone, or that refuses, keeps no other from it; a store that fails ends it, and it is
/// said how many were done.
pub fn for_each(ids: &[KeyId], mut each: impl FnMut(KeyId) -> Result<(), OpsError>) -> Result<Answer, Fault> {
    let mut partly = Partly::default();
    for id in ids {
        match each(*id) {
            Ok(()) => partly.done += 1,
            Err(error) if ids.len() == 1 => return Err(fault(error)),
            Err(OpsError::NotFound(_)) => partly.gone += 1,
            Err(error @ OpsError::Conflict(_)) => {
                if partly.refused == 0 {
                    partly.why = error.to_string();
                }
                partly.refused += 1;
            }
            Err(error) => {
                let left = ids.len() as u64 - partly.done;
                let message = format!("{} done, {left} not: at key {id}: {error}", partly.done);
                return Err(Fault { message, conflict: false });
            }
        }
    }
    Ok(if partly.gone + partly.refused == 0 { Answer::Changed(partly.done) } else { Answer::Partly(partly) })
}

/// Changes all of them that are still there, or none.
pub fn set(ctx: &Ctx, ids: &[KeyId], changes: Changes) -> Result<Answer, Fault> {
    let is_there = |id: &KeyId| ctx.store.read(|connection| store::api_key::find(connection, *id));
    let mut there = Vec::with_capacity(ids.len());
    for id in ids {
        if ids.len() == 1 || is_there(id).map_err(|error| fault(error.into()))?.is_some() {
            there.push(*id);
        }
    }
    let gone = (ids.len() - there.len()) as u64;
    if there.is_empty() {
        return Ok(Answer::Partly(Partly { gone, ..Partly::default() }));
    }
    ops::api_key::set_all(ctx, &there, changes).map_err(fault)?;
    let done = there.len() as u64;
    Ok(if gone == 0 {
        Answer::Changed(done)
    } else {
        Answer::Partly(Partly { done, gone, ..Partly::default() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn a_key_that_is_gone_or_refuses_keeps_no_other_from_a_bulk_act() {
        let ids: Vec<KeyId> = (0..5).map(|number| format!("{number:022}").parse().unwrap()).collect();
        let mut tried = Vec::new();
        let outcome = for_each(&ids, |id| {
            tried.push(id);
            match tried.len() {
                2 => Err(OpsError::NotFound("purged".into())),
                3 => Err(OpsError::Conflict("it is revoked".into())),
                _ => Ok(()),
            }
        });
        assert_eq!(tried, ids);
        let Ok(Answer::Partly(partly)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(partly.to_string(), "3 done, 1 not there any more, 1 refused: it is revoked");

        // a store that fails does end it
        let mut tried = 0;
        let outcome = for_each(&ids, |_| {
            tried += 1;
            if tried == 3 { Err(OpsError::Store(StoreError::Panicked)) } else { Ok(()) }
        });
        assert!(matches!(outcome, Err(fault) if fault.message.starts_with("2 done, 3 not")) && tried == 3);
        // and what is asked of one key is answered for it
        let outcome = for_each(&ids[..1], |_| Err(OpsError::NotFound("no key".into())));
        assert!(matches!(outcome, Err(fault) if fault.message == "no key"));
    }
}
