//! Good requests spoilt by chance. No outcome is expected of any; what must hold for all of them: no more requests reach
//! the upstream than the gateway answered well, each of these is well-formed and tells nothing in the gateway's name
//! that the gateway did not say, and the next honest request is served.

use std::{
    io::Write,
    net::{Shutdown, SocketAddr},
    thread,
    time::Duration,
};

use crate::{
    place::{PING, Place, issue},
    recorder::{RESULT, Recorder, ok},
    support::{Chance, PATIENCE, scaled},
    wire::{self, Heard},
};

/// Connections at once, each with a key of its own, by which the upstream counts.
const LANES: usize = 16;
/// How often, in requests, a lane looks whether all is still well.
const LOOK: u64 = 500;
/// A connection that was silent for so long waits for more, and is told that there is none.
const QUIET: Duration = Duration::from_millis(500);

/// What ends almost every state that a spoilt request can leave a reader in: a head, a body, a chunk, a next request.
fn tail() -> Vec<u8> {
    [&b"\r\n\r\n"[..], &[b' '; 1024]].concat()
}

/// Lines for heads, few of them welcome.
const LINES: [&[u8]; 28] = [
    b"Content-Length: 40\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 4, 40\r\n",
    b"Content-Length: +40\r\n",
    b"Content-Length : 40\r\n",
    b"Content_Length: 4\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b" folded: 1\r\n",
    b"X-Bare: 1\n",
    b"X-Bare: 1\r",
    b"Host: localhost\r\n",
    b"Host: elsewhere.example\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: close, X-Portcullis-Subject\r\n",
    b"Connection: Transfer-Encoding\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\n",
    b"X-Portcullis-Subject: root\r\n",
    b"X_Portcullis_Scopes: everything\r\n",
    b"X-Forwarded-For: 198.51.100.7\r\n",
    b"Cookie: session=1\r\n",
    b"\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

/// Bytes that mean something to a reader of HTTP.
const MARKS: &[u8] = b"\0\t\n\r ,:;=\"+-0af/.%\x0b\x7f\x80\xff";

/// Good requests with this key.
fn models(key: &str) -> Vec<Vec<u8>> {
    let usual =
        format!("Host: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n");
    let length = PING.len();
    let (first, rest) = PING.split_at(9);
    let chunks = format!("{:x};a=b\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\nX-Trailer: 1\r\n\r\n", 9, length - 9);
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{}},{meta}}}}}"#
    );
    let close = "Connection: close\r\n";
    [
        format!("POST /mcp HTTP/1.1\r\n{usual}{close}Content-Length: {length}\r\n\r\n{PING}"),
        format!("POST /mcp HTTP/1.1\r\n{usual}{close}Transfer-Encoding: chunked\r\n\r\n{chunks}"),
        format!(
            "POST /mcp HTTP/1.1\r\n{usual}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
             Mcp-Name: echo\r\n{close}Content-Length: {}\r\n\r\n{call}",
            call.len()
        ),
        format!("GET /files/a?b=%2F HTTP/1.1\r\n{usual}Accept: */*\r\n{close}\r\n"),
        format!("PUT /files/b HTTP/1.1\r\n{usual}{close}Transfer-Encoding: chunked\r\n\r\n{chunks}"),
        format!(
            "POST /files/c HTTP/1.1\r\n{usual}Cookie: a=b\r\nForwarded: for=1.2.3.4\r\nX-Portcullis-Role: x\r\n\
             X-Kept: 1\r\n{close}Content-Length: 5\r\n\r\nhello"
        ),
        format!(
            "POST /mcp HTTP/1.1\r\n{usual}Content-Length: {length}\r\n\r\n{PING}\
             GET /files/d HTTP/1.1\r\n{usual}{close}\r\n"
        ),
    ]
    .map(String::into_bytes)
    .into()
}

struct Mutator {
    chance: Chance,
    models: Vec<Vec<u8>>,
}

impl Mutator {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.chance.below(end as u64)).expect("it is below an index")
    }

    fn next(&mut self) -> Vec<u8> {
        let model = self.below(self.models.len());
        let mut bytes = self.models[model].clone();
        for _ in 0..=self.below(2) {
            self.spoil(&mut bytes);
        }
        bytes
    }

    /// A few bytes somewhere.
    fn range(&mut self, bytes: &[u8], most: usize) -> std::ops::Range<usize> {
        let start = self.below(bytes.len());
        start..bytes.len().min(start + 1 + self.below(most))
    }

    /// A line somewhere, with its end.
    fn line(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let at = self.below(bytes.len());
        let start = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| at + end + 1);
        start..end
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        // A request that was deleted altogether is as good as any.
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        match self.below(12) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = MARKS[self.below(MARKS.len())],
            2 => bytes.insert(at, MARKS[self.below(MARKS.len())]),
            3 => drop(bytes.drain(self.range(bytes, 8))),
            4 => {
                let twice = bytes[self.range(bytes, 16)].to_vec();
                bytes.splice(at..at, twice);
            }
            5 => drop(bytes.drain(self.line(bytes))),
            6 => {
                let twice = bytes[self.line(bytes)].to_vec();
                let place = self.line(bytes).start;
                bytes.splice(place..place, twice);
            }
            7 | 8 => {
                let place = self.line(bytes).start;
                bytes.splice(place..place, LINES[self.below(LINES.len())].iter().copied());
            }
            9 => {
                let model = self.below(self.models.len());
                let other = self.models[model].clone();
                let line = other[self.line(&other)].to_vec();
                let place = self.line(bytes).start;
                bytes.splice(place..place, line);
            }
            10 => {
                let line = self.line(bytes);
                bytes[line]
                    .iter_mut()
                    .for_each(|byte| *byte ^= if byte.is_ascii_alphabetic() { 0x20 } else { 0 });
            }
            _ => {
                let end = self.line(bytes).end;
                let start = end.saturating_sub(2);
                let other: [&[u8]; 5] = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n"];
                bytes.splice(start..end, other[self.below(5)].iter().copied());
            }
        }
    }
}

/// What became of the requests of a lane.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    accepted: u64,
    refused: u64,
    arrived: u64,
    quiet: u64,
    repeated: u64,
}

struct Lane {
    gateway: SocketAddr,
    recorder: Recorder,
    subject: String,
    honest: Vec<u8>,
    tally: Tally,
}

impl Lane {
    fn arrived(&self) -> u64 {
        self.recorder.count(&self.subject)
    }

    fn prove(&mut self, bytes: &[u8]) {
        let before = self.arrived();
        let heard = self.send(bytes);
        let arrived = self.arrived() - before;
        self.tally.cases += 1;
        self.tally.accepted += heard.accepted();
        self.tally.refused += u64::from(heard.accepted() == 0);
        self.tally.arrived += arrived;
        let blames = heard.statuses().into_iter().any(|status| status >= 500);
        assert!(!blames, "what a client did is put down to a server: {heard:?}: {}", bytes.escape_ascii());
        if arrived > heard.accepted() {
            self.repeat(bytes);
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Heard {
        let mut stream = wire::connect(self.gateway);
        // A gateway that has refused already may have closed.
        let _ = stream.write_all(&[bytes, &tail()].concat());
        let mut heard = wire::listen(&mut stream, QUIET);
        if heard.is_open {
            self.tally.quiet += 1;
            let _ = stream.shutdown(Shutdown::Write);
            let more = wire::listen(&mut stream, PATIENCE);
            assert!(!more.is_open, "not closed: {}", bytes.escape_ascii());
            heard.answers.extend(more.answers);
        }
        heard
    }

    /// An answer may have been lost because the connection was closed early. So nothing is said after the request now, and
    /// nothing is cut short: the gateway has all the time that it takes.
    fn repeat(&mut self, bytes: &[u8]) {
        self.tally.repeated += 1;
        let before = self.arrived();
        let heard = wire::speak(self.gateway, bytes);
        let arrived = self.arrived() - before;
        let (accepted, shown) = (heard.accepted(), bytes.escape_ascii());
        assert!(arrived <= accepted, "{arrived} requests arrived, {accepted} were accepted: {shown}");
    }

    fn assert_well(&self) {
        let before = self.arrived();
        assert_eq!(wire::speak(self.gateway, &self.honest).statuses(), [200], "an honest request");
        assert_eq!(self.arrived() - before, 1, "an honest request at the upstream");
        // Any fault ends the test.
        self.recorder.take();
    }
}

fn run(gateway: SocketAddr, recorder: Recorder, number: usize, key: &str, cases: u64) -> Tally {
    let models = models(key);
    let honest = models[0].clone();
    let mut mutator = Mutator { chance: Chance::new(number as u64), models };
    let subject = format!("subject-{number}");
    let mut lane = Lane { gateway, recorder, subject, honest, tally: Tally::default() };
    for case in 0..cases {
        if case % LOOK == 0 {
            lane.assert_well();
        }
        lane.prove(&mutator.next());
    }
    lane.assert_well();
    lane.tally
}

#[test]
fn whatever_chance_makes_of_a_request_only_what_was_accepted_arrives() {
    let cases = scaled(100_000, 1_000_000);
    let place = Place::before(Recorder::with(|_| ok("application/json", RESULT), false), &[]);
    let keys: Vec<_> = (1..=LANES).map(|number| (number, issue(&place.home, number).key)).collect();
    let start = |(number, key): (usize, String)| {
        let (gateway, recorder) = (place.gateway, place.recorder.clone());
        thread::spawn(move || run(gateway, recorder, number, &key, cases / LANES as u64))
    };
    let lanes: Vec<_> = keys.into_iter().map(start).collect();
    let mut total = Tally::default();
    for lane in lanes {
        let tally = lane.join().expect("a lane found nothing");
        total.cases += tally.cases;
        total.accepted += tally.accepted;
        total.refused += tally.refused;
        total.arrived += tally.arrived;
        total.quiet += tally.quiet;
        total.repeated += tally.repeated;
    }
    eprintln!("{total:?}");
    assert_eq!(total.cases, cases);
    assert!(total.accepted > cases / 10 && total.refused > cases / 10, "chance is too kind or too cruel");
    assert!(total.arrived > cases / 10);
}
