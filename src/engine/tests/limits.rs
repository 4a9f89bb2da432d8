//! Limits: never more than N, whoever asks and whatever dies.

use super::house::{Gate, House, request};
use crate::domain::{
    decision::{Outcome, Reason},
    quota::{Charge, Window},
};
use crate::engine::Engine;
use crate::store::{Rows, StoreError};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Calls until refused, at most so often, and counts what passed.
async fn admitted(gate: &mut Gate, text: &str, most: u32) -> u32 {
    let mut passed = 0;
    while passed < most {
        match gate.call(text, "tools/list").await {
            Ok(()) => passed += 1,
            Err(reason) => {
                assert_eq!(reason, Reason::RateLimited);
                break;
            }
        }
    }
    passed
}

/// So many tasks call at once, each so often; how many calls passed.
async fn storm(engines: &[Arc<Engine>], house: &House, text: &str, tasks: usize, calls: usize) -> u32 {
    let passed = Arc::new(AtomicU32::new(0));
    let mut running = Vec::new();
    for index in 0..tasks {
        let engine = engines[index % engines.len()].clone();
        let principal = engine.authenticate(&super::house::presented(text), None, house.now()).unwrap();
        let passed = passed.clone();
        let now = house.now();
        running.push(tokio::spawn(async move {
            for _ in 0..calls {
                match engine.decide(&principal, &request("tools/list", now)).await.decision.outcome {
                    Outcome::Allow => _ = passed.fetch_add(1, Ordering::Relaxed),
                    Outcome::Deny(denial) => assert_eq!(denial.reason, Reason::RateLimited),
                }
            }
        }));
    }
    for task in running {
        task.await.unwrap();
    }
    passed.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_of_n_admits_exactly_n_through_two_gateways() {
    for (limit, algorithm) in
        [(1, "fixed"), (10, "sliding"), (64, "fixed"), (1_000, "fixed"), (1_000, "sliding")]
    {
        let house = House::new();
        house.limit("limited", limit, algorithm);
        let (_, text) = house.key("limited");
        let engines = [house.engine(), house.engine()];
        let first = storm(&engines, &house, &text, 16, 200).await;
        assert!(first <= limit, "{first} of {limit}");
        // What one gateway held when the other was refused is not lost to it.
        let mut total = first;
        for engine in &engines {
            engine.stop().unwrap();
        }
        total += admitted(&mut house.gate(), &text, limit).await;
        assert_eq!(total, limit, "{algorithm}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_window_and_when_to_come_back() {
    let house = House::new();
    house.limit("limited", 2, "fixed");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    house.advance(20);
    let decided = gate.ask(&text, "tools/list").await.unwrap();
    assert_eq!(decided.charge, Some(Charge::Granted));
    assert_eq!(admitted(&mut gate, &text, 5).await, 1);
    let decided = gate.ask(&text, "tools/list").await.unwrap();
    let retry_after = Duration::from_secs(40);
    assert_eq!(decided.charge, Some(Charge::Refused { window: Window::Minute, limit: 2, retry_after }));
    let Outcome::Deny(denial) = decided.decision.outcome else { panic!("not denied") };
    assert_eq!((denial.reason, denial.retry_after), (Reason::RateLimited, Some(retry_after)));

    house.advance(39);
    assert_eq!(gate.call(&text, "tools/list").await, Err(Reason::RateLimited));
    house.advance(1);
    assert_eq!(admitted(&mut gate, &text, 5).await, 2);
}

#[tokio::test]
async fn sliding_never_admits_more_than_n_within_any_minute() {
    let house = House::new();
    house.limit("limited", 30, "sliding");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    let mut passed = Vec::new();
    for second in 0..240_u64 {
        for _ in 0..2 {
            if gate.call(&text, "tools/list").await.is_ok() {
                passed.push(second);
            }
        }
        house.advance(1);
    }
    for from in 0..240 {
        let within = passed.iter().filter(|&&at| (from..from + 60).contains(&at)).count();
        assert!(within <= 30, "{within} from second {from}");
    }
    assert!(passed.len() >= 90, "and it does admit: {}", passed.len());
}

#[tokio::test]
async fn a_restart_keeps_the_count_and_loses_nothing() {
    let house = House::new();
    house.limit("limited", 100, "fixed");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    assert_eq!(admitted(&mut gate, &text, 30).await, 30);
    gate.engine.stop().unwrap();
    gate.engine.stop().unwrap();
    assert_eq!(gate.call(&text, "tools/list").await, Err(Reason::Unavailable), "stopped");
    assert_eq!(admitted(&mut house.gate(), &text, 100).await, 70);
}

#[tokio::test]
async fn a_crash_admits_no_more() {
    let house = House::new();
    house.limit("limited", 100, "fixed");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    assert_eq!(admitted(&mut gate, &text, 30).await, 30);
    let after = admitted(&mut house.gate(), &text, 100).await;
    assert!((70 - 12..=70).contains(&after), "{after}: short by one lease at most");
}

#[tokio::test]
async fn a_lease_ends_with_its_cell_and_what_was_left_is_given_back() {
    let house = House::new();
    house.limit("limited", 80, "fixed");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    for _ in 0..5 {
        assert_eq!(gate.call(&text, "tools/list").await, Ok(()));
        house.advance(6);
    }
    assert_eq!(admitted(&mut gate, &text, 100).await, 75);
}

#[tokio::test]
async fn what_could_not_be_given_back_is_not_given_back_later() {
    let house = House::new();
    house.limit("limited", 80, "fixed");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    // Leases ten, and spends one of them.
    assert_eq!(gate.call(&text, "tools/list").await, Ok(()));
    house.advance(6);
    rename_ledger(&house, "quota", "gone");
    assert_eq!(gate.call(&text, "tools/list").await, Err(Reason::Unavailable));
    rename_ledger(&house, "gone", "quota");
    assert_eq!(admitted(&mut gate, &text, 100).await, 70, "whether the nine went back nobody can know");
}

#[tokio::test]
async fn new_limits_count_at_the_very_next_request() {
    let house = House::new();
    house.limit("limited", 1_000, "fixed");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    assert_eq!(admitted(&mut gate, &text, 10).await, 10);
    house.limit("limited", 12, "fixed");
    assert_eq!(admitted(&mut gate, &text, 100).await, 2);
    house.limit("limited", 20, "fixed");
    assert_eq!(admitted(&mut gate, &text, 100).await, 8);
}

#[tokio::test]
async fn denied_and_free_calls_use_no_quota() {
    let house = House::new();
    house.limit("limited", 3, "fixed");
    let (_, text) = house.key_with("limited", &["tools:list"]);
    let mut gate = house.gate();
    for _ in 0..9 {
        assert_eq!(gate.call(&text, "tools/call/x").await, Err(Reason::InsufficientScope));
        let principal = gate.authenticate(&text).unwrap();
        let free = request("notifications/initialized", house.now());
        assert!(gate.engine.decide(&principal, &free).await.decision.is_allowed());
    }
    assert_eq!(admitted(&mut gate, &text, 9).await, 3);
}

/// Whether so many calls pass together.
async fn together(gate: &mut Gate, text: &str, count: usize) -> bool {
    let principal = gate.authenticate(text).unwrap();
    let now = gate.now();
    let decided = gate.engine.decide_all(&principal, &vec![request("tools/list", now); count], now).await;
    match decided {
        Ok(decisions) => decisions.len() == count,
        Err(denying) => {
            let Outcome::Deny(denial) = denying.decided.decision.outcome else { panic!("not denied") };
            assert_eq!(denial.reason, Reason::RateLimited);
            false
        }
    }
}

#[tokio::test]
async fn calls_that_come_together_are_charged_together_or_not_at_all() {
    for algorithm in ["fixed", "sliding"] {
        let house = House::new();
        house.limit("limited", 100, algorithm);
        let (_, text) = house.key("limited");
        let (mut one, mut other) = (house.gate(), house.gate());
        assert!(!together(&mut one, &text, 101).await);
        // The first holds a lease of twelve, of which this takes one; the second does not know.
        assert_eq!(one.call(&text, "tools/list").await, Ok(()));
        assert!(together(&mut one, &text, 80).await, "more than its lease holds");
        assert!(!together(&mut other, &text, 20).await, "one too many");
        assert!(!together(&mut one, &text, 20).await);
        let mut left = 19;
        for count in [10, 5, 3] {
            assert!(together(&mut one, &text, count).await, "{algorithm}: {count} of {left}");
            left -= count;
        }
        assert_eq!(admitted(&mut one, &text, 9).await, 1);
        assert_eq!(admitted(&mut other, &text, 9).await, 0);
    }
}

#[tokio::test]
async fn what_does_not_fit_together_says_when_it_will() {
    let house = House::new();
    house.limit("limited", 10, "sliding");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    assert!(together(&mut gate, &text, 6).await);
    house.advance(12);
    assert!(together(&mut gate, &text, 4).await);
    let principal = gate.authenticate(&text).unwrap();
    let wait = async |count: usize| {
        let requests = vec![request("tools/list", house.now()); count];
        let denying = gate.engine.decide_all(&principal, &requests, house.now()).await.unwrap_err();
        match denying.decided.charge {
            Some(Charge::Refused { window: Window::Minute, limit: 10, retry_after }) => retry_after.as_secs(),
            other => panic!("{other:?}"),
        }
    };
    // The cell of the six counts for 66 seconds from its start, that of the four from the twelfth second on.
    assert_eq!((wait(11).await, wait(7).await, wait(6).await), (60, 66, 54));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_and_single_calls_through_two_gateways_never_pass_the_limit() {
    for algorithm in ["fixed", "sliding"] {
        let house = House::new();
        house.limit("limited", 500, algorithm);
        let (_, text) = house.key("limited");
        let engines = [house.engine(), house.engine()];
        let passed = Arc::new(AtomicU32::new(0));
        let mut running = Vec::new();
        for task in 0..12_u32 {
            let engine = engines[task as usize % 2].clone();
            let principal = engine.authenticate(&super::house::presented(&text), None, house.now()).unwrap();
            let (passed, now) = (passed.clone(), house.now());
            running.push(tokio::spawn(async move {
                for _ in 0..40 {
                    let count = task % 4 * 7 + 1;
                    let requests = vec![request("tools/list", now); count as usize];
                    match engine.decide_all(&principal, &requests, now).await {
                        Ok(_) => _ = passed.fetch_add(count, Ordering::Relaxed),
                        Err(denying) => {
                            assert_ne!(denying.decided.charge, None, "it was refused, not unavailable")
                        }
                    }
                }
            }));
        }
        for task in running {
            task.await.unwrap();
        }
        let together = passed.load(Ordering::Relaxed);
        assert!(together <= 500, "{together}");
        for engine in &engines {
            engine.stop().unwrap();
        }
        assert_eq!(together + admitted(&mut house.gate(), &text, 500).await, 500, "{algorithm}");
    }
}

#[tokio::test]
async fn an_open_answer_ends_where_a_limit_becomes_nothing() {
    let house = House::new();
    house.limit("limited", 5, "fixed");
    let (_, text) = house.key("limited");
    let mut gate = house.gate();
    let principal = gate.authenticate(&text).unwrap();
    let asked = [request("stream", house.now())];
    admitted(&mut gate, &text, 9).await;
    assert!(gate.engine.still_valid(&principal, &asked, house.now()), "a spent limit ends nothing");
    house.limit("limited", 0, "fixed");
    gate.authenticate(&text).unwrap();
    assert!(!gate.engine.still_valid(&principal, &asked, house.now()));
}

#[tokio::test]
async fn each_key_has_a_quota_of_its_own() {
    let house = House::new();
    house.limit("limited", 5, "sliding");
    let mut gate = house.gate();
    for _ in 0..3 {
        let (_, text) = house.key("limited");
        assert_eq!(admitted(&mut gate, &text, 9).await, 5);
    }
}

#[tokio::test]
async fn no_limit_and_a_limit_of_nothing_need_no_ledger() {
    let house = House::new();
    house.policy("open", json!({}));
    house.limit("nothing", 0, "sliding");
    house.limit("limited", 5, "sliding");
    let (_, open) = house.key("open");
    let (_, nothing) = house.key("nothing");
    let (_, limited) = house.key("limited");
    let mut gate = house.gate();
    rename_ledger(&house, "quota", "gone");
    assert_eq!(gate.call(&open, "tools/list").await, Ok(()));
    assert_eq!(gate.call(&nothing, "tools/list").await, Err(Reason::RateLimited));
    assert_eq!(gate.call(&limited, "tools/list").await, Err(Reason::Unavailable), "fails closed");
    rename_ledger(&house, "gone", "quota");
    assert_eq!(admitted(&mut gate, &limited, 9).await, 5);
}

fn rename_ledger(house: &House, from: &'static str, to: &'static str) {
    let job = move |c: &Rows<'_>| -> Result<(), StoreError> {
        Ok(c.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))?)
    };
    house.ctx.store.write(job).unwrap();
}
