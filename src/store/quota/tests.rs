use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::domain::{policy::Algorithm, quota::Counter};

fn database() -> Connection {
    let c = Connection::open_in_memory().unwrap();
    let schema = include_str!("../../../assets/migrations/portcullis/0001_first.sql");
    c.execute_batch(schema).unwrap();
    c
}

fn limits(minute: Option<u32>, hour: Option<u32>, day: Option<u32>, algorithm: Algorithm) -> RateLimits {
    RateLimits { requests_per_minute: minute, requests_per_hour: hour, requests_per_day: day, algorithm }
}

fn at(seconds: i64) -> Timestamp {
    // The start of a UTC day.
    Timestamp::from_millis(1_785_196_800_000 + seconds * 1000)
}

fn used(c: &Connection) -> Vec<(i64, i64)> {
    let mut select = c.prepare("SELECT window, used FROM quota_cell ORDER BY window, starts").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_lease_debits_every_window_or_none() {
    let c = database();
    let limits = limits(Some(10), Some(15), Some(1000), Algorithm::Sliding);
    let first = lease(&c, "a", &limits, 8, at(0)).unwrap();
    assert_eq!((first.granted, first.ends, first.refused), (8, at(6), None));
    assert_eq!(used(&c), [(0, 8), (1, 8), (2, 8)]);
    assert_eq!(lease(&c, "a", &limits, 8, at(1)).unwrap().granted, 2, "what the minute has left");
    let spent = lease(&c, "a", &limits, 8, at(2)).unwrap();
    assert_eq!((spent.granted, spent.refused), (0, Some((Window::Minute, 10, Duration::from_secs(64)))));
    assert_eq!(used(&c), [(0, 10), (1, 10), (2, 10)], "nothing was debited");
    assert_eq!(lease(&c, "a", &limits, 8, at(66)).unwrap().granted, 5, "what the hour has left");
    let spent = lease(&c, "a", &limits, 8, at(66)).unwrap();
    assert_eq!(spent.refused, Some((Window::Hour, 15, Duration::from_secs(3960 - 66))));
    assert_eq!(lease(&c, "b", &limits, 1, at(66)).unwrap().granted, 1, "another account");
}

#[test]
fn fixed_windows_start_anew() {
    let c = database();
    let limits = limits(Some(3), None, None, Algorithm::Fixed);
    assert_eq!(lease(&c, "a", &limits, 9, at(30)).unwrap().granted, 3);
    let spent = lease(&c, "a", &limits, 1, at(59)).unwrap();
    assert_eq!(spent.refused, Some((Window::Minute, 3, Duration::from_secs(1))));
    assert_eq!(lease(&c, "a", &limits, 9, at(60)).unwrap().granted, 3);
}

#[test]
fn a_limit_of_nothing_refuses_and_no_limit_grants() {
    let c = database();
    let nothing = limits(None, Some(0), None, Algorithm::Sliding);
    let refused = lease(&c, "a", &nothing, 1, at(0)).unwrap();
    assert_eq!(refused.granted, 0);
    assert!(matches!(refused.refused, Some((Window::Hour, 0, _))));
    let unlimited = limits(None, None, None, Algorithm::Sliding);
    assert_eq!(lease(&c, "a", &unlimited, 1000, at(0)).unwrap().granted, 1000);
    assert!(used(&c).is_empty());
}

#[test]
fn what_is_given_back_can_be_leased_again_but_no_more() {
    let c = database();
    let limits = limits(Some(10), None, Some(10), Algorithm::Fixed);
    let lease_of_ten = lease(&c, "a", &limits, 10, at(0)).unwrap();
    give_back(&c, "a", &limits, lease_of_ten.at, 4).unwrap();
    assert_eq!(lease(&c, "a", &limits, 10, at(1)).unwrap().granted, 4);
    give_back(&c, "a", &limits, at(0), 400).unwrap();
    assert_eq!(used(&c), [(0, 0), (2, 0)]);
    assert_eq!(lease(&c, "a", &limits, 99, at(1)).unwrap().granted, 10);
    give_back(&c, "a", &limits, at(-86_400), 5).unwrap();
    assert_eq!(
        lease(&c, "a", &limits, 99, at(1)).unwrap().granted,
        0,
        "a cell that is not there gives nothing"
    );
}

#[test]
fn a_peek_changes_nothing() {
    let c = database();
    let limits = limits(Some(2), None, None, Algorithm::Sliding);
    lease(&c, "a", &limits, 1, at(0)).unwrap();
    for _ in 0..3 {
        let (standings, charge) = peek(&c, "a", &limits, at(1)).unwrap();
        assert_eq!(charge, Charge::Granted);
        assert_eq!(standings.len(), 1);
        assert_eq!((standings[0].0, standings[0].1.limit, standings[0].1.remaining), (Window::Minute, 2, 1));
    }
    lease(&c, "a", &limits, 1, at(1)).unwrap();
    let (_, charge) = peek(&c, "a", &limits, at(1)).unwrap();
    let retry_after = Duration::from_secs(65);
    assert_eq!(charge, Charge::Refused { window: Window::Minute, limit: 2, retry_after });
}

#[test]
fn a_sweep_takes_only_what_no_window_counts() {
    let c = database();
    let limits = limits(Some(1), None, Some(1), Algorithm::Sliding);
    lease(&c, "a", &limits, 1, at(0)).unwrap();
    assert_eq!(sweep(&c, at(2 * 86_400)).unwrap(), 0);
    assert_eq!(sweep(&c, at(2 * 86_400 + 1)).unwrap(), 2);
}

fn any_limit() -> impl Strategy<Value = Option<u32>> {
    proptest::option::of(0_u32..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Leased one by one, the ledger grants and refuses exactly as the counter in memory does,
    /// with the same wait; and after that wait one more is granted.
    #[test]
    fn the_ledger_is_the_counter(
        minute in any_limit(), hour in any_limit(), day in any_limit(), sliding: bool,
        steps in proptest::collection::vec(prop_oneof![0_i64..8_000, 0_i64..400_000, 0_i64..20_000_000], 1..60),
    ) {
        let c = database();
        let algorithm = if sliding { Algorithm::Sliding } else { Algorithm::Fixed };
        let limits = limits(minute, hour, day, algorithm);
        let mut counter = Counter::new();
        let mut now = at(0);
        for step in steps {
            now = Timestamp::from_millis(now.millis() + step);
            let (_, peeked) = peek(&c, "a", &limits, now).unwrap();
            let charged = counter.charge(&limits, now);
            prop_assert_eq!(&peeked, &charged);
            let lease = lease(&c, "a", &limits, 1, now).unwrap();
            match charged {
                Charge::Granted => prop_assert_eq!((lease.granted, lease.refused), (1, None)),
                Charge::Refused { window, limit, retry_after } => {
                    prop_assert_eq!((lease.granted, lease.refused), (0, Some((window, limit, retry_after))));
                    let then = now.plus(retry_after);
                    let fits = peek(&c, "a", &limits, then).unwrap().1 == Charge::Granted;
                    prop_assert_eq!(fits, ![minute, hour, day].contains(&Some(0)));
                    let earlier = then.minus(Duration::from_millis(1));
                    prop_assert_ne!(peek(&c, "a", &limits, earlier).unwrap().1, Charge::Granted);
                }
            }
        }
    }
}
