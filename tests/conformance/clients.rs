//! The TypeScript SDK's own clients through the gateway, both generations: what works keeps working, and what is refused
//! is refused in a form that each can bear.

use serde_json::{Value, json};

use crate::{
    node::Node,
    server::Server,
    support::{
        client::{Answer, Client},
        gateway::Gateway,
        home::{Home, policy},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    New,
    Old,
}

impl Generation {
    const BOTH: [Self; 2] = [Self::New, Self::Old];

    fn start(self, node: &Node, url: &str, key: Option<&str>) -> (Client, Answer) {
        let mut command = node.script("client.mjs");
        command.arg(if self == Self::New { "new" } else { "old" });
        Client::run(command, url, key)
    }

    fn connect(self, node: &Node, url: &str, key: &str) -> Client {
        let (client, connected) = self.start(node, url, Some(key));
        let protocol = if self == Self::New { "2026-07-28" } else { "2025-11-25" };
        assert_eq!(connected.fields["connected"]["protocol"], protocol, "{connected:?}");
        client
    }
}

#[test]
fn the_typescript_clients_list_call_and_follow_progress() {
    let Some(node) = Node::found() else { return };
    let server = Server::start(&node);
    let home = Home::new();
    let issued = home.issue("ada", "mcp:*", &[]);
    let gateway = Gateway::start(&home, &server.url, &[]);
    for generation in Generation::BOTH {
        let mut direct = generation.connect(&node, &server.url, "not-judged-by-this-server");
        let mut session = generation.connect(&node, &gateway.endpoint, &issued.key);
        let tools = json!({"do": "tools"});
        assert_eq!(session.ask(&tools).result(), direct.ask(&tools).result(), "all of them, in order");
        let said = session.call("test_simple_text", json!({}));
        assert_eq!(said.text(), "This is a simple text response for testing.");
        let followed = session.ask(&json!({"do": "stream", "tool": "test_tool_with_progress"}));
        assert_eq!(followed.result()["order"], json!([0, 50, 100, "result"]));
        session.end();
        direct.end();
    }
}

#[test]
fn the_typescript_clients_survive_a_call_that_the_policy_refuses() {
    let Some(node) = Node::found() else { return };
    let server = Server::start(&node);
    let home = Home::new();
    home.apply_policy(&policy(
        "careful",
        &json!({"endpoint_restrictions": {
            "allowed_endpoints": [], "blocked_endpoints": ["tools/call/test_image_*"],
        }}),
    ));
    let issued = home.issue("ada", "mcp:*", &["--policy", "careful"]);
    let gateway = Gateway::start(&home, &server.url, &[]);
    for (generation, status) in [(Generation::New, 403), (Generation::Old, 200)] {
        let mut session = generation.connect(&node, &gateway.endpoint, &issued.key);
        let listed = session.ask(&json!({"do": "tools"}));
        let listed = listed.result().as_array().expect("a list");
        assert!(listed.contains(&json!("test_audio_content")));
        assert!(!listed.contains(&json!("test_image_content")));
        let refused = session.call("test_image_content", json!({}));
        assert_told(&refused, 403, "endpoint_denied");
        assert_eq!(refused.response()["status"], status, "{refused:?}");
        let allowed = session.call("test_audio_content", json!({}));
        assert_eq!(allowed.result()["content"][0]["type"], "audio", "the session lives");
        session.end();
    }
}

#[test]
fn the_typescript_clients_are_told_when_to_come_back() {
    let Some(node) = Node::found() else { return };
    const LIMIT: usize = 8;
    let server = Server::start(&node);
    let home = Home::new();
    home.apply_policy(&policy("slow", &json!({"rate_limits": {
        "requests_per_minute": null, "requests_per_hour": LIMIT, "requests_per_day": null, "algorithm": "sliding",
    }})));
    let gateway = Gateway::start(&home, &server.url, &[]);
    for (generation, status) in [(Generation::New, 429), (Generation::Old, 200)] {
        let issued = home.issue("ada", "mcp:*", &["--policy", "slow"]);
        let mut session = generation.connect(&node, &gateway.endpoint, &issued.key);
        let answers: Vec<Answer> = (0..=LIMIT).map(|_| session.call("test_simple_text", json!({}))).collect();
        let allowed = answers.iter().filter(|answer| answer.fields.get("result").is_some()).count();
        assert!((1..LIMIT).contains(&allowed), "connecting cost something too: {allowed}");
        for refused in &answers[allowed..] {
            assert_told(refused, 429, "rate_limited");
            assert_eq!(refused.response()["status"], status, "{refused:?}");
            for header in ["retry-after", "ratelimit", "ratelimit-policy"] {
                assert!(refused.response()[header].is_string(), "{header}: {refused:?}");
            }
        }
    }
}

#[test]
fn the_typescript_clients_get_nothing_with_a_key_that_is_missing_or_revoked_mid_session() {
    let Some(node) = Node::found() else { return };
    let server = Server::start(&node);
    let home = Home::new();
    let gateway = Gateway::start(&home, &server.url, &[]);
    for generation in Generation::BOTH {
        let (_, nobody) = generation.start(&node, &gateway.endpoint, None);
        assert!(nobody.fields["ended"].is_array(), "{nobody:?}");
        assert_eq!(nobody.response()["status"], 401, "{nobody:?}");
        let issued = home.issue("ada", "mcp:*", &[]);
        let mut session = generation.connect(&node, &gateway.endpoint, &issued.key);
        assert_eq!(session.call("test_error_handling", json!({})).result()["isError"], true);
        home.json(&["key", "revoke", &issued.id]);
        let refused = session.call("test_simple_text", json!({}));
        assert_eq!(refused.response()["status"], 401, "{refused:?}");
        assert!(refused.fields.get("result").is_none(), "{refused:?}");
    }
}

/// The refusal came to the SDK's caller as the JSON-RPC error that it is.
fn assert_told(refused: &Answer, code: u16, reason: &str) {
    let error = refused.fields.get("error").unwrap_or(&Value::Null);
    assert_eq!(error["code"], code, "{refused:?}");
    assert_eq!(error["data"]["reason"], reason, "{refused:?}");
}
