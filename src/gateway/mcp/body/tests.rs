use super::*;

fn one(text: &str) -> Message<'_> {
    match parse(text.as_bytes()) {
        Ok(Body::One(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_request_is_read_without_copying_it() {
    let message = one(
        r#" {"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"name":"x"}}} "#,
    );
    assert!(
        matches!(&message.kind, Kind::Request { id, method: Cow::Borrowed("tools/call") } if id.get() == "7")
    );
    assert_eq!(message.acts_on(), Some("echo"));
    assert_eq!(message.version, Version::Absent);
}

#[test]
fn escapes_are_undone_before_anything_is_judged() {
    let message =
        one(r#"{"jsonrpc":"2.0","id":"a","m\u0065thod":"tools\/call","params":{"n\u0061me":"del\u0065te"}}"#);
    assert_eq!((message.method(), message.acts_on()), (Some("tools/call"), Some("delete")));
}

#[test]
fn params_may_come_before_the_method() {
    let message =
        one(r#"{"params":{"uri":"file:///a.md"},"method":"resources/read","id":"1","jsonrpc":"2.0"}"#);
    assert_eq!(message.acts_on(), Some("file:///a.md"));
}

#[test]
fn the_kinds_are_told_apart() {
    assert!(matches!(
        one(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).kind,
        Kind::Notification { .. }
    ));
    assert!(matches!(one(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).kind, Kind::Response));
    assert!(matches!(one(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#).kind, Kind::Response));
    let batch = br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"}]"#;
    assert_eq!(parse(batch).unwrap().messages().len(), 2);
}

#[test]
fn the_version_of_meta_is_found() {
    let version = |value: &str| {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":{value}}}}}}}"#
        );
        match one(&text).version {
            Version::Given(text) => text.into_owned(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(version("\"2026-07-28\""), "2026-07-28");
    assert_eq!(version("20260728"), "WrongType");
    assert_eq!(version("{\"a\":1}"), "WrongType");
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    for (what, text) in [
        ("duplicate method", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#),
        (
            "duplicate by escape",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}"#,
        ),
        ("duplicate id", r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#),
        ("duplicate params", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#),
        (
            "duplicate name",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        ),
        ("duplicate _meta", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{},"_meta":{}}}"#),
        (
            "duplicate deep",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[{"b":{"c":1,"c":2}}]}}"#,
        ),
        ("duplicate elsewhere", r#"{"jsonrpc":"2.0","id":1,"method":"ping","other":{"c":1,"c":2}}"#),
        ("case of method", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}"#),
        ("case of params", r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#),
        (
            "case of name",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
        ),
        ("case of _meta", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_Meta":{}}}"#),
        ("trailing value", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0"}"#),
        ("lone surrogate", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud800"}}"#),
        ("raw control", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\u{0}ng\"}"),
        ("comment", r#"{"jsonrpc":"2.0",/**/"id":1,"method":"ping"}"#),
        ("trailing comma", r#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#),
        ("single quotes", "{'jsonrpc':'2.0','id':1,'method':'ping'}"),
        ("NaN", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}"#),
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{what}");
    }
    assert!(
        parse(r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"Name":"b"}}"#.as_bytes())
            .is_ok()
    );
}

#[test]
fn shapes_that_are_no_json_rpc_are_refused() {
    for text in [
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"/health"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"uri":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"a"}}"#,
        "",
        "   ",
        "null",
        "7",
        "\"ping\"",
        "[]",
        "[1]",
        "[[]]",
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn null_is_as_good_as_nothing() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":null}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#,
    ] {
        let Body::One(message) = parse(text.as_bytes()).unwrap() else { panic!("{text}") };
        assert_eq!((message.acts_on(), &message.version), (None, &Version::Absent), "{text}");
    }
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":"null"}"#,
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn what_a_message_acts_on_is_read_whatever_its_form() {
    let message = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    for (method, params, acts_on) in [
        ("resources/subscribe", r#"{"uri":"file:///a"}"#, Some("file:///a")),
        ("resources/unsubscribe", r#"{"uri":"file:///a"}"#, Some("file:///a")),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p","title":"P"}}"#,
            Some("prompts/get/p"),
        ),
        (
            "completion/complete",
            r#"{"ref":{"uri":"db://{t}","type":"ref/resource"}}"#,
            Some("resources/read/db://{t}"),
        ),
        ("completion/complete", "{}", None),
        ("resources/subscribe", "{}", None),
        ("resources/unsubscribe", r#"{"_meta":{}}"#, None),
        ("tools/call", r#"{"name":"t","ref":{"a":1},"notifications":7}"#, Some("t")),
    ] {
        let text = message(method, params);
        let Body::One(message) = parse(text.as_bytes()).unwrap() else { panic!("{text}") };
        assert_eq!(message.acts_on(), acts_on, "{text}");
    }
    let text = message(
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":["file:///a","b"],"x":1}}"#,
    );
    let Body::One(listening) = parse(text.as_bytes()).unwrap() else { panic!("{text}") };
    assert_eq!(listening.subscriptions().collect::<Vec<_>>(), ["file:///a", "b"]);
    for (method, params) in [
        ("resources/subscribe", r#"{"uri":null}"#),
        ("resources/subscribe", r#"{"URI":"b"}"#),
        ("resources/subscribe", r#"{"uri":""}"#),
        ("resources/unsubscribe", r#"{"uri":7}"#),
        ("resources/subscribe", r#"{"uri":"a","URI":"b"}"#),
        ("completion/complete", r#"{"ref":"p"}"#),
        ("completion/complete", r#"{"ref":null}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":""}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"a","uri":"b"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"a","Name":"b"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"a","name":"b"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/tool","name":"a"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"a"},"REF":{}}"#),
        ("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":"a"}}"#),
        ("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":[7]}}"#),
        (
            "subscriptions/listen",
            r#"{"notifications":{"resourceSubscriptions":[],"resourcesubscriptions":["a"]}}"#,
        ),
        ("subscriptions/listen", r#"{"notifications":{"a":1,"a":2}}"#),
    ] {
        assert!(parse(message(method, params).as_bytes()).is_err(), "{method} {params}");
    }
    let many =
        format!(r#"{{"notifications":{{"resourceSubscriptions":[{}]}}}}"#, vec!["\"a\""; 257].join(","));
    assert!(parse(message("subscriptions/listen", &many).as_bytes()).is_err());
}

#[test]
fn encodings_other_than_utf_8_are_refused() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert!(parse(ping.as_bytes()).is_ok());
    assert_eq!(parse(format!("\u{feff}{ping}").as_bytes()).unwrap_err(), BadBody::Encoding);
    assert_eq!(
        parse(b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}").unwrap_err(),
        BadBody::Encoding
    );
    let utf16: Vec<u8> = ping.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(parse(&utf16).is_err());
}

#[test]
fn nesting_ends_at_64() {
    let nested = |levels: usize| {
        // The message is level 1, params level 2, and each array one more.
        let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{open}{close}}}}}"#)
    };
    assert!(parse(nested(64).as_bytes()).is_ok());
    assert!(matches!(parse(nested(65).as_bytes()), Err(BadBody::Json(_))));
    assert!(parse(nested(100_000).as_bytes()).is_err());
}

#[test]
fn objects_of_many_keys_stay_linear_and_are_still_checked() {
    let keys = |last: &str| {
        let many: Vec<String> = (0..16_000).map(|n| format!("\"k{n}\":1")).collect();
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{{{},"{last}":2}}}}}}"#,
            many.join(",")
        )
    };
    assert!(parse(keys("new").as_bytes()).is_ok());
    assert!(parse(keys("k15999").as_bytes()).is_err());
}

#[test]
fn a_batch_has_an_end() {
    let batch =
        |count: usize| format!("[{}]", vec![r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#; count].join(","));
    assert!(parse(batch(256).as_bytes()).is_ok());
    assert_eq!(parse(batch(257).as_bytes()).unwrap_err(), BadBody::Batch);
}
