//! A noun made here, as the next one will be, and lists of it held against what a plain sort of its values says.

use rusqlite::Connection;

use super::*;
use crate::{
    domain::{
        clock::Timestamp,
        filter::{Fields, Filter},
    },
    store::{
        RowKey, api_key,
        table::{self, Columns, moment},
        token,
    },
};

// The noun.

#[derive(Clone, Debug, PartialEq)]
struct Parcel {
    number: String,
    sender: String,
    holds: Vec<String>,
    sent_at: Timestamp,
    arrives_at: Option<Timestamp>,
}

const SCHEMA: &str = "
    CREATE TABLE parcel (
        number TEXT PRIMARY KEY, sender TEXT NOT NULL, holds TEXT NOT NULL, sent_at INTEGER NOT NULL,
        arrives_at INTEGER, mac BLOB NOT NULL
    ) STRICT;
    CREATE INDEX parcel_sender ON parcel (sender, number);
    CREATE INDEX parcel_sent ON parcel (sent_at, number);
    CREATE INDEX parcel_arrives ON parcel (arrives_at, number);";

static TABLE: Table = Table::new("parcel", "number, sender, holds, sent_at, arrives_at", 1);

impl Noun for Parcel {
    const TABLE: &'static Table = &TABLE;

    fn values(&self) -> Result<Vec<Value>, StoreError> {
        Ok(vec![
            self.number.clone().into(),
            self.sender.clone().into(),
            to_json(&self.holds)?.into(),
            self.sent_at.millis().into(),
            moment(self.arrives_at),
        ])
    }

    fn read(_: &Rows<'_>, row: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.get(0)?,
            sender: row.get(1)?,
            holds: row.json(2)?,
            sent_at: row.moment(3)?,
            arrives_at: row.moment_if_any(4)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sort {
    Sender,
    Sent,
    Arrives,
}

impl Listed for Sort {
    type Noun = Parcel;
    type Id = String;
    type Item = Parcel;

    const FIELDS: &'static [Field] = &[
        Field::indexed("number", "number", Holds::Text),
        Field::indexed("sender", "sender", Holds::Text),
        Field::new("holds", "holds", Holds::Texts),
        Field::indexed("sent", "sent_at", Holds::Moment),
        Field::indexed("arrives", "arrives_at", Holds::MomentOrNever),
    ];
    const STATE: &'static str = "CASE WHEN arrives_at <= ? THEN 'there' ELSE 'underway' END";

    fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Sent => "sent",
            Self::Arrives => "arrives",
        }
    }

    fn item(_: &Rows<'_>, parcel: Parcel, _: Timestamp) -> Result<Parcel, StoreError> {
        Ok(parcel)
    }
}

// What is said of its lists.

const FIELDS: Fields = Fields {
    texts: &["number", "sender", "holds", "state"],
    moments: &["sent", "arrives"],
    states: &["there", "underway"],
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn at(hours: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + hours * 3_600_000)
}

/// Three senders, ties in every order, every fourth never arrives; every 1500th holds gold, which only a look at all finds.
fn parcel(number: i64) -> Parcel {
    let holds = if number % 1500 == 1499 { "gold" } else { "books" };
    Parcel {
        number: format!("{:05}", number * 7919 % 100_000),
        sender: ["ana", "Bo", "cy"][number as usize % 3].into(),
        holds: vec![holds.into(), "paper".into()],
        sent_at: at(-number % 7),
        arrives_at: (number % 4 > 0).then(|| at(number % 5 - 2)),
    }
}

struct Books {
    c: Connection,
    key: RowKey,
    parcels: Vec<Parcel>,
}

impl Books {
    fn of(count: i64) -> Self {
        let (c, key) = (Connection::open_in_memory().unwrap(), RowKey::new(&[7; 32]));
        c.execute_batch(SCHEMA).unwrap();
        let books = Self { c, key, parcels: (0..count).map(parcel).collect() };
        books.c.execute_batch("BEGIN").unwrap();
        books.parcels.iter().for_each(|parcel| table::insert(&books.rows(), parcel).unwrap());
        books.c.execute_batch("COMMIT").unwrap();
        books
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.c, Some(&self.key))
    }

    /// Those that fit, as a list has them.
    fn sorted(&self, q: &Query<Sort>, fits: impl Fn(&Parcel) -> bool) -> Vec<Parcel> {
        let mut sorted: Vec<_> = self.parcels.iter().filter(|parcel| fits(parcel)).cloned().collect();
        // None is less than Some, and never is more than any moment.
        let by = |parcel: &Parcel| match q.sort {
            Sort::Sender => (parcel.sender.clone(), 0),
            Sort::Sent => (String::new(), parcel.sent_at.millis()),
            Sort::Arrives => (String::new(), parcel.arrives_at.map_or(i64::MAX, Timestamp::millis)),
        };
        sorted.sort_by_key(|parcel| (by(parcel), parcel.number.clone()));
        if q.descending {
            sorted.reverse();
        }
        sorted
    }

    fn window(&self, q: &Query<Sort>, offset: u64, limit: u32, total: Option<u64>) -> Vec<Parcel> {
        let rows = window(&self.rows(), q, offset, limit, total).unwrap();
        rows.into_iter().map(Result::unwrap).collect()
    }

    fn paged(&self, q: &Query<Sort>, size: u32) -> Vec<Parcel> {
        let (mut paged, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = page(&self.rows(), q, after.as_deref(), size).unwrap();
            assert!(page.next.is_none() || page.items.len() == size as usize);
            paged.extend(page.items);
            after = page.next;
            if after.is_none() {
                return paged;
            }
        }
    }
}

fn query(filter: &str, sort: Sort, descending: bool) -> Query<Sort> {
    Query { filter: Filter::parse(filter, FIELDS, NOW).unwrap(), sort, descending, now: NOW }
}

fn orders() -> impl Iterator<Item = (Sort, bool)> {
    [Sort::Sender, Sort::Sent, Sort::Arrives].into_iter().flat_map(|sort| [(sort, false), (sort, true)])
}

type Fits = fn(&Parcel) -> bool;

const FILTERS: [(&str, Fits); 14] = [
    ("", |_| true),
    ("bo", |parcel| parcel.sender == "Bo" || parcel.holds[0] == "books"),
    ("sender:B", |parcel| parcel.sender == "Bo"),
    ("sender:=bo", |_| false),
    ("!sender:=Bo", |parcel| parcel.sender != "Bo"),
    ("holds:ol", |parcel| parcel.holds[0] == "gold"),
    ("holds:=gold", |parcel| parcel.holds[0] == "gold"),
    ("holds:=gol", |_| false),
    ("holds:gold sender:cy", |parcel| parcel.holds[0] == "gold" && parcel.sender == "cy"),
    ("state:there", |parcel| parcel.arrives_at.is_some_and(|at| at <= NOW)),
    ("underway", |parcel| parcel.arrives_at.is_none_or(|at| at > NOW)),
    ("arrives<2027-01-15T08:00:00Z", |parcel| parcel.arrives_at.is_some_and(|at| at < NOW)),
    ("!arrives:=2027-01-15T08:00:00Z", |parcel| parcel.arrives_at != Some(NOW)),
    ("arrives>2027-01-15T08:00:00Z sent>2027-01-15T05:00:00Z", |parcel| {
        parcel.arrives_at.is_none_or(|at| at > NOW) && parcel.sent_at > at(-3)
    }),
];

#[test]
fn a_list_is_the_same_by_windows_from_either_end_by_pages_and_row_by_row() {
    let books = Books::of(16);
    for ((filter, fits), (sort, descending)) in
        FILTERS.into_iter().flat_map(|filter| orders().map(move |order| (filter, order)))
    {
        let q = query(filter, sort, descending);
        let all = books.sorted(&q, fits);
        let total = all.len() as u64;
        assert_eq!(count(&books.rows(), &q), Ok(total), "{q:?}");
        for (offset, limit) in (0..=total + 1).flat_map(|offset| [(offset, 1), (offset, 7)]) {
            let there: Vec<_> = all.iter().skip(offset as usize).take(limit as usize).cloned().collect();
            for total in [None, Some(total)] {
                assert_eq!(books.window(&q, offset, limit, total), there, "{q:?} {offset} {limit} {total:?}");
            }
        }
        for size in [1, 3, 50] {
            assert_eq!(books.paged(&q, size), all, "{q:?} by {size}");
        }
        for parcel in &books.parcels {
            let wanted = all.iter().position(|other| other == parcel).map(|at| at as u64);
            assert_eq!(place(&books.rows(), &q, &parcel.number), Ok(wanted), "{q:?} {}", parcel.number);
        }
    }
}

#[test]
fn what_a_filter_seldom_finds_is_found_wherever_it_stands() {
    let books = Books::of(LOOKED_AT as i64 + 2000);
    let seldom = |filter: &str| filter.contains("gold") || filter.starts_with("arrives");
    for (filter, fits) in FILTERS.into_iter().filter(|(filter, _)| seldom(filter)) {
        for (sort, descending) in orders() {
            let q = query(filter, sort, descending);
            let all = books.sorted(&q, fits);
            let total = all.len();
            // The first rows, some in the midst of which the first look sees only a part, and the last.
            for offset in [0, total / 3, total.saturating_sub(4)] {
                let there = &all[offset.min(total)..total.min(offset + 9)];
                assert_eq!(books.window(&q, offset as u64, 9, None), there, "{q:?} {offset}");
                assert_eq!(books.window(&q, offset as u64, 9, Some(total as u64)), there, "{q:?} {offset}");
            }
            if total < 100 {
                assert_eq!(books.paged(&q, 2), all, "{q:?}");
            }
        }
    }
    let gold = query("holds:gold", Sort::Sent, false);
    assert_eq!(count(&books.rows(), &gold), Ok(4), "fewer than would be met in the first rows");
}

#[test]
fn a_damaged_row_is_named_in_its_place_and_hides_no_other() {
    let books = Books::of(9);
    let q = query("", Sort::Sent, false);
    let all = books.sorted(&q, |_| true);
    let damaged = &all[3].number;
    let spoil = "UPDATE parcel SET holds = '[]' WHERE number = ?1";
    assert_eq!(books.c.execute(spoil, [damaged]), Ok(1));
    let rows = window(&books.rows(), &q, 0, 9, None).unwrap();
    for (at, row) in rows.iter().enumerate() {
        match row {
            Ok(parcel) => assert!(at != 3 && *parcel == all[at]),
            Err(found) => assert!(at == 3 && found.id == *damaged, "{found:?}"),
        }
    }
    assert_eq!(place(&books.rows(), &q, &all[8].number), Ok(Some(8)));
    // It takes no place on a page, and is told with those among which it stands.
    let first = page(&books.rows(), &q, None, 4).unwrap();
    assert_eq!(first.items, [&all[..3], &all[4..5]].concat());
    assert_eq!(first.damaged.len(), 1);
    let rest = page(&books.rows(), &q, first.next.as_deref(), 4).unwrap();
    assert_eq!((rest.items, rest.next, rest.damaged.len()), (all[5..].to_vec(), None, 0));

    assert_eq!(table::damaged::<Parcel>(&books.rows()), Ok(vec![damaged.clone()]));
    assert_eq!(table::delete_damaged::<Parcel>(&books.rows(), &all[2].number), Ok(false), "it is sound");
    assert_eq!(table::delete_damaged::<Parcel>(&books.rows(), damaged), Ok(true));
    assert_eq!(count(&books.rows(), &q), Ok(8));
}

#[test]
fn a_cursor_of_another_list_or_order_is_refused() {
    let books = Books::of(9);
    let q = query("", Sort::Arrives, false);
    let good = page(&books.rows(), &q, None, 2).unwrap().next.unwrap();
    for (q, cursor) in [
        (&q, ""),
        (&q, &good[1..]),
        (&query("", Sort::Arrives, true), good.as_str()),
        (&query("", Sort::Sent, false), good.as_str()),
    ] {
        let refused = page(&books.rows(), q, Some(cursor), 2).map(|_| ());
        assert_eq!(refused, Err(StoreError::Cursor(cursor.to_owned())));
    }
}

#[test]
fn a_field_of_which_that_cannot_be_asked_is_told() {
    let books = Books::of(1);
    let fields = Fields { texts: &["sent", "owner"], moments: &["sender"], states: &[] };
    for (typed, told) in
        [("owner:x", "owner"), ("sent:x", "sent"), ("sent:=x", "sent"), ("sender<3d", "sender")]
    {
        let filter = Filter::parse(typed, fields, NOW).unwrap();
        let q = Query { filter, ..query("", Sort::Sent, false) };
        assert_eq!(count(&books.rows(), &q), Err(StoreError::Filter(told.to_owned())));
    }
}

/// What SQLite does to carry out a statement, in lines.
fn plan(c: &Rows<'_>, statement: Condition) -> String {
    let values = statement.values.into_iter().chain([9, 0].map(Value::Integer));
    let told = |row: &Row<'_>| Ok(row.get::<String>(3)?);
    c.all(&format!("EXPLAIN QUERY PLAN {}", statement.sql), bound(values), told).unwrap().join("\n")
}

/// Every part of every order of a list, walked, looked at and scanned.
fn lists_walk_their_indexes<S: Listed>(c: &Rows<'_>, filter: Filter, sorts: &[S]) {
    let (name, id) = (S::Noun::TABLE.name, S::Noun::TABLE.id());
    for field in S::FIELDS {
        let sql = format!("SELECT {id} FROM {name} WHERE {} = 1 LIMIT ? OFFSET ?", field.column);
        let plan = plan(c, Condition { sql, values: vec![] });
        assert_eq!(plan.contains("INDEX"), field.is_indexed, "{plan}");
    }
    for (&sort, descending) in sorts.iter().flat_map(|sort| [(sort, false), (sort, true)]) {
        let q = Query { filter: filter.clone(), sort, descending, now: NOW };
        let list = List::of(c, &q).unwrap();
        let place = || Place { value: Value::Integer(7), id: "x".into() };
        let mut parts = vec![
            Part::Whole { backwards: false },
            Part::Whole { backwards: true },
            Part::After(None),
            Part::After(Some(place())),
        ];
        if list.sort.holds == Holds::MomentOrNever {
            parts.extend([Part::Never(None), Part::Never(Some("x".into()))]);
        }
        let index = format!("{name} USING INDEX {name}_{}", sort.as_str());
        for part in &parts {
            for (statement, walks) in
                [(list.walk(part), true), (list.look(part), true), (list.scan(part), false)]
            {
                let sql = statement.sql.clone();
                let plan = plan(c, statement);
                assert_eq!(plan.contains(&index), walks, "{sql}\n{plan}");
                assert_eq!(plan.contains("B-TREE FOR ORDER BY"), !walks, "{sql}\n{plan}");
            }
        }
    }
}

#[test]
fn an_index_is_used_where_it_finds_little_and_nowhere_else() {
    let books = Books::of(LOOKED_AT as i64 + 2000);
    for (filter, is_short) in [
        ("sender:=Bo sent>2027-01-15T07:30:00Z", true),
        ("sender:=nobody", true),
        ("sender:bod", true),
        ("sent>2027-01-15T07:30:00Z", true),
        ("sent<2027-01-15T08:30:00Z holds:gold", false),
        ("!sender:=ana", false),
        ("ana", false),
    ] {
        let q = query(filter, Sort::Arrives, false);
        let list = List::of(&books.rows(), &q).unwrap();
        assert_eq!(list.is_short, is_short, "{filter}");
        let plan = plan(&books.rows(), list.scan(&Part::Whole { backwards: false }));
        assert_eq!(plan.contains("SCAN parcel"), !is_short, "{filter}: {plan}");
        assert!(!plan.contains("INDEX parcel_"), "{filter}: {plan}");
    }
}

#[test]
fn lists_of_every_noun_walk_their_indexes_and_scan_without_them() {
    let parcels = Books::of(3);
    let filter = |fields| Filter::parse("x", fields, NOW).unwrap();
    lists_walk_their_indexes(&parcels.rows(), filter(FIELDS), &[Sort::Sender, Sort::Sent, Sort::Arrives]);
    let c = crate::store::sqlite::migrate::PORTCULLIS.in_memory();
    let rows = Rows::new(&c, None);
    lists_walk_their_indexes(&rows, filter(crate::domain::filter::KEY_FIELDS), &api_key::Sort::ALL);
    lists_walk_their_indexes(&rows, filter(crate::domain::filter::TOKEN_FIELDS), &token::Sort::ALL);
}
