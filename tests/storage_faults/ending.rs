//! How a gateway ends with a stream open, and what it does with an upstream that does not answer.

use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{sync::watch, time::timeout};

use super::{
    caller::Caller,
    fleet::Fleet,
    process::Process,
    support::{PATIENCE, home::Home, limited_key, runtime},
    upstream::{Upstream, WATCH},
};

/// The gateway waits ten seconds for requests in flight; a stream is not one.
const DRAIN: Duration = Duration::from_secs(10);

#[test]
fn a_gateway_that_is_asked_to_end_closes_open_streams_and_exits_0() {
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let key = limited_key(&home, "watching", &[], "fixed");
    let mut fleet = Fleet::start(&home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    let mut callers = [(); 3].map(|()| Caller::new(door.clone(), &key.key));
    let mut streams = Vec::new();
    for caller in &mut callers {
        let response = runtime.block_on(caller.send(WATCH, Caller::number())).expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let mut events = response.into_body();
        let first = runtime.block_on(async { timeout(PATIENCE, events.frame()).await.expect("in time") });
        first.expect("an event").expect("no fault");
        streams.push(events);
    }
    let begun = Instant::now();
    fleet.stop_all();
    let ended = begun.elapsed();
    for mut events in streams {
        runtime.block_on(async {
            let rest = async { while let Some(Ok(_)) = events.frame().await {} };
            timeout(PATIENCE, rest).await.expect("the stream has ended");
        });
    }
    eprintln!("SIGTERM with 3 open streams: exit 0 after {:.0} ms", ended.as_secs_f64() * 1000.0);
    assert!(ended < DRAIN, "it waited for streams: {ended:?}");
    assert_eq!(home.json(&["audit", "list"])["items"][0]["act"], "gateway.stop");
}

#[test]
fn an_upstream_that_takes_a_call_and_never_answers_is_504_in_the_time_that_was_given() {
    let home = Home::new();
    let runtime = runtime();
    let key = limited_key(&home, "waiting", &[], "fixed");
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/mcp", silent.local_addr().expect("an address"));
    let mut command = home.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--upstream", &url]);
    let mut gateway = Process::start(command.args(["--log", "error", "--upstream-timeout", "1s"]));
    let line = gateway.line();
    let address = line.strip_prefix("listening on http://").expect("an address").parse().expect("an address");
    let door = watch::Sender::new(Some(address));
    let mut caller = Caller::new(door.subscribe(), &key.key);
    let begun = Instant::now();
    let (status, body) = runtime.block_on(async {
        let response = timeout(PATIENCE, caller.send("note", 7)).await.expect("in time").expect("an answer");
        let status = response.status();
        (status, response.into_body().collect().await.expect("a whole answer").to_bytes())
    });
    let took = begun.elapsed();
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(message["error"]["data"]["reason"], "upstream_slow");
    assert_eq!(message["id"], 7);
    assert!(took >= Duration::from_secs(1), "it gave up too early: {took:?}");
    assert!(gateway.terminate().success());
    assert_eq!(home.json(&["usage", "summary"])["failed"], 1);
}
