//! A store that another process has locked for long: what is known is still decided, what would have to be written is
//! refused, nobody hangs, and all goes on by itself when the lock is gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use rusqlite::Connection;

use super::{
    caller::Caller,
    console,
    fleet::Fleet,
    support::{PATIENCE, home::Home, limited_key, runtime},
    upstream::Upstream,
};

const LIMIT: u64 = 400;
/// No lease is more than so many parts of what remains.
const PARTS: u64 = 8;

#[test]
fn a_store_that_another_process_locks_is_still_read_and_everybody_says_why_nothing_can_be_changed() {
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let open = limited_key(&home, "open", &[], "fixed");
    let limited = limited_key(&home, "limited", &[("requests_per_day", LIMIT)], "fixed");
    let lost = home.issue("lost", "mcp:*", &["--policy", "open"]);
    let mut fleet = Fleet::start(&home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    let call = |key: &str| {
        let called = runtime.block_on(Caller::new(door.clone(), key).call(Caller::number()));
        called.expect("an answer")
    };
    for key in [&open, &limited] {
        assert_eq!(call(&key.key), StatusCode::OK);
    }
    let mut terminal = console::open(&home, &[]);
    terminal.press("2");
    terminal.wait_for("1/3");

    let holder = Connection::open(home.path().join("portcullis.db")).expect("the store");
    holder.busy_timeout(PATIENCE).expect("a setting");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("the lock");

    // Others write all the time: a call that follows at once is let in. What was leased before can be spent, and not a call
    // more.
    assert_eq!(call(&open.key), StatusCode::OK);
    let spent = (0..=LIMIT / PARTS + 1).take_while(|_| call(&limited.key) == StatusCode::OK).count() as u64;
    assert!(spent <= LIMIT / PARTS, "{spent} calls without a new lease");
    let begun = Instant::now();
    assert_eq!(call(&limited.key), StatusCode::SERVICE_UNAVAILABLE);
    let refused = begun.elapsed();

    // The console is told, and its keys go on meanwhile.
    console::ask_to_revoke(&mut terminal, "lost");
    terminal.wait_for("working");
    let acted = Instant::now();
    terminal.press("esc");
    terminal.wait_until_gone("Revoke key");
    let mut frames = Vec::new();
    for _ in 0..20 {
        let pressed = Instant::now();
        terminal.press("7");
        terminal.wait_for("› usage");
        terminal.press("2");
        terminal.wait_for("› keys");
        frames.push(pressed.elapsed() / 2);
    }
    let moved = acted.elapsed();
    terminal.wait_for("the store is locked");

    let begun = Instant::now();
    let ended = home.run(&["--wait", "5s", "key", "revoke", &lost.id]);
    let waited = begun.elapsed();
    assert_eq!(ended.code, 5, "{}", ended.errors);
    assert!(ended.errors.contains("is locked") && ended.errors.contains("try again"), "{}", ended.errors);
    assert_eq!(home.json(&["key", "show", &lost.id])["state"], "active", "readers wait for nobody");

    // Nobody could be revoked meanwhile: after two seconds nothing is let in any more.
    wait_for(|| call(&open.key) == StatusCode::SERVICE_UNAVAILABLE, "nobody can be revoked");

    holder.execute_batch("ROLLBACK").expect("the lock is given back");
    let freed = Instant::now();
    wait_for(|| call(&open.key) == StatusCode::OK, "there is no lock any more");
    let recovered = freed.elapsed();
    wait_for(|| call(&limited.key) == StatusCode::OK, "leases are to be had again");
    home.json(&["key", "revoke", &lost.id]);
    assert_eq!(call(&lost.key), StatusCode::UNAUTHORIZED);
    terminal.wait_for("✕ revoked");
    console::leave(terminal);
    fleet.stop_all();
    assert_eq!(home.json(&["audit", "verify"])["valid"], true);
    frames.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    eprintln!(
        "locked store: {spent} leased calls spent, then 503 in {:.0} ms; the command line gave up after {:.0} ms; a key of \
         the console shown in {:.1} ms (median), {:.1} ms at most, over {:.0} ms; {:.0} ms after the lock calls went on",
        ms(refused),
        ms(waited),
        ms(frames[frames.len() / 2]),
        ms(frames[frames.len() - 1]),
        ms(moved),
        ms(recovered)
    );
}

fn wait_for(mut holds: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
    }
}
