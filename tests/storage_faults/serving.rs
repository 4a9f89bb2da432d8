//! A gateway whose reads, writes and synchronizations fail while it serves.
//!
//! It refuses what it cannot record or cannot know, admits no call beyond a limit and none of a revoked key, loses no
//! count that it was able to write later, and goes on by itself where the fault has passed.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use http::StatusCode;
use tokio::{runtime::Runtime, sync::watch};

use super::{
    books::Books,
    caller::{Broken, Caller},
    process::Process,
    strace::{self, Fault, Log, When},
    support::{Chance, PATIENCE, home::Home, limited_key, runtime, scaled},
    upstream::Upstream,
};

const FAULTS: [(&str, &str, &[&str]); 8] = [
    ("portcullis.db-wal", "pwrite64", &["ENOSPC", "EIO", "EDQUOT"]),
    ("portcullis.db-wal", "fsync,fdatasync", &["EIO", "ENOSPC"]),
    ("portcullis.db-wal", "pread64", &["EIO"]),
    ("portcullis.db", "pread64", &["EIO"]),
    ("portcullis.db-shm", "pwrite64,ftruncate", &["ENOSPC", "EIO"]),
    ("usage.db-wal", "pwrite64", &["ENOSPC", "EIO", "EDQUOT"]),
    ("usage.db-wal", "pread64", &["EIO"]),
    ("usage.db", "pread64", &["EIO"]),
];
/// What the small key may do in an hour.
const LIMIT: u64 = 12;
/// How often each key calls while the fault may come.
const CALLS: usize = 40;

#[test]
fn a_gateway_whose_disk_fails_refuses_what_it_cannot_record_and_recovers_by_itself() {
    if !strace::is_here() {
        return;
    }
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let mut chance = Chance::new(301);
    let mut sum = Sum::default();
    for (file, calls, errors) in FAULTS {
        for _ in 0..scaled(2, 40) {
            let error = errors[chance.below(errors.len() as u64) as usize];
            let call = 1 + chance.below(scaled(12, 60));
            let when = if chance.below(2) == 0 { When::Once(call) } else { When::From(call) };
            serve_under(&runtime, &upstream, Fault { file, calls, error, when }, &mut sum);
        }
    }
    eprintln!(
        "{} gateways under faults ({} met one, {} could not start): {} calls let through, {} refused as unavailable",
        sum.gateways, sum.met, sum.not_started, sum.allowed, sum.unavailable
    );
    assert!(sum.met > 0 && sum.allowed > 0 && sum.unavailable > 0);
}

#[derive(Default)]
struct Sum {
    gateways: u64,
    met: u64,
    not_started: u64,
    allowed: u64,
    unavailable: u64,
}

fn serve_under(runtime: &Runtime, upstream: &Upstream, fault: Fault, sum: &mut Sum) {
    let home = Arc::new(Home::new());
    let busy = limited_key(&home, "busy", &[("requests_per_hour", 100_000)], "fixed");
    let small = limited_key(&home, "small", &[("requests_per_day", LIMIT)], "fixed");
    let ended = home.issue("ended", "mcp:*", &["--policy", "busy"]);
    let log = Log::new();
    let mut command = fault.command(&home, &log);
    command.args(["serve", "--log", "off", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let mut gateway = Process::start(command.args(["--upstream", &upstream.url]));
    sum.gateways += 1;
    let Some(address) = address_of(&mut gateway) else {
        assert_eq!(gateway.wait().code(), Some(5), "{fault:?}: it did not start");
        assert!(log.shows_fault(), "{fault:?}");
        sum.not_started += 1;
        sum.met += 1;
        return Books::open(&home).assert_whole();
    };
    let door = watch::Sender::new(Some(address));
    let mut allowed = 0;
    let mut callers = [&busy, &small].map(|key| Caller::new(door.subscribe(), &key.key));
    let mut call = |caller: &mut Caller| {
        let status = runtime.block_on(caller.call(Caller::number()));
        let status = status.unwrap_or_else(|Broken| panic!("{fault:?}: a call was broken off"));
        match status {
            StatusCode::OK => allowed += 1,
            StatusCode::SERVICE_UNAVAILABLE => sum.unavailable += 1,
            StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => {}
            other => panic!("{fault:?}: {other}"),
        }
        status
    };
    for number in 0..CALLS {
        if number == CALLS / 2 {
            home.json(&["key", "revoke", &ended.id]);
        }
        for caller in &mut callers {
            call(caller);
        }
        let status = call(&mut Caller::new(door.subscribe(), &ended.key));
        assert!(number < CALLS / 2 || status != StatusCode::OK, "{fault:?}: a revoked key was let in");
    }
    if let When::Once(_) = fault.when {
        let deadline = Instant::now() + PATIENCE;
        while call(&mut callers[0]) != StatusCode::OK {
            assert!(Instant::now() < deadline, "{fault:?}: it does not recover");
        }
    }
    let code = gateway.terminate().code();
    let met = log.shows_fault();
    sum.met += u64::from(met);
    sum.allowed += allowed;
    assert!(code == Some(0) || (met && code == Some(5)), "{fault:?}: exit {code:?}");
    assert!(upstream.count(&small.id) <= LIMIT, "{fault:?}: more than the limit");
    let passed: u64 = [&busy, &small, &ended].map(|key| upstream.count(&key.id)).iter().sum();
    assert_eq!(passed, allowed, "{fault:?}: what was let through");
    let books = Books::open(&home);
    books.assert_whole();
    assert_eq!(books.records("gateway.start", &address.to_string()), 1, "{fault:?}");
    if code == Some(0) {
        let counted = home.json(&["usage", "summary"]);
        assert_eq!(counted["allowed"].as_u64(), Some(allowed), "{fault:?}: {counted}");
    }
}

/// Where it listens; `None` where it ended before.
fn address_of(gateway: &mut Process) -> Option<SocketAddr> {
    let line = gateway.line_or_end()?;
    Some(line.strip_prefix("listening on http://")?.parse().expect("an address"))
}
