//! `portcullis issuer set …`: an issuer is changed in place, and running gateways obey.

use serde_json::{Value, json};

use crate::issuer::{METADATA, Server, call, verify};
use crate::support::{Place, Service, code, err, fields};

/// A home that takes the tokens of this server, as scopes of ours by a map.
fn corp(server: &Server) -> Place {
    let place = Place::new();
    let claims = ["--audience", "mcp-gateway", "--scope-claim", "scp", "--scope-map", "reader=mcp:use"];
    place.ok(&[&server.add("corp")[..], &claims].concat());
    place
}

fn set<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["issuer", "set", "corp"], arguments].concat()
}

#[test]
fn a_running_gateway_obeys_at_the_next_request_and_usage_names_whose_tokens_called() {
    let server = Server::start();
    let place = corp(&server);
    server.page("/mcp", &json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [] } }));
    let upstream = format!("{}/mcp", server.origin);
    let serve =
        ["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let serve = [&serve[..], &["--refusals", "status"]].concat();
    let mut gateway = Service::start(&place, &serve);
    let at = gateway.listening();
    let (token, staging) = (server.token("one", "mcp-gateway"), server.token("one", "mcp-staging"));
    let closed = place
        .file("closed.json", r#"{"name":"closed","endpoint_restrictions":{"blocked_endpoints":["**"]}}"#);
    place.ok(&["policy", "create", &closed]);
    let statuses = || [call(&at, &token), call(&at, &staging)];
    assert_eq!(statuses(), ["200", "401"]);
    for (change, expected) in [
        (&["--audience", "mcp-staging"][..], ["401", "200"]),
        (&["--audience", "mcp-staging", "--audience", "mcp-gateway"], ["200", "200"]),
        (&["--policy", "closed"], ["403", "403"]),
        (&["--policy", "default"], ["200", "200"]),
        (&["--scope-map", ""], ["403", "403"]),
        (&["--scope-map", "reader=mcp:use"], ["200", "200"]),
        (&["--alg", "ES256", "--alg", "EdDSA"], ["200", "200"]),
        (&["--profile", "legacy"], ["401", "401"]),
        (&["--profile", "at-jwt"], ["200", "200"]),
        (&["--audience", ""], ["401", "401"]),
    ] {
        place.ok(&set(change));
        assert_eq!(statuses(), expected, "{change:?}");
    }
    assert_eq!(gateway.terminate(), 0);

    // Of a token of another type nothing is believed, not even whose it is.
    let top = place.json(&["usage", "top"]);
    let found: Vec<_> = top["items"].as_array().unwrap().iter().filter(|one| one["key"] != "-").collect();
    let [one] = found.as_slice() else { panic!("{top}") };
    assert_eq!(
        (&one["issuer"], &one["subject"], one.get("name")),
        (&json!("corp"), &json!("7"), None),
        "{top}"
    );
    assert!(place.ok(&["usage", "top"]).contains("corp: 7"), "{}", place.ok(&["usage", "top"]));
    let csv = place.ok(&["usage", "top", "--csv"]);
    assert!(csv.starts_with("key,calls,allowed,denied,failed,subject,name,issuer\r\n"), "{csv}");
    assert_eq!(csv.lines().filter(|line| line.ends_with(",7,-,corp")).count(), 1, "{csv}");
}

#[test]
fn a_change_tells_what_falls_and_is_recorded_with_what_was_before() {
    let server = Server::start();
    let place = corp(&server);
    let before = place.json(&["issuer", "show", "corp"]);
    let output = place.run(&set(&["--audience", "mcp-staging", "--subject-claim", "preferred_username"]));
    let told = err(&output);
    for fall in [
        "from the next request on",
        "for `mcp-gateway` alone are refused",
        "called otherwise",
        "revoked as a subject",
    ] {
        assert!(told.contains(fall), "{fall}: {told}");
    }
    assert_eq!(verify(&place, &server.token("one", "mcp-gateway")).1["reason"], "wrong_audience");
    assert_eq!(verify(&place, &server.token("one", "mcp-staging")).0, 0);
    let again = place.run(&set(&["--audience", "mcp-staging"]));
    assert!(code(&again) == 0 && err(&again).contains("is so already"), "{}", err(&again));

    let answer = place.json(&set(&["--scope-prefix", "gate/"]));
    assert!(answer["falls"][0].as_str().unwrap().contains("gate/"), "{answer}");
    let mut expected = fields(&before);
    expected.push("falls");
    expected.sort_unstable();
    assert_eq!(fields(&answer), expected, "what `issuer show` has, and what falls");
    let records = place.json(&["audit", "list", "--act", "issuer.set"])["items"].clone();
    let records = records.as_array().unwrap();
    assert_eq!(records.len(), 2, "what is so already is not recorded");
    let detail = &records[1]["detail"];
    assert_eq!(
        (&detail["before"]["audience"], &detail["after"]["audience"]),
        (&json!("mcp-gateway"), &json!("mcp-staging"))
    );
    assert_eq!(detail["after"]["allow_private"], json!(["127.0.0.1"]));
    assert_eq!(place.json(&["audit", "verify"])["valid"], true);
    assert!(place.ok(&["doctor"]).contains("issuers"), "the chain bears it out");
}

#[test]
fn what_cannot_be_changed_is_refused_with_why_and_what_mends_it() {
    let (server, other) = (Server::start(), Server::start());
    let place = corp(&server);
    let file = place.file("set.json", json!({ "keys": [server.jwk("one")] }).to_string());
    let before = place.json(&["issuer", "show", "corp"]);
    let refused = |expected: i32, arguments: &[&str]| {
        let told = place.fails(expected, &set(arguments));
        assert_eq!(place.json(&["issuer", "show", "corp"]), before, "{told}");
        told
    };
    refused(2, &[]);
    refused(2, &["--url", &server.origin, "--jwks", &file]);
    refused(2, &["--jwks", &file, "--allow-private", "127.0.0.1"]);
    let told = refused(4, &["--name", "other"]);
    assert!(told.contains("keeps its name") && told.contains("issuer remove corp"), "{told}");
    let told = refused(4, &["--issuer", &other.origin]);
    assert!(told.contains("stays so") && told.contains("issuer add"), "{told}");
    refused(2, &["--issuer", "https://u:p4ss@h"]);
    let told = refused(2, &["--url", &other.origin]);
    assert!(told.contains("letter by letter"), "whose metadata names another: {told}");
    assert!(refused(2, &["--allow-private", ""]).contains("--allow-private 127.0.0.1"));
    assert!(refused(2, &["--allow-private", "localhost"]).contains("--allow-private 127.0.0.1"));
    assert!(refused(2, &["--scope-map", "reader"]).contains("mcp:read"));
    assert!(refused(2, &["--scope-map", "a=mcp:read", "--scope-map", "a=mcp:use"]).contains("twice"));
    assert!(refused(2, &["--policy", "defualt"]).contains("did you mean"));
    assert!(refused(2, &["--alg", "none"]).contains("EdDSA"));
    assert!(refused(2, &["--alg", "RS256"]).contains("not pinned"));
    assert!(refused(2, &["--scope-claim", ""]).contains("between 1 and 512"));
    place.fails(3, &["issuer", "set", "nobody", "--policy", "default"]);
    place.ok(&set(&["--issuer", &server.origin]));
    assert_eq!(place.json(&["issuer", "show", "corp"]), before, "the same `iss` is no change");
}

#[test]
fn keys_move_between_what_is_published_and_what_is_given_by_hand() {
    let (server, other) = (Server::start(), Server::start());
    let place = corp(&server);
    let token = server.token("one", "mcp-gateway");
    let shown = || place.json(&["issuer", "show", "corp"]);
    // Elsewhere, where the metadata names the same issuer.
    other.page(METADATA, &json!({ "issuer": server.origin, "jwks_uri": format!("{}/keys", other.origin) }));
    other.page("/keys", &json!({ "keys": [server.jwk("two")] }));
    let told = err(&place.run(&set(&["--url", &other.origin])));
    assert!(told.contains("what its key `one` signed is refused"), "{told}");
    assert_eq!((&shown()["url"], &shown()["iss"]), (&json!(other.origin), &json!(server.origin)));
    assert_eq!(verify(&place, &token).1["reason"], "unknown_credential");
    assert_eq!(verify(&place, &server.token("two", "mcp-gateway")).0, 0);
    // By hand: nothing is fetched any more.
    let file = place.file("set.json", json!({ "keys": [server.jwk("one")] }).to_string());
    place.ok(&set(&["--jwks", &file]));
    assert_eq!(
        (&shown()["url"], &shown()["state"], &shown()["source"]),
        (&Value::Null, &json!("pinned"), &Value::Null)
    );
    assert_eq!(verify(&place, &token).0, 0);
    assert!(place.fails(4, &["issuer", "refresh", "corp"]).contains("issuer set corp --jwks"));
    assert!(place.fails(4, &set(&["--allow-private", "127.0.0.1"])).contains("--url"));
    assert!(place.fails(2, &set(&["--alg", "ES256"])).contains("--jwks"));
    place.ok(&set(&["--url", &server.origin, "--allow-private", "127.0.0.1"]));
    assert_eq!(
        (&shown()["state"], &shown()["source"]["allow_private"]),
        (&json!("current"), &json!(["127.0.0.1"]))
    );
    assert_eq!(verify(&place, &token).0, 0);
}

#[test]
fn keys_without_a_name_are_refused_where_none_could_be_meant_and_told_of_beside_others() {
    let server = Server::start();
    let nameless = |mut key: Value| {
        key.as_object_mut().unwrap().remove("kid");
        key
    };
    let second = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let pair = [nameless(server.jwk("one")), second];
    let ec = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let place = Place::new();
    let both = place.file("both.json", json!({ "keys": pair }).to_string());
    let beside = place.file("beside.json", json!({ "keys": [&pair[0], &pair[1], &ec] }).to_string());
    let alone = place.file("alone.json", json!({ "keys": [&pair[0]] }).to_string());
    let add = ["issuer", "add", "corp", "--issuer", &server.origin, "--audience", "a", "--jwks"];
    let told = place.fails(2, &[&add[..], &[&both]].concat());
    assert!(told.contains("no token can say which key") && told.contains("`kid`"), "{told}");
    let output = place.run(&[&add[..], &[&beside]].concat());
    assert!(
        code(&output) == 0 && err(&output).contains("2 keys for EdDSA count for nothing"),
        "{}",
        err(&output)
    );
    let token = server.token("one", "a");
    assert_eq!(verify(&place, &token).1["reason"], "unknown_credential");
    let told = place.fails(2, &set(&["--jwks", &both]));
    assert!(told.contains("no token can say which key"), "{told}");
    let output = place.run(&set(&["--jwks", &beside, "--policy", "default"]));
    assert!(err(&output).contains("count for nothing"), "{}", err(&output));
    let output = place.run(&set(&["--jwks", &alone]));
    assert!(code(&output) == 0 && !err(&output).contains("count for nothing"), "{}", err(&output));
    assert_eq!(verify(&place, &token).0, 0, "one alone is meant by whatever name");

    // What is published now is told as it is checked.
    place.ok(&set(&[
        "--url",
        &server.origin,
        "--allow-private",
        "127.0.0.1",
        "--alg",
        "EdDSA",
        "--alg",
        "ES256",
    ]));
    let check = || {
        let output = place.feed(&["issuer", "check", "corp", "--json"], "");
        (code(&output), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    for (keys, good, left_out) in
        [(vec![&pair[0], &pair[1], &ec], 0, 2), (vec![&pair[0], &pair[1]], 1, 2), (vec![&pair[0]], 0, 0)]
    {
        server.page("/keys", &json!({ "keys": keys }));
        let (exit, told) = check();
        let keys = told["published"]["keys"].as_array().unwrap();
        let out = keys
            .iter()
            .filter(|key| key["left_out"].as_str().is_some_and(|why| why.contains("no `kid`")))
            .count();
        assert_eq!((exit, out), (good, left_out), "{told}");
    }
}
