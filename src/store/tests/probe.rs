//! Whether others hold the store.
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn a_store_is_held_by_one_who_never_commits() {
    let place = Place::used();
    let store = place.open();
    let mut probe = store.probe().unwrap();
    assert_eq!(probe.try_write(Duration::ZERO), Ok(()));
    let holder = place.stranger("portcullis.db");
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(probe.try_write(Duration::ZERO), Err(StoreError::Busy));
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(probe.try_write(Duration::ZERO), Ok(()));
}

#[test]
fn a_store_that_others_write_to_without_a_pause_is_not_held() {
    let place = Place::used();
    let store = place.open();
    let mut probe = store.probe().unwrap();
    let writer = place.stranger("portcullis.db");
    writer.execute_batch("PRAGMA synchronous = OFF; BEGIN IMMEDIATE").unwrap();
    let is_over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The store is free for a hundredth of the time: hardly ever when the probe looks.
            while !is_over.load(Ordering::Relaxed) {
                let again = "INSERT INTO setting (name, value) VALUES ('a', hex(randomblob(1000000)))
                                 ON CONFLICT DO UPDATE SET value = excluded.value;
                             COMMIT; BEGIN IMMEDIATE";
                writer.execute_batch(again).unwrap();
            }
        });
        let asked: Vec<_> = (0..2).map(|_| probe.try_write(Duration::from_secs(1))).collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(asked, [Ok(()), Ok(())]);
    });
}

#[test]
fn a_store_is_held_by_one_who_commits_and_takes_it_again_each_time() {
    let mut probe = Place::used().open().probe().unwrap();
    let busy = || Err(StoreError::Busy);
    for _ in 0..2 {
        let asked: Vec<_> = (0..4).map(|_| probe.judge(busy(), true)).collect();
        assert_eq!(asked, [Ok(()), Ok(()), busy(), busy()], "nobody else has better luck");
        assert_eq!(probe.judge(Ok(()), false), Ok(()), "it had its turn");
    }
    assert_eq!((probe.judge(busy(), true), probe.judge(busy(), false)), (Ok(()), busy()));
    assert_eq!(probe.judge(busy(), true), busy(), "who has it commits now and then, and gives nobody a turn");
    assert_eq!((probe.judge(Ok(()), false), probe.judge(busy(), true)), (Ok(()), Ok(())));
}
