//! What is long over goes from the store, a slice at a time.

use super::house::{Gate, House};
use crate::domain::policy::RateLimits;
use crate::engine::{lessor::Lessor, quota::Accounts};
use crate::store::{Rows, StoreError, one_time, quota};
use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

const DAY: u64 = 86_400;

fn rows(house: &House, table: &'static str) -> i64 {
    let count = move |c: &Rows<'_>| -> Result<i64, StoreError> {
        Ok(c.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
    };
    house.ctx.store.read(count).unwrap()
}

/// Sweeps until there is no more to do, and says in how many slices.
fn sweep(house: &House) -> u32 {
    let (_keep, inbox) = mpsc::channel();
    let store = house.neighbour().store;
    let mut lessor = Lessor::new(Arc::new(Accounts::new()), store, house.clock.clone(), inbox);
    let mut slices = 1;
    while !lessor.sweep() {
        slices += 1;
    }
    slices
}

#[tokio::test]
async fn uses_and_accounts_that_are_long_over_go_and_no_others() {
    let house = House::new();
    house.limit("limited", 5, "sliding");
    let (_, text) = house.key("limited");
    let mut gate: Gate = house.gate();
    gate.call(&text, "tools/list").await.unwrap();
    gate.engine.stop().unwrap();
    let now = house.now();
    let limits = RateLimits {
        requests_per_minute: Some(5),
        requests_per_hour: None,
        requests_per_day: None,
        ..Default::default()
    };
    house
        .ctx
        .store
        .write(move |c| {
            for number in 0..600 {
                let ends_at = now.plus(Duration::from_secs(number));
                one_time::use_up(c, "dpop", &number.to_string(), ends_at)?;
                let account = format!("issuer:corp:limited:{number}");
                quota::open_foreign(c, &account, now)?;
                quota::lease(c, &account, &limits, 1, now)?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!((rows(&house, "quota"), rows(&house, "one_time")), (601, 600));
    house.advance(DAY + 300);
    assert!(sweep(&house) >= 2, "in slices");
    assert_eq!(rows(&house, "one_time"), 300, "those of the last day are remembered");
    assert_eq!(rows(&house, "quota"), 1, "and the key's account stays");
    assert_eq!(sweep(&house), 1);
    house.advance(300);
    sweep(&house);
    assert_eq!(rows(&house, "one_time"), 0);
}
