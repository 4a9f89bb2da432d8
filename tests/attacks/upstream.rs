//! An MCP server that answers everything with an empty result and counts the messages that reach it.

use std::{
    io::{BufRead, BufReader, Read, Result, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

pub struct Upstream {
    /// Its MCP endpoint.
    pub url: String,
    messages: Arc<AtomicUsize>,
}

impl Upstream {
    /// Serves for as long as the test runs.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let messages = Arc::<AtomicUsize>::default();
        let counter = messages.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counter = counter.clone();
                // A connection ends when its client wants it, in whatever way.
                thread::spawn(move || _ = serve(&stream, &counter));
            }
        });
        Self { url, messages }
    }

    /// How many messages, of batches too, came since the last time.
    pub fn came(&self) -> usize {
        self.messages.swap(0, Ordering::SeqCst)
    }
}

fn serve(mut stream: &TcpStream, messages: &AtomicUsize) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        messages.fetch_add(message.as_array().map_or(1, Vec::len), Ordering::SeqCst);
        let answer = match &message {
            Value::Array(batch) => batch.iter().map(result).collect(),
            one => result(one),
        };
        let answer = answer.to_string();
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{answer}"
        )?;
    }
}

fn result(message: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": message["id"], "result": {}})
}
