//! What the console waits for on a store of many keys: opening it, the first window of the list, the count, the last window.
//!
//! `PORTCULLIS_BENCH_KEYS` replaces the hundred thousand.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

mod support;

use portcullis::{
    domain::{
        clock::{Clock, SystemClock},
        filter::Filter,
    },
    ops::Ctx,
    store::{
        StoreError,
        api_key::{self, Query, Sort},
    },
};
use std::time::Instant;
use support::{add_keys, median, open, save_open_policy};

const KEYS: usize = 100_000;
const WINDOW: u32 = 50;
const ROUNDS: usize = 21;
/// Milliseconds: the console's first frame (design, §8).
const FIRST_FRAME: f64 = 100.0;

fn main() {
    let count =
        std::env::var("PORTCULLIS_BENCH_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(KEYS);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("home");
    let ctx = open(&path);
    save_open_policy(&ctx);
    add_keys(&ctx, count);
    drop(ctx);

    let mut measured: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        let mut ctx = None;
        let round = [
            time(|| ctx = Some(open(&path))),
            time(|| first_window(ctx.as_ref().expect("open"))),
            time(|| counted(ctx.as_ref().expect("open"), count)),
            time(|| last_window(ctx.as_ref().expect("open"), count, None)),
            time(|| last_window(ctx.as_ref().expect("open"), count, Some(count as u64))),
        ];
        for (all, one) in measured.iter_mut().zip(round) {
            all.push(one);
        }
    }
    let [opened, window, counted, from_start, from_end] = measured.map(median);
    println!("{count} keys");
    println!("open store and vault   {opened:8.2} ms");
    println!("first {WINDOW} rows          {window:8.2} ms");
    println!("count                  {counted:8.2} ms");
    println!(
        "last {WINDOW} rows           {from_end:8.2} ms ({:.0} × sooner than from the start)",
        from_start / from_end
    );
    let all = opened + window + counted;
    let verdict = if all <= FIRST_FRAME { "PASS" } else { "FAIL" };
    println!("{verdict}  all that the first frame needs: {all:.1} ms (at most {FIRST_FRAME})");
}

fn query() -> Query {
    Query { filter: Filter::default(), sort: Sort::Created, descending: true, now: SystemClock.now() }
}

fn first_window(ctx: &Ctx) {
    let rows =
        ctx.store.read::<_, StoreError>(|c| api_key::window(c, &query(), 0, WINDOW, None)).expect("rows");
    assert_eq!(rows.len(), WINDOW as usize);
}

fn last_window(ctx: &Ctx, count: usize, total: Option<u64>) {
    let offset = count as u64 - u64::from(WINDOW);
    let rows = ctx.store.read::<_, StoreError>(|c| api_key::window(c, &query(), offset, WINDOW, total));
    assert_eq!(rows.expect("rows").len(), WINDOW as usize);
}

fn counted(ctx: &Ctx, expected: usize) {
    let count = ctx.store.read::<_, StoreError>(|c| api_key::count(c, &query())).expect("a count");
    assert_eq!(count, expected as u64);
}

fn time(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1e3
}
