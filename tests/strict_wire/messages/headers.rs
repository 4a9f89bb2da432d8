//! `Mcp-Method`, `Mcp-Name` and `MCP-Protocol-Version` against the body (MCP 2026-07-28, Server Validation).

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{JSON, MISMATCH, NO_VERSION, Outcome, Outcome::Passes, Prover, UNSUPPORTED};

const VERSION: &str = "MCP-Protocol-Version: 2026-07-28\r\n";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;

fn message(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
}

/// A message whose params name something, and the version.
fn naming(method: &str, key: &str, name: &str) -> String {
    message(method, &format!(r#""{key}":{},{META}"#, serde_json::to_string(name).expect("JSON")))
}

fn sentinel(bytes: impl AsRef<[u8]>) -> String {
    format!("=?base64?{}?=", BASE64_STANDARD.encode(bytes))
}

impl Prover {
    /// A message of the new era with these headers beside its version.
    fn new_era(&mut self, outcome: Outcome, what: &str, fields: &str, body: &str) {
        self.expect(outcome, what, format!("{JSON}{VERSION}{fields}").as_bytes(), body.as_bytes());
    }
}

#[test]
fn a_method_is_that_of_the_body_letter_for_letter() {
    let mut prover = Prover::new();
    for (method, key, name) in [
        ("tools/call", Some("name"), "echo"),
        ("prompts/get", Some("name"), "greet"),
        ("resources/read", Some("uri"), "file:///a.md"),
        ("tools/list", None, ""),
        ("ping", None, ""),
        ("server/discover", None, ""),
        ("logging/setLevel", None, ""),
    ] {
        let (body, name) = match key {
            Some(key) => (naming(method, key, name), format!("Mcp-Name: {name}\r\n")),
            None => (message(method, META), String::new()),
        };
        let mut expect = |outcome, what: &str, fields: &str| {
            prover.new_era(outcome, &format!("{method}: {what}"), &format!("{fields}{name}"), &body);
        };
        expect(Passes, "the method", &format!("Mcp-Method: {method}\r\n"));
        expect(Passes, "the name of the field in upper case", &format!("MCP-METHOD:{method} \r\n"));
        expect(MISMATCH, "none", "");
        expect(MISMATCH, "empty", "Mcp-Method:\r\n");
        expect(MISMATCH, "another", "Mcp-Method: tools/listed\r\n");
        expect(MISMATCH, "upper case", &format!("Mcp-Method: {}\r\n", method.to_uppercase()));
        expect(MISMATCH, "a slash before", &format!("Mcp-Method: /{method}\r\n"));
        expect(MISMATCH, "a slash behind", &format!("Mcp-Method: {method}/\r\n"));
        expect(MISMATCH, "a dot segment", &format!("Mcp-Method: x/../{method}\r\n"));
        expect(
            MISMATCH,
            "an escape",
            &format!("Mcp-Method: %{:x}{}\r\n", method.as_bytes()[0], &method[1..]),
        );
        expect(MISMATCH, "a list", &format!("Mcp-Method: {method}, {method}\r\n"));
        expect(MISMATCH, "quotes", &format!("Mcp-Method: \"{method}\"\r\n"));
        expect(MISMATCH, "the sentinel of names", &format!("Mcp-Method: {}\r\n", sentinel(method)));
        expect(MISMATCH, "twice", &format!("Mcp-Method: {method}\r\nMcp-Method: {method}\r\n"));
        expect(MISMATCH, "two", &format!("Mcp-Method: {method}\r\nMcp-Method: ping2\r\n"));
        // A CGI-like server cannot tell the two apart.
        expect(Passes, "an underscore", &format!("Mcp_Method: {method}\r\n"));
        expect(MISMATCH, "an underscore and another", "Mcp_Method: ping2\r\n");
    }
    prover.end(90, 14);
}

#[test]
fn a_name_is_that_of_the_body_however_it_is_encoded() {
    let mut prover = Prover::new();
    for (method, key) in [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")] {
        let own = format!("Mcp-Method: {method}\r\n");
        let mut expect = |outcome, what: &str, name: &str, header: &str| {
            let fields = format!("{own}{header}");
            prover.new_era(outcome, &format!("{method}: {what}"), &fields, &naming(method, key, name));
        };
        let name = |value: &str| format!("Mcp-Name: {value}\r\n");
        let odd = "Zoë 世界";
        let literal = sentinel("echo");
        expect(Passes, "the name", "echo", &name("echo"));
        expect(Passes, "blanks around", "echo", "Mcp-Name:\t echo \r\n");
        expect(Passes, "the sentinel", "echo", &name(&sentinel("echo")));
        expect(Passes, "the sentinel beyond ASCII", odd, &name(&sentinel(odd)));
        expect(Passes, "the sentinel of blanks", " echo ", &name(&sentinel(" echo ")));
        // What a URI with a line end means is not agreed upon.
        let line_end = if key == "uri" { Outcome::Refused(400, 400, "bad_request") } else { Passes };
        expect(line_end, "the sentinel of a line end", "a\r\nb", &name(&sentinel("a\r\nb")));
        expect(Passes, "the sentinel of a sentinel", &literal, &name(&sentinel(&literal)));
        expect(Passes, "half a sentinel", "=?base64?ZWNobw==", &name("=?base64?ZWNobw=="));
        expect(
            Passes,
            "a sentinel in upper case is none",
            "=?BASE64?ZWNobw==?=",
            &name("=?BASE64?ZWNobw==?="),
        );
        expect(Passes, "an escape that the body has too", "a%2fb", &name("a%2fb"));
        expect(MISMATCH, "none", "echo", "");
        expect(MISMATCH, "empty", "echo", "Mcp-Name:\r\n");
        expect(MISMATCH, "another", "echo", &name("delete"));
        expect(MISMATCH, "upper case", "echo", &name("ECHO"));
        expect(MISMATCH, "a prefix", "echo", &name("ech"));
        expect(MISMATCH, "more", "echo", &name("echo2"));
        expect(MISMATCH, "quotes", "echo", &name("\"echo\""));
        expect(MISMATCH, "an escape", "echo", &name("%65cho"));
        expect(MISMATCH, "an escape in the body alone", "%65cho", &name("echo"));
        expect(MISMATCH, "a list", "echo", &name("echo, echo"));
        expect(MISMATCH, "twice", "echo", "Mcp-Name: echo\r\nMcp-Name: echo\r\n");
        expect(MISMATCH, "two", "echo", "Mcp-Name: echo\r\nMcp-Name: delete\r\n");
        expect(MISMATCH, "both forms", "echo", &format!("{}{}", name("echo"), name(&sentinel("echo"))));
        expect(Passes, "an underscore", "echo", "Mcp_Name: echo\r\n");
        expect(MISMATCH, "an underscore and another", "echo", "Mcp_Name: delete\r\n");
        expect(MISMATCH, "blanks that the body has", " echo", &name(" echo"));
        expect(MISMATCH, "the sentinel of another", "echo", &name(&sentinel("delete")));
        expect(MISMATCH, "the sentinel of more", "echo", &name(&sentinel("echo\0")));
        expect(MISMATCH, "the sentinel of nothing", "echo", &name("=?base64??="));
        expect(MISMATCH, "no padding", "echo", &name("=?base64?ZWNobw?="));
        expect(MISMATCH, "too much padding", "echo", &name("=?base64?ZWNobw===?="));
        expect(MISMATCH, "bits that do not count", "echo", &name("=?base64?ZWNobx==?="));
        expect(MISMATCH, "blanks in it", "echo", &name("=?base64?ZWNo bw==?="));
        expect(MISMATCH, "no base64", "echo", &name("=?base64?echo!?="));
        expect(MISMATCH, "the alphabet of URLs", "<<???>>", &name("=?base64?PDw_Pz8-Pg==?="));
        expect(MISMATCH, "no UTF-8 in it", "echo", &name(&sentinel(b"\xff\xfe")));
        expect(MISMATCH, "a sentinel that is meant literally", &literal, &name(&literal));
        expect(MISMATCH, "quoted-printable", "echo", &name("=?utf-8?Q?echo?="));
        expect(MISMATCH, "UTF-8 as it is", odd, &name(odd));
        expect(MISMATCH, "another normal form", "Zoe\u{308}", &name(&sentinel("Zoë")));
    }
    prover.end(85, 30);
}

#[test]
fn a_name_stands_only_where_the_body_names_something() {
    let mut prover = Prover::new();
    for method in
        ["tools/list", "prompts/list", "resources/list", "ping", "server/discover", "completion/complete"]
    {
        let own = format!("Mcp-Method: {method}\r\n");
        let body = message(method, &format!(r#""name":"echo",{META}"#));
        prover.new_era(MISMATCH, method, &format!("{own}Mcp-Name: echo\r\n"), &body);
        prover.new_era(Passes, method, &own, &body);
    }
    for (method, key) in [
        ("resources/subscribe", "uri"),
        ("resources/unsubscribe", "uri"),
        ("tasks/get", "taskId"),
        ("tasks/update", "taskId"),
        ("tasks/cancel", "taskId"),
    ] {
        let own = format!("Mcp-Method: {method}\r\n");
        let body = naming(method, key, "a");
        prover.new_era(Passes, method, &own, &body);
        prover.new_era(Passes, method, &format!("{own}Mcp-Name: a\r\n"), &body);
        prover.new_era(MISMATCH, method, &format!("{own}Mcp-Name: b\r\n"), &body);
        prover.new_era(MISMATCH, method, &format!("{own}Mcp-Name: a\r\nMcp-Name: a\r\n"), &body);
    }
    for (method, wrong) in [("notifications/cancelled", "notifications/initialized"), ("initialize", "ping")]
    {
        let id = if method == "initialize" { r#""id":1,"# } else { "" };
        let body = format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{{{META}}}}}"#);
        prover.new_era(Passes, method, "", &body);
        prover.new_era(Passes, method, &format!("Mcp-Method: {method}\r\n"), &body);
        prover.new_era(MISMATCH, method, &format!("Mcp-Method: {wrong}\r\n"), &body);
        prover.new_era(MISMATCH, method, "Mcp-Name: echo\r\n", &body);
    }
    prover.end(20, 20);
}

#[test]
fn a_version_is_one_that_is_spoken_and_that_of_the_body() {
    let mut prover = Prover::new();
    let meta = |version: &str| format!(r#""_meta":{{"io.modelcontextprotocol/protocolVersion":{version}}}"#);
    let own = "Mcp-Method: ping\r\n";
    let mut expect = |outcome, header: &str, params: &str| {
        let fields = format!("{JSON}{own}{header}");
        let what = format!("{header:?} over {params:?}");
        prover.expect(outcome, &what, fields.as_bytes(), message("ping", params).as_bytes());
    };
    let header = |version: &str| format!("MCP-Protocol-Version: {version}\r\n");
    let (new, old) = (meta(r#""2026-07-28""#), meta(r#""2025-11-25""#));
    expect(Passes, VERSION, &new);
    expect(Passes, "mcp-protocol-version:2026-07-28 \r\n", &new);
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        expect(Passes, &header(version), "");
        expect(Passes, &header(version), &meta(&format!("\"{version}\"")));
        expect(MISMATCH, &header(version), &new);
        expect(MISMATCH, VERSION, &meta(&format!("\"{version}\"")));
    }
    expect(Passes, "", "");
    expect(Passes, "", &old);
    expect(MISMATCH, "", &new);
    expect(MISMATCH, "", &meta(r#""2027-01-01""#));
    expect(Passes, "MCP_Protocol_Version: 2026-07-28\r\n", &new);
    expect(MISMATCH, "MCP_Protocol_Version: 2025-11-25\r\n", &new);
    expect(MISMATCH, &header("2025-06-18"), &old);
    expect(MISMATCH, VERSION, &meta(r#""2026-07-28 ""#));
    expect(MISMATCH, VERSION, &meta(r#""2027-01-01""#));
    expect(MISMATCH, VERSION, &meta(r#""""#));
    expect(MISMATCH, &format!("{VERSION}{VERSION}"), &new);
    expect(MISMATCH, &format!("{VERSION}{}", header("2025-11-25")), &new);
    expect(MISMATCH, &format!("{}{VERSION}", header("2025-11-25")), &old);
    expect(Passes, VERSION, &meta(r#""2026\u002d07-28""#));
    for missing in
        ["", r#""_meta":{}"#, &meta("20260728"), &meta("null"), &meta("[\"2026-07-28\"]"), &meta("{}")]
    {
        expect(NO_VERSION, VERSION, missing);
    }
    for unknown in [
        "2027-01-01",
        "2026-07-29",
        "2026-7-28",
        "20260728",
        "1",
        "latest",
        "DRAFT-2026",
        "2026-07-28, 2025-11-25",
        "\"2026-07-28\"",
        "2026-07-28;q=1",
        "２026-07-28",
    ] {
        expect(UNSUPPORTED, &header(unknown), &new);
    }
    expect(UNSUPPORTED, "MCP-Protocol-Version:\r\n", &new);
    prover.end(30, 12);
}
