//! Acts on several keys.

use crate::console::effect::{Deed, Fault};
use crate::console::layer::Turn;
use crate::console::tally::Tally;
use crate::domain::api_key::KeyId;
use crate::domain::pace::{Pace, Unit};
use crate::ops::api_key::Changes;
use crate::ops::{self, Ctx, OpsError};
use crate::store;

/// Refuses the keys until they are enabled again.
#[derive(Debug)]
pub struct Disable(pub Vec<KeyId>);

impl Deed for Disable {
    type Answer = Tally;
    const VERB: &'static str = "disabling";
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        for_each(ctx, &self.0, |ctx, ids| ops::api_key::disable_all(ctx, ids).map(|_| ()))
    }
    fn unclaimed(tally: Tally, turn: &mut Turn<'_>) {
        tally.tell_left(turn);
    }
}

/// Takes the keys again.
#[derive(Debug)]
pub struct Enable(pub Vec<KeyId>);

impl Deed for Enable {
    type Answer = Tally;
    const VERB: &'static str = "enabling";
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        for_each(ctx, &self.0, |ctx, ids| ops::api_key::enable_all(ctx, ids).map(|_| ()))
    }
    fn unclaimed(tally: Tally, turn: &mut Turn<'_>) {
        tally.tell_left(turn);
    }
}

/// Ends the keys for good.
#[derive(Debug)]
pub struct Revoke {
    pub ids: Vec<KeyId>,
    pub reason: String,
}

impl Deed for Revoke {
    type Answer = Tally;
    const VERB: &'static str = "revoking";
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        for_each(ctx, &self.ids, |ctx, ids| ops::api_key::revoke_all(ctx, ids, &self.reason).map(|_| ()))
    }
    fn unclaimed(tally: Tally, turn: &mut Turn<'_>) {
        tally.tell_left(turn);
    }
}

/// Changed in one transaction, so that many take little time and other writers get their turn between.
const AT_ONCE: usize = 100;

/// Does `act` to every key, many at a time; with several, those that it will not be done to stand alone. One that is gone, or
/// that refuses, keeps no other from it; a store that fails ends it, and it is said how many were done.
fn for_each(
    ctx: &Ctx,
    ids: &[KeyId],
    act: impl Fn(&Ctx, &[KeyId]) -> Result<(), OpsError>,
) -> Result<Tally, Fault> {
    // A batch is done as a whole, and counts for itself.
    let own = Ctx { pace: Pace::default(), ..ctx.clone() };
    let is_living = |id: &&KeyId| {
        let found = ctx.store.read(|connection| store::api_key::find(connection, **id));
        matches!(found, Ok(Some(key)) if key.revoked_at.is_none())
    };
    let (living, others): (Vec<&KeyId>, Vec<&KeyId>) = ids.iter().partition(is_living);
    let batches = living.chunks(AT_ONCE).chain(others.chunks(1));
    let batches: Vec<Vec<KeyId>> = batches.map(|batch| batch.iter().copied().copied().collect()).collect();
    in_batches(&ctx.pace, &batches, |ids| act(&own, ids))
}

fn in_batches(
    pace: &Pace,
    batches: &[Vec<KeyId>],
    mut act: impl FnMut(&[KeyId]) -> Result<(), OpsError>,
) -> Result<Tally, Fault> {
    let all: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
    let mut tally = Tally::default();
    pace.expect(all, Unit::Items);
    for batch in batches {
        if pace.is_cancelled() {
            tally.left = all - pace.progress().done;
            break;
        }
        match act(batch) {
            Ok(()) => tally.done += batch.len() as u64,
            // One of them was changed meanwhile.
            Err(OpsError::NotFound(_) | OpsError::Conflict(_)) if batch.len() > 1 => {
                for id in batch {
                    one(&mut tally, act(&[*id])).map_err(|error| ended(&tally, all, *id, &error))?;
                }
            }
            Err(error) if all == 1 => return Err(error.into()),
            outcome => {
                let Some(id) = batch.first() else { continue };
                one(&mut tally, outcome).map_err(|error| ended(&tally, all, *id, &error))?;
            }
        }
        pace.step(batch.len() as u64);
    }
    Ok(tally)
}

/// Counts what came of one key.
fn one(tally: &mut Tally, outcome: Result<(), OpsError>) -> Result<(), OpsError> {
    match outcome {
        Ok(()) => tally.done += 1,
        Err(OpsError::NotFound(_)) => tally.gone += 1,
        Err(OpsError::Store(error)) if !error.is_of_one_row() => return Err(OpsError::Store(error)),
        Err(error @ (OpsError::Conflict(_) | OpsError::Store(_))) => {
            if tally.refused == 0 {
                tally.why = error.to_string();
            }
            tally.refused += 1;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn ended(tally: &Tally, all: u64, id: KeyId, error: &OpsError) -> Fault {
    let left = all - tally.done;
    Fault::new(format!("{} done, {left} not: at key {id}: {error}", tally.done))
}

/// Changes all of them that are still there, or none.
pub(super) fn set(ctx: &Ctx, ids: &[KeyId], changes: Changes) -> Result<Tally, Fault> {
    let is_there = |id: &KeyId| ctx.store.read(|connection| store::api_key::find(connection, *id));
    let mut there = Vec::with_capacity(ids.len());
    for id in ids {
        if ids.len() == 1 || is_there(id).map_err(OpsError::from)?.is_some() {
            there.push(*id);
        }
    }
    let gone = (ids.len() - there.len()) as u64;
    if there.is_empty() {
        return Ok(Tally { gone, ..Tally::default() });
    }
    ops::api_key::set_all(ctx, &there, changes)?;
    Ok(Tally { gone, ..Tally::at_pace(there.len() as u64, &ctx.pace) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::clock::SystemClock;
    use crate::ops::api_key::NewKey;
    use crate::store::{Mode, StoreError, audit, home::Home};

    fn ids(number: usize) -> Vec<KeyId> {
        (0..number).map(|number| format!("{number:022}").parse().unwrap()).collect()
    }

    #[test]
    fn a_key_that_is_gone_or_refuses_keeps_no_other_from_a_bulk_act() {
        let ids = ids(5);
        let damaged = || StoreError::Row { table: "api_key", row: "x".into(), why: "broken".into() };
        let outcome = in_batches(&Pace::default(), std::slice::from_ref(&ids), |batch| match batch {
            [id] if *id == ids[1] => Err(OpsError::NotFound("purged".into())),
            [id] if *id == ids[2] => Err(OpsError::Conflict("it is revoked".into())),
            [id] if *id == ids[3] => Err(OpsError::Store(damaged())),
            [_] => Ok(()),
            _ => Err(OpsError::Conflict("one is revoked".into())),
        });
        let Ok(tally) = outcome else { panic!("{outcome:?}") };
        assert_eq!(tally.to_string(), "2 done, 1 not there any more, 2 refused: it is revoked");

        // a store that fails does end it
        let batches: Vec<Vec<KeyId>> = ids.iter().map(|id| vec![*id]).collect();
        let mut tried = 0;
        let outcome = in_batches(&Pace::default(), &batches, |_| {
            tried += 1;
            if tried == 3 { Err(OpsError::Store(StoreError::Panicked)) } else { Ok(()) }
        });
        assert!(matches!(outcome, Err(fault) if fault.message.starts_with("2 done, 3 not")) && tried == 3);
        // and what is asked of one key is answered for it
        let outcome =
            in_batches(&Pace::default(), &batches[..1], |_| Err(OpsError::NotFound("no key".into())));
        assert!(matches!(outcome, Err(fault) if fault.message == "no key"));
    }

    #[test]
    fn a_bulk_act_that_is_cancelled_ends_between_two_batches_and_tells_what_was_done() {
        let pace = Pace::default();
        let all = ids(6);
        let batches: Vec<Vec<KeyId>> = all.chunks(2).map(<[KeyId]>::to_vec).collect();
        let mut done = 0;
        let outcome = in_batches(&pace, &batches, |batch| {
            done += batch.len();
            if done == 4 {
                pace.cancel();
            }
            Ok(())
        });
        let Ok(tally) = outcome else { panic!("{outcome:?}") };
        assert_eq!((done, tally.to_string().as_str()), (4, "4 done, 2 left as they were: cancelled"));
    }

    #[test]
    fn all_are_changed_that_can_be_and_only_what_was_refused_is_recorded_so() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let ctx = Ctx::open(&home, Mode::ReadWrite, "console", Arc::new(SystemClock)).unwrap();
        let new = NewKey {
            subject: "ana".parse().unwrap(),
            scopes: vec!["mcp:*".parse().unwrap()],
            policy: "default".parse().unwrap(),
            name: String::new(),
            environment: Default::default(),
            life: None,
        };
        let made = ops::api_key::create_all(&ctx, vec![new; 2 * AT_ONCE + 3]).unwrap();
        let mut ids: Vec<KeyId> = made.into_iter().map(|made| made.key.id).collect();
        ops::api_key::revoke(&ctx, ids[1], "").unwrap();
        let damaged = ids[2].to_string();
        ctx.store
            .write(move |c| {
                Ok::<_, StoreError>(c.execute("UPDATE api_key SET name = 'x' WHERE id = ?1", [damaged])?)
            })
            .unwrap();
        ids.push(format!("{:022}", 7).parse().unwrap());
        let disable = |ctx: &Ctx, ids: &[KeyId]| ops::api_key::disable_all(ctx, ids).map(|_| ());
        let Ok(tally) = for_each(&ctx, &ids, disable) else { panic!() };
        assert_eq!((tally.done, tally.refused, tally.gone, tally.left), (2 * AT_ONCE as u64 + 1, 2, 1, 0));
        let recorded = |act: &str| {
            let query = audit::Query { act: Some(act.into()), limit: 1_000, ..Default::default() };
            ops::audit::list(&ctx, &query).unwrap().len()
        };
        assert_eq!((recorded("key.disable"), recorded("refused")), (2 * AT_ONCE + 1, 3));
    }
}
