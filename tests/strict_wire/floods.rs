//! HTTP/2 as an attack: what asks for nothing, without end. Each flood ends its own connection; an honest client beside
//! it is served, what is a little less passes, and nothing of it reaches the upstream or stays in memory.

use crate::{
    frames::{
        ACK, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, PING as PING_FRAME,
        RST_STREAM, SETTINGS, block, frame,
    },
    place::{PING, Place},
    recorder::{Recorder, ok},
};

/// More of anything than a connection may have.
const FLOOD: usize = 20_000;
/// At the upstream, of one flooded connection: what it may have in flight, and forsake.
const PASSED: usize = 250;

/// A place under TLS, and what makes an honest request of it.
struct Wire {
    place: Place,
    bearer: String,
}

impl Wire {
    fn new() -> Self {
        Self::before(Recorder::start())
    }

    fn before(recorder: Recorder) -> Self {
        let place = Place::before(recorder, &["--tls", "self-signed"]);
        let bearer = format!("Bearer {}", place.key);
        Self { place, bearer }
    }

    fn connect(&self) -> Connection {
        Connection::open(self.place.gateway)
    }

    fn fields(&self) -> [(&str, &str); 6] {
        [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", "/mcp"),
            (":authority", "localhost"),
            ("content-type", "application/json"),
            ("authorization", &self.bearer),
        ]
    }

    fn honest(&self, connection: &mut Connection) -> Outcome {
        connection.ask(&self.fields(), PING.as_bytes(), &[])
    }

    /// Begins a request whose body is announced.
    fn begin(&self, connection: &mut Connection) -> u32 {
        let id = connection.next();
        connection.flood([frame(HEADERS, END_HEADERS, id, &block(&self.fields())).as_slice()]);
        id
    }

    /// What is said ends its connection, while on another honest requests are answered; answers how many came through.
    fn ends(&self, what: &str, mut connection: Connection, said: impl FnOnce(&mut Connection)) -> usize {
        let mut beside = self.connect();
        assert_eq!(self.honest(&mut beside), Outcome::Status(200), "{what}: before");
        said(&mut connection);
        assert!(!connection.state().1, "{what}: the connection goes on");
        assert_eq!(self.honest(&mut beside), Outcome::Status(200), "{what}: beside it");
        assert_eq!(self.honest(&mut self.connect()), Outcome::Status(200), "{what}: after it");
        self.place.recorder.take().len() - 3
    }

    /// What is said is borne.
    fn bears(&self, what: &str, said: impl FnOnce(&mut Connection)) {
        let mut connection = self.connect();
        said(&mut connection);
        assert!(connection.state().1, "{what}: the connection has ended");
        assert_eq!(self.honest(&mut connection), Outcome::Status(200), "{what}");
    }
}

/// So often, in pieces that fit a record.
fn many(connection: &mut Connection, bytes: &[u8], times: usize) {
    const PIECE: usize = 100;
    let piece = bytes.repeat(PIECE);
    connection.flood(std::iter::repeat_n(piece.as_slice(), times / PIECE));
    connection.flood(std::iter::repeat_n(bytes, times % PIECE));
}

#[test]
fn frames_that_ask_for_nothing_are_a_thousand_and_no_flood() {
    let wire = Wire::new();
    let kinds = [
        ("PING", frame(PING_FRAME, 0, 0, &[7; 8])),
        ("PING answered without being asked", frame(PING_FRAME, ACK, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 7])),
        ("a window that grows by one", frame(8, 0, 0, &[0, 0, 0, 1])),
        ("an unknown frame", frame(77, 0, 0, b"what")),
    ];
    for (what, bytes) in &kinds {
        let passed = wire.ends(what, wire.connect(), |connection| many(connection, bytes, FLOOD));
        assert_eq!(passed, 0, "{what}");
        wire.bears(what, |connection| many(connection, bytes, 500));
        wire.place.recorder.take();
    }
}

#[test]
fn empty_data_is_no_flood() {
    let wire = Wire::new();
    let what = "empty DATA";
    let passed = wire.ends(what, wire.connect(), |connection| {
        let id = wire.begin(connection);
        many(connection, &frame(DATA, 0, id, &[]), FLOOD);
    });
    assert_eq!(passed, 0);
    wire.bears(what, |connection| {
        let id = wire.begin(connection);
        many(connection, &frame(DATA, 0, id, &[]), 50);
        connection.flood([frame(DATA, END_STREAM, id, PING.as_bytes()).as_slice()]);
        assert_eq!(connection.answer(id), Outcome::Status(200));
    });
    assert_eq!(wire.place.recorder.take().len(), 2);
}

#[test]
fn streams_that_are_reset_at_once_are_no_flood() {
    let wire = Wire::new();
    // CVE-2023-44487: whole requests, each taken back behind itself.
    let passed = wire.ends("rapid reset", wire.connect(), |connection| {
        let fields = block(&wire.fields());
        for _ in 0..FLOOD {
            let id = connection.next();
            let whole = frame(HEADERS, END_HEADERS, id, &fields);
            let body = frame(DATA, END_STREAM, id, PING.as_bytes());
            connection.flood([[whole, body, frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat().as_slice()]);
        }
    });
    assert!(passed <= PASSED, "{passed} reached the upstream");
    // The same slowly: each is looked at before it is taken back.
    let forsake = |connection: &mut Connection, times: usize| {
        for _ in 0..times {
            let id = wire.begin(connection);
            if !connection.state().1 {
                return;
            }
            connection.flood([frame(RST_STREAM, 0, id, &[0, 0, 0, 8]).as_slice()]);
        }
    };
    let passed = wire.ends("patient reset", wire.connect(), |connection| forsake(connection, 1000));
    assert_eq!(passed, 0);
    wire.bears("a few resets", |connection| forsake(connection, 80));
}

#[test]
fn a_head_ends() {
    let wire = Wire::new();
    // CVE-2024-27316.
    for size in [0, 1, 16 * 1024] {
        let what = format!("CONTINUATION with {size} bytes");
        let passed = wire.ends(&what, wire.connect(), |connection| {
            let id = connection.next();
            connection.flood([frame(HEADERS, END_STREAM, id, &block(&wire.fields())).as_slice()]);
            // Literals, each of a name and a value of 60 bytes.
            let text = "x".repeat(60);
            let more = block(&[(&text, &text)]).repeat(1 + size / 123);
            many(connection, &frame(CONTINUATION, 0, id, &more[..size]), FLOOD / (1 + size / 100));
        });
        assert_eq!(passed, 0, "{what}");
    }
    wire.bears("a head in pieces", |connection| {
        let id = connection.next();
        let fields = block(&wire.fields());
        let (first, rest) = fields.split_at(8);
        connection.flood([frame(HEADERS, 0, id, first).as_slice()]);
        let (middle, last) = rest.split_at(50);
        connection.flood([frame(CONTINUATION, 0, id, middle).as_slice()]);
        connection.flood([frame(CONTINUATION, END_HEADERS, id, last).as_slice()]);
        connection.flood([frame(DATA, END_STREAM, id, PING.as_bytes()).as_slice()]);
        assert_eq!(connection.answer(id), Outcome::Status(200));
    });
}

#[test]
fn fields_that_grow_when_they_are_unpacked_are_refused() {
    let wire = Wire::new();
    // A field of 4 000 bytes goes into the table (RFC 7541 §6.2.1); one byte stands for it from then on.
    let bomb = |connection: &mut Connection, times: usize| {
        let id = connection.next();
        let mut packed = block(&wire.fields());
        packed.push(0x40);
        packed.extend_from_slice(&block(&[("x", &"y".repeat(4000))])[1..]);
        packed.extend(std::iter::repeat_n(0xbe, times));
        let mut pieces = packed.chunks(16_000).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            connection.flood([frame(kind, end, id, piece).as_slice()]);
            kind = CONTINUATION;
        }
        connection.flood([frame(DATA, END_STREAM, id, PING.as_bytes()).as_slice()]);
        connection.answer(id)
    };
    for times in [20, 10_000, 60_000] {
        let mut connection = Connection::saying(wire.place.gateway, &[]);
        assert_ne!(bomb(&mut connection, times), Outcome::Status(200), "{times}");
        assert_eq!(wire.place.recorder.take().len(), 0, "{times}");
        assert_eq!(wire.honest(&mut wire.connect()), Outcome::Status(200), "{times}");
        wire.place.recorder.take();
    }
    wire.bears("a field six times", |connection| assert_eq!(bomb(connection, 5), Outcome::Status(200)));
    assert_eq!(wire.place.recorder.take().len(), 2);
}

#[test]
fn a_connection_has_a_hundred_streams() {
    let wire = Wire::new();
    let open = |connection: &mut Connection, streams: usize| {
        (0..streams).map(|_| wire.begin(connection)).collect::<Vec<_>>()
    };
    let mut connection = wire.connect();
    let opened = open(&mut connection, 110);
    let (reset, lives) = connection.state();
    assert_eq!((reset.as_slice(), lives), (&opened[100..], true), "the last ten are refused");
    // Those that are open are answered.
    connection.flood([frame(DATA, END_STREAM, opened[0], PING.as_bytes()).as_slice()]);
    assert_eq!(connection.answer(opened[0]), Outcome::Status(200));
    assert_eq!(wire.honest(&mut connection), Outcome::Status(200), "in the place of the first");
    assert_eq!(wire.place.recorder.take().len(), 2);
    let passed = wire.ends("streams without end", wire.connect(), |connection| _ = open(connection, 2000));
    assert_eq!(passed, 0);
}

#[test]
#[cfg(target_os = "linux")]
fn windows_that_stay_shut_hold_little_and_nobody_else() {
    const CONNECTIONS: usize = 4;
    const STREAMS: usize = 50;
    /// For each stream: what h2 may hold, and what has come from the upstream meanwhile.
    const MORE: u64 = (CONNECTIONS * STREAMS) as u64 * 256;
    let large = Recorder::with(
        |request| match request.first_line.contains("/large") {
            true => ok("text/plain", &"x".repeat(4 * 1024 * 1024)),
            false => ok("application/json", crate::recorder::RESULT),
        },
        true,
    );
    let wire = Wire::before(large);
    assert_eq!(wire.honest(&mut wire.connect()), Outcome::Status(200));
    let before = crate::limits::resident(wire.place.process.id());
    // Of the stream, then of the connection: 65 535 bytes, which nobody adds to.
    for settings in [&[0, 4, 0, 0, 0, 0][..], &[0, 4, 0x7f, 0xff, 0xff, 0xff]] {
        let fields: Vec<_> = wire
            .fields()
            .into_iter()
            .map(|(name, value)| match name {
                ":method" => (name, "GET"),
                ":path" => (name, "/large"),
                _ => (name, value),
            })
            .collect();
        let mut shut: Vec<_> =
            (0..CONNECTIONS).map(|_| Connection::saying(wire.place.gateway, settings)).collect();
        for connection in &mut shut {
            for _ in 0..STREAMS {
                let id = connection.next();
                let whole = frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&fields));
                connection.flood([whole.as_slice()]);
            }
            assert!(connection.state().1);
        }
        let mut beside = wire.connect();
        for _ in 0..50 {
            assert_eq!(wire.honest(&mut beside), Outcome::Status(200));
        }
        let after = crate::limits::resident(wire.place.process.id());
        eprintln!("{CONNECTIONS} × {STREAMS} streams unread: from {before} KiB to {after} KiB");
        assert!(after <= before + MORE, "{before} KiB became {after} KiB");
    }
}
