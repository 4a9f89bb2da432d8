use std::time::Duration;

use super::*;
use crate::domain::event::{Event, lockout_detail};
use crate::ops::bench::Bench;
use crate::store::event::{self, Whose};

/// A gateway locks a key out, from an address and for some minutes.
fn begins(bench: &Bench, id: KeyId, address: &str, minutes: u64) {
    let event = Event {
        seq: 0,
        at: bench.now(),
        kind: LOCKOUT_STARTED.into(),
        credential: id.to_string(),
        issuer: String::new(),
        subject: NOBODY.into(),
        endpoint: NOBODY.into(),
        address: address.into(),
        count: 1,
        detail: lockout_detail(bench.now().plus(Duration::from_secs(minutes * 60))),
    };
    bench.ctx.store.write_usage(move |c| event::append(c, Whose::Known, &[event])).unwrap();
}

fn told(bench: &Bench, id: KeyId) -> Vec<String> {
    lockouts(&bench.ctx, id, bench.now()).unwrap().iter().map(Lockout::told).collect()
}

#[test]
fn what_may_be_in_force_is_told_and_by_whom_until_it_ends() {
    let bench = Bench::new();
    let (id, other) = (bench.key().id, bench.key().id);
    let minutes = |count: u64| bench.clock.advance(Duration::from_secs(60 * count));
    let serve = |listen: &str| {
        gateway::announce(&bench.ctx, listen.into(), "127.0.0.1:1".into(), "http://127.0.0.1:2/mcp".into())
    };
    assert_eq!(told(&bench, id), [""; 0]);
    let first = serve("http://127.0.0.1:8080");
    begins(&bench, id, "192.0.2.1", 15);
    minutes(15);
    assert_eq!(told(&bench, id), [""; 0], "it ended by itself");
    begins(&bench, id, "192.0.2.1", 30);
    begins(&bench, id, NOBODY, 15);
    minutes(1);
    let second = serve("http://127.0.0.1:8090");
    assert_eq!(
        told(&bench, id),
        [
            "from several networks, or from where is not known, until 2026-07-28T10:00:00Z, by the gateway at \
             http://127.0.0.1:8080 (event 3)",
            "from the network of 192.0.2.1 until 2026-07-28T10:15:00Z, by the gateway at http://127.0.0.1:8080 \
             (event 2)"
        ]
    );
    assert_eq!(told(&bench, other), [""; 0]);
    begins(&bench, id, "192.0.2.1", 60);
    let newest = told(&bench, id);
    assert!(
        newest[0].contains("one of http://127.0.0.1:8080, http://127.0.0.1:8090 (event 4)"),
        "{newest:?}"
    );
    assert_eq!(newest.len(), 2, "the newest of each address");
    drop((first, second));
    let over = lockouts(&bench.ctx, id, bench.now()).unwrap();
    assert!(
        over.iter().all(|lockout| !lockout.may_hold() && lockout.told().contains("has ended")),
        "{over:?}"
    );
    let then = bench.now();
    minutes(60);
    assert_eq!(told(&bench, id), [""; 0]);
    assert_eq!(lockouts(&bench.ctx, id, then).unwrap(), over, "of a moment in the past it is still told");
    assert_eq!(
        lockouts(&bench.ctx, id, then.minus(Duration::from_secs(3600))).unwrap(),
        [],
        "before it began"
    );
}
