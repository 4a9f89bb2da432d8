//! The room that `usage.db` takes: how much it may be, what goes first where it is more, and what has had its time.
//!
//! Rows go in slices of at most [`SLICE`], each a transaction of its own, so that nobody waits for long. What goes for want
//! of room, in this order: what is kept of strangers; counters by the hour from before those by the minute; what is known
//! of others, the oldest first. The last hour stays.

use std::time::{Duration, Instant};

use super::{Rows, Store, StoreError, ballast, event, usage};
use crate::domain::clock::Timestamp;

/// How long a slice may hold the file.
pub const SLICE: Duration = Duration::from_millis(25);
/// Rows removed between two looks at the time.
const ROWS: u32 = 200;
/// The most that `usage.db` takes where nothing else was said, and the least that may be said.
pub const MOST: u64 = 2 * 1024 * 1024 * 1024;
/// See [`MOST`].
pub const LEAST: u64 = 1024 * 1024;
/// How much is written anew to give room back to the disk.
const MOST_COMPACTED: u64 = 256 * 1024 * 1024;
/// A quarter of a small disk.
const SHARE: u64 = 4;
/// What is younger goes for no want of room.
const KEPT: Duration = Duration::from_secs(3600);
const HOUR: i64 = 3_600_000;

/// Rows of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    StrangerMinutes,
    StrangerHours,
    StrangerEvents,
    /// Counters of strangers from before they had tables of their own.
    OldStrangerMinutes,
    /// See [`Part::OldStrangerMinutes`].
    OldStrangerHours,
    Minutes,
    Hours,
    /// Events of whom is known.
    Events,
}

/// Rows of one kind from before a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub part: Part,
    pub before: Timestamp,
}

impl Part {
    pub const ALL: [Self; 8] = [
        Self::StrangerMinutes,
        Self::StrangerHours,
        Self::StrangerEvents,
        Self::OldStrangerMinutes,
        Self::OldStrangerHours,
        Self::Minutes,
        Self::Hours,
        Self::Events,
    ];

    /// Whether it is what strangers left.
    pub const fn is_of_strangers(self) -> bool {
        !matches!(self, Self::Minutes | Self::Hours | Self::Events)
    }

    pub const fn is_event(self) -> bool {
        matches!(self, Self::Events | Self::StrangerEvents)
    }

    /// How long it is kept.
    fn retention(self) -> Duration {
        match self {
            Self::StrangerMinutes | Self::OldStrangerMinutes | Self::Minutes => usage::MINUTES_RETENTION,
            Self::StrangerHours | Self::OldStrangerHours | Self::Hours => usage::HOURS_RETENTION,
            Self::StrangerEvents | Self::Events => event::RETENTION,
        }
    }

    /// Table, columns of its primary key, the column of its time, and which of its rows are meant.
    const fn rows(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::StrangerMinutes => ("stranger_minute", "at, endpoint, outcome", "at", "1"),
            Self::StrangerHours => ("stranger_hour", "at, endpoint, outcome", "at", "1"),
            Self::StrangerEvents => ("event", "seq", "batch", "stranger = 1"),
            Self::OldStrangerMinutes => ("usage_minute", "at, credential, endpoint, outcome", "at", OLD),
            Self::OldStrangerHours => ("usage_hour", "at, credential, endpoint, outcome", "at", OLD),
            Self::Minutes => ("usage_minute", "at, credential, endpoint, outcome", "at", "1"),
            Self::Hours => ("usage_hour", "at, credential, endpoint, outcome", "at", "1"),
            Self::Events => ("event", "seq", "batch", "stranger = 0"),
        }
    }

    /// The rows of this kind: of the old strangers by a leap from one time to the next, since they stand among others.
    fn from(self) -> String {
        let (table, _, _, which) = self.rows();
        if which != OLD {
            return format!("{table} WHERE {which}");
        }
        format!(
            "(WITH RECURSIVE time (t) AS (
                 SELECT min(at) FROM {table} UNION ALL
                 SELECT (SELECT min(at) FROM {table} WHERE at > t) FROM time WHERE t IS NOT NULL)
              SELECT {table}.* FROM time CROSS JOIN {table} ON at = t AND credential = '-') WHERE 1"
        )
    }

    /// The time of the oldest.
    pub fn oldest(self, c: &Rows<'_>) -> Result<Option<Timestamp>, StoreError> {
        let (_, _, time, _) = self.rows();
        let sql = format!("SELECT {time} FROM {} ORDER BY {time} LIMIT 1", self.from());
        c.one(&sql, (), |row| Ok(Timestamp::from_millis(row.get(0)?)))
    }
}

const OLD: &str = "credential = '-'";

impl Cut {
    /// Counters go by whole hours, so that an hour has either all of its minutes or none.
    pub fn of(part: Part, before: Timestamp) -> Self {
        Self { part, before: if part.is_event() { before } else { hour(before) } }
    }

    /// Removes some rows, the oldest first, and answers how many: 0 when none is left. Within a transaction.
    pub fn slice(self, c: &Rows<'_>) -> Result<u64, StoreError> {
        let (table, key, time, _) = self.part.rows();
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN
                 (SELECT {key} FROM {} AND {time} < ?1 ORDER BY {time} LIMIT ?2)",
            self.part.from()
        );
        let (begun, mut removed) = (Instant::now(), 0);
        loop {
            let rows = c.run(&sql, (self.before.millis(), ROWS))? as u64;
            removed += rows;
            if rows < u64::from(ROWS) || begun.elapsed() >= SLICE {
                return Ok(removed);
            }
        }
    }
}

/// Rows that have had their time.
pub fn ended(c: &Rows<'_>, now: Timestamp) -> Result<Option<Cut>, StoreError> {
    for part in Part::ALL {
        let cut = Cut::of(part, now.minus(part.retention()));
        if part.oldest(c)?.is_some_and(|oldest| oldest < cut.before) {
            return Ok(Some(cut));
        }
    }
    Ok(None)
}

/// What goes next for want of room; `None` where only the last hour is left.
pub fn dispensable(c: &Rows<'_>, now: Timestamp) -> Result<Option<Cut>, StoreError> {
    let kept = now.minus(KEPT);
    let by_the_minute = Part::Minutes.oldest(c)?.unwrap_or(kept).min(kept);
    let day = now.minus(Duration::from_secs(86_400));
    let groups: [&[(Part, Timestamp)]; 5] = [
        &[(Part::StrangerHours, day), (Part::StrangerMinutes, kept), (Part::StrangerEvents, kept)],
        &[(Part::OldStrangerHours, now), (Part::OldStrangerMinutes, now)],
        &[(Part::Hours, by_the_minute)],
        &[(Part::Minutes, kept), (Part::Events, kept)],
        &[(Part::Hours, kept)],
    ];
    for group in groups {
        let mut oldest = Vec::new();
        for &(part, end) in group {
            let end = Cut::of(part, end).before;
            oldest.extend(part.oldest(c)?.filter(|&at| at < end).map(|at| (at, part, end)));
        }
        if let Some((at, part, end)) = oldest.into_iter().min_by_key(|&(at, ..)| at) {
            // An eighth of what there is of it, so that no more goes than must.
            let Cut { before, .. } = Cut::of(part, at.plus(end.since(at) / 8));
            return Ok(Some(Cut { part, before: before.max(at.plus(Duration::from_millis(1))) }));
        }
    }
    Ok(None)
}

fn hour(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis() - at.millis().rem_euclid(HOUR))
}

/// How many bytes of the file hold something.
pub fn used(c: &Rows<'_>) -> Result<u64, StoreError> {
    let sql = "SELECT (page_count - freelist_count) * page_size
               FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    Ok(u64::try_from(c.get::<i64>(sql, ())?).unwrap_or(0))
}

/// The names of [`set_mark`].
pub const BUDGET: &str = "budget";
/// Up to when something of strangers went for want of room.
pub const SHED_STRANGERS: &str = "shed_strangers";
/// Up to when something that was known went for want of room.
pub const SHED: &str = "shed";

/// A number that was kept.
pub fn mark(c: &Rows<'_>, name: &str) -> Result<Option<i64>, StoreError> {
    c.one("SELECT value FROM mark WHERE name = ?1", [name], |row| Ok(row.get(0)?))
}

/// Keeps a number.
pub fn set_mark(c: &Rows<'_>, name: &str, value: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO mark (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    c.run(sql, (name, value)).map(|_| ())
}

/// Notes what goes for want of room.
pub fn note_shed(c: &Rows<'_>, cut: Cut) -> Result<(), StoreError> {
    let name = if cut.part.is_of_strangers() { SHED_STRANGERS } else { SHED };
    let before = cut.before.millis().max(mark(c, name)?.unwrap_or(i64::MIN));
    set_mark(c, name, before)
}

fn budget(c: &Rows<'_>) -> Result<Option<u64>, StoreError> {
    Ok(mark(c, BUDGET)?.and_then(|bytes| u64::try_from(bytes).ok()))
}

/// How much room `usage.db` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Room {
    /// Bytes that hold something.
    pub used: u64,
    /// Bytes that may.
    pub budget: u64,
    /// Up to when something of strangers went for want of room.
    pub shed_strangers_before: Option<Timestamp>,
    /// Up to when something that is known went for want of room.
    pub shed_before: Option<Timestamp>,
}

impl Store {
    /// How much room `usage.db` takes and may take.
    pub fn usage_room(&self) -> Result<Room, StoreError> {
        let of_disk = ballast::size(self.home()).map_or(MOST, |size| (size / SHARE).clamp(LEAST, MOST));
        self.read_usage(|c| {
            let time = |name| Ok::<_, StoreError>(mark(c, name)?.map(Timestamp::from_millis));
            Ok(Room {
                used: used(c)?,
                budget: budget(c)?.unwrap_or(of_disk),
                shed_strangers_before: time(SHED_STRANGERS)?,
                shed_before: time(SHED)?,
            })
        })
    }

    /// What was said of the room that `usage.db` may take; `None` where nothing was.
    pub fn usage_budget(&self) -> Result<Option<u64>, StoreError> {
        self.read_usage(budget)
    }

    /// Says for good how much room `usage.db` may take.
    pub fn set_usage_budget(&self, bytes: u64) -> Result<(), StoreError> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.write_usage(move |c| set_mark(c, BUDGET, bytes))
    }

    /// Gives the disk what `usage.db` holds free within itself, where what it holds is not much: it is written anew for
    /// that, in memory and beside itself, and every flush waits. A large file uses its free pages itself.
    pub fn compact_usage(&self) -> Result<(), StoreError> {
        if self.usage_room()?.used > MOST_COMPACTED {
            return Ok(());
        }
        self.0.usage.compact(|vacuum| self.though_full(vacuum))
    }
}
