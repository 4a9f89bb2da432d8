//! An authorization server that answers as it is told, good or bad.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::domain::jose::Algorithm;
use crate::gateway::connection::tls;
use crate::gateway::issuers::fetch::Resolver;
use crate::vault::{RsaBits, SigningPair};

/// What stands between head and body.
const CRLF: &str = "\r\n\r\n";

#[derive(Default)]
struct Shared {
    /// By path, whole: status line, fields, body.
    pages: HashMap<String, Vec<u8>>,
    /// Paths as they were asked for, with what `If-None-Match` said.
    asked: Vec<(String, Option<String>)>,
}

pub struct Server {
    /// `http://127.0.0.1:PORT`, or `https://idp.internal:PORT`.
    pub origin: String,
    pub certificate: Option<CertificateDer<'static>>,
    shared: Arc<Mutex<Shared>>,
}

impl Server {
    /// On loopback, in the clear.
    pub fn plain() -> Self {
        Self::start(None, "http://127.0.0.1", None)
    }

    /// On loopback, as `idp.internal`, under a certificate of its own.
    pub fn secure() -> Self {
        let made = rcgen::generate_simple_self_signed(["idp.internal".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let certificate = made.cert.der().clone();
        let config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        Self::start(Some(Arc::new(config)), "https://idp.internal", Some(certificate))
    }

    fn start(
        tls: Option<Arc<ServerConfig>>,
        origin: &str,
        certificate: Option<CertificateDer<'static>>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let origin = format!("{origin}:{}", listener.local_addr().unwrap().port());
        let shared = Arc::<Mutex<Shared>>::default();
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // Who hangs up early is no concern of the server's.
                let _ = match &tls {
                    None => answer(stream, &of_thread),
                    Some(config) => {
                        let session = ServerConnection::new(Arc::clone(config)).unwrap();
                        answer(StreamOwned::new(session, stream), &of_thread)
                    }
                };
            }
        });
        Self { origin, certificate, shared }
    }

    /// Has `path` answered with JSON from now on.
    pub fn json(&self, path: &str, body: &str) {
        self.page(path, "200 OK", "Content-Type: application/json", body);
    }

    pub fn page(&self, path: &str, status: &str, fields: &str, body: &str) {
        let head = format!("HTTP/1.1 {status}\r\n{fields}\r\nContent-Length: {}", body.len());
        self.raw(path, format!("{head}{CRLF}{body}").into_bytes());
    }

    pub fn raw(&self, path: &str, whole: Vec<u8>) {
        self.shared.lock().unwrap().pages.insert(path.to_owned(), whole);
    }

    /// Publishes metadata of the issuer `iss` at `path`, with the keys at `/keys`.
    pub fn metadata(&self, path: &str, iss: &str) {
        let jwks_uri = format!("{}/keys", self.origin);
        self.json(path, &serde_json::json!({ "issuer": iss, "jwks_uri": jwks_uri }).to_string());
    }

    /// Paths that were asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        self.asked_with_tags().into_iter().map(|(path, _)| path).collect()
    }

    pub fn asked_with_tags(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.shared.lock().unwrap().asked)
    }

    pub fn port(&self) -> &str {
        self.origin.rsplit_once(':').unwrap().1
    }
}

fn answer<S: Read + Write>(mut stream: S, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut tag = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("if-none-match")
        {
            tag = Some(value.to_owned());
        }
    }
    let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    let mut page = {
        let mut shared = shared.lock().unwrap();
        shared.asked.push((path.clone(), tag.clone()));
        shared.pages.get(&path).cloned().unwrap_or(missing)
    };
    let is_known =
        tag.is_some_and(|tag| String::from_utf8_lossy(&page).contains(&format!("ETag: {tag}\r\n")));
    if is_known {
        page = b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=7200\r\n\r\n".to_vec();
    }
    stream.write_all(&page)?;
    stream.flush()
}

/// A new key named `kid` that signs with EdDSA, as a JWK.
pub fn jwk(kid: &str) -> String {
    let pair = SigningPair::generate(Algorithm::EdDsa, RsaBits::default()).unwrap();
    pair.verifying_key().unwrap().with_kid(kid).to_jwk().unwrap().to_string()
}

pub fn key_set(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// Names lead where the list says, and nowhere else.
pub fn names(known: &'static [(&'static str, IpAddr)]) -> Resolver {
    Arc::new(move |name| {
        Ok(known.iter().filter(|(known, _)| *known == name).map(|(_, address)| *address).collect())
    })
}
