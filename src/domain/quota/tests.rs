use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Start of a UTC day.
const START: i64 = 1_785_196_800_000;

fn at(offset: i64) -> Timestamp {
    Timestamp::from_millis(START + offset)
}

fn limits(minute: Option<u32>, hour: Option<u32>, day: Option<u32>, algorithm: Algorithm) -> RateLimits {
    RateLimits { requests_per_minute: minute, requests_per_hour: hour, requests_per_day: day, algorithm }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

fn refused(window: Window, limit: u32, retry_after: u64) -> Charge {
    Charge::Refused { window, limit, retry_after: Duration::from_millis(retry_after) }
}

#[test]
fn cells_are_tenths_aligned_on_the_epoch() {
    let now = at(3_600_000 + 61_234);
    assert_eq!(
        Cells::at(Algorithm::Sliding, Window::Minute, now),
        Cells { current: at(3_660_000), oldest: at(3_600_000), ends: at(3_666_000), resets: at(3_666_000) }
    );
    assert_eq!(
        Cells::at(Algorithm::Fixed, Window::Minute, now),
        Cells { current: at(3_660_000), oldest: at(3_660_000), ends: at(3_666_000), resets: at(3_720_000) }
    );
    let hour = Cells::at(Algorithm::Fixed, Window::Hour, now);
    assert_eq!((hour.current, hour.oldest, hour.resets), (at(3_600_000), at(3_600_000), at(7_200_000)));
    let day = Cells::at(Algorithm::Sliding, Window::Day, at(0));
    assert_eq!((day.current, day.oldest, day.ends), (at(0), at(-86_400_000), at(8_640_000)));
}

#[test]
fn a_cell_counts_until_no_window_holds_it() {
    for algorithm in Algorithm::ALL {
        for window in Window::ALL {
            let start = Cells::at(algorithm, window, at(12_345_678)).current;
            let until = counts_until(algorithm, window, start);
            let last = Timestamp::from_millis(until.millis() - 1);
            assert!(Cells::at(algorithm, window, last).oldest <= start, "{algorithm:?} {window:?}");
            assert!(Cells::at(algorithm, window, until).oldest > start, "{algorithm:?} {window:?}");
        }
    }
}

#[test]
fn all_windows_are_charged_or_none() {
    let limits = limits(Some(10), Some(1), None, Algorithm::Fixed);
    let mut counter = Counter::new();
    assert_eq!(counter.charge(&limits, at(0)), Charge::Granted);
    for _ in 0..20 {
        assert_eq!(counter.charge(&limits, at(1)), refused(Window::Hour, 1, 3_599_999));
    }
    let standings = counter.standings(&limits, at(1));
    assert_eq!(standings.len(), 2);
    assert_eq!(standings[0], (Window::Minute, Standing { limit: 10, remaining: 9, reset_after_ms: 59_999 }));
    assert_eq!(standings[1], (Window::Hour, Standing { limit: 1, remaining: 0, reset_after_ms: 3_599_999 }));
}

#[test]
fn zero_is_nothing_and_none_is_no_limit() {
    let nothing = limits(None, Some(0), None, Algorithm::Sliding);
    assert_eq!(Counter::new().charge(&nothing, at(0)), refused(Window::Hour, 0, 3_600_000));
    let unlimited = limits(None, None, None, Algorithm::Sliding);
    let mut counter = Counter::new();
    for _ in 0..1000 {
        assert_eq!(counter.charge(&unlimited, at(0)), Charge::Granted);
    }
    assert!(counter.standings(&unlimited, at(0)).is_empty());
}

#[test]
fn peeking_charges_nothing() {
    let limits = limits(Some(1), None, None, Algorithm::Sliding);
    let mut counter = Counter::new();
    for _ in 0..5 {
        assert_eq!(counter.peek(&limits, at(0)), Charge::Granted);
    }
    assert_eq!(counter.charge(&limits, at(0)), Charge::Granted);
    assert_eq!(counter.peek(&limits, at(0)), refused(Window::Minute, 1, 66_000));
}

#[test]
fn a_sliding_window_frees_cell_by_cell() {
    let limits = limits(Some(2), None, None, Algorithm::Sliding);
    let mut counter = Counter::new();
    assert!(counter.charge(&limits, at(5_999)).is_granted());
    assert!(counter.charge(&limits, at(6_000)).is_granted());
    assert_eq!(counter.peek(&limits, at(6_001)), refused(Window::Minute, 2, 59_999));
    assert_eq!(counter.peek(&limits, at(65_999)), refused(Window::Minute, 2, 1));
    assert!(counter.charge(&limits, at(66_000)).is_granted());
    assert_eq!(counter.charge(&limits, at(66_000)), refused(Window::Minute, 2, 6_000));
}

#[test]
fn a_clock_that_is_set_back_frees_nothing() {
    for algorithm in Algorithm::ALL {
        let limits = limits(Some(2), None, None, algorithm);
        let mut counter = Counter::new();
        assert!(counter.charge(&limits, at(120_000)).is_granted());
        assert!(counter.charge(&limits, at(0)).is_granted());
        assert!(!counter.charge(&limits, at(0)).is_granted(), "{algorithm:?}");
    }
}

#[test]
fn the_window_that_frees_last_is_named() {
    let limits = limits(Some(1), Some(1), Some(1), Algorithm::Fixed);
    let mut counter = Counter::new();
    assert!(counter.charge(&limits, at(0)).is_granted());
    assert_eq!(counter.peek(&limits, at(0)), refused(Window::Day, 1, 86_400_000));
}

#[test]
fn more_used_than_the_limit_is_no_fault() {
    let cells = [(at(0), 50), (at(6_000), 2)];
    let wait = free_after(Algorithm::Sliding, Window::Minute, 2, 1, cells, at(6_000));
    assert_eq!(wait, Some(Duration::from_secs(66)));
    let standing = Standing::at(Algorithm::Sliding, Window::Minute, 2, cells, at(6_000));
    assert_eq!(standing, Standing { limit: 2, remaining: 0, reset_after_ms: 60_000 });
    assert_eq!(used(Algorithm::Fixed, Window::Minute, cells, at(60_000)), 0);
}

/// Offsets in time order, in bursts and lulls around the ends of cells and windows.
fn times(span: i64) -> impl Strategy<Value = Vec<i64>> {
    let near_an_end = (0..span / 6_000, -2_i64..=2).prop_map(|(cell, off)| (cell * 6_000 + off).max(0));
    let times = prop::collection::vec(prop_oneof![0..span, near_an_end], 1..150);
    times.prop_map(|mut times| {
        times.sort_unstable();
        times
    })
}

proptest! {
    #[test]
    fn no_interval_of_a_sliding_windows_length_holds_more_than_the_limit(
        times in times(300_000), limit in 1_u32..12,
    ) {
        let limits = limits(Some(limit), None, None, Algorithm::Sliding);
        let mut counter = Counter::new();
        let granted: Vec<i64> =
            times.into_iter().filter(|&time| counter.charge(&limits, at(time)).is_granted()).collect();
        for &first in &granted {
            let within = granted.iter().filter(|&&time| time >= first && time <= first + 60_000).count();
            prop_assert!(within <= limit as usize, "{} from {}", within, first);
        }
    }

    #[test]
    fn a_fixed_window_under_overload_holds_exactly_the_limit(times in times(300_000), limit in 1_u32..12) {
        let limits = limits(Some(limit), None, None, Algorithm::Fixed);
        let mut counter = Counter::new();
        let (mut asked, mut granted) = (BTreeMap::new(), BTreeMap::new());
        for time in times {
            *asked.entry(time / 60_000).or_insert(0_u32) += 1;
            if counter.charge(&limits, at(time)).is_granted() {
                *granted.entry(time / 60_000).or_insert(0_u32) += 1;
            }
        }
        for (minute, asked) in asked {
            prop_assert_eq!(granted.get(&minute).copied().unwrap_or(0), asked.min(limit));
        }
    }

    #[test]
    fn waiting_as_told_is_exactly_enough(
        times in times(4_000_000), minute in 1_u32..4, hour in 1_u32..12, fixed in any::<bool>(),
    ) {
        let algorithm = if fixed { Algorithm::Fixed } else { Algorithm::Sliding };
        let limits = limits(Some(minute), Some(hour), None, algorithm);
        let mut counter = Counter::new();
        for time in times {
            if let Charge::Refused { retry_after, .. } = counter.charge(&limits, at(time)) {
                let free = time + millis(retry_after);
                prop_assert!(retry_after >= Duration::from_millis(1));
                prop_assert!(counter.peek(&limits, at(free)).is_granted());
                prop_assert!(!counter.peek(&limits, at(free - 1)).is_granted());
            }
        }
    }

    #[test]
    fn the_counter_agrees_with_a_ledger_that_forgets_nothing(
        times in times(200_000), minute in 1_u32..8, fixed in any::<bool>(),
    ) {
        let algorithm = if fixed { Algorithm::Fixed } else { Algorithm::Sliding };
        let limits = limits(Some(minute), Some(20), None, algorithm);
        let mut counter = Counter::new();
        let mut ledger: BTreeMap<(Window, Timestamp), u64> = BTreeMap::new();
        for time in times {
            let now = at(time);
            let row = |window| ledger.iter().filter(move |((of, _), _)| *of == window).map(|((_, start), used)| (*start, *used));
            let expected = Charge::of(&limits, |window, limit| free_after(algorithm, window, limit, 1, row(window), now));
            prop_assert_eq!(counter.charge(&limits, now), expected.clone());
            if expected.is_granted() {
                for window in [Window::Minute, Window::Hour] {
                    *ledger.entry((window, Cells::at(algorithm, window, now).current)).or_default() += 1;
                }
            }
        }
    }
}

#[test]
fn calls_cost_what_their_endpoint_says() {
    for (endpoint, cost) in [
        ("tools/call/x", Cost::Request),
        ("/health", Cost::Request),
        ("initialize", Cost::Request),
        ("server/discover", Cost::Request),
        ("notification/x", Cost::Request),
        ("oauth/token", Cost::Request),
        ("session/ends", Cost::Request),
        ("notifications/initialized", Cost::Free),
        ("ping", Cost::Free),
        ("stream", Cost::Free),
        ("session/end", Cost::Nothing),
    ] {
        assert_eq!(Cost::of(&endpoint.parse().unwrap()), cost, "{endpoint}");
    }
    let is_part = |endpoint: &str| Cost::is_part(&endpoint.parse().unwrap());
    assert!(is_part("subscriptions/listen/file:///a"));
    for whole in ["subscriptions/listen", "resources/subscribe/file:///a", "/subscriptions/listen/a"] {
        assert!(!is_part(whole), "{whole}");
    }
}

#[test]
fn what_is_free_has_ten_times_the_shortest_limit_and_at_least_sixty() {
    let bound = |minute, hour, day| free_bound(&limits(minute, hour, day, Algorithm::Fixed));
    assert_eq!(bound(Some(100), Some(1), None), Some(1000));
    assert_eq!(bound(None, Some(50), Some(1)), Some(500));
    assert_eq!(bound(None, None, Some(3)), Some(60));
    assert_eq!(bound(Some(u32::MAX), None, None), Some(u32::MAX));
    assert_eq!(bound(None, None, None), None);
}

#[test]
fn free_calls_are_counted_by_the_minute_and_pass_not_at_all_where_a_limit_is_zero() {
    let some = limits(Some(2), None, None, Algorithm::Sliding);
    let mut counter = Counter::new();
    let mut passed =
        |now| (0..100).filter(|_| counter.charge_call(&some, Cost::Free, now).is_granted()).count();
    assert_eq!((passed(at(0)), passed(at(59_999)), passed(at(60_000))), (60, 0, 60));
    assert_eq!(counter.peek_call(&some, Cost::Free, at(61_000)), refused(Window::Minute, 60, 59_000));
    assert!(counter.charge(&some, at(61_000)).is_granted(), "another account");
    let nothing = limits(None, Some(0), None, Algorithm::Sliding);
    for (cost, is_granted) in [(Cost::Request, false), (Cost::Free, false), (Cost::Nothing, true)] {
        assert_eq!(Counter::new().charge_call(&nothing, cost, at(0)).is_granted(), is_granted, "{cost:?}");
    }
}

#[test]
fn several_fit_when_all_of_them_do() {
    let cells = [(at(0), 6), (at(12_000), 4)];
    let wait = |count| free_after(Algorithm::Sliding, Window::Minute, 10, count, cells, at(12_000));
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!([wait(1), wait(6), wait(7), wait(10), wait(11)], [54, 54, 66, 66, 60].map(seconds));
}
