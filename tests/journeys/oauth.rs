//! The official SDK's own OAuth clients find, from nothing but the gateway's URL, where tokens come from, and get in with
//! one: 401, protected resource metadata, the authorization server, a token, the call. Clients with a key are left alone.

use serde_json::{Value, json};

use crate::support::{
    auth_server::AuthServer,
    client::Client,
    gateway::Gateway,
    home::Home,
    python::{Generation, peers_are_here},
    upstream::Upstream,
};

/// A gateway that takes the tokens of an authorization server.
struct Stage {
    upstream: Upstream,
    home: Home,
    gateway: Gateway,
    server: AuthServer,
}

impl Stage {
    fn new(first: &[&str]) -> Self {
        let upstream = Upstream::start(Generation::New);
        let home = Home::new();
        let gateway = Gateway::start(&home, &upstream.url, &[]);
        let server = AuthServer::start(first);
        // The gateway runs already: it learns of the issuer as it does of anything.
        let more = ["--audience", &gateway.endpoint, "--allow-private", "127.0.0.1"];
        home.json(&[&["issuer", "add", "login", "--url", &server.issuer], &more[..]].concat());
        let mut stage = Self { upstream, home, gateway, server };
        let fetched: Vec<Value> = stage.server.did();
        assert_eq!(fetched, [json!({"asked": "metadata"}), json!({"asked": "keys"})]);
        stage
    }

    /// What the authorization server did, by the one word that each thing has.
    fn server_did(&mut self) -> (Vec<String>, Vec<Value>) {
        let all = self.server.did();
        let word = |did: &Value| did.as_object().and_then(|did| did.keys().next().cloned());
        (all.iter().filter_map(word).collect(), all)
    }
}

#[test]
fn a_client_without_a_credential_is_led_to_a_token_and_gets_in_in_both_eras() {
    if !peers_are_here() {
        return;
    }
    let mut stage = Stage::new(&[]);
    for client in Generation::BOTH {
        let (mut session, connected) = Client::log_in(client, &stage.gateway.endpoint);
        assert!(connected.fields["connected"].is_object(), "{client:?}: {connected:?}");
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", stage.gateway.origin);
        assert_eq!(connected.asked()[..2], [&stage.gateway.endpoint, &metadata], "{connected:?}");
        assert_eq!(session.call("add", json!({"a": 2, "b": 40})).text(), "42");
        session.end();

        let (words, did) = stage.server_did();
        assert_eq!(words, ["asked", "registered", "authorized", "issued"], "{did:?}");
        assert_eq!(did[2]["authorized"]["resource"], stage.gateway.endpoint, "{did:?}");
        let received = stage.upstream.received();
        let calls: Vec<_> = received.iter().filter(|request| request.body.contains("\"add\"")).collect();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].all("x-portcullis-subject"), ["ada"]);
        assert!(received.iter().all(|request| request.all("authorization").is_empty()), "no token passes on");
    }
    // The near miss: the same server, once nobody here believes it.
    stage.home.json(&["issuer", "remove", "login"]);
    for client in Generation::BOTH {
        let (_, answer) = Client::log_in(client, &stage.gateway.endpoint);
        assert!(answer.fields["ended"].is_array(), "{client:?}: {answer:?}");
        let (words, did) = stage.server_did();
        assert!(words.is_empty(), "it is named no more: {did:?}");
    }
    assert!(stage.upstream.received().iter().all(|request| request.all("x-portcullis-subject").is_empty()));
}

#[test]
fn a_client_whose_token_does_not_suffice_is_told_what_to_ask_for_and_goes_on_in_its_session() {
    if !peers_are_here() {
        return;
    }
    let mut stage = Stage::new(&["mcp:read"]);
    for client in Generation::BOTH {
        let (mut session, connected) = Client::log_in(client, &stage.gateway.endpoint);
        assert!(connected.fields["connected"].is_object(), "{client:?}: {connected:?}");
        let (_, did) = stage.server_did();
        assert_eq!(did[2]["authorized"]["granted"], "mcp:read", "{did:?}");
        let read = session.ask(&json!({"do": "read", "uri": "notes://release"}));
        assert_eq!(read.result()["contents"][0]["text"], "The gate is shut.");
        assert!(stage.server_did().0.is_empty(), "what suffices asks for nothing more");

        assert_eq!(session.call("add", json!({"a": 1, "b": 1})).text(), "2", "the client asked for more");
        let (words, did) = stage.server_did();
        assert_eq!(words, ["authorized", "issued"], "{did:?}");
        let asked = did[0]["authorized"]["asked"].as_str().unwrap_or_default();
        assert!(asked.split(' ').any(|scope| scope == "tools:call"), "{did:?}");
        session.end();
    }
}

#[test]
fn a_client_with_a_key_is_not_dragged_into_a_login() {
    if !peers_are_here() {
        return;
    }
    let mut stage = Stage::new(&[]);
    let issued = stage.home.issue("ada", "mcp:*", &[]);
    let revoked = stage.home.issue("eve", "mcp:*", &[]);
    stage.home.json(&["key", "revoke", &revoked.id]);
    for client in Generation::BOTH {
        let mut session = Client::connect(client, &stage.gateway.endpoint, &issued.key);
        assert_eq!(session.call("add", json!({"a": 2, "b": 40})).text(), "42");
        session.end();
        let (_, answer) = Client::start(client, &stage.gateway.endpoint, Some(&revoked.key));
        assert!(answer.fields["ended"].is_array(), "{client:?}: {answer:?}");
        assert_eq!(answer.response()["status"], 401);
        let challenge = answer.response()["www-authenticate"].as_str().unwrap_or_default();
        assert!(challenge.starts_with("Bearer ") && !challenge.contains("resource_metadata"), "{challenge}");
        assert!(answer.asked().iter().all(|url| *url == stage.gateway.endpoint), "{answer:?}");
    }
    assert!(stage.server_did().0.is_empty(), "nobody went there");
}
