//! A server behind the proxies that answers everything and remembers it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::spawn,
};

pub struct Upstream {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// One request as it arrived.
#[derive(Debug)]
pub struct Received {
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    /// The variables that a CGI-like server makes of it (RFC 3875 §4.1.18): which marks stood between words is lost.
    pub fn variables(&self) -> Vec<(String, &str)> {
        let mark =
            |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
        let variable = |name: &str| format!("HTTP_{}", name.chars().map(mark).collect::<String>());
        self.headers.iter().map(|(name, value)| (variable(name), value.as_str())).collect()
    }

    /// Every value of a field; the name in lower case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let upstream = Self { address: listener.local_addr().expect("an address"), received: Arc::default() };
        let received = upstream.received.clone();
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let received = received.clone();
                // A connection without a request is nothing to remember.
                spawn(move || serve(stream, &received));
            }
        });
        upstream
    }

    /// Every request since the last time.
    pub fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().expect("no panic"))
    }
}

fn serve(stream: TcpStream, received: &Mutex<Vec<Received>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let target = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    while let Some(text) = line().filter(|text| !text.is_empty()) {
        let (name, value) = text.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(Some(0), |(_, value)| value.parse().ok())?];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    received.lock().ok()?.push(Received { target, headers, body });
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    reader.get_mut().write_all(answer).ok()
}
