//! JSON that decides nothing passes as it is, and a refusal names the request of whatever can be read.

use super::harness::*;
use serde_json::{Value, json};

fn call(arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_decides_nothing_passes_byte_for_byte() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let list = |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{rest}}}"#);
    for body in [
        call(r#"{"text":"half \ud83d of a smile"}"#),
        call(r#"{"text":"\udc00 \ude00\ud83d"}"#),
        call(r#"{"text":"a whole \ud83d\ude00 \\ud83d \uD83D"}"#),
        call(r#"{"\ud800":1,"a":"\ud800"}"#),
        call(r#"{"n":123456789012345678901234567890,"m":-1e999,"k":[1E+400,1e-999,0.1e5000]}"#),
        call("null"),
        call(r#"{"null":null}"#),
        list(r#","params":null"#),
        list(r#","params":{"cursor":null,"_meta":null}"#),
        list(r#","params":{"_meta":{"progressToken":1e400,"x":"\ud800"}}"#),
        list(r#","params":{"a":"\ud800"},"result":null,"error":null"#),
        list(r#","extra":1e999"#),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#.into(),
        r#"{"jsonrpc":"2.0","id":null,"method":"notifications/initialized"}"#.into(),
    ] {
        let answered = Ask::old("x", json!({})).body(body.clone()).key(&key).send(gateway.address).await;
        assert_eq!(answered.status, 200, "{body}: {answered:?}");
        assert_eq!(upstream.received().last().unwrap().body, body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_decides_is_read_strictly_and_refused_with_the_request_s_id() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for body in [
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\ud800"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/\ud800","params":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":1e999}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///\udc00"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":null,"params":null}"#,
        // Some servers read both keys as U+FFFD.
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"e","arguments":{"\ud800":1,"\udc00":2}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"e","arguments":{"a":"\ud800","a":1}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[1]}"#,
        r#"{"jsonrpc":"1.0","id":7,"method":"tools/list"}"#,
        r#"{"id":7,"method":"tools/list","params":{"a":NaN}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"a":"\ud8zz"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"a":1e}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","#,
        r#"{"id":7}"#,
    ] {
        let answered = Ask::old("x", json!({})).body(body).key(&key).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (400, "bad_request"), "{body}");
        assert_eq!(
            (&answered.json()["jsonrpc"], &answered.json()["id"]),
            (&json!("2.0"), &json!(7)),
            "{body}"
        );
    }
    for body in [r#"{"id":7,"id":8}"#, r#"{"id":null,"method":"tools/list"}"#, "[]", "", "{"] {
        let answered = Ask::old("x", json!({})).body(body).key(&key).send(gateway.address).await;
        assert_eq!((answered.status, answered.json().get("id")), (400, None), "{body}");
    }
    // Where the body is more than is taken, the id may still stand in what came.
    let long = format!(r#"{{"id":7,"method":"tools/call","params":{{"pad":"{}"}}}}"#, "x".repeat(5 << 20));
    let chunked = Ask::old("x", json!({})).body(long).key(&key).with("transfer-encoding", "chunked");
    let answered = chunked.send(gateway.address).await;
    assert_eq!((answered.status, answered.json().get("id")), (413, Some(&json!(7))));
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_client_that_could_read_no_id_passes_within_its_session() {
    let (house, upstream) = (
        House::new(),
        Upstream::answering(|_| async {
            let mut response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
            response.headers_mut().insert("mcp-session-id", "s".parse().unwrap());
            response
        })
        .await,
    );
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let hello = Ask::old("initialize", json!({"protocolVersion": "2025-11-25"}))
        .key(&key)
        .send(gateway.address)
        .await;
    let session = hello.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let status = async |message: Value| {
        let ask = Ask::old("x", json!({})).body(message.to_string()).with("mcp-session-id", &session);
        ask.key(&key).send(gateway.address).await.status
    };
    let error = json!({"code": -32700, "message": "parse error"});
    assert_eq!(status(json!({"jsonrpc": "2.0", "id": null, "error": error})).await, 200);
    assert_eq!(status(json!({"jsonrpc": "2.0", "error": error})).await, 200);
    assert_eq!(
        status(json!({"jsonrpc": "2.0", "id": 3, "method": null, "result": {}, "error": null})).await,
        200
    );
    assert_eq!(status(json!({"jsonrpc": "2.0", "id": 3, "result": null})).await, 200);
    assert_eq!(status(json!({"jsonrpc": "2.0", "id": null, "result": {}})).await, 400);
    assert_eq!(status(json!({"jsonrpc": "2.0", "result": {}})).await, 400);
    assert_eq!(status(json!({"jsonrpc": "2.0", "id": null, "method": "tools/list"})).await, 400);
}
