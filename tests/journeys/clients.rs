//! Official MCP clients of both eras through a running gateway, in front of the official Python server and of the demo's
//! (the Rust SDK): what works keeps working, and what is refused is refused in a form that each client can bear.

use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError, ServiceExt,
    model::{CallToolRequestParams, ProtocolVersion},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

use crate::support::{
    client::Client,
    gateway::Gateway,
    home::{Home, Issued, policy},
    python::{Generation, peers_are_here},
    upstream::{DemoServer, Received, Upstream},
};

/// Which client can speak with which server: the 1.x server knows nothing of 2026-07-28.
const PAIRS: [(Generation, Generation); 3] = [
    (Generation::New, Generation::New),
    (Generation::Old, Generation::New),
    (Generation::Old, Generation::Old),
];

#[test]
fn every_feature_passes_through_the_gateway_in_both_eras() {
    if !peers_are_here() {
        return;
    }
    for (client, server) in PAIRS {
        let mut upstream = Upstream::start(server);
        let home = Home::new();
        let issued = home.issue("ada@example.org", "mcp:*", &[]);
        let gateway = Gateway::start(&home, &upstream.url, &[]);

        let (mut session, connected) = Client::start(client, &gateway.endpoint, Some(&issued.key));
        let protocol = if client == Generation::New { "2026-07-28" } else { "2025-11-25" };
        assert_eq!(connected.fields["connected"]["protocol"], protocol, "{connected:?}");
        assert_eq!(
            *session.ask(&json!({"do": "tools"})).result(),
            json!(["add", "delete_everything", "count", "acknowledge"]),
            "order kept"
        );
        assert_eq!(session.call("add", json!({"a": 2, "b": 40})).text(), "42");
        let counted = session.ask(&json!({
            "do": "stream", "tool": "count", "arguments": {"run": "one", "upto": 3}, "acknowledge": "acknowledge",
        }));
        assert_eq!(
            counted.result()["order"],
            json!([1, 2, 3, "result"]),
            "each notification came before the next was sent"
        );
        assert_eq!(
            *session.ask(&json!({"do": "resources"})).result(),
            json!(["notes://release", "file:///public/hours.md", "file:///secret.md"])
        );
        let read = session.ask(&json!({"do": "read", "uri": "notes://release"}));
        assert_eq!(read.result()["contents"][0]["text"], "The gate is shut.");
        assert_eq!(*session.ask(&json!({"do": "prompts"})).result(), json!(["review"]));
        let prompt =
            session.ask(&json!({"do": "prompt", "name": "review", "arguments": {"topic": "the gate"}}));
        assert_eq!(prompt.result()["messages"][0]["content"]["text"], "Please review the gate.");
        session.end();

        assert_only_the_gateways_word(&upstream.received(), &issued, "ada@example.org");
        gateway.stop();
    }
}

/// The upstream saw no credential of the client's, and who called on the gateway's word.
fn assert_only_the_gateways_word(received: &[Received], issued: &Issued, subject: &str) {
    // The gateway's own looks at the tool list have no principal.
    let calls: Vec<&Received> =
        received.iter().filter(|request| !request.all("x-portcullis-subject").is_empty()).collect();
    assert!(calls.len() >= 8, "{received:#?}");
    for request in received {
        for secret in ["authorization", "cookie", "x-api-key", "x-api-key-id", "x-api-key-secret"] {
            assert!(request.all(secret).is_empty(), "{secret} reached the upstream: {request:?}");
        }
        assert!(!format!("{request:?}").contains(&issued.key), "the key reached the upstream");
    }
    for request in &calls {
        assert_eq!(request.all("x-portcullis-subject"), [subject]);
        assert_eq!(request.all("x-portcullis-credential"), [issued.id.as_str()]);
        assert_eq!(request.all("x-portcullis-scopes"), ["mcp:*"]);
    }
    let mut ids: Vec<&str> =
        calls.iter().flat_map(|request| request.all("x-portcullis-request-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), calls.len(), "each request has an id of its own");
}

#[test]
fn a_call_that_the_policy_refuses_is_an_error_and_the_session_lives_on() {
    if !peers_are_here() {
        return;
    }
    let mut upstream = Upstream::start(Generation::New);
    let home = Home::new();
    home.apply_policy(&policy(
        "careful",
        &json!({"endpoint_restrictions": {
            "allowed_endpoints": [], "blocked_endpoints": ["tools/call/delete_*"],
        }}),
    ));
    let issued = home.issue("ada", "mcp:*", &["--policy", "careful"]);
    let gateway = Gateway::start(&home, &upstream.url, &[]);
    for (client, status) in [(Generation::New, 403), (Generation::Old, 200)] {
        let mut session = Client::connect(client, &gateway.endpoint, &issued.key);
        assert_eq!(*session.ask(&json!({"do": "tools"})).result(), json!(["add", "count", "acknowledge"]));
        let refused = session.call("delete_everything", json!({}));
        assert_eq!(refused.error()["code"], 403, "{refused:?}");
        assert_eq!(refused.error()["data"]["reason"], "endpoint_denied");
        assert_eq!(refused.error()["data"]["policyRevision"], 1);
        assert_eq!(refused.response()["status"], status, "what this era's SDK survives");
        assert_eq!(session.call("add", json!({"a": 1, "b": 1})).text(), "2", "the session lives");
        session.end();
    }
    assert!(upstream.received().iter().all(|request| !request.body.contains("delete_everything")));

    let strict = Gateway::start(&home, &upstream.url, &["--refusals", "status"]);
    let mut session = Client::connect(Generation::Old, &strict.endpoint, &issued.key);
    let refused = session.call("delete_everything", json!({}));
    assert_eq!(refused.response()["status"], 403, "the true status on request");
}

#[test]
fn a_tool_outside_the_scopes_is_refused_with_what_would_suffice() {
    if !peers_are_here() {
        return;
    }
    let mut upstream = Upstream::start(Generation::New);
    let home = Home::new();
    let issued = home.issue("ada", "mcp:read", &[]);
    let gateway = Gateway::start(&home, &upstream.url, &[]);
    for client in Generation::BOTH {
        let mut session = Client::connect(client, &gateway.endpoint, &issued.key);
        assert_eq!(
            *session.ask(&json!({"do": "tools"})).result(),
            json!([]),
            "only what may be called is listed"
        );
        let read = session.ask(&json!({"do": "read", "uri": "notes://release"}));
        assert_eq!(read.result()["contents"][0]["text"], "The gate is shut.");
        let refused = session.call("add", json!({"a": 1, "b": 1}));
        // The older client goes on; neither is sent to log in, since a key cannot ask for more.
        let status = if client == Generation::New { 403 } else { 200 };
        assert_eq!(refused.response()["status"], status, "{refused:?}");
        assert!(refused.response()["www-authenticate"].is_null(), "{refused:?}");
        if client == Generation::New {
            assert_eq!(refused.error()["code"], 403);
            assert_eq!(refused.error()["data"]["reason"], "insufficient_scope");
        }
    }
    assert!(upstream.received().iter().all(|request| !request.body.contains(r#""add""#)));
}

#[test]
fn a_key_that_is_missing_wrong_or_revoked_opens_nothing() {
    if !peers_are_here() {
        return;
    }
    let mut upstream = Upstream::start(Generation::New);
    let home = Home::new();
    let issued = home.issue("ada", "mcp:*", &[]);
    let revoked = home.issue("eve", "mcp:*", &[]);
    home.json(&["key", "revoke", &revoked.id, "--reason", "a test"]);
    let gateway = Gateway::start(&home, &upstream.url, &[]);
    for client in Generation::BOTH {
        for key in [None, Some("not-a-key"), Some(revoked.key.as_str())] {
            let (_, answer) = Client::start(client, &gateway.endpoint, key);
            assert!(answer.fields["ended"].is_array(), "{answer:?}");
            assert_eq!(answer.response()["status"], 401, "{answer:?}");
        }
        // The near miss: the same with a good key.
        Client::connect(client, &gateway.endpoint, &issued.key).end();
    }
    let received = upstream.received();
    let subjects: Vec<&str> =
        received.iter().flat_map(|request| request.all("x-portcullis-subject")).collect();
    assert!(subjects.iter().all(|subject| *subject == "ada"), "{subjects:?}");
}

#[test]
fn a_revocation_in_another_process_holds_at_the_very_next_call_of_an_open_session() {
    if !peers_are_here() {
        return;
    }
    let upstream = Upstream::start(Generation::New);
    let home = Home::new();
    let gateway = Gateway::start(&home, &upstream.url, &[]);
    for client in Generation::BOTH {
        let issued = home.issue("ada", "mcp:*", &[]);
        let mut session = Client::connect(client, &gateway.endpoint, &issued.key);
        assert_eq!(session.call("add", json!({"a": 2, "b": 2})).text(), "4");
        home.json(&["key", "revoke", &issued.id]);
        let refused = session.call("add", json!({"a": 2, "b": 2}));
        assert_eq!(refused.response()["status"], 401, "{refused:?}");
        if client == Generation::New {
            assert_eq!(
                refused.error()["data"]["reason"],
                "unauthorized",
                "no oracle: not even that it was revoked"
            );
        }
    }
}

#[test]
fn a_client_over_its_limit_is_told_when_to_come_back_and_keeps_its_session() {
    if !peers_are_here() {
        return;
    }
    const LIMIT: usize = 6;
    let mut upstream = Upstream::start(Generation::New);
    let home = Home::new();
    home.apply_policy(&policy("slow", &json!({"rate_limits": {
        "requests_per_minute": null, "requests_per_hour": LIMIT, "requests_per_day": null, "algorithm": "sliding",
    }})));
    let gateway = Gateway::start(&home, &upstream.url, &[]);
    for (client, status) in [(Generation::New, 429), (Generation::Old, 200)] {
        let issued = home.issue("ada", "mcp:*", &["--policy", "slow"]);
        let mut session = Client::connect(client, &gateway.endpoint, &issued.key);
        let mut call = || session.call("add", json!({"a": 3, "b": 4}));
        let refused = (0..=LIMIT).map(|_| call()).find(|answer| answer.fields.get("error").is_some());
        let refused = refused.expect("the limit holds");
        assert_eq!(refused.error()["code"], 429);
        assert_eq!(refused.error()["data"]["reason"], "rate_limited");
        assert!(refused.error()["data"]["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0), "{refused:?}");
        assert_eq!(refused.response()["status"], status);
        for header in ["retry-after", "ratelimit", "ratelimit-policy"] {
            assert!(refused.response()[header].is_string(), "{header}: {refused:?}");
        }
        assert_eq!(call().error()["code"], 429, "the session lives, the limit too");
        let received = upstream.received();
        let mine =
            received.iter().filter(|request| request.all("x-portcullis-credential") == [issued.id.as_str()]);
        // Neither a notification nor the stream of a session, which has no body, costs anything.
        let costs = |body: &str| !body.is_empty() && !body.contains("\"notifications/");
        let charged = mine.filter(|request| costs(&request.body));
        assert_eq!(charged.count(), LIMIT, "no more and no less reached the upstream");
    }
}

#[test]
fn the_python_clients_reach_the_demos_server_too() {
    if !peers_are_here() {
        return;
    }
    let server = DemoServer::start();
    let home = Home::new();
    let issued = home.issue("ada", "mcp:*", &[]);
    let gateway = Gateway::start(&home, &server.url, &[]);
    for client in Generation::BOTH {
        let mut session = Client::connect(client, &gateway.endpoint, &issued.key);
        let tools = session.ask(&json!({"do": "tools"}));
        let mut tools: Vec<&str> =
            tools.result().as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        tools.sort_unstable();
        assert_eq!(tools, ["build_report", "read_file", "search_docs", "send_email"]);
        assert!(session.call("search_docs", json!({"query": "release"})).text().contains("release.md"));
        let report =
            session.ask(&json!({"do": "stream", "tool": "build_report", "arguments": {"month": "2026-07"}}));
        assert_eq!(report.result()["order"], json!([1, 2, 3, 4, 5, "result"]));
        let page = session.ask(&json!({"do": "read", "uri": "file:///handbook/oncall.md"}));
        assert!(
            page.result()["contents"][0]["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("Who is called"))
        );
        let prompt =
            session.ask(&json!({"do": "prompt", "name": "summarise_ticket", "arguments": {"ticket": "7"}}));
        assert!(
            prompt.result()["messages"][0]["content"]["text"]
                .as_str()
                .is_some_and(|text| text.contains("ticket 7"))
        );
        session.end();
    }
}

/// A session of the Rust SDK. Its client asks no proxy of the environment.
async fn rust_session(url: &str, key: &str, new_era: bool) -> RunningService<RoleClient, ()> {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let settings = StreamableHttpClientTransportConfig::with_uri(url).auth_header(key);
    let transport = StreamableHttpClientTransport::with_client(http, settings);
    if new_era {
        let mode = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
        ().serve_with_lifecycle(transport, mode).await.expect("discovered")
    } else {
        ().serve(transport).await.expect("initialized")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_sdk_works_and_is_refused_in_both_eras() {
    let server = DemoServer::start();
    let home = Home::new();
    let issued = home.issue("ada", "mcp:*", &["--policy", "default"]);
    let gateway = Gateway::start(&home, &server.url, &[]);
    for new_era in [false, true] {
        let session = rust_session(&gateway.endpoint, &issued.key, new_era).await;
        let tools = session.list_all_tools().await.expect("the tools");
        let (safe, arguments) = DemoServer::harmless_call();
        assert!(tools.iter().any(|tool| tool.name == safe), "{tools:?}");
        let call = || session.call_tool(CallToolRequestParams::new(safe).with_arguments(arguments.clone()));
        let answer = serde_json::to_value(call().await.expect("the answer")).expect("JSON");
        assert_ne!(answer["isError"], Value::Bool(true), "{answer}");

        home.apply_policy(&policy(
            "default",
            &json!({"endpoint_restrictions": {
                "allowed_endpoints": [], "blocked_endpoints": ["tools/call/**"],
            }}),
        ));
        let refused = call().await.expect_err("the policy refuses");
        assert!(format!("{refused:?}").contains("endpoint_denied"), "{refused:?}");
        // On a 403 this SDK hands the JSON-RPC error to its caller as text; in the old era there is no 403.
        let is_rpc_error = matches!(&refused, ServiceError::McpError(error) if error.code.0 == 403);
        assert_eq!(is_rpc_error, !new_era, "{refused:?}");
        assert!(
            session.list_all_tools().await.expect("the session lives").is_empty(),
            "nothing that may be called"
        );
        home.apply_policy(&policy("default", &json!({})));
        session.cancel().await.expect("ended");
    }
    gateway.stop();
}
