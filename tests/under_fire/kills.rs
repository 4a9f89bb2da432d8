//! Limits while gateways die and come back, callers calling all the while.

use std::sync::Arc;

use super::{
    caller::{Demand, Overload},
    fleet::Fleet,
    limits::{GATEWAYS, TASKS, within_an_hour},
    support::{Chance, home::Home, limited_key, runtime, scaled},
    upstream::Upstream,
};

/// A lease is at most this, and at most an eighth of what remains; towards the limit it is one call for each that waits.
fn largest_lease(limit: u64) -> u64 {
    (limit / 8).clamp(TASKS as u64, 256)
}

#[test]
fn a_killed_gateway_costs_no_more_than_its_lease_and_never_lets_more_through() {
    let (limit, kills) = scaled((2000, 4), (10_000, 40));
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let mut chance = Chance::new(2);
    within_an_hour(|attempt| {
        let key = limited_key(&home, &format!("killed-{attempt}"), &[("requests_per_hour", limit)], "fixed");
        let mut fleet = Fleet::start(&home, &upstream.url, GATEWAYS);
        let load = Overload::start(
            &runtime,
            fleet.doors(),
            &key.key,
            Demand { tasks: TASKS, refusals: 20, most: limit },
        );
        for kill in 1..=kills {
            // Spread over the first half, so that the bound below cannot be met by chance.
            upstream.wait_for(&key.id, limit * kill / (2 * kills));
            let index = chance.below(GATEWAYS as u64) as usize;
            fleet.kill(index);
            fleet.open(index);
        }
        let tally = load.settle(&runtime);
        fleet.stop_all();

        let came = upstream.count(&key.id);
        // A call that had been charged and was on its way is lost as well, at most one for each caller.
        let bound = kills * (largest_lease(limit) + TASKS as u64);
        let shortfall = limit.saturating_sub(came);
        eprintln!(
            "fixed {limit}, {kills} kills: {came} admitted, {shortfall} lost (bound {bound}), {} broken calls; {:?}",
            tally.broken, tally.statuses
        );
        assert!(came <= limit, "{came} of {limit} calls reached the upstream");
        assert!(
            shortfall <= bound,
            "{shortfall} calls were lost to {kills} kills; the leases are {bound} at most"
        );
    });
}

#[test]
fn a_gateway_that_is_stopped_in_order_costs_nothing() {
    let (limit, stops) = scaled((1000, 3), (10_000, 20));
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    within_an_hour(|attempt| {
        let key = limited_key(&home, &format!("stopped-{attempt}"), &[("requests_per_hour", limit)], "fixed");
        let mut fleet = Fleet::start(&home, &upstream.url, GATEWAYS);
        let load = Overload::start(
            &runtime,
            fleet.doors(),
            &key.key,
            Demand { tasks: TASKS, refusals: 20, most: limit },
        );
        for stop in 1..=stops {
            upstream.wait_for(&key.id, limit * stop / (stops + 1));
            let index = stop as usize % GATEWAYS;
            fleet.stop(index);
            fleet.open(index);
        }
        let tally = load.settle(&runtime);
        fleet.stop_all();

        let came = upstream.count(&key.id);
        eprintln!(
            "fixed {limit}, {stops} restarts: {came} admitted; {:?}, {} broken",
            tally.statuses, tally.broken
        );
        assert_eq!(came, limit, "calls that reached the upstream");
    });
}
