//! Puts the key into each request on its way to the gateway, for a suite that cannot. Everything else passes byte for
//! byte, and at once.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread::spawn,
};

pub struct Shim {
    /// In place of the gateway's MCP endpoint.
    pub url: String,
}

impl Shim {
    pub fn start(endpoint: &str, key: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let gateway = endpoint.split('/').nth(2).expect("an authority").to_owned();
        let url = endpoint.replace(&gateway, &address);
        let field = format!("Authorization: Bearer {key}\r\n");
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&gateway).expect("the gateway listens");
                let field = field.clone();
                spawn(move || connect(client, server, &field));
            }
        });
        Self { url }
    }
}

/// Either side's end is the other's as well: nobody here half-closes.
fn connect(client: TcpStream, server: TcpStream, field: &str) {
    let (Ok(mut answers), Ok(mut back)) = (server.try_clone(), client.try_clone()) else { return };
    spawn(move || {
        // How a connection ends is for the suite to judge.
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut requests = BufReader::new(client);
    while let Ok(true) = pass_request(&mut requests, &server, field) {}
    let _ = server.shutdown(Shutdown::Both);
}

/// One request: its first line, the key, all the rest. `false` at the end of the connection.
fn pass_request(client: &mut BufReader<TcpStream>, mut server: &TcpStream, field: &str) -> io::Result<bool> {
    let mut head = Vec::new();
    if client.read_until(b'\n', &mut head)? == 0 {
        return Ok(false);
    }
    head.extend_from_slice(field.as_bytes());
    let mut length = 0;
    loop {
        let start = head.len();
        if client.read_until(b'\n', &mut head)? == 0 {
            return Ok(false);
        }
        let line = String::from_utf8_lossy(&head[start..]).to_ascii_lowercase();
        match line.trim_end().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().map_err(io::Error::other)?,
            Some(("transfer-encoding", _)) => return Err(io::Error::other("nobody here sends chunks")),
            Some(_) => {}
            None => break,
        }
    }
    server.write_all(&head)?;
    io::copy(&mut client.take(length), &mut server)?;
    Ok(true)
}
