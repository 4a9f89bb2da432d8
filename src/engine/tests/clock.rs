//! A clock that is set, forward or back: what had ended does not come back, and no lock ends before its time.

use super::house::{House, presented, request, with_wrong_secret};
use crate::domain::{clock::Clock, decision::Reason};
use crate::engine::{Explained, explain};
use crate::ops::{self, api_key::NewKey};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A key that never ends.
fn for_ever(house: &House) -> String {
    let new = NewKey {
        subject: "alice".parse().unwrap(),
        scopes: vec!["mcp:*".parse().unwrap()],
        policy: "default".parse().unwrap(),
        name: String::new(),
        environment: "live".parse().unwrap(),
        life: None,
    };
    ops::api_key::create(&house.ctx, new).unwrap().text.expose().to_owned()
}

/// As a command beside the gateway judges it.
fn explained(house: &House, text: &str) -> Explained {
    let (ctx, now) = (&house.ctx, house.now());
    let asked = request("tools/list", now);
    explain(&ctx.store, ctx.vault.as_ref().unwrap(), &presented(text), &asked, ctx.judge_by(now)).unwrap()
}

fn told(house: &House) -> Vec<String> {
    let events = house.events().into_iter();
    events.map(|event| event.kind).filter(|kind| kind == "clock_set_back").collect()
}

#[test]
fn a_clock_set_back_revives_nothing_and_an_event_says_so() {
    let house = House::new();
    let (id, text) = house.key("default");
    let (kept, token) = (for_ever(&house), house.token("default", |_| {}));
    let mut gate = house.gate();
    let principal = gate.authenticate(&text).unwrap();
    let rotated = ops::api_key::rotate(&house.ctx, id, HOUR).unwrap();
    let new = rotated.text.expose();
    house.advance(2 * 3600);
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::BadSecret, "its grace is over");
    house.advance(23 * 3600);
    assert_eq!(gate.authenticate(new).unwrap_err(), Reason::Expired);
    let right = house.now();

    // What a command reads when it begins.
    house.ctx.store.high_water().raise(right);

    // By a little: what had ended stays ended, and nothing else is changed.
    house.clock.set(right.minus(Duration::from_secs(30)));
    assert_eq!(gate.authenticate(new).unwrap_err(), Reason::Expired);
    assert!(gate.authenticate(&kept).is_ok());

    // By much: whatever has an end is refused, also what had not ended yet.
    house.clock.set(right.minus(24 * HOUR));
    for text in [text.as_str(), new, token.text.expose()] {
        assert!(gate.authenticate(text).is_err());
    }
    assert!(!gate.engine.still_valid(&principal, &[], house.now()), "a stream");
    for (text, allowed) in [(new, false), (token.text.expose(), false), (&kept, true)] {
        let told = explained(&house, text);
        let clock = told.checks.iter().find(|check| check.check == "clock").unwrap();
        assert_eq!((told.decision.is_allowed(), clock.passed), (allowed, allowed), "{told:?}");
    }
    assert!(gate.authenticate(&kept).is_ok(), "what has no end cannot be revived");

    // Right again, all is as it was.
    house.clock.set(right);
    let (_, fresh) = house.key("default");
    assert!(gate.authenticate(&fresh).is_ok() && gate.authenticate(&kept).is_ok());
    let found = explained(&house, &fresh);
    assert!(
        found.decision.is_allowed() && found.checks.iter().all(|check| check.check != "clock"),
        "{found:?}"
    );
    gate.engine.stop().unwrap();
    assert_eq!(told(&house).len(), 1);
}

#[test]
fn the_home_remembers_the_latest_moment_over_a_restart() {
    let house = House::new();
    let (_, text) = house.key("default");
    house.advance(25 * 3600);
    let kept = for_ever(&house);
    let House { folder, clock, ctx } = house;
    drop(ctx);
    clock.set(clock.now().minus(24 * HOUR));
    let house = House::again(folder, clock);
    let mut gate = house.gate();
    assert_eq!(gate.authenticate(&text).unwrap_err(), Reason::Expired);
    assert!(gate.authenticate(&kept).is_ok());
    gate.engine.stop().unwrap();
    assert_eq!(told(&house).len(), 1);
}

#[test]
fn a_lock_lasts_by_the_time_that_passes_and_not_by_what_the_clock_says() {
    let house = House::new();
    let (_, text) = house.key("default");
    let kept = for_ever(&house);
    let mut gate = house.gate();
    for wrong in [with_wrong_secret(&text), with_wrong_secret(&kept)] {
        for _ in 0..5 {
            assert_eq!(gate.authenticate(&wrong).unwrap_err(), Reason::BadSecret);
        }
    }
    let right = house.now();
    house.clock.set(right.plus(HOUR));
    assert_eq!(gate.authenticate(&kept).unwrap_err(), Reason::LockedOut, "no time has passed");
    house.clock.set(right.minus(HOUR));
    house.advance(14 * 60);
    assert_eq!(gate.authenticate(&kept).unwrap_err(), Reason::LockedOut);
    house.advance(60);
    assert!(gate.authenticate(&kept).is_ok(), "a clock set back does not make it last");
}
