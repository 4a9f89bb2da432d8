//! A disk that is full for real, beneath a gateway, a console and the command line; whatever is freed, somebody else
//! takes at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use http_body_util::BodyExt;
use portcullis::store::ballast;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{
    books::Books,
    caller::Caller,
    console,
    disk::Disk,
    fleet::Fleet,
    support::{
        PATIENCE,
        home::{Home, Issued, policy},
        limited_key, runtime,
    },
    upstream::Upstream,
};

/// How many keys can be revoked at least, where all that the ballast gives up is lost but for the one act.
const AT_LEAST: usize = 20;

struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    message: Value,
    took: Duration,
}

fn call(runtime: &Runtime, caller: &mut Caller) -> Answer {
    let begun = Instant::now();
    runtime.block_on(async {
        let response = caller.send("note", Caller::number()).await.expect("an answer");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        let retry_after =
            head.headers.get("retry-after").map(|value| value.to_str().expect("text").to_owned());
        let message = serde_json::from_slice(&body).expect("JSON");
        Answer { status: head.status, retry_after, message, took: begun.elapsed() }
    })
}

#[test]
fn on_a_full_disk_calls_are_refused_at_once_and_keys_can_be_revoked_and_all_goes_on_when_there_is_room() {
    let home = Arc::new(Home::new());
    let Some(disk) = Disk::under(&home, "48m") else { return };
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let busy = limited_key(&home, "busy", &[("requests_per_minute", 100_000)], "fixed");
    let [lost, stolen, seen, leaked] = ["lost", "stolen", "seen", "leaked"]
        .map(|subject| home.issue(subject, "mcp:*", &["--policy", "busy"]));
    // Where a policy can still be put after the disk is full.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let closed = elsewhere.path().join("closed.json");
    let changes =
        json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/note"]}});
    std::fs::write(&closed, policy("busy", &changes).to_string()).expect("a policy");
    let mut fleet = Fleet::start(&home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    let mut caller = Caller::new(door.clone(), &busy.key);
    assert_eq!(call(&runtime, &mut caller).status, StatusCode::OK);
    let mut open = console::open(&home, &[]);
    open.wait_for("live");

    let mut refusals = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while refusals.len() < 50 {
        assert!(Instant::now() < deadline, "calls are still let through");
        disk.fill();
        let answer = call(&runtime, &mut caller);
        if answer.status == StatusCode::OK {
            continue;
        }
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.retry_after.as_deref(), Some("1"));
        assert_eq!(answer.message["error"]["data"]["reason"], "unavailable");
        refusals.push(answer.took);
    }
    refusals.sort_unstable();
    open.wait_for("DISK FULL");
    open.wait_for("can still be revoked");

    // What gives rights must wait; what takes them away must not.
    let refused = home.run(&["key", "create", "--subject", "new", "--scope", "mcp:*"]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    assert!(refused.errors.contains("is full"), "{}", refused.errors);
    let done = |arguments: &[&str]| {
        disk.fill();
        let ended = home.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.errors);
    };
    done(&["key", "revoke", &lost.id]);
    done(&["key", "disable", &seen.id]);
    done(&["key", "rotate", &leaked.id]);
    done(&["policy", "apply", closed.to_str().expect("a UTF-8 path")]);
    done(&["policy", "rollback", "busy", "1"]);
    for key in [&lost, &seen, &leaked] {
        let status = call(&runtime, &mut Caller::new(door.clone(), &key.key)).status;
        assert!([StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "{status}");
    }
    disk.fill();
    console::ask_to_revoke(&mut open, "stolen");
    open.wait_for("revoked key");
    disk.fill();
    let mut new = console::open(&home, &[]);
    new.wait_for("DISK FULL");
    console::leave(new);

    disk.clear();
    let freed = Instant::now();
    let deadline = freed + PATIENCE;
    while call(&runtime, &mut caller).status != StatusCode::OK {
        assert!(Instant::now() < deadline, "calls are still refused");
    }
    let recovered = freed.elapsed();
    open.wait_until_gone("DISK FULL");
    open.wait_for("there is room on the disk");
    for key in [&lost, &stolen, &seen, &leaked] {
        let status = call(&runtime, &mut Caller::new(door.clone(), &key.key)).status;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    home.issue("after", "mcp:*", &[]);
    assert_eq!(ballast::weight(home.path()).expect("a home"), ballast::WEIGHT, "the ballast is whole again");
    console::leave(open);
    fleet.stop_all();
    let books = Books::open(&home);
    books.assert_whole();
    for (act, key) in [("revoke", &lost), ("revoke", &stolen), ("disable", &seen), ("rotate", &leaked)] {
        assert_eq!(books.records(&format!("key.{act}"), &key.id), 1, "{act}");
    }
    assert!(books.keys_of("new").is_empty());
    eprintln!(
        "full disk: calls refused in {:.1} ms (median), {:.1} ms at most; {:.0} ms after there was room they went on",
        1000.0 * refusals[refusals.len() / 2].as_secs_f64(),
        1000.0 * refusals[refusals.len() - 1].as_secs_f64(),
        1000.0 * recovered.as_secs_f64(),
    );
}

#[test]
fn the_ballast_lasts_for_many_acts_and_then_the_disk_is_said_to_be_full() {
    let home = Home::new();
    let Some(disk) = Disk::under(&home, "48m") else { return };
    let keys: Vec<Issued> = (0..60).map(|_| home.issue("many", "mcp:*", &[])).collect();
    let mut revoked = 0;
    for key in &keys {
        disk.fill();
        let ended = home.run(&["key", "revoke", &key.id]);
        if ended.code != 0 {
            assert_eq!(ended.code, 5, "{}", ended.errors);
            assert!(ended.errors.contains("is full"), "{}", ended.errors);
            break;
        }
        revoked += 1;
    }
    eprintln!("a full disk whose every free byte is taken at once: {revoked} keys revoked one by one");
    assert!((AT_LEAST..keys.len()).contains(&revoked), "{revoked} revoked");
    let books = Books::open(&home);
    books.assert_whole();
    for (number, key) in keys.iter().enumerate() {
        let is_revoked = books.key(&key.id).revoked_at.is_some();
        assert_eq!(is_revoked, number < revoked);
        assert_eq!(books.records("key.revoke", &key.id), usize::from(is_revoked));
    }
    drop(books);
    // Nothing but room is needed.
    disk.clear();
    home.json(&["key", "revoke", &keys[keys.len() - 1].id]);
    assert_eq!(ballast::weight(home.path()).expect("a home"), ballast::WEIGHT);
}
