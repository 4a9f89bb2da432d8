//! Everybody at once on one home: a gateway under load, clerks at the command line, two people at consoles. Nobody is
//! told that the store is locked, nothing acknowledged is lost, and everyone sees what the others do.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use http::StatusCode;
use tokio::{runtime::Runtime, task::JoinHandle};

use super::{
    caller::{Broken, Caller},
    clerk::{Clerk, Desk},
    console,
    fleet::{Door, Fleet},
    ledger::Ledger,
    support::{
        home::{Home, Issued},
        limited_key, runtime, scaled,
    },
    terminal::Terminal,
    upstream::Upstream,
};

const CLERKS: u64 = 2;
const MOST_LOG: u64 = 64 * 1024 * 1024;

#[test]
fn a_gateway_two_consoles_and_the_command_line_share_a_home_and_nobody_is_locked_out() {
    let lasts = Duration::from_secs(scaled(20, 600));
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let busy = limited_key(&home, "busy", &[("requests_per_minute", 10_000_000)], "sliding");
    let refused = limited_key(&home, "refused", &[("requests_per_day", 1)], "fixed");
    let mut fleet = Fleet::start(&home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    let over = Arc::<AtomicBool>::default();
    let load = [&busy, &refused].map(|key| call_until(&runtime, &door, &key.key, &over));
    let log = watch_logs(&home, &over);

    let mut clerks: Vec<_> = (0..CLERKS).map(|number| Clerk::new(&home, number)).collect();
    let desk = Desk::default();
    let mut terminals = [console::open(&home, &[]), console::open(&home, &[])];
    for terminal in &mut terminals {
        terminal.wait_for("live");
        terminal.press("2");
        terminal.wait_for("› keys");
        terminal.press("/ state:active space probe enter");
        terminal.wait_for("/ state:active probe");
    }
    let begun = Instant::now();
    let (mut acts, mut seen, mut pressed) = (Vec::new(), Vec::new(), Vec::new());
    thread::scope(|scope| {
        let end = EndOfWork(&desk);
        let working: Vec<_> = clerks.iter_mut().map(|clerk| scope.spawn(|| clerk.work(&desk))).collect();
        let mut round = 0;
        while begun.elapsed() < lasts {
            let subject = format!("probe-{round}");
            let acted = Instant::now();
            let probe = home.issue(&subject, "mcp:*", &["--policy", "busy"]);
            acts.push(acted.elapsed());
            let shown = Instant::now();
            for terminal in &mut terminals {
                terminal.wait_for(&subject);
                seen.push(shown.elapsed());
            }
            // One console takes it away, the other sees it.
            pressed.push(revoke(&mut terminals[round % 2], &probe));
            for terminal in &mut terminals {
                terminal.wait_until(&format!("end of {subject}"), |screen| {
                    !screen.contents().lines().any(|row| row.contains("● active") && row.contains(&subject))
                });
            }
            round += 1;
        }
        drop(end);
        for clerk in working {
            clerk.join().expect("a clerk");
        }
    });
    over.store(true, Ordering::SeqCst);
    let (mut let_through, mut limited) = (0, 0);
    for caller in load {
        let (ok, denied) = runtime.block_on(caller).expect("a caller");
        let_through += ok;
        limited += denied;
    }
    for terminal in terminals {
        assert_never_locked(terminal);
    }
    fleet.stop_all();
    let longest_log = log.join().expect("the watcher");
    assert!(longest_log <= MOST_LOG, "a log of {longest_log} bytes");

    let ledger = Ledger::read(&home);
    ledger.assert_consistent();
    clerks.iter_mut().for_each(|clerk| clerk.check(&ledger));
    for round in 0..acts.len() {
        let ids = ledger.keys_of(&format!("probe-{round}"));
        assert_eq!(ids.len(), 1);
        assert_eq!(ledger.keys[&ids[0]], "revoked", "what a console was told");
    }
    assert_eq!(home.json(&["audit", "verify"])["valid"], true);
    assert_eq!(upstream.count(&busy.id) + upstream.count(&refused.id), let_through);
    let acknowledged: u64 = clerks.iter().map(|clerk| clerk.acknowledged).sum();
    let seconds = lasts.as_secs_f64();
    eprintln!(
        "{seconds:.0} s together: {:.0} calls/s let through, {:.0}/s refused, {:.1} acts/s of the command line, \
         {} revocations at a console; longest log {} KiB; an act under load {}; shown in both consoles {}; revoked at a \
         console {}",
        let_through as f64 / seconds,
        limited as f64 / seconds,
        (acknowledged as f64 + acts.len() as f64) / seconds,
        pressed.len(),
        longest_log / 1024,
        spread(&mut acts),
        spread(&mut seen),
        spread(&mut pressed),
    );
    assert!(acknowledged > 0 && !pressed.is_empty() && let_through > 0 && limited > 0);
}

/// Ends the clerks' work, also where something else has failed meanwhile.
struct EndOfWork<'a>(&'a Desk);

impl Drop for EndOfWork<'_> {
    fn drop(&mut self) {
        self.0.kill_all();
    }
}

/// How many calls were let through, and how many were beyond the limit. Nothing else may come.
fn call_until(runtime: &Runtime, door: &Door, key: &str, over: &Arc<AtomicBool>) -> JoinHandle<(u64, u64)> {
    let mut caller = Caller::new(door.clone(), key);
    let over = Arc::clone(over);
    runtime.spawn(async move {
        let (mut ok, mut denied) = (0, 0);
        while !over.load(Ordering::SeqCst) {
            match caller.call(Caller::number()).await {
                Ok(StatusCode::OK) => ok += 1,
                Ok(StatusCode::TOO_MANY_REQUESTS) => denied += 1,
                Ok(other) => panic!("a call was answered {other}"),
                Err(Broken) => panic!("a call was broken off"),
            }
        }
        (ok, denied)
    })
}

/// The greatest length that a write-ahead log of the home had.
fn watch_logs(home: &Arc<Home>, over: &Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    let (home, over) = (Arc::clone(home), Arc::clone(over));
    thread::spawn(move || {
        let mut longest = 0;
        while !over.load(Ordering::SeqCst) {
            for file in ["portcullis.db-wal", "usage.db-wal"] {
                // Looked at, not opened: closing a file of the database drops SQLite's locks on it.
                let length = fs::metadata(home.path().join(file)).map_or(0, |found| found.len());
                longest = length.max(longest);
            }
            // Nothing to wait for: a look now and then.
            thread::sleep(Duration::from_millis(20));
        }
        longest
    })
}

/// Revokes the one key that is listed; how long it took until the console said so.
fn revoke(terminal: &mut Terminal, key: &Issued) -> Duration {
    // Where the one before gave way to this one, the cursor is on none until it is moved.
    terminal.press("g");
    terminal.wait_for("1/1");
    terminal.press("R");
    terminal.wait_for("Revoke key");
    let begun = Instant::now();
    terminal.press("tab enter");
    terminal.wait_for(&format!("revoked key {}", &key.id[..8]));
    begun.elapsed()
}

/// What was said at this console, all of it.
fn assert_never_locked(mut terminal: Terminal) {
    terminal.press("m");
    terminal.wait_for("messages");
    let said = terminal.contents();
    for word in ["locked", "busy:", "SQLITE", "cannot be"] {
        assert!(!said.contains(word), "{said}");
    }
    terminal.press("esc");
    terminal.wait_until_gone("› messages");
    console::leave(terminal);
}

/// Median, 99th percentile and maximum, in milliseconds.
fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    format!("p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms", at(0.5), at(0.99), at(1.0))
}
