//! The gateway against what people put in front of a server today: nginx, nginx with `auth_request`, HAProxy with a map of
//! keys and a stick table. One command, one table: requests per second, time per request, processor and memory.
//!
//! ```text
//! cargo bench --bench peers
//! ```
//!
//! Needs `nginx`, `haproxy`, `wrk` and `taskset` (Debian: nginx-light, haproxy, wrk, util-linux) and two cores.
//!
//! All of them stand before the same upstream (an nginx that answers from memory), take the same 64 connections of 64
//! clients, each with a key of its own, and are measured in turn, round after round, so that what disturbs the machine
//! disturbs all. Only the ratios within a round mean anything; what is printed is their median. Two layouts: *pinned*, the
//! proxy alone on one core and the load with the upstream on the other, where the proxy is the bottleneck; and *free*, all
//! of them on two cores, as they would be by themselves. Two bodies: a plain HTTP `GET`, and an MCP `tools/call`.
//!
//! What each of them does with a request: `direct`, `nginx` and `auth_request` as their names say (the service that is
//! asked answers 204 to everything). `haproxy` looks the key up in a map and counts its requests in a stick table against a
//! limit. `portcullis` proves the key by its HMAC against the state as last committed by any process, judges it under its
//! policy (address, hours, scope, endpoint), charges three sliding windows on a ledger that other gateways share, and
//! counts the call; of an MCP call it reads the body.
//!
//! `PORTCULLIS_BENCH_ROUNDS` and `PORTCULLIS_BENCH_SECONDS` replace 9 rounds of 2 seconds each. `PORTCULLIS_BENCH_BINARY`
//! names another `portcullis`, measured beside this one, so that a change can be judged against what was before it.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

mod load;
mod peer;
mod process;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::{env, path::Path, str::FromStr};

use load::{Body, Load};
use peer::{Layout, Peer, Stage};
use table::{Row, Table};

/// Runs of the first round find cold caches and no connections: they do not count.
const WARM_UP: usize = 1;

fn main() {
    let missing: Vec<_> = ["nginx", "haproxy", "wrk", "taskset"]
        .into_iter()
        .filter(|name| process::find(name).is_none())
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "skipped: {} not found; on Debian: apt-get install nginx-light haproxy wrk util-linux",
            missing.join(", ")
        );
        return;
    }
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        eprintln!("skipped: two cores are needed, one for the proxy and one for the load");
        return;
    }
    let rounds = number("PORTCULLIS_BENCH_ROUNDS", 9) + WARM_UP;
    let seconds = number("PORTCULLIS_BENCH_SECONDS", 2);
    let before = env::var("PORTCULLIS_BENCH_BINARY").ok();

    let mut verdicts = Vec::new();
    for layout in [Layout::Pinned, Layout::Free] {
        let folder = tempfile::tempdir().expect("a folder");
        let stage = Stage::set(folder.path(), layout, before.as_deref().map(Path::new));
        for body in [Body::Plain, Body::Mcp] {
            let table = measure(&stage, body, rounds, seconds);
            println!("\n{layout}, {body}: {} clients, medians of {} rounds", load::CLIENTS, rounds - WARM_UP);
            print!("{table}");
            verdicts.extend(table.verdicts(&format!("{layout}, {body}")));
        }
    }
    println!();
    for verdict in verdicts {
        println!("{verdict}");
    }
}

fn measure(stage: &Stage, body: Body, rounds: usize, seconds: usize) -> Table {
    let mut table = Table::new(stage.peers.iter().map(Peer::name));
    for round in 0..rounds {
        // Each comes first, last and after each of the others in turn.
        for step in 0..stage.peers.len() {
            let index = (round + step) % stage.peers.len();
            let peer = &stage.peers[index];
            let load = Load { url: peer.url(body), body, keys: &stage.keys, seconds };
            let before = peer.spent();
            let answered = load.run(&stage.folder, stage.layout);
            if round >= WARM_UP {
                table.add(index, Row::new(&answered, peer.spent() - before, peer.resident()));
            }
        }
    }
    table
}

fn number<T: FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
