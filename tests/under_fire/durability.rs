//! Kills at any moment: what was acknowledged is there afterwards, whole, with its one audit record.
//!
//! Clerks run the acts of an operator through the command line, each on keys and a policy of its own, while a gateway
//! serves. At a random moment all of them are killed at once; then the store must say what the clerks were told.

mod clerk;
mod ledger;

use std::{sync::Arc, thread, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{
    caller::{Caller, Demand, Overload},
    fleet::Fleet,
    support::{Chance, home::Home, limited_key, runtime, scaled},
    upstream::Upstream,
};
use clerk::{Clerk, Desk};
use ledger::Ledger;

const CLERKS: u64 = 4;

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let wanted = scaled(60, 2000);
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    // One load writes leases, the other denials with their records.
    let busy = limited_key(&home, "busy", &[("requests_per_day", 10_000_000)], "fixed");
    let refused = limited_key(&home, "refused", &[("requests_per_day", 1)], "sliding");
    let mut clerks: Vec<_> = (0..CLERKS).map(|number| Clerk::new(&home, number)).collect();
    let mut chance = Chance::new(1000);
    let (mut kills, mut in_midst, mut rounds) = (0, 0, 0);
    while kills < wanted {
        rounds += 1;
        let mut fleet = Fleet::start(&home, &upstream.url, 1);
        let demand = Demand { tasks: 1, refusals: 1, most: u64::MAX };
        let load = [&busy, &refused].map(|key| Overload::start(&runtime, fleet.doors(), &key.key, demand));
        let desk = Desk::default();
        let working: Vec<_> = clerks
            .drain(..)
            .map(|mut clerk| {
                let desk = desk.clone();
                thread::spawn(move || {
                    let was_killed = clerk.work(&desk);
                    (clerk, was_killed)
                })
            })
            .collect();
        // Not to wait for anything: this is the random moment.
        thread::sleep(Duration::from_millis(20 + chance.below(980)));
        desk.kill_all();
        fleet.kill(0);
        kills += 1;
        for clerk in working {
            let (clerk, was_killed) = clerk.join().expect("a clerk");
            in_midst += u64::from(was_killed);
            kills += u64::from(was_killed);
            clerks.push(clerk);
        }
        load.into_iter().for_each(Overload::abandon);

        assert_whole(&home);
        let ledger = Ledger::read(&home);
        ledger.assert_consistent();
        clerks.iter_mut().for_each(|clerk| clerk.check(&ledger));
    }
    // The secrets that were handed out open what they should, and nothing else does.
    let mut fleet = Fleet::start(&home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    let mut tried = 0;
    for (secret, status) in clerks.iter().flat_map(Clerk::secrets) {
        let called = runtime.block_on(Caller::new(door.clone(), secret).call(Caller::number()));
        assert_eq!(called.expect("an answer"), status, "a key of a clerk");
        tried += 1;
    }
    fleet.stop_all();
    let acknowledged: u64 = clerks.iter().map(|clerk| clerk.acknowledged).sum();
    let survived: u64 = clerks.iter().map(|clerk| clerk.survived).sum();
    eprintln!(
        "{kills} kills in {rounds} rounds ({in_midst} of an act): {acknowledged} acknowledged acts, 0 lost; {survived} \
         done and never acknowledged; {tried} keys tried"
    );
    assert!(acknowledged > 0 && tried > 0);
}

/// SQLite finds nothing wrong, and neither does Portcullis.
fn assert_whole(home: &Home) {
    for file in ["portcullis.db", "usage.db"] {
        let path = home.path().join(file);
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
        let found: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(found, "ok", "{file}");
    }
    assert_eq!(home.json(&["doctor"])["healthy"], true);
    assert_eq!(home.json(&["audit", "verify"])["valid"], true);
}
