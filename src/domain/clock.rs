//! Points in time, and where they come from.
//!
//! Everything that depends on time takes a [`Timestamp`] or a [`Clock`]; only [`SystemClock`]
//! asks the operating system.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::excerpt;

/// A point in time: milliseconds since the Unix epoch, UTC. Written as RFC 3339 (`…Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The end of time: by it, whatever has an end has ended.
    pub const END: Self = Self(i64::MAX);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// A NumericDate (RFC 7519 §2): seconds since the Unix epoch, with their fraction down to the millisecond. `None` where
    /// RFC 3339 has no such moment: before 1970, and after the year 9999.
    pub fn from_numeric_date(seconds: f64) -> Option<Self> {
        /// 10000-01-01T00:00:00Z
        const END: f64 = 253_402_300_800.0;
        (0.0..END).contains(&seconds).then(|| Self((seconds * 1000.0).floor() as i64))
    }

    /// A moment as people type it: a time in RFC 3339, or a date such as `2026-07-28`, which is its beginning in UTC.
    ///
    /// # Errors
    /// [`BadMoment`] where it is neither.
    pub fn typed(text: &str) -> Result<Self, BadMoment> {
        let text = text.trim();
        // By its form, since chrono takes `2026-7-28` and `+026-07-28` as well.
        if text.len() == "2026-07-28".len()
            && text.starts_with(|first: char| first.is_ascii_digit())
            && let Ok(date) = text.parse::<NaiveDate>()
        {
            return Ok(date.and_time(NaiveTime::MIN).and_utc().into());
        }
        text.parse().map_err(|_| BadMoment(excerpt(text)))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `duration`; the last representable moment on overflow.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment less `duration`; the first representable moment on overflow.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero where it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The calendar's view of this moment; the epoch where the calendar cannot express it.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

/// What time it is, in words; where the clock was set back, so that the end of time is judged by, nobody knows.
pub fn it_is(now: Timestamp) -> String {
    if now == Timestamp::END { "nobody knows what time it is".into() } else { format!("it is {now}") }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(value: DateTime<Utc>) -> Self {
        Self(value.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A text that is not an RFC 3339 time; it is safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time, such as 2026-07-28T09:30:00Z")]
pub struct BadTimestamp(pub String);

/// A text that is neither a time nor a date; it is safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a time such as 2026-07-28T09:30:00Z (RFC 3339) nor a date such as 2026-07-28")]
pub struct BadMoment(pub String);

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|_| BadTimestamp(excerpt(text)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is not a length of time, or one of no use; it is safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time between 1s and 100 years, such as 30m, 24h or 90d")]
pub struct BadLife(pub String);

/// Reads a length of time as people write it (`90s`, `30m`, `24h`, `7d`), between one second
/// and a hundred years.
pub fn parse_life(text: &str) -> Result<Duration, BadLife> {
    const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);
    match humantime::parse_duration(text.trim()) {
        Ok(life) if life >= Duration::from_secs(1) && life <= LONGEST => Ok(life),
        _ => Err(BadLife(excerpt(text))),
    }
}

/// Says what time it is.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;

    /// Counts as [`Clock::now`] does, from a beginning of its own, and nobody can set it: for what must last as long as it
    /// was meant to.
    fn steady(&self) -> Timestamp;
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now().into()
    }

    fn steady(&self) -> Timestamp {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        Timestamp::default().plus(BEGINNING.elapsed())
    }
}

/// A clock that stands still until it is told to move: for tests and for replays.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
    steady: AtomicI64,
}

impl ManualClock {
    pub fn new(start: Timestamp) -> Self {
        Self { now: AtomicI64::new(start.millis()), steady: AtomicI64::default() }
    }

    /// Sets what time it is, as somebody may who is not to be believed: no time passes.
    pub fn set(&self, to: Timestamp) {
        self.now.store(to.millis(), Ordering::SeqCst);
    }

    /// Has time pass.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
        self.steady.store(self.steady().plus(by).millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Timestamp {
        Timestamp(self.steady.load(Ordering::SeqCst))
    }
}

/// The latest moment that was seen, by which a clock that was set back is noticed. Shared by all threads.
#[derive(Debug)]
pub struct HighWater(AtomicI64);

impl HighWater {
    /// Clocks are set by a little all the time.
    const SLACK: Duration = Duration::from_secs(60);
    /// It is raised by so much at once, so that threads seldom write what they share.
    const GRAIN: Duration = Duration::from_secs(1);

    pub fn raise(&self, now: Timestamp) {
        if now > self.latest().plus(Self::GRAIN) {
            self.0.fetch_max(now.millis(), Ordering::Relaxed);
        }
    }

    /// Forgets what lies after `to`: an operator said that the clock had run ahead.
    pub fn lower(&self, to: Timestamp) {
        self.0.fetch_min(to.millis(), Ordering::Relaxed);
    }

    pub fn latest(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    /// The moment by which it is judged whether something has ended: never one before the latest that was seen, for what
    /// had ended stays ended; and where `now` cannot be, so that nobody knows the time, the end of time, by which whatever
    /// has an end has ended.
    pub fn judge_by(&self, now: Timestamp) -> Timestamp {
        if self.is_past(now) { Timestamp::END } else { now.max(self.latest()) }
    }

    /// Whether `now` cannot be: a later moment was seen, by more than clocks are set by.
    pub fn is_past(&self, now: Timestamp) -> bool {
        now < self.latest().minus(Self::SLACK)
    }
}

impl Default for HighWater {
    /// Nothing was seen yet.
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_as_rfc_3339() {
        let time: Timestamp = "2026-07-28T11:30:00.250+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-07-28T09:30:00.250Z");
        assert_eq!(time.millis(), 1_785_231_000_250);
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-07-28T09:30:00.250Z\"");
        for text in ["", "yesterday", "2026-07-28", "2026-07-28T09:30:00", "2026-02-30T00:00:00Z"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn people_may_type_a_date() {
        let typed = |text| Timestamp::typed(text).map(|at| at.to_string());
        assert_eq!(typed("2026-07-28").as_deref(), Ok("2026-07-28T00:00:00Z"));
        assert_eq!(typed(" 2026-07-28T11:30:00+02:00 ").as_deref(), Ok("2026-07-28T09:30:00Z"));
        for text in
            ["", "yesterday", "2026-02-30", "2026-7-28", "+026-07-28", "28.07.2026", "2026-07-28T09:30"]
        {
            assert_eq!(typed(text), Err(BadMoment(text.into())));
        }
    }

    #[test]
    fn a_numeric_date_is_a_moment_that_rfc_3339_has() {
        let read = |seconds| Timestamp::from_numeric_date(seconds).map(|at| at.to_string());
        for (seconds, expected) in [
            (0.0, "1970-01-01T00:00:00Z"),
            (1_785_231_000.250_9, "2026-07-28T09:30:00.250Z"),
            (253_402_300_799.0, "9999-12-31T23:59:59Z"),
            (253_402_300_799.5, "9999-12-31T23:59:59.500Z"),
        ] {
            assert_eq!(read(seconds).as_deref(), Some(expected));
        }
        for seconds in [253_402_300_800.0, -0.5, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(read(seconds), None, "{seconds}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last.plus(Duration::MAX), last);
        assert_eq!(Timestamp::default().since(last), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(-1).seconds(), -1);
    }

    #[test]
    fn a_life_is_between_a_second_and_a_century() {
        assert_eq!(parse_life(" 24h "), Ok(Duration::from_secs(86_400)));
        assert_eq!(parse_life("1s"), Ok(Duration::from_secs(1)));
        for text in ["", "0s", "999ms", "-1h", "24", "200years", "1h\u{202E}"] {
            assert!(parse_life(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_clock_set_back_by_more_than_a_minute_is_noticed() {
        let (high, now) = (HighWater::default(), Timestamp::from_millis(1_800_000_000_000));
        assert!(!high.is_past(now), "nothing was seen yet");
        high.raise(now);
        high.raise(now.minus(Duration::from_secs(3600)));
        assert_eq!(high.latest(), now);
        assert!(!high.is_past(now.minus(Duration::from_secs(60))));
        assert!(high.is_past(now.minus(Duration::from_millis(60_001))));
        assert_eq!(high.judge_by(now.minus(Duration::from_secs(60))), now, "what had ended stays ended");
        assert_eq!(high.judge_by(now.minus(Duration::from_secs(3600))).millis(), i64::MAX);
        assert_eq!(high.judge_by(now.plus(Duration::from_secs(9))), now.plus(Duration::from_secs(9)));
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp::from_millis(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_millis(7));
        assert_eq!(clock.now(), Timestamp::from_millis(12));
        clock.set(Timestamp::from_millis(3));
        assert_eq!((clock.now().millis(), clock.steady().millis()), (3, 7));
    }
}
