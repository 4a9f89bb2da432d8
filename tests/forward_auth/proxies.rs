//! A proxy under the configuration that `portcullis snippet` prints, between a client and a server.

use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpStream},
};

use crate::program::{self, CONFIGURATION, LOOPBACK, Program, Proxy};
use crate::support::{
    gateway::{Gateway, Reply, plain_client},
    home::Home,
};
use crate::upstream::{Received, Upstream};

pub struct Place {
    pub home: Home,
    gateway: Option<Gateway>,
    upstream: Upstream,
    proxy: Proxy,
}

impl Place {
    /// `None` where the program is not installed.
    pub fn new(program: Program) -> Option<Self> {
        Self::at(program, LOOPBACK, &[])
    }

    /// The same, with the proxy on this address and more options of the gateway.
    pub fn at(program: Program, address: IpAddr, options: &[&str]) -> Option<Self> {
        let found = program.found()?;
        let home = Home::new();
        let upstream = Upstream::start();
        let url = format!("http://{}/mcp", upstream.address);
        let gateway = Gateway::start(&home, &url, options);
        let proxy = program.start(&found, address, |listen| {
            let snippet = |of: &str| {
                let (admin, listen) = (gateway.admin.trim_start_matches("http://"), listen.to_string());
                let places = ["--admin-listen", admin, "--upstream", &url, "--listen", &listen];
                let ended = home.run(&[&["snippet", of][..], &places].concat());
                assert_eq!(ended.code, 0, "{}", ended.errors);
                ended.output
            };
            match program {
                Program::Nginx => vec![
                    ("portcullis.conf", snippet("nginx")),
                    (CONFIGURATION, program::nginx("include portcullis.conf;")),
                ],
                // What stands around the printed part.
                Program::Caddy => {
                    vec![(CONFIGURATION, format!("{{\n\tadmin off\n}}\n\n{}", snippet("caddy")))]
                }
                Program::Envoy => vec![(CONFIGURATION, snippet("envoy"))],
                Program::Haproxy => {
                    vec![("portcullis.lua", snippet("haproxy-lua")), (CONFIGURATION, snippet("haproxy"))]
                }
            }
        });
        Some(Self { proxy, home, gateway: Some(gateway), upstream })
    }

    /// Where the proxy listens, by an address of loopback.
    pub fn listen(&self) -> SocketAddr {
        self.proxy.listen
    }

    /// What the proxy answers.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, String)], body: &str) -> Reply {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("http://{}{target}", self.proxy.listen);
        let mut request = plain_client().request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Reply::of(request.send().expect("the proxy answers"))
    }

    /// The status of a GET with these lines among its fields, written byte by byte.
    pub fn say(&self, target: &str, lines: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(self.proxy.listen).expect("the proxy listens");
        let host = self.proxy.listen;
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).expect("the proxy reads");
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).ok()?;
        status.split(' ').nth(1)?.parse().ok()
    }

    /// Every request that reached the server since the last time.
    pub fn received(&self) -> Vec<Received> {
        self.upstream.received()
    }

    pub fn stop_gateway(&mut self) {
        self.gateway.take().expect("it runs").stop();
    }
}
