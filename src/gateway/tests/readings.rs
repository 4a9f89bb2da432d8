//! What servers could take a call for is judged, however it is written.

use super::harness::*;
use http::Method;
use serde_json::{Value, json};

fn restricted(house: &House, name: &str, allowed: &[&str], blocked: &[&str]) -> String {
    house.policy(
        name,
        json!({"endpoint_restrictions": {"allowed_endpoints": allowed, "blocked_endpoints": blocked}}),
    );
    house.key_of("alice", name, &["mcp:*"]).1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_judged_by_each_of_its_readings() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let only = restricted(&house, "only", &["resources/read/file:///public/**"], &[]);
    let but = restricted(
        &house,
        "but",
        &[],
        &["resources/read/file:///secret/**", "resources/read/https://admin.x/**"],
    );
    let gateway = house.gateway(upstream.address);
    let ask = async |key: &str, uri: &str| {
        let params = json!({"uri": uri});
        let old = Ask::old("resources/read", params.clone()).key(key).send(gateway.address).await;
        // Not every URI can stand in a field as it is.
        if uri.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) {
            let new = Ask::modern("resources/read", params).key(key).send(gateway.address).await;
            assert_eq!(new.reason(), old.reason(), "{uri}");
        }
        old.reason()
    };
    for uri in [
        "file:///public//../secret/key.md",
        "file:///public%2f../secret/key.md",
        "file:///public/%2e%2e/secret/key.md",
        "file:////secret/key.md",
        "file:///secret//key.md",
        "file:///secret/key.md%00.md",
        "file:///secret/key.md\0.md",
        "https://admin.x//keys",
        "https://me@admin.x/keys",
    ] {
        assert_eq!(ask(&only, uri).await, "bad_request", "{uri}");
        assert_eq!(ask(&but, uri).await, "bad_request", "{uri}");
    }
    for uri in [
        "file:///secret/key.md?.md",
        "file:///secret/key.md#.md",
        "file:///secret/key.md%3F.md",
        "file:///SECRET/key.md",
        "file://elsewhere/secret/key.md",
        "FILE:/secret/key.md",
        "file:///secret%2Fkey.md",
        "file:///secret%252Fkey.md",
        "file:///%73ecret/key.md",
        "https://admin.x./keys",
        "https://admin.x:443/keys",
        "https://admin.x:8443/keys",
        "https://ADMIN.x/keys",
    ] {
        assert_eq!(ask(&only, uri).await, "endpoint_denied", "{uri}");
        assert_eq!(ask(&but, uri).await, "endpoint_denied", "{uri}");
    }
    assert!(upstream.received().is_empty());
    for uri in [
        "file:///public/key.md",
        "file:///public/a%20b.md",
        "file:///public/key.md?at=1#top",
        "file:///public/.well",
    ] {
        assert_eq!(ask(&only, uri).await, "", "{uri}");
        assert_eq!(ask(&but, uri).await, "", "{uri}");
    }
    for uri in ["https://www.admin.x/keys", "file:///secrets/key.md", "https://x/?next=https%3A%2F%2Fy%2F"] {
        assert_eq!(ask(&but, uri).await, "", "{uri}");
    }
    let named = restricted(&house, "named", &["resources/read/file:///a//b"], &[]);
    assert_eq!(ask(&named, "file:///a//b").await, "");
    assert_eq!(ask(&named, "file:///a/b").await, "endpoint_denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_acts_on_is_judged_where_the_method_is_allowed() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let methods =
        ["resources/subscribe", "resources/unsubscribe", "subscriptions/listen", "completion/complete"];
    let allowed = [&["resources/read/file:///public/**", "prompts/get/open"], &methods[..]].concat();
    let only = restricted(&house, "only", &allowed, &[]);
    let but = restricted(&house, "but", &[], &["resources/read/file:///secret/**", "prompts/get/secret"]);
    let gateway = house.gateway(upstream.address);
    let reference = |kind: &str, key: &str, value: &str| json!({"ref": {"type": kind, key: value}, "argument": {"name": "a", "value": ""}});
    let acting_on = |uri: &str, prompt: &str| -> [(&'static str, Value); 5] {
        [
            ("resources/subscribe", json!({"uri": uri})),
            ("resources/unsubscribe", json!({"uri": uri})),
            (
                "subscriptions/listen",
                json!({"notifications": {"resourceSubscriptions": ["file:///public/a", uri]}}),
            ),
            ("completion/complete", reference("ref/resource", "uri", uri)),
            ("completion/complete", reference("ref/prompt", "name", prompt)),
        ]
    };
    for key in [&only, &but] {
        for (method, params) in acting_on("file:///secret/a", "secret") {
            for ask in [Ask::old(method, params.clone()), Ask::modern(method, params)] {
                assert_eq!(ask.key(key).send(gateway.address).await.reason(), "endpoint_denied", "{method}");
            }
        }
        for (method, params) in acting_on("file:///public//../secret/a", "x") {
            if !params.to_string().contains("ref/prompt") {
                // In a session that is no reason to end it.
                for (ask, status) in
                    [(Ask::old(method, params.clone()), 200), (Ask::modern(method, params), 400)]
                {
                    let answered = ask.key(key).send(gateway.address).await;
                    let told = (answered.status, answered.reason(), answered.json()["id"].clone());
                    assert_eq!(told, (status, "bad_request".to_owned(), json!(1)), "{method}");
                }
            }
        }
    }
    assert!(upstream.received().is_empty());
    for key in [&only, &but] {
        for (method, params) in acting_on("file:///public/a", "open") {
            assert_eq!(Ask::old(method, params).key(key).send(gateway.address).await.status, 200, "{method}");
        }
    }
    // A scope that covers the method alone does not reach everything.
    house.policy("free", json!({}));
    for (scopes, status) in [
        (&["resources:subscribe"][..], 403),
        (&["resources:subscribe", "resources:read"], 200),
        (&["mcp:read"], 200),
    ] {
        let key = house.key_of("alice", "free", scopes).1;
        let ask = Ask::modern("resources/subscribe", json!({"uri": "file:///a"})).key(&key);
        assert_eq!(ask.send(gateway.address).await.status, status, "{scopes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_judged_by_each_of_its_readings() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let only = restricted(&house, "only", &["/pub/*"], &[]);
    let but = restricted(&house, "but", &[], &["/admin/**"]);
    let gateway = house.gateway(upstream.address);
    let ask = async |key: &str, path: &str| {
        let on_data = Ask::new(Method::GET, path).key(key).send(gateway.address).await;
        let proxied = Ask::new(Method::GET, "/verify")
            .with("x-original-uri", path)
            .with("x-original-method", "GET")
            .key(key)
            .send(gateway.admin)
            .await;
        let allowed = (on_data.status == 200, proxied.status == 200);
        assert_eq!(allowed.0, allowed.1, "{path}: {on_data:?} {proxied:?}");
        on_data.reason()
    };
    for path in [
        "/admin",
        "/admin/",
        "/admin%2Fkeys",
        "/admin;x",
        "/admin;x/keys",
        "/admin%252f",
        "/ADMIN",
        "/Admin/x",
        "/%2561dmin/",
        "/admin%20",
        "/admin.",
        "/admin%2e",
        "/admin%20./keys",
        "/admin%2520/",
        "/Admin..",
        "/admin%C2%A0",
    ] {
        assert_eq!(ask(&but, path).await, "endpoint_denied", "{path}");
    }
    for path in ["/pub/a%2Fb", "/pub/a%252Fb", "/PUB/a", "/pub%2Fa", "/pub/a/b"] {
        assert_eq!(ask(&only, path).await, "endpoint_denied", "{path}");
    }
    for path in [
        "/pub/..%20/admin",
        "/pub/.../a",
        "/%2Fadmin",
        "/pub/..%2fadmin",
        "/pub/..;/admin",
        "/a%2F%2Fb",
        "/a%0a",
        "/pub/a%255cb",
    ] {
        for key in [&but, &only] {
            assert_eq!(ask(key, path).await, "bad_request", "{path}");
        }
    }
    assert!(upstream.received().is_empty());
    for path in ["/administration", "/x/admin", "/a%2Fb", "/a;v=1", "/admin.d", "/%20admin"] {
        assert_eq!(ask(&but, path).await, "", "{path}");
    }
    for path in ["/pub/a", "/pub/a;v=1", "/pub/100%25", "/pub/caf%C3%A9", "/pub/a.", "/pub/a%20b"] {
        assert_eq!(ask(&only, path).await, "", "{path}");
    }
    assert_eq!(upstream.received().len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_a_database_is_judged_as_it_is_written_and_without() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let all = restricted(&house, "all", &[], &[]);
    let only = restricted(&house, "only", &["resources/read/postgres://me@db/**"], &[]);
    let but = restricted(&house, "but", &[], &["resources/read/postgres://db/**"]);
    let gateway = house.gateway(upstream.address);
    let ask = async |key: &str, uri: &str| {
        let told = Ask::modern("resources/read", json!({"uri": uri})).key(key).send(gateway.address).await;
        told.reason()
    };
    for (key, uri, reason) in [
        (&all, "postgres://me@db/sales", ""),
        (&all, "mysql://me:pw@db:3306/sales", ""),
        (&only, "postgres://me@db/sales", ""),
        (&only, "postgres://you@db/sales", "endpoint_denied"),
        (&only, "postgres://db/sales", "endpoint_denied"),
        (&but, "postgres://me@db/sales", "endpoint_denied"),
        (&but, "postgres://me:pw@DB:5432/sales", "endpoint_denied"),
        (&but, "postgres://db/sales", "endpoint_denied"),
        (&but, "postgres://me%40db/sales", "endpoint_denied"),
        (&but, "postgres://db@other/sales", ""),
        (&all, "postgres://me@other@db/sales", "bad_request"),
        (&all, "https://me@db/sales", "bad_request"),
        (&all, "ftp://me@db/sales", "bad_request"),
        (&all, "ws://me@db/sales", "bad_request"),
        (&all, "file://me@db/sales", "bad_request"),
    ] {
        assert_eq!(ask(key, uri).await, reason, "{uri}");
    }
    assert_eq!(upstream.received().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_blocked_where_it_could_become_what_is_blocked() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let but = restricted(
        &house,
        "but",
        &[],
        &["resources/read/file:///secret/**", "resources/read/https://*.x/keys", "resources/read/db://one"],
    );
    let method = restricted(&house, "method", &[], &["completion/complete/resources/read/file:///secret/**"]);
    let gateway = house.gateway(upstream.address);
    let ask = async |key: &str, uri: &str| {
        let params =
            json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "a", "value": ""}});
        Ask::modern("completion/complete", params).key(key).send(gateway.address).await.reason()
    };
    for uri in [
        "file:///{path}",
        "file:///{+path}",
        "file:///s{rest}",
        "file:///secret{rest}",
        "file:///secret/{name}.md",
        "file:///SEC{rest}",
        "file:///%73{rest}",
        "FILE:/{path}",
        "file:///%7Bpath%7D",
        "{uri}",
        "file:{path}",
    ] {
        for key in [&but, &method] {
            assert_eq!(ask(key, uri).await, "endpoint_denied", "{uri}");
        }
    }
    for uri in ["https://{host}/keys", "https://a.x/{page}", "https://a.{top}", "db://{name}", "db://on{e}"] {
        assert_eq!(ask(&but, uri).await, "endpoint_denied", "{uri}");
    }
    assert!(upstream.received().is_empty());
    for uri in [
        "file:///public/{path}",
        "file:///secrets{rest}",
        "memo:{name}",
        "https://a/x/{page}",
        "https://a.x/key/{page}",
        "db://two{rest}",
        "file:///public/a.md",
    ] {
        assert_eq!(ask(&but, uri).await, "", "{uri}");
    }
    // What is read is no template: braces stand for themselves.
    let read = Ask::modern("resources/read", json!({"uri": "file:///{path}"})).key(&but);
    assert_eq!(read.send(gateway.address).await.reason(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_methods_of_mcp_are_covered_by_everything() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for (method, status) in [
        ("Tools/Call", 200),
        (" tools/call", 200),
        ("tools/call ", 200),
        ("tools/list\n", 200),
        ("TOOLS/LIST", 200),
        ("tools/call/echo", 400),
    ] {
        let answered = Ask::old(method, json!({"name": "delete"})).key(&key).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (status, "bad_request"), "{method:?}");
    }
    // What nobody knows is answered as MCP asks: in a session that is no reason to end it.
    for (ask, status) in [(Ask::old("acme/run", json!({})), 200), (Ask::modern("acme/run", json!({})), 404)] {
        let answered = ask.key(&key).send(gateway.address).await;
        assert_eq!((answered.status, answered.code(), &answered.json()["id"]), (status, -32601, &json!(1)));
    }
    assert!(upstream.received().is_empty());
    let named = restricted(&house, "named", &["acme/run", "**"], &[]);
    for method in ["acme/run", "tools/list", "tasks/list", "notifications/acme"] {
        let answered = Ask::old(method, json!({})).key(&named).send(gateway.address).await;
        assert_eq!(answered.status, 200, "{method}");
    }
    assert_eq!(Ask::old("acme/walk", json!({})).key(&named).send(gateway.address).await.code(), -32601);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_credential_is_refused_where_it_would_be_kept() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG";
    for secret in [token, &key] {
        for ask in [
            Ask::new(Method::GET, &format!("/files/{secret}")),
            Ask::new(Method::GET, &format!("/files/{}", secret.replace(['_', '.'], "%5F"))),
            Ask::old("tools/call", json!({"name": secret})),
            Ask::old("prompts/get", json!({"name": format!("x {secret}")})),
            Ask::old(secret, json!({})),
        ] {
            if secret == token && ask.request.uri().path().contains("%5F") {
                continue;
            }
            let answered = ask.key(&key).send(gateway.address).await;
            assert_eq!((answered.status, answered.reason().as_str()), (400, "bad_request"));
            assert!(!answered.body.contains(secret));
        }
        let told = async |path: &str, to| {
            let answered = Ask::new(Method::GET, path).key(&key).send(to).await;
            (answered.status, answered.json()["error"]["message"].clone())
        };
        let path = format!("/files/{secret}");
        let proxied = told(&format!("/verify{path}"), gateway.admin).await;
        assert_eq!(proxied, told(&path, gateway.address).await, "who asks for a proxy is told the same");
        assert!(proxied.1.as_str().unwrap().contains("rotate or revoke"));
    }
    assert!(upstream.received().is_empty());
    // The id of a key is no secret, and a token may be how the server of a resource wants it.
    let id = key.rsplit_once('_').unwrap().0;
    for ask in [
        Ask::new(Method::GET, &format!("/keys/{id}")),
        Ask::old("resources/read", json!({"uri": format!("https://x/?t={token}")})),
    ] {
        assert_eq!(ask.key(&key).send(gateway.address).await.status, 200);
    }
    assert!(String::from_utf8_lossy(&upstream.received()[1].body).contains(token));
    // Nothing of them is in what is written down.
    tokio::task::spawn_blocking(move || gateway.running.shutdown()).await.unwrap().unwrap();
    let wrote = house.written();
    let is_written = |text: &str| wrote.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(is_written("[redacted]") && !is_written(token) && !is_written(&key[key.len() - 40..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tools_is_filtered_whatever_its_status_says() {
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"delete"}]}}"#;
    let upstream = Upstream::answering(move |received| async move {
        let wanted = |name: &str| received.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let kind = wanted("x-kind").unwrap_or_else(|| "application/json".into());
        let text = if kind == "text/event-stream" { format!("data: {list}\n\n") } else { list.to_owned() };
        let mut response = whole(Box::leak(kind.into_boxed_str()), text);
        *response.status_mut() = wanted("x-want").unwrap().parse().unwrap();
        response
    })
    .await;
    let house = House::new();
    let key = restricted(&house, "readers", &[], &["tools/call/delete"]);
    let gateway = house.gateway(upstream.address);
    for status in ["200", "201", "202", "203", "206", "299", "400", "404", "500"] {
        for ask in [Ask::old("tools/list", json!({})), Ask::modern("tools/list", json!({}))] {
            let ask = ask.with("x-want", status).key(&key);
            for kind in ["application/json", "text/event-stream"] {
                let answered = ask.clone().with("x-kind", kind).send(gateway.address).await;
                assert_eq!(answered.status.to_string(), status, "{kind}");
                assert!(
                    answered.body.contains("echo") && !answered.body.contains("delete"),
                    "{status}: {answered:?}"
                );
            }
            let answered = ask.with("x-kind", "text/plain").send(gateway.address).await;
            // By 404 the server behind would say as well that it has no MCP there.
            let is_none = status.starts_with('2') || status == "404";
            assert!(is_none == (answered.reason() == "upstream_garbled"), "{status}: {answered:?}");
        }
    }
}

fn message(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn listen(uris: &[String]) -> Value {
    json!({"notifications": {"resourceSubscriptions": uris}})
}

fn batch(messages: Vec<Value>) -> Ask {
    Ask::post(Value::from(messages).to_string()).with("mcp-protocol-version", "2025-03-26")
}

fn uris(count: usize, of: &str) -> Vec<String> {
    (0..count).map(|number| format!("file:///{of}{number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_to_many_resources_is_one_request_and_each_of_them_is_judged() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy(
        "three",
        json!({"rate_limits": {"requests_per_minute": 3, "requests_per_hour": null, "requests_per_day": null,
            "algorithm": "fixed"},
            "endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["resources/read/file:///secret/**"]}}),
    );
    let key = house.key_of("alice", "three", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let many = uris(20, "a");
    let told = async |uris: &[String]| {
        Ask::modern("subscriptions/listen", listen(uris)).key(&key).send(gateway.address).await.reason()
    };
    let secret = [&many[..], &["file:///secret/a".to_owned()]].concat();
    assert_eq!(told(&secret).await, "endpoint_denied", "the last of them");
    assert_eq!((gateway.count("endpoint_denied"), upstream.received().len()), (1, 0));
    for _ in 0..2 {
        assert_eq!(told(&many).await, "");
    }
    let pair = batch(vec![message("subscriptions/listen", listen(&many)); 2]).key(&key);
    let answered = pair.send(gateway.address).await;
    assert!(answered.body.contains("rate_limited"), "two more than the one that is left: {answered:?}");
    assert_eq!(told(&many).await, "");
    assert_eq!(told(&many).await, "rate_limited");
    assert_eq!((gateway.count("allowed"), gateway.count("rate_limited")), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_asks_for_no_more_than_can_be_judged_at_once() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let read = |uri: String| message("resources/read", json!({"uri": uri}));
    let odd = |length: usize| format!("file:///{}%20b", "a".repeat(length - 12));
    let listens = |count| message("subscriptions/listen", listen(&uris(count, "a")));
    let plain = |count| uris(count, "a").into_iter().map(read).collect::<Vec<_>>();
    for (ask, status) in [
        (batch(vec![listens(100), listens(100), listens(53)]), 200),
        (batch(vec![listens(100), listens(100), listens(54)]), 400),
        (batch(vec![listens(256); 256]), 400),
        (Ask::modern("subscriptions/listen", listen(&uris(255, "a"))), 200),
        (Ask::modern("subscriptions/listen", listen(&uris(256, "a"))), 400),
        (batch(plain(256)), 200),
        (batch(vec![read(format!("file:///{}", "a".repeat(2000))); 256]), 200),
        (batch(vec![read(odd(128)); 256]), 200),
        (batch(vec![read(odd(129)); 256]), 400),
        (batch(vec![read(odd(2000)); 16]), 200),
        (batch(vec![read(odd(2000)); 17]), 400),
    ] {
        let answered = ask.clone().key(&key).send(gateway.address).await;
        assert_eq!(answered.status, status, "{} bytes: {answered:?}", ask.request.body().len());
    }
    assert_eq!(upstream.received().len(), 6);
}
