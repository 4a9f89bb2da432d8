//! MCP messages as they stand on the wire: the body decides, a header that says otherwise is refused, and so is a body
//! that two parsers could read differently. Whatever passes, arrives byte for byte.

mod bodies;
mod headers;

use serde_json::Value;

use crate::{place::Place, wire};

/// What must become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passes,
    /// With this status, JSON-RPC code and reason.
    Refused(u16, i64, &'static str),
}

const MISMATCH: Outcome = Outcome::Refused(400, -32020, "header_mismatch");
const UNSUPPORTED: Outcome = Outcome::Refused(400, -32022, "bad_request");
const NO_VERSION: Outcome = Outcome::Refused(400, -32602, "bad_request");
const MALFORMED: Outcome = Outcome::Refused(400, 400, "bad_request");
const NOT_JSON: Outcome = Outcome::Refused(415, 415, "bad_request");

const JSON: &str = "Content-Type: application/json\r\n";

/// Proves outcome by outcome, each message over a connection of its own, and that both sides have been seen.
struct Prover {
    place: Place,
    passed: usize,
    refused: usize,
    faults: Vec<String>,
}

impl Prover {
    fn new() -> Self {
        Self { place: Place::new(&[]), passed: 0, refused: 0, faults: Vec::new() }
    }

    /// Sends `body` with these fields beside those that every request has.
    fn expect(&mut self, outcome: Outcome, what: &str, fields: &[u8], body: &[u8]) {
        let (key, length) = (&self.place.key, body.len());
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
             Content-Length: {length}\r\n"
        );
        let heard = wire::speak(self.place.gateway, &[head.as_bytes(), fields, b"\r\n", body].concat());
        let arrived = self.place.recorder.take();
        let found = match (&heard.statuses()[..], &arrived[..]) {
            ([200], [request]) if request.body == body => Outcome::Passes,
            ([200], [_]) => panic!("{what}: other bytes arrived than were sent"),
            ([status @ 400..=499], []) => {
                let error =
                    serde_json::from_slice::<Value>(&heard.answers[0].body).expect("JSON")["error"].take();
                let reason = match error["data"]["reason"].as_str() {
                    Some("header_mismatch") => "header_mismatch",
                    Some("bad_request") => "bad_request",
                    other => panic!("{what}: {other:?}"),
                };
                Outcome::Refused(*status, error["code"].as_i64().expect("a code"), reason)
            }
            other => panic!("{what}: {other:?}"),
        };
        if found != outcome {
            self.faults.push(format!("{what}: {found:?}, not {outcome:?}"));
        }
        *(if outcome == Outcome::Passes { &mut self.passed } else { &mut self.refused }) += 1;
    }

    /// At least so many were refused, and so many near misses passed.
    fn end(self, refused: usize, passed: usize) {
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
        eprintln!("{} messages refused, {} near misses passed", self.refused, self.passed);
        assert!(self.refused >= refused && self.passed >= passed);
        self.place.assert_serves();
    }
}
