//! A client that writes bytes and reads bytes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    strict::{self, Message, Of},
    support::PATIENCE,
};

/// What came back until the gateway closed.
#[derive(Debug)]
pub struct Heard {
    /// Final answers, in their order; those to `Expect` are left out.
    pub answers: Vec<Message>,
    /// Whether the wait ended before the connection did.
    pub is_open: bool,
}

impl Heard {
    pub fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| strict::status(&answer.first_line).expect("a status")).collect()
    }

    /// How many requests were taken: by the answers, all that are no refusal.
    pub fn accepted(&self) -> u64 {
        self.statuses().iter().filter(|&&status| status < 400).count() as u64
    }
}

pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the gateway takes connections");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Writes all of `bytes` and reads until the gateway closes.
pub fn speak(to: SocketAddr, bytes: &[u8]) -> Heard {
    let mut stream = connect(to);
    // A gateway that has refused already may have closed.
    let _ = stream.write_all(bytes);
    let heard = listen(&mut stream, PATIENCE);
    assert!(!heard.is_open, "neither refused nor closed: {:.2000}", bytes.escape_ascii());
    heard
}

/// The same, and says that nothing more will come.
pub fn speak_and_end(to: SocketAddr, bytes: &[u8]) -> Heard {
    let mut stream = connect(to);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let heard = listen(&mut stream, PATIENCE);
    assert!(!heard.is_open, "not closed: {:.2000}", bytes.escape_ascii());
    heard
}

/// Reads until the gateway closes, or says nothing for so long.
pub fn listen(stream: &mut TcpStream, patience: Duration) -> Heard {
    stream.set_read_timeout(Some(patience)).expect("a socket");
    let mut bytes = Vec::new();
    let is_open = match stream.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    };
    Heard { answers: answers(&bytes), is_open }
}

fn answers(bytes: &[u8]) -> Vec<Message> {
    let mut answers = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let read = strict::read(Of::Responses, &bytes[at..]);
        let read =
            read.unwrap_or_else(|fault| panic!("the gateway answered {fault}, in {}", bytes.escape_ascii()));
        // What a reset cut off is no answer.
        let Some((answer, length)) = read else { break };
        at += length;
        if !answer.first_line.starts_with("HTTP/1.1 1") {
            answers.push(answer);
        }
    }
    answers
}
