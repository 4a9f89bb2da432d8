//! What events tell of refusals, of lock-outs, and what a replay says that it leaves out: a real gateway, and other commands
//! beside it.

use serde_json::{Value, json};

use crate::{
    serve::{Answer, Stage, call, exchange},
    support::{code, err, fields, out},
};

/// A call with the id of a key and a secret that is not its own.
fn guess(address: &str, id: &str) -> Answer {
    exchange(
        address,
        &format!(
            "GET /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-API-Key-Id: {id}\r\n\
             X-API-Key-Secret: {}\r\n\r\n",
            "a".repeat(43)
        ),
    )
}

/// Asks again and again until the answer is as it should be: what a gateway saw is written a moment later.
fn until(what: impl Fn() -> Option<Value>) -> Value {
    (0..500).find_map(|_| what()).expect("it never came")
}

#[test]
fn a_lock_out_is_told_where_a_key_is_shown_and_judged() {
    let mut stage = Stage::new();
    let (id, key) = stage.place.key(&["--subject", "alice", "--scope", "tools:call"]);
    let (other, other_key) = stage.place.key(&["--subject", "bob", "--scope", "tools:call"]);
    for _ in 0..5 {
        assert_eq!(guess(&stage.listen, &id).status, 401);
    }
    for _ in 0..4 {
        assert_eq!(guess(&stage.listen, &other).status, 401, "one less does not lock");
    }
    assert_eq!(
        call(&stage.listen, Some(&key), "search_docs").status,
        401,
        "the right secret is refused, too"
    );
    let shown = until(|| {
        let shown = stage.place.json(&["key", "show", &id]);
        (shown["lockouts"] != json!([])).then_some(shown)
    });
    let lockout = &shown["lockouts"][0];
    assert_eq!(fields(lockout), ["address", "at", "event", "gateways", "until"]);
    assert_eq!(
        (&lockout["address"], &lockout["gateways"]),
        (&json!("127.0.0.1"), &json!([format!("http://{}", stage.listen)]))
    );
    let event = &stage.place.json(&["event", "list", "--kind", "lockout_started"])["items"][0];
    assert_eq!((&lockout["event"], &event["credential"]), (&event["seq"], &json!(id)));
    assert_eq!(event["detail"], json!(format!("until {}", lockout["until"].as_str().unwrap())));
    let said = format!(
        "from the network of 127.0.0.1 until {}, by the gateway at",
        lockout["until"].as_str().unwrap()
    );
    assert!(stage.place.ok(&["key", "show", &id]).contains(&said));
    for verb in [&["key", "verify"][..], &["explain"]] {
        let told = stage.place.feed(verb, &key);
        assert_eq!(code(&told), 0, "each gateway judges that for itself");
        assert!(out(&told).contains(&format!("locked out {said}")), "{}", out(&told));
        assert!(!out(&stage.place.feed(verb, &other_key)).contains("locked out"));
    }
    let explain = |from: &str, key: &str| {
        let told = stage.place.feed(&["explain", "--endpoint", "tools/call/search_docs", "--ip", from], key);
        (code(&told), out(&told).starts_with("denied: locked_out"))
    };
    assert_eq!(explain("127.0.0.1", &key), (1, true), "with an address it is judged");
    assert_eq!(explain("127.0.0.2", &key), (0, false), "from elsewhere it passes");
    assert_eq!(explain("127.0.0.1", &other_key), (0, false));
    assert_eq!(stage.place.json(&["key", "show", &other])["lockouts"], json!([]));
    assert_eq!(stage.gateway.terminate(), 0);
    let told = stage.place.ok(&["key", "show", &id]);
    assert!(told.contains("the gateway that did it has ended, and with it the lock-out"), "{told}");
}

#[test]
fn a_replay_says_whose_calls_it_judges_and_how_many_it_leaves_out() {
    let mut stage = Stage::new();
    let narrow =
        json!({"name": "narrow", "endpoint_restrictions": {"blocked_endpoints": ["tools/call/send_email"]}});
    stage.place.ok(&["policy", "create", &stage.place.file("narrow.json", narrow.to_string())]);
    let (id, under) = stage.place.key(&["--subject", "under", "--scope", "tools:call", "--policy", "narrow"]);
    let (_, beside) = stage.place.key(&["--subject", "beside", "--scope", "tools:call"]);
    for (key, times) in [(&under, 2), (&beside, 3)] {
        (0..times).for_each(|_| assert_eq!(call(&stage.listen, Some(key), "search_docs").status, 200));
    }
    assert_eq!(call(&stage.listen, None, "search_docs").status, 401, "of a stranger: no policy was asked");
    assert_eq!(stage.gateway.terminate(), 0);
    let replay = |policy: &str, more: &[&str]| {
        let output =
            stage.place.run(&[&["policy", "simulate", "--policy", policy, "--since", "1h"], more].concat());
        assert_eq!(code(&output), 0, "{}", err(&output));
        output
    };
    let replayed = replay("narrow", &[]);
    let told = err(&replayed);
    assert!(told.contains("2 of 2 allowed"), "{told}");
    let call_in_words = format!("Z  {id}  tools/call/search_docs");
    assert!(
        out(&replayed).lines().all(|line| line.starts_with("allowed  20") && line.ends_with(&call_in_words)),
        "{}",
        out(&replayed)
    );
    assert!(told.contains("under policy narrow now; left out: 3 calls of 1 other credential\n"), "{told}");
    let lines = out(&replay("narrow", &["--json"]));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(fields(line), ["allowed", "call", "failed", "left_out", "reason"]);
        assert_eq!(line["call"]["credential"], json!(id));
        assert_eq!(line["call"]["endpoint"], json!("tools/call/search_docs"));
        assert_eq!(line["left_out"], json!({"calls": 3, "credentials": 1, "unnamed_calls": 0}));
    }
    let nobody = stage.place.file("new.json", r#"{"name": "new"}"#);
    let told = err(&replay(&nobody, &["--json"]));
    assert!(told.contains("left out: 5 calls of 2 other credentials"), "where no line can say it: {told}");
    let written = stage.place.feed(
        &["policy", "simulate", "--policy", "narrow", "--json"],
        r#"{"at": "2026-12-01T10:00:00Z", "ip": null, "endpoint": "tools/call/x"}"#,
    );
    let line: Value = serde_json::from_str(out(&written).trim()).unwrap();
    assert_eq!(fields(&line), ["allowed", "failed", "reason"], "what is written down is judged whole");
}

#[test]
fn an_event_tells_of_a_forged_token_what_it_claims_and_of_an_origin_what_is_taken() {
    let mut stage = Stage::new();
    let issued = stage.place.json(&["token", "issue", "--subject", "alice", "--scope", "tools:call"]);
    let token = issued["token"].as_str().unwrap();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let forged_call = call(&stage.listen, Some(&forged), "search_docs");
    let missing = call(&stage.listen, Some("pcl_live_mistyped"), "search_docs");
    assert_eq!((forged_call.status, missing.status), (401, 401));
    assert_eq!(forged_call.body, missing.body, "no oracle");
    let evil = format!(
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n",
        stage.listen
    );
    assert_eq!(exchange(&stage.listen, &evil).status, 403);
    assert_eq!(stage.gateway.terminate(), 0);
    let found = |kind: &str| {
        let events = stage.place.json(&["event", "list", "--kind", kind]);
        let detail =
            events["items"][0]["detail"].as_str().unwrap_or_else(|| panic!("{kind}: {events}")).to_owned();
        detail.split_once("; ").map(|(_, found)| found.to_owned()).unwrap_or_default()
    };
    let kid = issued["kid"].as_str().unwrap();
    assert_eq!(
        found("bad_signature"),
        format!(
            "signature: the signature does not fit; the token claims to be of this home, signed with its key `{kid}`"
        )
    );
    assert!(found("malformed").starts_with("credential: "));
    assert_eq!(found("origin_denied"), "Origin is `https://evil.example`; taken here: any of loopback");
    let listed = stage.place.ok(&["event", "list"]);
    assert!(!listed.contains(&signature[1..]) && listed.contains("claims to be of this home"), "{listed}");
}
