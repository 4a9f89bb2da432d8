//! What a list of very many keys takes: its first rows, its last ones, a page in its midst and its count, by every order and by
//! filters that find much, little and nothing. Says which of them take longer than a person should notice.
//!
//! `PORTCULLIS_BENCH_KEYS` replaces the million; `PORTCULLIS_BENCH_HOME` names a folder in which the home is kept and found
//! again.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

mod support;

use portcullis::{
    domain::{
        clock::{Clock, SystemClock, Timestamp},
        filter::{Filter, KEY_FIELDS},
    },
    ops::Ctx,
    store::{
        StoreError,
        api_key::{self, Query, Sort},
    },
};
use std::{path::PathBuf, time::Instant};
use support::{add_keys_with, median, open, save_open_policy};

const KEYS: usize = 1_000_000;
const WINDOW: u32 = 50;
const ROUNDS: usize = 3;
/// Milliseconds.
const MOST: f64 = 100.0;

/// Much, some, little and nothing, by what an index has and by what it has not.
const FILTERS: [&str; 12] = [
    "",
    "state:active",
    "state:disabled",
    "user",
    "subject:user-4242",
    "subject:=user-424242",
    "name:424242",
    "name:nobody",
    "env:test",
    "scope:tools:list !state:active",
    "expires<1h",
    "nobody",
];

fn main() {
    let setting = |name: &str| std::env::var(name).ok();
    let count = setting("PORTCULLIS_BENCH_KEYS").and_then(|text| text.parse().ok()).unwrap_or(KEYS);
    let folder = tempfile::tempdir().expect("a folder");
    let path = setting("PORTCULLIS_BENCH_HOME").map_or_else(|| folder.path().join("home"), PathBuf::from);
    let is_made = path.join("portcullis.db").exists();
    let ctx = open(&path);
    if !is_made {
        save_open_policy(&ctx);
        add_keys_with(&ctx, count, |number, key| {
            // Each order is another than that in which the keys were made.
            let mixed = (number.wrapping_mul(2_654_435_761) % 1_000_003) as i64;
            key.created_at = Timestamp::from_millis(key.created_at.millis() - mixed * 1000);
            key.expires_at =
                (number % 4 > 0).then(|| Timestamp::from_millis(SystemClock.now().millis() + mixed * 2000));
            key.disabled = number % 50_000 == 7;
            if number % 1000 == 9 {
                key.environment = "test".parse().expect("an environment");
            }
        });
    }
    println!("{count} keys, milliseconds ({MOST} at most)");
    println!("{:32} {:8} {:>8} {:>8} {:>8} {:>8}", "filter", "order", "first", "last", "page", "count");
    for filter in FILTERS {
        for sort in Sort::ALL {
            row(&ctx, filter, sort);
        }
    }
}

fn row(ctx: &Ctx, filter: &str, sort: Sort) {
    let now = SystemClock.now();
    let filter_of = Filter::parse(filter, KEY_FIELDS, now).expect("a filter");
    let q = Query { filter: filter_of, sort, descending: false, now };
    let total = ctx.store.read::<_, StoreError>(|c| api_key::count(c, &q)).expect("a count");
    let window = |offset| {
        ctx.store
            .read::<_, StoreError>(|c| api_key::window(c, &q, offset, WINDOW, Some(total)).map(|_| ()))
            .expect("rows");
    };
    let cursor =
        ctx.store.read::<_, StoreError>(|c| api_key::page(c, &q, None, WINDOW)).expect("a page").next;
    let took = [
        time(|| window(0)),
        time(|| window(total.saturating_sub(WINDOW.into()))),
        time(|| {
            ctx.store
                .read::<_, StoreError>(|c| api_key::page(c, &q, cursor.as_deref(), WINDOW).map(|_| ()))
                .expect("a page");
        }),
        time(|| {
            ctx.store.read::<_, StoreError>(|c| api_key::count(c, &q)).expect("a count");
        }),
    ];
    let mark = if took.iter().any(|&took| took > MOST) { "  MISS" } else { "" };
    let [first, last, page, count] = took;
    let order = sort.as_str();
    println!("{filter:32} {order:8} {first:8.1} {last:8.1} {page:8.1} {count:8.1}{mark}");
}

fn time(work: impl Fn()) -> f64 {
    let round = || {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1e3
    };
    median((0..ROUNDS).map(|_| round()).collect())
}
