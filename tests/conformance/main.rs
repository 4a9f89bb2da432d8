//! The official conformance suite (`@modelcontextprotocol/conformance`), in its server mode, against one and the same
//! server: directly, and through `portcullis serve`. It must find no difference, check by check.
//!
//! The suite ships no server of its own, so the one examined is `server/`: the official TypeScript SDK, which of all SDKs
//! passes the most of the suite, in both eras at one endpoint. `.ci/run` installs what is pinned in `package.json`.
//! What fails directly too are the scenarios of the tasks extension, which that SDK has not got.
//!
//! `clients` holds the SDK's own clients, of both generations, to what they can bear; `users` says what each client shows to
//! who uses it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

#[path = "../journeys/support/mod.rs"]
#[allow(dead_code, reason = "shared with the journeys, which use all of it")]
mod support;

mod clients;
mod node;
mod server;
mod shim;
mod suite;
mod users;

use std::thread;

use serde_json::json;

use node::Node;
use server::Server;
use shim::Shim;
use suite::Outcomes;
use support::{
    gateway::Gateway,
    home::{Home, policy},
};

/// What the suite has to find, so that a run that examined nothing fails.
struct Least {
    scenarios: usize,
    checks_passed: usize,
}

#[test]
fn the_suite_finds_no_difference_in_the_new_era() {
    no_difference("2026-07-28", &Least { scenarios: 50, checks_passed: 164 });
}

#[test]
fn the_suite_finds_no_difference_in_the_old_era() {
    no_difference("2025-11-25", &Least { scenarios: 33, checks_passed: 84 });
}

fn no_difference(revision: &str, least: &Least) {
    let Some(node) = Node::found() else { return };
    let (direct, through) = thread::scope(|scope| {
        let direct = scope.spawn(|| suite::run(&node, &Server::start(&node).url, revision));
        let through = scope.spawn(|| through_the_gateway(&node, revision));
        (direct.join().expect("the direct run"), through.join().expect("the run through the gateway"))
    });
    assert_eq!(direct, through, "left: directly; right: through the gateway");
    assert!(direct.scenarios() >= least.scenarios, "{}", direct.scenarios());
    assert!(direct.checks_passed() >= least.checks_passed, "{}", direct.checks_passed());
    let failed = direct.scenarios_with_a_failure();
    assert!(failed.iter().all(|scenario| scenario.starts_with("tasks-")), "{failed:?}");
    eprintln!(
        "{revision}: {} scenarios, {} checks passed, directly and through the gateway alike",
        direct.scenarios(),
        direct.checks_passed()
    );
}

fn through_the_gateway(node: &Node, revision: &str) -> Outcomes {
    let server = Server::start(node);
    let home = Home::new();
    home.apply_policy(&policy("unhurried", &json!({})));
    let issued = home.issue("the-suite", "mcp:*", &["--policy", "unhurried"]);
    let gateway = Gateway::start(&home, &server.url, &[]);
    let shim = Shim::start(&gateway.endpoint, &issued.key);
    let outcomes = suite::run(node, &shim.url, revision);
    gateway.stop();
    // It was the gateway that was asked, with this key.
    let usage = home.json(&["usage", "summary", "--credential", &issued.id]);
    assert!(usage["allowed"].as_u64().is_some_and(|allowed| allowed > 50), "{usage}");
    outcomes
}
