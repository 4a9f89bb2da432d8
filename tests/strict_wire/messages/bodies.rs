//! Bodies that one parser reads as this and another as that, and those that only look odd.

use super::{JSON, MALFORMED, NOT_JSON, Outcome, Outcome::Passes, Prover};

impl Prover {
    /// A body of the era of sessions.
    fn body(&mut self, outcome: Outcome, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let shown = String::from_utf8_lossy(&body[..body.len().min(160)]).escape_debug().to_string();
        self.expect(outcome, &shown, JSON.as_bytes(), body);
    }

    /// A call of a tool with these arguments.
    fn arguments(&mut self, outcome: Outcome, arguments: &str) {
        let head = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":"#;
        self.body(outcome, format!("{head}{arguments}}}}}"));
    }
}

#[test]
fn a_key_stands_once_at_every_level() {
    let mut prover = Prover::new();
    let version = r#""io.modelcontextprotocol/protocolVersion":"2025-11-25""#;
    for twice in [
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","id":2}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"Params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1,"x":2}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":{"y":1,"y":2}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"y":1,"y":2}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{},"arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","uri":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","URI":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{},"_meta":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{},"_META":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":1,"progressToken":2}}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping","id":3}]"#,
    ] {
        prover.body(MALFORMED, twice);
    }
    let meta =
        |keys: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{{{keys}}}}}}}"#);
    prover.body(MALFORMED, meta(&format!("{version},{version}")));
    prover.body(MALFORMED, meta(&format!("{version},{}", version.replace("protocolV", "protocolv"))));
    for twice in
        [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":{"c":1,"c":2}}]}"#, r#"{"":1,"":2}"#, r#"{"\u00e9":1,"é":2}"#]
    {
        prover.arguments(MALFORMED, twice);
    }
    for fine in [
        r#"{"a":1,"A":2}"#,
        r#"{"a":{"a":{"a":1}}}"#,
        r#"[{"a":1},{"a":1}]"#,
        r#"{"name":"b","method":"c","id":2}"#,
        r#"{"e\u0301":1,"é":2}"#,
        r#"{"a":1,"a ":2}"#,
    ] {
        prover.arguments(Passes, fine);
    }
    prover.body(
        Passes,
        r#"{"params":{"_meta":{"progressToken":1}},"method":"ping","id":1,"jsonrpc":"2.0","x":1}"#,
    );
    prover.body(Passes, r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"ping"}"#);
    prover.end(28, 8);
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn a_body_is_utf_8_and_says_nothing_else_of_itself() {
    let mut prover = Prover::new();
    let units = |order: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}{PING}").encode_utf16().flat_map(order).collect()
    };
    let wide: Vec<u8> = PING.chars().flat_map(|character| u32::from(character).to_le_bytes()).collect();
    prover.body(MALFORMED, format!("\u{feff}{PING}"));
    prover.body(MALFORMED, format!(" \u{feff}{PING}"));
    prover.body(MALFORMED, format!("{PING}\u{feff}"));
    prover.body(MALFORMED, units(u16::to_le_bytes, ""));
    prover.body(MALFORMED, units(u16::to_be_bytes, ""));
    prover.body(MALFORMED, units(u16::to_le_bytes, "\u{feff}"));
    prover.body(MALFORMED, units(u16::to_be_bytes, "\u{feff}"));
    prover.body(MALFORMED, wide);
    prover.body(MALFORMED, "+AHsAIg-jsonrpc+ACIAOgAi-2.0+ACI-");
    let text = |bytes: &[u8]| {
        [br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"#, bytes, br#""}}"#].concat()
    };
    for wrong in [
        &b"\xff"[..],
        b"\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xed\xb0\x80",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe9",
        b"\\ud800",
        b"\\udc00",
        b"\\ud800\\ud800",
        b"\\udc00\\ud800",
        b"\\ud83d\\u0041",
        b"\\uD83D\xf0\x9f\x98\x80",
        b"\\u12g4",
        b"\\u{41}",
        b"\\x41",
        b"\\'",
        b"\0",
        b"\n",
        b"\t",
        b"\x1f",
    ] {
        prover.body(MALFORMED, text(wrong));
    }
    for fine in [
        &b""[..],
        "é世😀".as_bytes(),
        b"\\ud83d\\ude00",
        b"\\uD83D\\uDE00",
        b"\\u0041\\n\\/\\u0000",
        b"\x7f",
        "\u{2028}".as_bytes(),
        "\u{fffe}\u{10ffff}".as_bytes(),
        "b\u{feff}".as_bytes(),
    ] {
        prover.body(Passes, text(fine));
    }
    // Half a character in what decides nothing passes as it was written.
    for place in [r#"{"\ud800":1}"#, r#"{"a":"\ud800"}"#, r#"["\udfff"]"#] {
        prover.arguments(Passes, place);
    }
    prover.body(MALFORMED, r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#);
    for (outcome, field) in [
        (NOT_JSON, "Content-Type: application/json; charset=utf-7\r\n"),
        (NOT_JSON, "Content-Type: application/json; charset=utf-16\r\n"),
        (NOT_JSON, "Content-Type: application/json; charset=utf-16le\r\n"),
        (NOT_JSON, "Content-Type: application/json; charset=iso-8859-1\r\n"),
        (NOT_JSON, "Content-Type: application/json; charset=ebcdic-cp-us\r\n"),
        (NOT_JSON, "Content-Type: application/json; charset=utf-8; charset=utf-16\r\n"),
        (NOT_JSON, "Content-Type: application/json; charset=\"utf-16\"\r\n"),
        (NOT_JSON, "Content-Type: application/json; charset*=utf-8''utf-16\r\n"),
        (NOT_JSON, "Content-Type: application/json, text/plain\r\n"),
        (NOT_JSON, "Content-Type: application/json\r\nContent-Type: text/plain\r\n"),
        (NOT_JSON, "Content-Type: text/plain\r\n"),
        (NOT_JSON, "Content-Type: application/json5\r\n"),
        (NOT_JSON, "Content-Type: application/x-www-form-urlencoded\r\n"),
        (NOT_JSON, "Content-Type:\r\n"),
        (NOT_JSON, "Content_Type: text/plain\r\n"),
        (NOT_JSON, "Content-Type: application/json\r\nContent_Type: text/plain\r\n"),
        (NOT_JSON, "Content-Type: application/json\r\nContent_Encoding: gzip\r\n"),
        (Passes, "Content_Type: application/json\r\n"),
        (NOT_JSON, "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"),
        (NOT_JSON, "Content-Type: application/json\r\nContent-Encoding: identity, br\r\n"),
        (
            NOT_JSON,
            "Content-Type: application/json\r\nContent-Encoding: identity\r\nContent-Encoding: zstd\r\n",
        ),
        (Passes, "Content-Type: application/json; charset=utf-8\r\n"),
        (Passes, "Content-Type: application/json;charset=UTF-8\r\n"),
        (Passes, "Content-Type: application/json; charset=\"utf-8\";\r\n"),
        (Passes, "Content-Type: APPLICATION/JSON\r\n"),
        (Passes, "Content-Type: application/json\r\nContent-Encoding: identity\r\n"),
    ] {
        prover.expect(outcome, field, field.as_bytes(), PING.as_bytes());
    }
    prover.end(52, 16);
}

#[test]
fn a_body_is_one_value_no_deeper_than_64_with_numbers_that_are_numbers() {
    let mut prover = Prover::new();
    for (more, outcome) in
        [(0, Passes), (1, MALFORMED), (2, MALFORMED), (10_000, MALFORMED), (500_000, MALFORMED)]
    {
        // The message is the first level, params and arguments are the next.
        let nested = |open: &str, close: &str| {
            let levels = 64 - 3 + more;
            format!("{{\"a\":{}1{}}}", open.repeat(levels), close.repeat(levels))
        };
        prover.arguments(outcome, &nested("[", "]"));
        prover.arguments(outcome, &nested("{\"a\":", "}"));
        let levels = 64 - 1 + more;
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        prover.body(outcome, format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":{open}{close}}}"#));
    }
    for odd in
        ["", " ", "null", "true", "1", "\"ping\"", "ping", "{}", "[]", "[[]]", "[1]", "{", "}", "'", "<xml/>"]
    {
        prover.body(MALFORMED, odd);
    }
    for around in ["\n", " \t\r\n", "\r\n\r\n"] {
        prover.body(Passes, format!("{around}{PING}{around}"));
    }
    for behind in
        ["{}", " {}", ",", "]", "}", "\0", "\x0b", "\x0c", "\u{a0}", "\u{2028}", "//", "x", "\n{}", ";"]
    {
        prover.body(MALFORMED, format!("{PING}{behind}"));
    }
    for before in ["\0", "\x0b", ")]}',\n", "\x1e", "/**/", "data: ", "while(1);"] {
        prover.body(MALFORMED, format!("{before}{PING}"));
    }
    prover.body(MALFORMED, format!("{PING}\n{PING}"));
    prover.body(MALFORMED, PING.replace("}", ",}"));
    prover.body(MALFORMED, PING.replace('"', "'"));
    prover.body(MALFORMED, PING.replace("\"id\"", "id"));
    let many = "9".repeat(400);
    for number in ["01", "-", "+1", ".5", "1.", "1e", "0x10", "NaN", "Infinity", "-Infinity", "1_000"] {
        prover.arguments(MALFORMED, &format!("{{\"a\":{number}}}"));
    }
    // What decides nothing may be a number that few programs can hold.
    for number in [
        "0",
        "-0",
        "1e308",
        "1E-400",
        "18446744073709551616",
        "0.1000000000000000055511151231257827",
        "1e400",
        "-1e400",
        &many,
    ] {
        prover.arguments(Passes, &format!("{{\"a\":{number}}}"));
    }
    let id = |id: &str| PING.replace(":1,", &format!(":{id},"));
    for wrong in [
        "null",
        "true",
        "1.5",
        "1e3",
        "1.0",
        "[1]",
        "{}",
        "18446744073709551616",
        "-9223372036854775809",
        &many,
    ] {
        prover.body(MALFORMED, id(wrong));
    }
    for fine in [
        "0",
        "-1",
        "9223372036854775807",
        "18446744073709551615",
        "-9223372036854775808",
        "\"\"",
        "\"a\\u0000\"",
    ] {
        prover.body(Passes, id(fine));
    }
    prover.end(72, 22);
}

#[test]
fn batches_are_of_one_revision() {
    let mut prover = Prover::new();
    let batch = |count: usize| format!("[{}]", vec![PING; count].join(","));
    let fields = |version: &str| match version {
        "" => JSON.to_owned(),
        version => format!("{JSON}MCP-Protocol-Version: {version}\r\nMcp-Method: ping\r\n"),
    };
    for (version, outcome) in [
        ("", Passes),
        ("2025-03-26", Passes),
        ("2024-11-05", MALFORMED),
        ("2025-06-18", MALFORMED),
        ("2025-11-25", MALFORMED),
        ("2026-07-28", MALFORMED),
    ] {
        for count in [1, 2, 256] {
            prover.expect(
                outcome,
                &format!("{count} in {version}"),
                fields(version).as_bytes(),
                batch(count).as_bytes(),
            );
        }
        for wrong in
            [batch(0), batch(257), format!("[{}]", batch(1)), format!("[{PING},1]"), format!("[{PING},]")]
        {
            prover.expect(
                MALFORMED,
                &format!("{version}: {wrong:.80}"),
                fields(version).as_bytes(),
                wrong.as_bytes(),
            );
        }
    }
    prover.end(42, 6);
}
