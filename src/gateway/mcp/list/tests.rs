use super::*;

fn only_a(text: &str) -> Result<Option<String>, Unreadable> {
    edit(text, &mut |name| name.starts_with('a'))
}

#[test]
fn what_stays_stays_byte_for_byte_and_in_order() {
    let text = "{ \"jsonrpc\":\"2.0\",\n \"result\": {\"nextCursor\" : \"x\", \"tools\" : [ {\"name\":\"b1\"}, {\"name\": \"a2\", \"n\": 1.50e3 , \"d\":\"\\u00e9\"} ,{\"name\":\"b3\"},{\"description\":\"z\",\"name\":\"a1\"} ], \"z\":1}, \"id\": 7 }\n";
    let edited = "{ \"jsonrpc\":\"2.0\",\n \"result\": {\"nextCursor\" : \"x\", \"tools\" : [{\"name\": \"a2\", \"n\": 1.50e3 , \"d\":\"\\u00e9\"},{\"description\":\"z\",\"name\":\"a1\"}], \"z\":1}, \"id\": 7 }\n";
    assert_eq!(only_a(text).unwrap().unwrap(), edited);
}

#[test]
fn nothing_changes_where_all_may_be_called_or_no_tools_are_listed() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"ab"}]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"cacheScope":"private"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ] {
        assert_eq!(only_a(text), Ok(None), "{text}");
    }
}

#[test]
fn an_answer_for_one_caller_is_not_for_shared_caches() {
    let text = r#"{"id":1,"result":{"cacheScope":"public","ttlMs":5,"tools":[{"name":"a"}]}}"#;
    assert_eq!(only_a(text).unwrap().unwrap(), text.replace("public", "private"));
    let text = r#"{"id":1,"result":{"tools":[{"name":"b"}],"cacheScope":"public"}}"#;
    assert_eq!(only_a(text).unwrap().unwrap(), r#"{"id":1,"result":{"tools":[],"cacheScope":"private"}}"#);
}

#[test]
fn names_are_judged_as_they_are_meant() {
    assert_eq!(
        only_a(r#"{"result":{"t\u006fols":[{"n\u0061me":"\u0062"}]}}"#).unwrap().unwrap(),
        r#"{"result":{"t\u006fols":[]}}"#
    );
    assert_eq!(
        only_a(r#"[{"result":{"tools":[{"name":"b"}]}},{"id":2,"result":{"tools":[{"name":"c"}]}}]"#)
            .unwrap()
            .unwrap(),
        r#"[{"result":{"tools":[]}},{"id":2,"result":{"tools":[]}}]"#
    );
}

#[test]
fn an_answer_that_could_be_read_in_two_ways_is_not_passed() {
    for text in [
        "",
        "not json",
        "{\"result\":",
        r#"{"result":{"tools":{}}}"#,
        r#"{"result":{"tools":[{}]}}"#,
        r#"{"result":{"tools":["b"]}}"#,
        r#"{"result":{"tools":[{"name":1}]}}"#,
        r#"{"result":{"tools":[{"name":"a","name":"b"}]}}"#,
        r#"{"result":{"tools":[],"tools":[{"name":"b"}]}}"#,
        r#"{"result":{},"result":{"tools":[{"name":"b"}]}}"#,
    ] {
        assert_eq!(only_a(text), Err(Unreadable), "{text}");
    }
}

fn edited(event: Bytes) -> Bytes {
    edit_event(event, &mut |name| name.starts_with('a'))
}

fn stream(frames: &[&str]) -> Vec<String> {
    let mut events = Events::new();
    let mut out = Vec::new();
    for frame in frames {
        events.push(frame.as_bytes());
        let passed: Vec<_> = std::iter::from_fn(|| events.take()).flat_map(edited).collect();
        out.push(String::from_utf8(passed).unwrap());
    }
    out
}

/// All of a stream that ends behind `text`.
fn ended(text: &str) -> String {
    let mut events = Events::new();
    events.push(text.as_bytes());
    let mut passed: Vec<_> = std::iter::from_fn(|| events.take()).flat_map(edited).collect();
    passed.extend(events.rest().into_iter().flat_map(edited));
    String::from_utf8(passed).unwrap()
}

const LIST: &str = r#"data: {"id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#;
const LESS: &str = r#"data: {"id":1,"result":{"tools":[{"name":"a"}]}}"#;

#[test]
fn events_are_edited_as_they_come() {
    let note = "event: message\ndata: {\"method\":\"notifications/progress\"}\n\n";
    let frames = [note, "id: 4\nevent: message\n", LIST, "\n", "\n: still here\n", "\n"];
    let edited = format!("id: 4\nevent: message\n{LESS}\n\n");
    assert_eq!(stream(&frames), [note, "", "", "", &edited, ": still here\n\n"]);
}

#[test]
fn all_line_ends_end_an_event() {
    for end in ["\n", "\r\n", "\r"] {
        // After a lone CR it takes the next byte to know that no LF follows.
        let frame = format!("id: 1{end}{LIST}{end}{end}: x{end}");
        assert_eq!(stream(&[&frame]).concat(), format!("id: 1\n{LESS}\n\n"), "{end:?}");
        let byte_by_byte: Vec<String> = frame.chars().map(String::from).collect();
        let frames: Vec<&str> = byte_by_byte.iter().map(String::as_str).collect();
        assert_eq!(stream(&frames).concat(), format!("id: 1\n{LESS}\n\n"), "{end:?}");
    }
}

#[test]
fn data_over_several_lines_is_one_message() {
    let frame = "data: {\"id\":1,\"result\":\ndata: {\"tools\":[{\"name\":\"b\"}]}}\n\n";
    assert_eq!(stream(&[frame]).concat(), "data: {\"id\":1,\"result\":\ndata: {\"tools\":[]}}\n\n");
}

#[test]
fn events_without_data_pass() {
    for event in ["id: 1\nretry: 3000\ndata: \n\n", ": ping\n\n", "event: x\ndata\n\n", "\n"] {
        assert_eq!(stream(&[event]).concat(), event);
    }
}

#[test]
fn what_is_no_list_passes_whatever_it_is() {
    for event in [
        "event: ping\ndata: ping\n\n",
        "event: ping\ndata: 2026-07-28T09:30:00Z\n\n",
        "event: ping\ndata: {\"time\": 5}\n\n",
        "event: ping\ndata: [1, 2]\n\n",
        "data: null\n\n",
        "data: \"x\"\n\n",
        "data: 7\n\n",
        "data: true\n\n",
        "event: endpoint\ndata: /messages?session=1\n\n",
        "event: error\ndata: <html>\n\n",
        "retry: 3000\n\n",
        ": keep-alive\n\n",
        ":\n\n",
        "data: {\"a\":\"\\ud800\",\"b\":1e999}\n\n",
    ] {
        assert_eq!(ended(event), event);
    }
    let invalid = Bytes::from_static(b"event: ping\ndata: \xff\n\n");
    assert_eq!(edited(invalid.clone()), invalid);
}

#[test]
fn what_could_be_a_list_and_cannot_be_read_is_dropped_by_itself() {
    for (event, left) in [
        ("data: [DONE]\n\n", "\n"),
        ("id: 4\nevent: message\ndata: {\"result\":\n\n", "id: 4\n\n"),
        (
            "event: ping\ndata: {\"result\":{\"tools\":[],\"tools\":[{\"name\":\"b\"}]}}\nretry: 5\n\n",
            "retry: 5\n\n",
        ),
        ("data: \u{feff}{\"result\":{\"tools\":[{\"name\":\"b\"}]}}\n\n", "\n"),
        ("data: {\"result\":{\"tools\":[{\"name\":\"\\ud800\"}]}}\n: x\n\n", ": x\n\n"),
    ] {
        let stream = format!("{event}{LIST}\n\n");
        assert_eq!(ended(&stream), format!("{left}{LESS}\n\n"), "{event}");
    }
    let invalid = Bytes::from_static(b"id: 1\ndata: {\"result\":{\"tools\":[{\"name\":\"b\xff\"}]}}\n\n");
    assert_eq!(edited(invalid), "id: 1\n\n");
}

#[test]
fn an_end_without_a_blank_line_ends_the_last_event() {
    let note = ": x\n\n";
    for end in ["", "\n", "\r", "\r\n"] {
        assert_eq!(ended(&format!("{note}{LIST}{end}")), format!("{note}{LESS}\n\n"), "{end:?}");
    }
    let own = "id: 3\ndata: {\"id\":1,\"result\":{}}";
    assert_eq!(ended(own), own, "what needs no edit passes as it is");
    assert_eq!(ended("data: {\"id\":1,\"result\":{\"tools\":["), "\n", "half a list");
    assert_eq!(ended(note), note);
}

#[test]
fn an_event_has_an_end_and_what_is_longer_goes_by_itself() {
    for (start, middle) in [("data: ", "x"), ("data: x\n", "data: x\n"), (": ", "y\r")] {
        let mut events = Events::new();
        events.push(start.as_bytes());
        while events.held.len() < MOST {
            events.push(middle.repeat(1024).as_bytes());
        }
        assert_eq!(events.take(), None);
        events.push(middle.repeat(1024).as_bytes());
        assert_eq!(events.take(), None);
        assert!(events.held.len() < 16, "it is not held any more");
        events.push(b"more\ndata: [\n");
        assert_eq!(events.take(), None);
        assert_eq!(events.rest(), None, "and is not passed where the stream ends");
        let mut events = Events { is_dropped: true, ..Events::new() };
        events.push(format!("rest\n\n{LIST}\n\n").as_bytes());
        assert_eq!(events.take().unwrap(), format!("{LIST}\n\n"), "the next one is there");
        assert_eq!(events.take(), None);
    }
    let mut events = Events::new();
    events.push(&vec![b'x'; MOST]);
    assert_eq!(events.take(), None);
    assert_eq!(events.rest().unwrap().len(), MOST);
}
