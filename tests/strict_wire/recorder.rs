//! The upstream: it reads bytes as they arrive, writes down what they say, and notes every fault in them.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    judge,
    strict::{self, Message, Of},
};

/// What it answers to a request, byte for byte.
pub type Answer = fn(&Message) -> Vec<u8>;

/// An answer that begins so is the last one of its connection.
pub const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n";

/// The answer to any call.
pub const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

#[derive(Default)]
struct Pages {
    requests: Vec<Message>,
    counts: HashMap<String, u64>,
    faults: Vec<String>,
}

struct Book {
    pages: Mutex<Pages>,
    authority: String,
    answer: Answer,
    /// Whether requests are kept, or only counted.
    keeps: bool,
}

/// Serves until the process ends.
#[derive(Clone)]
pub struct Recorder {
    pub address: SocketAddr,
    book: Arc<Book>,
}

/// An answer with this body.
pub fn ok(media: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

impl Recorder {
    /// Keeps every request and answers each call with an empty result.
    pub fn start() -> Self {
        Self::with(|_| ok("application/json", RESULT), true)
    }

    pub fn with(answer: Answer, keeps: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let book = Book { pages: Mutex::default(), authority: address.to_string(), answer, keeps };
        let book = Arc::new(book);
        let shelf = Arc::clone(&book);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let book = Arc::clone(&shelf);
                thread::spawn(move || book.serve(stream.expect("a connection")));
            }
        });
        Self { address, book }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Every request since the last time. A fault in any ends the test.
    pub fn take(&self) -> Vec<Message> {
        let mut pages = self.book.pages.lock().expect("the book");
        assert!(pages.faults.is_empty(), "reached the upstream: {:#?}", pages.faults);
        std::mem::take(&mut pages.requests)
    }

    /// How many requests of a subject have come.
    pub fn count(&self, subject: &str) -> u64 {
        self.book.pages.lock().expect("the book").counts.get(subject).copied().unwrap_or(0)
    }
}

impl Book {
    fn serve(&self, mut stream: TcpStream) {
        let mut buffer = [0; 64 * 1024];
        let mut bytes = Vec::new();
        loop {
            match strict::read(Of::Requests, &bytes) {
                Err(fault) => return self.note(fault, &bytes),
                Ok(None) => match stream.read(&mut buffer) {
                    // What did not come whole was no request.
                    Ok(0) | Err(_) => return,
                    Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                },
                Ok(Some((request, length))) => {
                    if length != bytes.len() {
                        return self.note("more than one request before an answer".into(), &bytes);
                    }
                    bytes.clear();
                    let answer = (self.answer)(&request);
                    self.write_down(request);
                    if stream.write_all(&answer).is_err() || answer.starts_with(LAST) {
                        return;
                    }
                }
            }
        }
    }

    fn write_down(&self, request: Message) {
        for fault in judge::faults(&request, &self.authority) {
            self.note(fault, request.first_line.as_bytes());
        }
        let mut pages = self.pages.lock().expect("the book");
        let subject = request.one("x-portcullis-subject").unwrap_or_default().to_owned();
        *pages.counts.entry(subject).or_default() += 1;
        if self.keeps {
            pages.requests.push(request);
        }
    }

    fn note(&self, fault: String, bytes: &[u8]) {
        let fault = format!("{fault}, in {:.1000}", bytes.escape_ascii());
        self.pages.lock().expect("the book").faults.push(fault);
    }
}
