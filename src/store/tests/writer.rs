//! The queue and the group commit.
use std::sync::{
    Arc, Barrier,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use super::*;

#[test]
fn many_writers_all_get_their_own_answers() {
    let place = Place::new();
    let store = place.open();
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let store = store.clone();
            scope.spawn(move || {
                for job in 0..20 {
                    let name = format!("{writer}/{job}");
                    let answer = store.write(move |tx| {
                        setting::set(tx, &name, "x")?;
                        if job % 4 == 3 { Err(StoreError::Cursor(name)) } else { Ok(name) }
                    });
                    let name = format!("{writer}/{job}");
                    assert_eq!(answer, if job % 4 == 3 { Err(StoreError::Cursor(name)) } else { Ok(name) });
                }
            });
        }
    });
    let count: i64 = store
        .read(|c| Ok::<_, StoreError>(c.query_row("SELECT count(*) FROM setting", [], |r| r.get(0))?))
        .unwrap();
    assert_eq!(count, 16 * 15, "those that failed left nothing");
}

type Answer = Result<(), StoreError>;
type Job = Box<dyn FnOnce(&Store) -> Answer + Send>;

/// Holds the writer in a first job until all of `jobs` are queued behind it.
fn together(store: &Store, jobs: Vec<Job>) -> Vec<Answer> {
    let (open, gate) = mpsc::channel::<()>();
    let held = Arc::new(Barrier::new(2));
    std::thread::scope(|scope| {
        let (first, inside) = (store.clone(), Arc::clone(&held));
        scope.spawn(move || {
            first.write(move |_| {
                inside.wait();
                let _ = gate.recv();
                Ok::<_, StoreError>(())
            })
        });
        held.wait();
        let jobs: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                let store = store.clone();
                scope.spawn(move || job(&store))
            })
            .collect();
        while store.queued() < jobs.len() {
            std::thread::yield_now();
        }
        drop(open);
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    })
}

fn put(name: &'static str) -> Job {
    Box::new(move |store| set(store, name, "x"))
}

#[test]
fn a_job_that_fails_or_panics_takes_back_only_itself() {
    let place = Place::new();
    let store = place.open();
    let commits = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&commits);
    store.set_before_commit(Arc::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }));
    let answers = together(
        &store,
        vec![
            put("a"),
            Box::new(|store| {
                store.write(|tx| {
                    setting::set(tx, "failed", "x")?;
                    Err(StoreError::Busy)
                })
            }),
            Box::new(|store| {
                store.write(|tx| {
                    setting::set(tx, "panicked", "x")?;
                    panic!("a fault of ours")
                })
            }),
            put("b"),
        ],
    );
    assert_eq!(answers, [Ok(()), Err(StoreError::Busy), Err(StoreError::Panicked), Ok(())]);
    let kept = |name| get(&store, name).is_some();
    assert_eq!([kept("a"), kept("failed"), kept("panicked"), kept("b")], [true, false, false, true]);
    assert_eq!(commits.load(Ordering::SeqCst), 2, "one for the holder, one for the rest together");
    assert_eq!(set(&store, "c", "x"), Ok(()), "the writer lives on");
}

#[test]
fn a_commit_that_may_not_be_takes_back_the_whole_group() {
    let place = Place::new();
    let store = place.open();
    store.set_before_commit(Arc::new(|tx| {
        let bad: bool =
            tx.query_row("SELECT EXISTS (SELECT 1 FROM setting WHERE name = 'bad')", [], |r| r.get(0))?;
        if bad { Err(StoreError::Full) } else { Ok(()) }
    }));
    let answers = together(&store, vec![put("a"), put("bad"), put("b")]);
    assert_eq!(answers, [Err(StoreError::Full), Err(StoreError::Full), Err(StoreError::Full)]);
    assert_eq!((get(&store, "a"), get(&store, "b")), (None, None));
    assert_eq!(set(&store, "c", "x"), Ok(()));
}

#[test]
fn a_hook_that_panics_takes_the_commit_back_and_the_writer_lives_on() {
    let place = Place::new();
    let store = place.open();
    store.set_before_commit(Arc::new(|_| panic!("a fault of ours")));
    assert_eq!(set(&store, "a", "x"), Err(StoreError::Panicked));
    store.set_before_commit(Arc::new(|_| Ok(())));
    assert_eq!(set(&store, "b", "x"), Ok(()));
    assert_eq!(get(&store, "a"), None);
}

#[test]
fn the_hook_runs_only_where_something_is_kept_and_may_be_set_in_a_job() {
    let place = Place::new();
    let store = place.open();
    let inner = store.clone();
    store
        .write(move |tx| {
            inner.set_before_commit(Arc::new(|tx| setting::set(tx, "signed", "x")));
            setting::set(tx, "a", "x")
        })
        .unwrap();
    assert!(get(&store, "signed").is_some());
    store.set_before_commit(Arc::new(|tx| setting::set(tx, "again", "x")));
    assert_eq!(store.write(|_| Err::<(), _>(StoreError::Busy)), Err(StoreError::Busy));
    assert_eq!(get(&store, "again"), None);
}

#[test]
fn a_store_that_is_full_takes_back_the_job_that_does_not_fit() {
    let place = Place::new();
    let store = place.open();
    let pages: i64 = store
        .write(|tx| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            tx.pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(()))?;
            Ok::<_, StoreError>(pages)
        })
        .unwrap();
    assert!(pages > 0);
    let answers = together(
        &store,
        vec![
            put("a"),
            Box::new(|store| {
                store.write(|tx| {
                    tx.execute("INSERT INTO setting SELECT 'big', hex(zeroblob(100000))", [])?;
                    Ok(())
                })
            }),
            put("b"),
        ],
    );
    assert_eq!(answers[1], Err(StoreError::Full));
    for (answer, name) in [(&answers[0], "a"), (&answers[2], "b")] {
        assert_eq!(answer.is_ok(), get(&store, name).is_some(), "{name}: an answer is the truth");
    }
    assert_eq!(set(&store, "c", "x"), Ok(()));
}

#[test]
fn work_of_a_dropped_store_is_finished() {
    let place = Place::new();
    let store = place.open();
    let inner = store.clone();
    set(&inner, "a", "x").unwrap();
    drop((store, inner));
    assert!(get(&place.open(), "a").is_some());
}
