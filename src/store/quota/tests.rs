use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::domain::{policy::Algorithm, quota::Counter};
use crate::store::RowKey;

/// A ledger in memory, with the accounts `a` and `b`.
pub(super) struct Books(Connection, RowKey);

impl Books {
    pub(super) fn new() -> Self {
        let books = Self(database(), RowKey::new(&[7; 32]));
        ["a", "b"].iter().for_each(|account| open(&books.rows(), account).unwrap());
        books
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows::new(&self.0, Some(&self.1))
    }
}

fn database() -> Connection {
    let c = Connection::open_in_memory().unwrap();
    let schema = include_str!("../../../assets/migrations/portcullis/0001_first.sql");
    c.execute_batch(schema).unwrap();
    c
}

pub(super) fn limits(
    minute: Option<u32>,
    hour: Option<u32>,
    day: Option<u32>,
    algorithm: Algorithm,
) -> RateLimits {
    RateLimits { requests_per_minute: minute, requests_per_hour: hour, requests_per_day: day, algorithm }
}

pub(super) fn at(seconds: i64) -> Timestamp {
    // The start of a UTC day.
    Timestamp::from_millis(1_785_196_800_000 + seconds * 1000)
}

/// Window and charge of the account `a`, as it stands in the store.
fn used(c: &Rows<'_>) -> Vec<(u8, u32)> {
    let any = limits(Some(1), None, None, Algorithm::Fixed);
    charged(c, "a", &any).unwrap().iter().map(|cell| (number(cell.window), cell.used)).collect()
}

#[test]
fn a_lease_debits_every_window_or_none() {
    let books = Books::new();
    let c = books.rows();
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
    let books = Books::new();
    let c = books.rows();
    let limits = limits(Some(3), None, None, Algorithm::Fixed);
    assert_eq!(lease(&c, "a", &limits, 9, at(30)).unwrap().granted, 3);
    let spent = lease(&c, "a", &limits, 1, at(59)).unwrap();
    assert_eq!(spent.refused, Some((Window::Minute, 3, Duration::from_secs(1))));
    assert_eq!(lease(&c, "a", &limits, 9, at(60)).unwrap().granted, 3);
}

#[test]
fn a_limit_of_nothing_refuses_and_no_limit_grants() {
    let books = Books::new();
    let c = books.rows();
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
    let books = Books::new();
    let c = books.rows();
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
    let books = Books::new();
    let c = books.rows();
    let limits = limits(Some(2), None, None, Algorithm::Sliding);
    lease(&c, "a", &limits, 1, at(0)).unwrap();
    for _ in 0..3 {
        let (standings, charge) = peek(&c, "a", &limits, 1, at(1)).unwrap();
        assert_eq!(charge, Charge::Granted);
        assert_eq!(standings.len(), 1);
        assert_eq!((standings[0].0, standings[0].1.limit, standings[0].1.remaining), (Window::Minute, 2, 1));
    }
    lease(&c, "a", &limits, 1, at(1)).unwrap();
    let (_, charge) = peek(&c, "a", &limits, 1, at(1)).unwrap();
    let retry_after = Duration::from_secs(65);
    assert_eq!(charge, Charge::Refused { window: Window::Minute, limit: 2, retry_after });
}

#[test]
fn the_newest_cells_are_kept_and_no_clock_makes_them_forgotten() {
    let books = Books::new();
    let c = books.rows();
    let limits = limits(Some(100), None, Some(100), Algorithm::Sliding);
    for step in 0..40 {
        lease(&c, "a", &limits, 1, at(step * 6)).unwrap();
    }
    assert_eq!(used(&c), [vec![(0, 1); 16], vec![(2, 40)]].concat());
    // Years ahead by mistake, and back.
    lease(&c, "a", &limits, 1, at(100_000_000)).unwrap();
    assert_eq!(lease(&c, "a", &limits, 100, at(240)).unwrap().granted, 100 - 41, "nothing was freed");
}

#[test]
fn a_row_that_is_missing_altered_or_of_another_account_leases_nothing() {
    let books = Books::new();
    let c = books.rows();
    let some = limits(Some(10), None, None, Algorithm::Fixed);
    lease(&c, "a", &some, 9, at(0)).unwrap();
    for (damage, mend) in [
        ("UPDATE quota SET charged = x'' WHERE account = 'a'", "charged = before.charged"),
        ("UPDATE quota SET mac = zeroblob(32) WHERE account = 'a'", "mac = before.mac"),
        (
            "UPDATE quota SET (charged, mac) = (SELECT charged, mac FROM quota WHERE account = 'b') WHERE account = 'a'",
            "charged = before.charged, mac = before.mac",
        ),
        ("UPDATE quota SET account = 'c' WHERE account = 'a'", "account = 'a'"),
    ] {
        c.execute_batch(
            "DROP TABLE IF EXISTS before; CREATE TABLE before AS SELECT * FROM quota WHERE account = 'a'",
        )
        .unwrap();
        c.execute_batch(damage).unwrap();
        for found in [
            lease(&c, "a", &some, 1, at(1)).map(|_| ()),
            peek(&c, "a", &some, 1, at(1)).map(|_| ()),
            give_back(&c, "a", &some, at(0), 1),
        ] {
            let error = found.unwrap_err();
            assert!(
                matches!(&error, StoreError::Row { table: "quota", row, .. } if row == "a"),
                "{damage}: {error}"
            );
        }
        assert_eq!(lease(&c, "b", &some, 1, at(60)).unwrap().granted, 1, "another account");
        let unlimited = limits(None, None, None, Algorithm::Fixed);
        assert_eq!(
            lease(&c, "a", &unlimited, 1, at(1)).unwrap().granted,
            1,
            "what counts nothing reads nothing"
        );
        c.execute_batch(&format!("UPDATE quota SET {mend} FROM before WHERE quota.account IN ('a', 'c')"))
            .unwrap();
        assert_eq!(peek(&c, "a", &some, 1, at(1)).unwrap().0[0].1.remaining, 1, "as it was");
    }
    close(&c, "a").unwrap();
    assert!(lease(&c, "a", &some, 1, at(600)).unwrap_err().is_of_one_row());
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
        let books = Books::new();
    let c = books.rows();
        let algorithm = if sliding { Algorithm::Sliding } else { Algorithm::Fixed };
        let limits = limits(minute, hour, day, algorithm);
        let mut counter = Counter::new();
        let mut now = at(0);
        for step in steps {
            now = Timestamp::from_millis(now.millis() + step);
            let (_, peeked) = peek(&c, "a", &limits, 1, now).unwrap();
            let charged = counter.charge(&limits, now);
            prop_assert_eq!(&peeked, &charged);
            let lease = lease(&c, "a", &limits, 1, now).unwrap();
            match charged {
                Charge::Granted => prop_assert_eq!((lease.granted, lease.refused), (1, None)),
                Charge::Refused { window, limit, retry_after } => {
                    prop_assert_eq!((lease.granted, lease.refused), (0, Some((window, limit, retry_after))));
                    let then = now.plus(retry_after);
                    let fits = peek(&c, "a", &limits, 1, then).unwrap().1 == Charge::Granted;
                    prop_assert_eq!(fits, ![minute, hour, day].contains(&Some(0)));
                    let earlier = then.minus(Duration::from_millis(1));
                    prop_assert_ne!(peek(&c, "a", &limits, 1, earlier).unwrap().1, Charge::Granted);
                }
            }
        }
    }
}
