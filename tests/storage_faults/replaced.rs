//! A database that is deleted, or exchanged for an older copy, beneath a gateway and a console that have it open.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::{runtime::Runtime, time::timeout};

use super::{
    caller::Caller,
    console,
    fleet::{Door, Fleet},
    support::{
        PATIENCE,
        home::{Home, Issued},
        limited_key, runtime,
    },
    upstream::{Upstream, WATCH},
};

fn call(runtime: &Runtime, door: &Door, key: &str) -> StatusCode {
    let called = runtime.block_on(Caller::new(door.clone(), key).call(Caller::number()));
    called.expect("an answer")
}

/// One gateway of a home, and what it stands before.
fn one_gateway(home: &Arc<Home>) -> (Runtime, Upstream, Fleet, Door) {
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let fleet = Fleet::start(home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    (runtime, upstream, fleet, door)
}

/// The files of a database that nobody has open, copied to another folder.
fn copy_of(home: &Home, to: &Path) -> Vec<PathBuf> {
    let files = ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"];
    files.iter().for_each(|file| _ = fs::copy(home.path().join(file), to.join(file)).expect("a copy"));
    files.iter().map(|file| to.join(file)).collect()
}

/// A home whose `revoked` key was still good when a copy was made of it.
fn home_and_older_copy() -> (Arc<Home>, Issued, Issued, tempfile::TempDir) {
    let home = Arc::new(Home::new());
    let kept = limited_key(&home, "kept", &[], "fixed");
    let revoked = home.issue("revoked", "mcp:*", &["--policy", "kept"]);
    let older = tempfile::tempdir().expect("a temporary folder");
    copy_of(&home, older.path());
    (home, kept, revoked, older)
}

#[test]
fn a_deleted_database_is_noticed_at_the_next_call_and_streams_end() {
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let key = limited_key(&home, "kept", &[], "fixed");
    let mut fleet = Fleet::start(&home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    assert_eq!(call(&runtime, &door, &key.key), StatusCode::OK);
    let mut caller = Caller::new(door.clone(), &key.key);
    let stream = runtime.block_on(caller.send(WATCH, Caller::number())).expect("an answer");
    assert_eq!(stream.status(), StatusCode::OK);
    let mut terminal = console::open(&home, &[]);
    terminal.wait_for("live");

    fs::remove_file(home.path().join("portcullis.db")).expect("the database");
    let deleted = Instant::now();
    assert_eq!(call(&runtime, &door, &key.key), StatusCode::SERVICE_UNAVAILABLE, "the very next call");
    let mut events = stream.into_body();
    runtime.block_on(async {
        let ended = async { while let Some(Ok(_)) = events.frame().await {} };
        timeout(PATIENCE, ended).await.expect("the stream ends");
    });
    let cut = deleted.elapsed();
    terminal.wait_for("stale");
    terminal.wait_for("cannot be watched");

    // No new store is made beside what is left of it: that belongs to whoever still has the old one open.
    let refused = home.run(&["key", "create", "--subject", "new", "--scope", "mcp:*"]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    assert!(refused.errors.contains("is gone") && refused.errors.contains("backup"), "{}", refused.errors);
    assert!(!home.path().join("portcullis.db").exists());
    assert!(refused.errors.contains("portcullis store begin-anew"), "{}", refused.errors);
    home.json(&["store", "begin-anew"]);
    let new = home.issue("new", "mcp:*", &[]);
    for key in [&key, &new] {
        assert_eq!(call(&runtime, &door, &key.key), StatusCode::SERVICE_UNAVAILABLE);
    }
    // The console shows what is there now.
    terminal.press("2");
    terminal.wait_for("new ");
    terminal.wait_until_gone("kept ");
    console::leave(terminal);
    fleet.kill(0);
    fleet.open(0);
    assert_eq!(call(&runtime, &door, &new.key), StatusCode::OK, "a restart takes what is there");
    assert_eq!(call(&runtime, &door, &key.key), StatusCode::UNAUTHORIZED);
    fleet.stop_all();
    eprintln!("deleted database: refused at the very next call; an open stream cut after {:.0} ms", {
        cut.as_secs_f64() * 1000.0
    });
}

#[test]
fn an_older_copy_put_in_its_place_lets_nobody_in() {
    let (home, kept, revoked, older) = home_and_older_copy();
    let (runtime, upstream, mut fleet, door) = one_gateway(&home);
    for key in [&kept, &revoked] {
        assert_eq!(call(&runtime, &door, &key.key), StatusCode::OK);
    }
    home.json(&["key", "revoke", &revoked.id]);
    assert_eq!(call(&runtime, &door, &revoked.key), StatusCode::UNAUTHORIZED);
    let came = upstream.count(&revoked.id);

    // Moved there, as a restore does it: another file under the same name.
    for file in ["portcullis.db-wal", "portcullis.db-shm", "portcullis.db"] {
        let draft = home.path().join("draft");
        fs::copy(older.path().join(file), &draft).expect("a copy");
        fs::rename(&draft, home.path().join(file)).expect("the same folder");
    }
    for key in [&kept, &revoked, &revoked] {
        assert_eq!(call(&runtime, &door, &key.key), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(upstream.count(&revoked.id), came);
    // The gateway says so itself, and does not write into what it does not know.
    let log = home.path().join("portcullis.db-wal");
    let before =
        (fs::read(home.path().join("portcullis.db")).expect("a file"), fs::read(&log).expect("a file"));
    fleet.kill(0);
    let after =
        (fs::read(home.path().join("portcullis.db")).expect("a file"), fs::read(&log).expect("a file"));
    assert!(before == after);
    let refused = home.run(&["audit", "verify"]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    assert!(refused.errors.contains("is an older copy"), "{}", refused.errors);
}

/// Writes the copy over the database, which is at no moment empty: whoever opens an empty one has SQLite delete the log.
fn write_over(home: &Home, older: &Path) {
    let copy = fs::read(older.join("portcullis.db")).expect("the copy");
    let mut file = File::options().write(true).open(home.path().join("portcullis.db")).expect("the database");
    file.write_all(&copy).expect("the same file");
    file.set_len(copy.len() as u64).expect("its length");
}

#[test]
fn an_older_copy_written_over_it_lets_nobody_in_where_its_log_went() {
    let (home, _, revoked, older) = home_and_older_copy();
    let (runtime, upstream, mut fleet, door) = one_gateway(&home);
    home.json(&["key", "revoke", &revoked.id]);
    assert_eq!(call(&runtime, &door, &revoked.key), StatusCode::UNAUTHORIZED);

    // As `cp` does it: the database is empty for a moment, and somebody opens it in that.
    File::create(home.path().join("portcullis.db")).expect("an empty database");
    let refused = home.run(&["key", "list"]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    write_over(&home, older.path());
    assert_ne!(call(&runtime, &door, &revoked.key), StatusCode::OK);
    assert_eq!(upstream.count(&revoked.id), 0);
    let refused = home.run(&["key", "create", "--subject", "new", "--scope", "mcp:*"]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    fleet.kill(0);
    let refused = home.run(&["audit", "verify"]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    assert!(refused.errors.contains("older copy"), "{}", refused.errors);
}

#[test]
fn an_older_copy_written_over_it_changes_nothing_while_the_log_holds_what_came_after() {
    let (home, kept, revoked, older) = home_and_older_copy();
    let (runtime, _upstream, mut fleet, door) = one_gateway(&home);
    home.json(&["key", "revoke", &revoked.id]);
    assert_eq!(call(&runtime, &door, &revoked.key), StatusCode::UNAUTHORIZED);

    write_over(&home, older.path());
    assert_eq!(call(&runtime, &door, &revoked.key), StatusCode::UNAUTHORIZED);
    assert_eq!(call(&runtime, &door, &kept.key), StatusCode::OK);
    let new = home.issue("new", "mcp:*", &["--policy", "kept"]);
    assert_eq!(call(&runtime, &door, &new.key), StatusCode::OK);
    fleet.stop_all();
    assert_eq!(home.json(&["key", "show", &revoked.id])["state"], "revoked");
    assert_eq!(home.json(&["doctor"])["healthy"], true);
}
