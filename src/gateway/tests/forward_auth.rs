//! `/verify` as proxies ask it.

use super::harness::*;
use http::Method;
use serde_json::json;

fn nginx(method: &str, uri: &str) -> Ask {
    Ask::new(Method::GET, "/verify").with("x-original-uri", uri).with("x-original-method", method)
}

fn forwarded(method: &str, uri: &str) -> Ask {
    Ask::new(Method::GET, "/verify").with("x-forwarded-uri", uri).with("x-forwarded-method", method)
}

/// A question about a call to the MCP endpoint, by the headers of 2026-07-28.
fn call(method: &str, name: Option<&str>) -> Ask {
    let ask = forwarded("POST", "/mcp").with("mcp-protocol-version", "2026-07-28").with("mcp-method", method);
    match name {
        Some(name) => ask.with("mcp-name", name),
        None => ask,
    }
}

/// A gateway that forwards nothing here; a key for everything, and one that may only call `add`.
fn place(house: &House) -> (Served, String, String) {
    house.policy(
        "adders",
        json!({"endpoint_restrictions": {"allowed_endpoints": ["tools/call/add"],
        "blocked_endpoints": []}}),
    );
    let narrow = house.key_of("bob", "adders", &["mcp:*"]).1;
    (house.gateway("127.0.0.1:1".parse().unwrap()), house.key(), narrow)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_asking_gets_the_same_decision() {
    let house = House::new();
    let (gateway, key, narrow) = place(&house);
    let envoy = |method: &str, uri: &str| Ask::new(method.parse().unwrap(), &format!("/verify{uri}"));
    for ask in [nginx, forwarded, envoy] {
        let passed = ask("PUT", "/files/a?b=/c").key(&key).send(gateway.admin).await;
        assert_eq!(
            (passed.status, &passed.headers["x-portcullis-subject"]),
            (200, &"alice".parse().unwrap())
        );
        assert_eq!(passed.headers["x-portcullis-scopes"], "mcp:*");
        assert!(passed.headers.contains_key("x-portcullis-credential"));
        assert!(passed.headers.contains_key("x-portcullis-request-id"));
        assert_eq!(ask("PUT", "/files/a").key(&narrow).send(gateway.admin).await.status, 403);
        let nobody = ask("PUT", "/files/a").send(gateway.admin).await;
        assert_eq!(nobody.status, 401);
        assert!(nobody.headers.contains_key("www-authenticate"));
        assert!(!nobody.headers.contains_key("x-portcullis-subject"));
    }
    assert_eq!((gateway.count("allowed"), gateway.count("endpoint_denied")), (3, 3));
    assert_eq!(gateway.count("missing_credential"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_two_could_have_written_is_refused() {
    let house = House::new();
    let (gateway, key, _) = place(&house);
    for ask in [
        Ask::new(Method::GET, "/verify"),
        nginx("GET", "/a").with("x-forwarded-uri", "/b").with("x-forwarded-method", "GET"),
        nginx("GET", "/a").with("x-original-uri", "/b"),
        nginx("GET", "/a").with("x-original-method", "GET"),
        nginx("GET", "/a").without("x-original-method"),
        nginx("GET", "/a").without("x-original-method").with("x-forwarded-method", "GET"),
        forwarded("GET", "/a").without("x-forwarded-method").with("x-original-method", "GET"),
        Ask::new(Method::GET, "/verify/a").with("x-original-uri", "/b"),
        Ask::new(Method::GET, "/verify/a").with("x-forwarded-uri", "/b"),
    ] {
        let refused = ask.clone().key(&key).send(gateway.admin).await;
        assert!(refused.status != 200 && refused.reason() == "bad_request", "{ask:?}", ask = ask.request);
    }
    // Another proxy's method field, sent by the client, says nothing.
    let ask = nginx("GET", "/a").with("x-forwarded-method", "DELETE");
    assert_eq!(ask.key(&key).send(gateway.admin).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_passes_only_in_its_normal_form() {
    let house = House::new();
    let (gateway, key, _) = place(&house);
    for path in ["/a/../b", "//a", "/a/./b", "/%61", "/a%2e%2e", "/a#b", "a", "/%zz", "/a/%252e%252e/b", "/é"]
    {
        let refused =
            forwarded("GET", "/").instead("x-forwarded-uri", path).key(&key).send(gateway.admin).await;
        assert_eq!((refused.status, refused.reason().as_str()), (400, "bad_request"), "{path}");
    }
    for path in ["/", "/a/b/", "/a%20b", "/a..b", "/%C3%A9?x=../y"] {
        assert_eq!(forwarded("GET", path).key(&key).send(gateway.admin).await.status, 200, "{path}");
    }
    // Envoy's target is judged as it is, not as a path of this listener.
    let climbing = Ask::new(Method::GET, "/verify/../health").key(&key).send(gateway.admin).await;
    assert_eq!(climbing.status, 400);
    assert_eq!(forwarded("TRACE", "/a").key(&key).send(gateway.admin).await.status, 405);
    let in_query = forwarded("GET", &format!("/a?key={key}")).key(&key).send(gateway.admin).await;
    assert_eq!(in_query.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_new_era_are_decided_by_their_headers() {
    let house = House::new();
    let (gateway, key, narrow) = place(&house);
    let status = async |ask: Ask, key: &str| ask.key(key).send(gateway.admin).await.status;
    assert_eq!(status(call("tools/call", Some("add")), &narrow).await, 200);
    assert_eq!(status(call("tools/call", Some("=?base64?YWRk?=")), &narrow).await, 200);
    assert_eq!(status(call("tools/call", Some("delete")), &narrow).await, 403);
    assert_eq!(status(call("tools/call", Some("=?base64?ZGVsZXRl?=")), &narrow).await, 403);
    assert_eq!(status(call("tools/list", None), &narrow).await, 403);
    assert_eq!(status(call("server/discover", None), &narrow).await, 200);
    assert_eq!(status(call("resources/read", Some("file:///a.md")), &key).await, 200);
    // Other spellings of the endpoint's path do not come under the rules of plain HTTP.
    assert_eq!(status(forwarded("POST", "/MCP/"), &key).await, 400);
    for (ask, code) in [
        (call("tools/call", None), -32020),
        (call("tools/call", Some("")), -32020),
        (call("tools/call", Some("=?base64?!?=")), -32020),
        (call("tools/call", Some("add")).with("mcp-name", "add"), -32020),
        (call("tools/list", Some("add")), -32020),
        (call("tools/list", None).with("mcp-method", "tools/list"), -32020),
        (call("tools/list", None).without("mcp-method"), -32020),
        (call("/health", None), 400),
    ] {
        let refused = ask.clone().key(&key).send(gateway.admin).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{ask:?}", ask = ask.request);
    }
    for method in ["GET", "DELETE", "OPTIONS"] {
        let ask = forwarded(method, "/mcp").with("mcp-protocol-version", "2026-07-28");
        assert_eq!(status(ask.with("mcp-method", "ping"), &key).await, 405, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_spellings_of_a_resource_must_be_allowed_too() {
    let house = House::new();
    house.policy(
        "public",
        json!({"endpoint_restrictions": {"allowed_endpoints": ["resources/read/file:///public/**"],
        "blocked_endpoints": []}}),
    );
    let key = house.key_of("bob", "public", &["mcp:*"]).1;
    let gateway = house.gateway("127.0.0.1:1".parse().unwrap());
    let status =
        async |uri: &str| call("resources/read", Some(uri)).key(&key).send(gateway.admin).await.status;
    assert_eq!(status("file:///public/a.md").await, 200);
    assert_eq!(status("file:///secret.md?/public/").await, 403);
    assert_eq!(status("file:///public/../secret.md").await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_an_older_era_decide_nothing() {
    let house = House::new();
    let (gateway, key, _) = place(&house);
    for version in [Some("2025-11-25"), Some("2025-03-26"), Some("2099-01-01"), None] {
        let ask = call("tools/list", None).without("mcp-protocol-version");
        let ask = version.map_or(ask.clone(), |version| ask.with("mcp-protocol-version", version));
        let refused = ask.clone().key(&key).send(gateway.admin).await;
        assert_eq!((refused.status, refused.code()), (400, -32022), "{version:?}");
        if version != Some("2099-01-01") {
            let error = &refused.json()["error"];
            assert_eq!(error["data"]["supported"], json!(["2026-07-28"]));
            assert!(error["message"].as_str().unwrap().contains("portcullis serve"));
        }
        // Who has no key does not learn even that.
        assert_eq!(ask.send(gateway.admin).await.status, 401);
    }
    assert_eq!(gateway.count("bad_request"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_gets_only_what_it_knows_and_the_truth_beside() {
    let house = House::new();
    house.policy("two", json!({"rate_limits": {"requests_per_minute": 2}}));
    let key = house.key_of("alice", "two", &["mcp:*"]).1;
    let gateway = house.gateway("127.0.0.1:1".parse().unwrap());
    for _ in 0..2 {
        assert_eq!(nginx("GET", "/a").key(&key).send(gateway.admin).await.status, 200);
    }
    let plain = forwarded("GET", "/a").key(&key).send(gateway.admin).await;
    assert_eq!((plain.status, plain.headers.contains_key("x-authz-status")), (429, false));
    let refused = nginx("GET", "/a").key(&key).send(gateway.admin).await;
    assert_eq!((refused.status, &refused.headers["x-authz-status"]), (403, &"429".parse().unwrap()));
    assert_eq!(refused.headers["x-authz-body"], refused.body);
    assert_eq!(refused.headers["retry-after"], plain.headers["retry-after"]);
    let malformed = nginx("GET", "/a/../b").key(&key).send(gateway.admin).await;
    assert_eq!((malformed.status, &malformed.headers["x-authz-status"]), (403, &"400".parse().unwrap()));
    let nobody = nginx("GET", "/a").send(gateway.admin).await;
    assert_eq!((nobody.status, &nobody.headers["x-authz-status"]), (401, &"401".parse().unwrap()));
    // Each question was metered once, each admitted one charged once.
    assert_eq!((gateway.count("allowed"), gateway.count("rate_limited")), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_may_ask() {
    let house = House::new();
    let key = house.key();
    let open = |settings: &mut crate::gateway::Settings| settings.admin_listen = "0.0.0.0:0".parse().unwrap();
    let upstream = "127.0.0.1:1".parse().unwrap();
    let ask = nginx("GET", "/a").with("x-forwarded-for", "198.51.100.7").key(&key);
    let strangers = house.gateway_with(upstream, open);
    let to = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let refused = ask.send(to(strangers.admin.port())).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "origin_denied"));
    assert_eq!((strangers.count("origin_denied"), strangers.count("allowed")), (1, 0));
    let named = house.gateway_with(upstream, |settings| {
        open(settings);
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    });
    assert_eq!(ask.send(to(named.admin.port())).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_the_clients_or_unknown() {
    let house = House::new();
    house.policy(
        "home",
        json!({"ip_restrictions": {"whitelist": ["198.51.100.0/24", "127.0.0.1"],
        "blacklist": []}}),
    );
    let key = house.key_of("alice", "home", &["mcp:*"]).1;
    let gateway = house.gateway("127.0.0.1:1".parse().unwrap());
    for (fields, status) in [
        (&[][..], 403),
        (&[("x-forwarded-for", "198.51.100.7")], 200),
        (&[("x-forwarded-for", "203.0.113.9")], 403),
        (&[("x-forwarded-for", "198.51.100.7, 203.0.113.9")], 403),
        (&[("x-real-ip", "198.51.100.7")], 200),
        (&[("x-real-ip", "198.51.100.7"), ("x-forwarded-for", "203.0.113.9")], 403),
    ] {
        let ask = fields.iter().fold(nginx("GET", "/a"), |ask, (name, value)| ask.with(name, value));
        assert_eq!(ask.key(&key).send(gateway.admin).await.status, status, "{fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_rebound_names_are_judged_as_on_the_data_path() {
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway_with("127.0.0.1:1".parse().unwrap(), |settings| {
        settings.public_url = Some("https://mcp.example.com/mcp".parse().unwrap());
    });
    let status = async |name: &str, value: &str| {
        nginx("GET", "/a").instead(name, value).key(&key).send(gateway.admin).await.status
    };
    assert_eq!(status("origin", "https://evil.example").await, 403);
    assert_eq!(status("origin", "https://mcp.example.com").await, 200);
    assert_eq!(status("host", "evil.example").await, 403);
    assert_eq!(status("host", "mcp.example.com").await, 200);
    // Only questions may name it.
    let health =
        Ask::new(Method::GET, "/health").instead("host", "mcp.example.com").send(gateway.admin).await;
    assert_eq!(health.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_s_preflight_passes_without_a_credential_and_nothing_else_does() {
    const PAGE: &str = "https://app.example.com";
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway_with("127.0.0.1:1".parse().unwrap(), |settings| {
        settings.allowed_origins = vec![PAGE.parse().unwrap()];
    });
    let envoy = |method: &str, uri: &str| Ask::new(method.parse().unwrap(), &format!("/verify{uri}"));
    // What nginx asks about before it lets pass has its questions answered in another way.
    let question = nginx("OPTIONS", "/files/a").with("origin", PAGE);
    let question = question.with("access-control-request-method", "POST");
    assert_eq!(question.send(gateway.admin).await.status, 401);
    for ask in [forwarded, envoy] {
        for path in ["/mcp", "/files/a?b=c", "/MCP/"] {
            let preflight = ask("OPTIONS", path)
                .with("origin", PAGE)
                .with("access-control-request-method", "POST")
                .with("access-control-request-headers", "authorization,mcp-name");
            let answered = preflight.send(gateway.admin).await;
            assert_eq!((answered.status, answered.body.as_str()), (200, ""), "{path}");
            assert_eq!(answered.headers["access-control-allow-origin"], PAGE);
            assert_eq!(answered.headers["access-control-allow-headers"], "authorization,mcp-name");
            assert!(answered.headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
            assert!(!answered.headers.contains_key("x-portcullis-subject"));
            let nobody = async |ask: Ask| ask.send(gateway.admin).await.status;
            assert_eq!(nobody(preflight.clone().without("origin")).await, 401, "no page");
            let of_no_method = preflight.clone().without("access-control-request-method");
            assert_eq!(nobody(of_no_method.clone()).await, 401);
            for (name, value) in [
                ("access-control-request-method", ""),
                ("access-control-request-method", "no method"),
                ("access_control_request_method", "POST"),
            ] {
                assert_eq!(nobody(of_no_method.clone().with(name, value)).await, 401, "{name}: {value:?}");
            }
            let twice = preflight.clone().with("access-control-request-method", "GET");
            assert_eq!(nobody(twice).await, 401, "two methods");
            let foreign =
                preflight.clone().instead("origin", "https://evil.example").send(gateway.admin).await;
            assert_eq!(foreign.status, 403);
            assert!(!foreign.headers.contains_key("access-control-allow-origin"));
            assert_eq!(nobody(preflight.clone().with("origin", PAGE)).await, 403, "two pages");
        }
    }
    for ask in [nginx, forwarded, envoy] {
        // The real request needs its credential; the page may read either answer.
        let real = ask("POST", "/files/a").with("origin", PAGE).with("access-control-request-method", "POST");
        for (ask, status) in [(real.clone(), 401), (real.key(&key), 200)] {
            let answered = ask.send(gateway.admin).await;
            assert_eq!(answered.status, status);
            assert_eq!(answered.headers["access-control-allow-origin"], PAGE);
            assert_eq!(answered.headers["vary"], "origin");
            assert!(!answered.headers.contains_key("access-control-allow-methods"));
        }
    }
    let twice = nginx("OPTIONS", "/mcp").with("x-forwarded-uri", "/a").with("x-forwarded-method", "OPTIONS");
    let twice = twice.with("origin", PAGE).with("access-control-request-method", "POST");
    assert_ne!(twice.send(gateway.admin).await.status, 200, "what two could have written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_at_the_next_question() {
    let house = House::new();
    house.policy("free", json!({}));
    let (id, key) = house.key_of("alice", "free", &["mcp:*"]);
    let gateway = house.gateway("127.0.0.1:1".parse().unwrap());
    let ask = nginx("GET", "/a").key(&key);
    assert_eq!(ask.send(gateway.admin).await.status, 200);
    house.revoke(id);
    assert_eq!(ask.send(gateway.admin).await.status, 401);
    assert_eq!(gateway.count("revoked"), 1);
}
