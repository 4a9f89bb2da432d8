//! Lists of tools hold what may be called.

use super::harness::*;
use http::Method;
use serde_json::json;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"public", "tools":[{"name":"zoom"}, {"name":"delete"},{"name":"echo" }],"ttlMs":5}}"#;
const LESS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"private", "tools":[{"name":"zoom"},{"name":"echo" }],"ttlMs":5}}"#;

fn readers(house: &House) -> String {
    house.policy("readers", json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/delete"]}}));
    house.key_of("alice", "readers", &["tools:list", "tools:call"]).1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_holds_what_the_caller_may_call() {
    let (house, upstream) = (House::new(), Upstream::json(LIST).await);
    let (key, free) = (readers(&house), house.key());
    house.policy("shadow", json!({"mode": "shadow", "endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/delete"]}}));
    let shadowed = house.key_of("carol", "shadow", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    for ask in [Ask::old("tools/list", json!({})), Ask::modern("tools/list", json!({}))] {
        let answered = ask.clone().with("accept-encoding", "gzip").key(&key).send(gateway.address).await;
        assert_eq!(answered.body, LESS);
        assert_eq!(answered.headers["content-length"], LESS.len().to_string().as_str());
        for key in [&free, &shadowed] {
            assert_eq!(
                ask.clone().key(key).send(gateway.address).await.body,
                LIST.replace("public", "private")
            );
        }
    }
    assert!(!upstream.received()[0].headers.contains_key("accept-encoding"));
    // Only lists of tools are looked into.
    let other = Ask::modern("prompts/list", json!({})).key(&free).send(gateway.address).await;
    assert_eq!(other.body, LIST);
}

/// That a stream with these events arrives edited: in both eras, and when it is resumed.
async fn assert_edited(events: String, edited: String) {
    let upstream = Upstream::answering(move |_| {
        let events = events.clone();
        async move {
            let mut response = whole("text/event-stream", events);
            response.headers_mut().insert("mcp-session-id", "s".parse().unwrap());
            response
        }
    })
    .await;
    let house = House::new();
    let key = readers(&house);
    let gateway = house.gateway(upstream.address);
    let opened = Ask::old("tools/list", json!({})).key(&key).send(gateway.address).await;
    let session = opened.headers["mcp-session-id"].to_str().unwrap();
    let resumed = Ask::new(Method::GET, "/mcp").with("last-event-id", "8").with("mcp-session-id", session);
    for ask in [Ask::old("tools/list", json!({})), Ask::modern("tools/list", json!({})), resumed] {
        assert_eq!(ask.key(&key).send(gateway.address).await.body, edited);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_within_events_is_edited_also_when_it_is_sent_again() {
    let events = |list: &str| format!("id: 1\nevent: message\ndata: {list}\n\n: bye\n\n");
    assert_edited(events(LIST), events(LESS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_a_stream_brings_never_ends_it() {
    let before =
        "event: ping\ndata: ping\n\nretry: 5\n: hello\n\ndata: null\n\nevent: endpoint\ndata: /x\n\n";
    let events =
        format!("{before}data: [DONE]\n\nid: 9\ndata: {LIST}\n\ndata: \"bye\"\n\nid: 10\ndata: {LIST}");
    // What could be a list and cannot be read goes by itself; the last event is ended where it was not.
    let edited = format!("{before}\nid: 9\ndata: {LESS}\n\ndata: \"bye\"\n\nid: 10\ndata: {LESS}\n\n");
    assert_edited(events, edited).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_does_not_pass() {
    let house = House::new();
    let key = readers(&house);
    for text in ["<html>", r#"{"result":{"tools":[],"tools":[{"name":"delete"}]}}"#, ""] {
        let upstream = Upstream::json(text).await;
        let gateway = house.gateway(upstream.address);
        let answered = Ask::modern("tools/list", json!({})).key(&key).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (502, "upstream_garbled"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_for_many_scopes_is_edited_like_a_short_one() {
    let house = House::new();
    house.policy("free", json!({}));
    let scopes: Vec<String> = (0..50).map(|number| format!("team:t{number}")).collect();
    for (first, scope) in (0..500).step_by(10).zip(&scopes) {
        let patterns: Vec<String> =
            (first..first + 10).map(|number| format!("tools/call/t{number}_*")).collect();
        house.scope(scope, &patterns);
    }
    let held: Vec<&str> = scopes.iter().map(String::as_str).chain(["tools:list"]).collect();
    let key = house.key_of("alice", "free", &held).1;
    let listed = |tools: Vec<String>| format!(r#"{{"id":1,"result":{{"tools":[{}]}}}}"#, tools.join(","));
    let tool = |number: usize, end: &str| format!(r#"{{"name":"t{number}{end}","description":"{number}"}}"#);
    let all = listed((0..2_500).flat_map(|number| [tool(number, "_x"), tool(number, "x")]).collect());
    let own = listed((0..500).map(|number| tool(number, "_x")).collect());
    let events = |list: &str| format!("event: message\ndata: {list}\n\n: bye\n\n");
    for (kind, body, edited) in
        [("application/json", all.clone(), own.clone()), ("text/event-stream", events(&all), events(&own))]
    {
        let upstream = Upstream::answering(move |_| {
            let body = body.clone();
            async move { whole(kind, body) }
        })
        .await;
        let gateway = house.gateway(upstream.address);
        for ask in [Ask::old("tools/list", json!({})), Ask::modern("tools/list", json!({}))] {
            assert_eq!(ask.key(&key).send(gateway.address).await.body, edited, "{kind}");
        }
    }
}
