//! A gateway on a machine whose clock was set back.

use std::process::Command;

use serde_json::json;

use crate::{
    serve::call,
    support::{Place, Service},
};

/// The library that tells a process another time. Where it is not here the test says that it is skipped, except under
/// `PORTCULLIS_REQUIRE_PEERS` (set by `.ci/run`), where it fails.
fn library() -> Option<String> {
    let told = Command::new("faketime").args(["-f", "+0", "env"]).output();
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let library = told.lines().find_map(|line| line.strip_prefix("LD_PRELOAD=")).map(str::to_owned);
    if library.is_none() {
        let message = "faketime is not installed; `.ci/run` installs it";
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
        eprintln!("SKIPPED: a_clock_set_back_revives_nothing: {message}");
    }
    library
}

#[test]
fn a_clock_set_back_revives_nothing() {
    let Some(library) = library() else { return };
    let place = Place::new();
    let mut server = Service::start(&place, &["demo", "--server-only"]);
    let upstream = server.listening();
    let (_, ending) = place.key(&["--subject", "alice", "--scope", "mcp:*"]);
    let (_, lasting) = place.key(&["--subject", "alice", "--scope", "mcp:*", "--no-expiry"]);
    let statuses = |shift: &str| {
        let mut gateway = Service::start_in(
            &place,
            &[("LD_PRELOAD", &library), ("FAKETIME", shift)],
            &["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        );
        let listen = gateway.listening().strip_prefix("http://").unwrap().to_owned();
        gateway.listening();
        let statuses = [&ending, &lasting].map(|key| call(&listen, Some(key), "search_docs").status);
        assert_eq!(gateway.terminate(), 0);
        statuses
    };
    let told =
        || place.json(&["event", "list", "--kind", "clock_set_back"])["items"].as_array().unwrap().len();
    assert_eq!(statuses("-20"), [200, 200], "clocks are set by a little all the time");
    assert_eq!(told(), 0);
    assert_eq!(statuses("-2h"), [401, 200]);
    assert_eq!(told(), 1);
    assert_eq!(statuses("+0"), [200, 200], "right again, all is as it was");
    // Ahead it ends what ends then; and what was seen ahead is remembered, until an operator says otherwise.
    assert_eq!(statuses("+25h"), [401, 200]);
    assert_eq!(statuses("+0"), [401, 200]);
    assert_eq!(place.run(&["doctor"]).status.code(), Some(1));
    place.ok(&["store", "accept", "--reason", "the clock ran ahead"]);
    assert_eq!(statuses("+0"), [200, 200]);
    assert_eq!(
        place.json(&["audit", "list", "--act", "store.accept"])["items"][0]["detail"]["reason"],
        json!("the clock ran ahead")
    );
}
