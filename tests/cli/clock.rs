//! A gateway on a machine whose clock was set back.

use std::{
    process::Command,
    time::{Duration, Instant},
};

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

#[test]
fn one_leap_into_another_century_is_told_and_mended_by_one_act_while_the_gateway_goes_on() {
    let Some(library) = library() else { return };
    let place = Place::new();
    let mut server = Service::start(&place, &["demo", "--server-only"]);
    let upstream = server.listening();
    let (_, ending) = place.key(&["--subject", "alice", "--scope", "mcp:*"]);
    let (revoked, gone) = place.key(&["--subject", "alice", "--scope", "mcp:*", "--no-expiry"]);
    place.ok(&["key", "revoke", &revoked]);
    let shift = place.file("shift", "+0");
    let serve =
        ["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let clock = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", shift.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        // No clock that is set touches the one that only goes on, by which connections are timed.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let started = |clock: &[(&str, &str)]| {
        let mut gateway = Service::start_in(&place, clock, &serve);
        let listen = gateway.listening().strip_prefix("http://").unwrap().to_owned();
        gateway.listening();
        (gateway, listen)
    };
    let status = |listen: &str, key: &str| call(listen, Some(key), "search_docs").status;
    let (mut gateway, listen) = started(&clock);
    assert_eq!(status(&listen, &ending), 200);
    std::fs::write(&shift, "+73y").unwrap();
    assert_eq!(status(&listen, &ending), 401, "by then it has ended");
    std::fs::write(&shift, "+0").unwrap();
    assert_eq!(status(&listen, &ending), 401, "what was seen is remembered");
    assert_eq!(gateway.terminate(), 0);
    let told = place.run(&["doctor"]);
    assert_eq!(told.status.code(), Some(1));
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("portcullis store accept") && told.contains("was seen on this home"), "{told}");
    let (mut gateway, listen) = started(&[]);
    assert_eq!(status(&listen, &ending), 401, "and not forgotten");
    place.ok(&["store", "accept", "--reason", "the clock leapt"]);
    // It sees its anchor again once it commits something, such as a lease for a caller that is new, and once a minute.
    let (_, newcomer) = place.key(&["--subject", "bob", "--scope", "mcp:*", "--no-expiry"]);
    assert_eq!(status(&listen, &newcomer), 200);
    let given_up = Instant::now() + Duration::from_secs(120);
    while status(&listen, &ending) != 200 {
        assert!(Instant::now() < given_up, "it goes on with the time that was accepted");
    }
    assert_eq!(status(&listen, &gone), 401, "who was revoked stays so");
    assert_eq!(gateway.terminate(), 0);
    let told = place.json(&["event", "list", "--kind", "clock_set_back"]);
    assert_eq!(told["items"].as_array().unwrap().len(), 2);
    place.ok(&["doctor"]);
}
