//! Tokens at a real gateway process: issued, taken back and explained by other processes meanwhile.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use portcullis::domain::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::{
    serve::{Answer, Stage, call, exchange, get},
    support::{code, out},
};

fn issue(stage: &Stage, options: &[&str]) -> Value {
    let subject = if options.contains(&"--subject") { &[][..] } else { &["--subject", "alice"] };
    stage.place.json(&[&["token", "issue"], subject, options].concat())
}

fn text<'a>(issued: &'a Value, member: &str) -> &'a str {
    issued[member].as_str().unwrap_or_else(|| panic!("{member}: {issued}"))
}

fn post(address: &str, path: &str, fields: &str, form: &str) -> Answer {
    exchange(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    )
}

#[test]
fn a_token_passes_until_another_process_takes_it_back_in_any_way() {
    let mut stage = Stage::new();
    let mut refused = Vec::new();
    for way in ["id", "subject", "key", "time"] {
        let issued = issue(&stage, &["--subject", way, "--scope", "tools:call"]);
        let token = text(&issued, "token");
        let answer = call(&stage.listen, Some(token), "search_docs");
        assert_eq!(answer.status, 200, "{way}: {}{}", answer.head, answer.body);
        let now = SystemClock.now().to_string();
        let which = match way {
            "id" => vec![text(&issued, "jti")],
            "subject" => vec!["--subject", way],
            "key" => vec!["--kid", text(&issued, "kid")],
            _ => vec!["--issued-before", &now],
        };
        stage.place.ok(&[&["token", "revoke"], which.as_slice()].concat());
        let answer = call(&stage.listen, Some(token), "search_docs");
        assert_eq!(answer.status, 401, "{way}: the very next request is refused");
        assert!(answer.head.contains("error=\"invalid_token\""), "{}", answer.head);
        assert!(!answer.body.contains("revoked"), "no oracle: {}", answer.body);
        refused.push(text(&issued, "jti").to_owned());
    }
    assert_eq!(stage.gateway.terminate(), 0);
    let events = stage.place.json(&["event", "list", "--kind", "revoked"]);
    let mut named: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| text(event, "credential").to_owned())
        .collect();
    named.sort();
    refused.sort();
    assert_eq!(named, refused, "each is named in the event: {events}");
    assert!(events["items"].as_array().unwrap().iter().any(|event| event["subject"] == "key"), "{events}");
    let totals = stage.place.json(&["usage", "summary"]);
    assert_eq!((&totals["allowed"], &totals["denied"]), (&json!(4), &json!(4)), "{totals}");
    assert_eq!(stage.place.json(&["audit", "verify"])["valid"], json!(true));
}

#[test]
fn what_explain_says_of_a_token_is_what_the_gateway_does() {
    let stage = Stage::new();
    let issued = issue(&stage, &["--scope", "mcp:read"]);
    let token = text(&issued, "token");
    let gone = issue(&stage, &["--scope", "mcp:*"]);
    stage.place.ok(&["token", "revoke", text(&gone, "jti")]);
    for (token, status, reason) in
        [(token, 403, "insufficient_scope"), (text(&gone, "token"), 401, "revoked")]
    {
        assert_eq!(call(&stage.listen, Some(token), "search_docs").status, status);
        let options = ["explain", "--endpoint", "tools/call/search_docs", "--ip", "127.0.0.1", "--json"];
        let told = stage.place.feed(&options, format!("Bearer {token}\n"));
        assert_eq!(code(&told), 1);
        let told: Value = serde_json::from_str(&out(&told)).unwrap();
        assert_eq!(told["reason"], json!(reason), "{told}");
    }
    let whole = stage.place.feed(&["explain", "--json"], token);
    let whole: Value = serde_json::from_str(&out(&whole)).unwrap();
    assert_eq!(
        (&whole["allowed"], &whole["principal"]["subject"]),
        (&json!(true), &json!("alice")),
        "{whole}"
    );
}

#[test]
fn the_public_url_is_what_tokens_are_for() {
    let stage = Stage::with(&["--public-url", "https://mcp.example.com/mcp"]);
    let issued = issue(&stage, &["--scope", "tools:call"]);
    let told = stage.place.feed(&["token", "inspect", "--json"], text(&issued, "token"));
    let told: Value = serde_json::from_str(&out(&told)).unwrap();
    let claims = told.to_string();
    assert!(claims.contains("\"https://mcp.example.com/mcp\""), "the audience: {claims}");
    assert!(claims.contains("\"https://mcp.example.com\""), "the issuer: {claims}");
    assert_eq!(call(&stage.listen, Some(text(&issued, "token")), "search_docs").status, 200);
    let acts = stage.place.json(&["audit", "list", "--act", "resource.set"]);
    assert_eq!(acts["items"].as_array().map(Vec::len), Some(1), "{acts}");
    let metadata = get(&stage.listen, "/.well-known/oauth-protected-resource/mcp");
    let metadata: Value = serde_json::from_str(&metadata.body).unwrap();
    assert_eq!(metadata["resource"], json!("https://mcp.example.com/mcp"));
    let keys = get(&stage.listen, "/.well-known/jwks.json");
    assert!(keys.body.contains(text(&issued, "kid")), "{}", keys.body);
}

#[test]
fn a_client_gets_a_short_token_for_its_key_and_gives_it_up() {
    let stage = Stage::new();
    let scopes = ["tools:call", "oauth:token", "oauth:introspect", "oauth:revoke"];
    let mut options = vec!["--subject", "robot"];
    scopes.iter().for_each(|scope| options.extend(["--scope", scope]));
    let (id, key) = stage.place.key(&options);
    let basic = format!("Authorization: Basic {}", BASE64_STANDARD.encode(format!("{id}:{key}")));
    let granted =
        post(&stage.listen, "/oauth/token", &basic, "grant_type=client_credentials&scope=tools%3Acall");
    assert_eq!(granted.status, 200, "{}", granted.body);
    let granted: Value = serde_json::from_str(&granted.body).unwrap();
    let token = text(&granted, "access_token");
    assert_eq!(call(&stage.listen, Some(token), "search_docs").status, 200);
    let bearer = format!("Authorization: Bearer {key}");
    let form = format!("token={token}");
    let told = post(&stage.listen, "/oauth/introspect", &bearer, &form);
    assert_eq!(serde_json::from_str::<Value>(&told.body).unwrap()["sub"], json!("robot"), "{}", told.body);
    assert_eq!(post(&stage.listen, "/oauth/revoke", &bearer, &form).status, 200);
    assert_eq!(call(&stage.listen, Some(token), "search_docs").status, 401);
    let told = post(&stage.listen, "/oauth/introspect", &bearer, &form);
    assert_eq!(serde_json::from_str::<Value>(&told.body).unwrap(), json!({"active": false}));
    let listed = stage.place.json(&["token", "list"]);
    assert_eq!(listed["items"][0]["issued_by"], json!(format!("oauth:{id}")), "{listed}");
    assert_eq!(stage.place.json(&["audit", "verify"])["valid"], json!(true));
}

#[test]
fn what_was_got_with_a_key_falls_with_it_at_the_next_request() {
    let mut stage = Stage::new();
    let new_key = || stage.place.json(&["key", "create", "--subject", "alice", "--scope", "mcp:*"]);
    let token_of = |key: &Value| {
        let bearer = format!("Authorization: Bearer {}", text(key, "key"));
        let got = post(&stage.listen, "/oauth/token", &bearer, "grant_type=client_credentials");
        assert_eq!(got.status, 200, "{}{}", got.head, got.body);
        let got: Value = serde_json::from_str(&got.body).unwrap();
        text(&got, "access_token").to_owned()
    };
    let bystander = token_of(&new_key());
    for act in [&["revoke"][..], &["disable"], &["rotate", "--grace", "0s"]] {
        let key = new_key();
        let token = token_of(&key);
        assert_eq!(call(&stage.listen, Some(&token), "search_docs").status, 200, "{act:?}");
        let told = stage.place.json(&[&["key"], act, &[text(&key, "id")]].concat());
        let ended = told.get("ended").or_else(|| told["items"][0].get("ended"));
        assert_eq!(ended, Some(&json!(1)), "{told}");
        assert_eq!(call(&stage.listen, Some(&token), "search_docs").status, 401, "{act:?}");
        let list = stage.place.json(&["token", "list", "--filter", "state:revoked"]);
        let fallen = list["items"].as_array().unwrap().iter();
        let fallen: Vec<_> = fallen.filter(|token| token["rests_on"]["key"]["id"] == key["id"]).collect();
        assert_eq!(fallen.len(), 1, "{list}");
        assert_eq!(fallen[0]["refusal"]["fallen_with"], key["id"], "{list}");
    }
    assert_eq!(call(&stage.listen, Some(&bystander), "search_docs").status, 200, "of another key");
    assert_eq!(stage.gateway.terminate(), 0);
    assert_eq!(stage.place.json(&["audit", "verify"])["valid"], json!(true));
}
