//! Limits, exact: four gateways with eight callers each, who ask for far more than they may have.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    caller::{Caller, Demand, Overload, Tally},
    fleet::Fleet,
    support::{home::Home, limited_key, runtime, scaled},
    upstream::{Arrival, Upstream},
};

pub const GATEWAYS: usize = 4;
pub const TASKS: usize = 8;
const MINUTE: u64 = 60_000;
/// A minute's cell of the ledger: a tenth of the window.
const CELL: u64 = MINUTE / 10;

pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a time of this age")
}

/// Does `proof` within one hour of UTC, so that the window of its limit does not change under it. It takes minutes at
/// most: where it met the end of an hour it is done once more, and does not meet the next.
pub fn within_an_hour(mut proof: impl FnMut(&str)) {
    let hour = || now() / (60 * MINUTE);
    let before = hour();
    // What is found here does not count if the window changed: then the second attempt judges.
    let first = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| proof("first")));
    match (first, hour() == before) {
        (Ok(()), true) => {}
        (Err(found), true) => std::panic::resume_unwind(found),
        (_, false) => proof("second"),
    }
}

#[test]
fn a_fixed_limit_admits_exactly_itself_and_the_counters_say_so() {
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    for limit in scaled(vec![1, 10, 100, 1000], vec![1, 10, 100, 1000, 10_000]) {
        within_an_hour(|attempt| {
            let name = format!("fixed-{limit}-{attempt}");
            let key = limited_key(&home, &name, &[("requests_per_hour", limit)], "fixed");
            let mut fleet = Fleet::start(&home, &upstream.url, GATEWAYS);
            // Each caller is refused as often as makes a hundredfold demand, or tenfold where that would be long.
            let calls = limit * if limit > 100 { scaled(4, 100) } else { scaled(30, 100) };
            let refusals = (calls / (GATEWAYS * TASKS) as u64).max(1);
            let demand = Demand { tasks: TASKS, refusals, most: limit };
            let load = Overload::start(&runtime, fleet.doors(), &key.key, demand);
            let tally = load.settle(&runtime);
            fleet.stop_all();

            let came = upstream.count(&key.id);
            eprintln!("fixed {limit}: {came} admitted of {} calls: {:?}", tally.answered(), tally.statuses);
            assert_eq!(came, limit, "calls that reached the upstream");
            assert_eq!(tally.broken, 0);
            assert_eq!(tally.allowed(), limit, "calls that callers saw admitted");
            assert_counted(&home, &key.id, came, &tally);
        });
    }
}

/// The counters are what the upstream and the callers saw.
fn assert_counted(home: &Home, credential: &str, came: u64, tally: &Tally) {
    let summary = home.json(&["usage", "summary", "--credential", credential]);
    let counted = ["allowed", "denied", "failed"].map(|field| summary[field].as_u64().expect("a number"));
    assert_eq!(counted, [came, tally.denied(), 0], "the counters: {summary}");
    for outcome in summary["outcomes"].as_array().expect("a list") {
        let status = match outcome["key"].as_str().expect("a name") {
            "allowed" => 200,
            "rate_limited" => 429,
            "unavailable" => 503,
            other => panic!("nobody met {other}"),
        };
        assert_eq!(outcome["calls"].as_u64(), tally.statuses.get(&status).copied(), "{outcome}");
    }
}

/// Half of the limit in small parts at every gateway, the rest in another cell: what was leased in the first cell and not
/// used must come back, and must not be admitted twice.
#[test]
fn a_sliding_limit_is_never_passed_in_any_minute() {
    const LIMIT: u64 = 160;
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let key = limited_key(&home, "sliding", &[("requests_per_minute", LIMIT)], "sliding");
    let mut fleet = Fleet::start(&home, &upstream.url, GATEWAYS);

    let began = now();
    for door in fleet.doors() {
        let mut caller = Caller::new(door, &key.key);
        for _ in 0..LIMIT / 2 / GATEWAYS as u64 {
            assert_eq!(runtime.block_on(caller.call(Caller::number())).expect("an answer"), 200);
        }
    }
    // Calls of another key fill the time until the cell is over: the gateways are not idle meanwhile.
    let filler = limited_key(&home, "filler", &[("requests_per_minute", 5)], "sliding");
    let mut idlers: Vec<_> = fleet.doors().map(|door| Caller::new(door, &filler.key)).collect();
    while now() / CELL == began / CELL {
        for caller in &mut idlers {
            runtime.block_on(caller.call(Caller::number())).expect("an answer");
        }
    }
    let load = Overload::start(
        &runtime,
        fleet.doors(),
        &key.key,
        Demand { tasks: TASKS, refusals: 20, most: 10 * LIMIT },
    );
    if let Some(length) = scaled(None, Some(Duration::from_secs(200))) {
        std::thread::sleep(length);
    }
    let tally = load.settle(&runtime);
    fleet.stop_all();

    let mut arrivals = upstream.arrivals(&key.id);
    let most = most_in_a_minute(&mut arrivals);
    eprintln!("sliding {LIMIT}: {} admitted, at most {most} a minute; {:?}", arrivals.len(), tally.statuses);
    assert!(most <= LIMIT, "{most} calls within a minute");
    assert!(arrivals.len() as u64 > LIMIT / 2, "nothing was admitted in another cell");
    let mut of_filler = upstream.arrivals(&filler.id);
    assert!(most_in_a_minute(&mut of_filler) <= 5);
}

/// The most calls in any interval of a minute, by the time at which the gateways took them up. That is read a moment
/// before the time by which they are charged, so the interval is a little shorter than a minute.
fn most_in_a_minute(arrivals: &mut [Arrival]) -> u64 {
    const READING: u64 = 250;
    arrivals.sort_by_key(|arrival| arrival.taken_up);
    let within = |(index, first): (usize, &Arrival)| {
        let end = first.taken_up + MINUTE - READING;
        arrivals[index..].partition_point(|arrival| arrival.taken_up < end) as u64
    };
    arrivals.iter().enumerate().map(within).max().unwrap_or(0)
}
