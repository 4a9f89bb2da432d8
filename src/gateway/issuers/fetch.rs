//! Fetches one small JSON document from a server that somebody else named.
//!
//! Only https, but to this machine itself; one connection to an address that was judged, so that no second look-up of the
//! name can lead elsewhere (DNS rebinding); no redirect, no proxy, no compression; at most 256 KiB within five seconds.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Position, Url};

use super::address::{Place, place};
use crate::domain::json;
use crate::domain::text::{excerpt, without_user_info};
use crate::gateway::connection::tls;
use crate::gateway::wire::Media;
use crate::ops::issuer::Published;

/// How much a document may be.
const MOST: usize = 256 * 1024;
/// How long it may take from the look-up of the name to its last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest version that is kept of what an issuer calls its documents.
const LONGEST_ETAG: usize = 256;

/// Addresses of a name.
pub(super) type Resolver = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// What a server answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Document(Published),
    /// What was had before is still what there is.
    Unchanged {
        fresh_for: Option<Duration>,
    },
}

/// What is fetched.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// Which has to say that it is JSON (RFC 8414 §3.2): where there is none, servers send pages for people.
    Metadata,
    /// Which the metadata names: of whatever type, if that is what they are. Where files are kept, nobody knows of types.
    Keys {
        /// What was had before.
        etag: Option<&'a str>,
    },
}

/// Why a document could not be had, and where. Safe to show.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {fault}")]
pub struct FetchError {
    pub url: String,
    pub fault: Fault,
}

/// Why a document could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(
        "only https is fetched; http only from this machine (localhost, 127.0.0.1, ::1), and where it is named: \
         --allow-private HOST"
    )]
    Scheme,
    #[error("a URL with a user or a password in it is not fetched")]
    User,
    #[error("the name cannot be looked up: {0}")]
    Name(io::Error),
    #[error(
        "{address} is a private address, and nothing is fetched from there; if that is meant, allow the host by name: \
         --allow-private {host}"
    )]
    Private { host: String, address: IpAddr },
    #[error(
        "plain http is fetched from this machine alone, and here `localhost` is {0}: mend its entry in /etc/hosts, or give an \
         https:// URL"
    )]
    Elsewhere(IpAddr),
    #[error("{0} is an address where no issuer is (link-local, metadata of a cloud, multicast or reserved)")]
    Never(IpAddr),
    #[error("the server cannot be reached: {0}")]
    Connect(io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("this system has no certificates of authorities to trust; name a file of them in SSL_CERT_FILE")]
    NoRoots,
    #[error("the server did not answer in HTTP: {0}")]
    Http(String),
    #[error("no whole answer within {} seconds", PATIENCE.as_secs())]
    Slow,
    #[error("the server redirects, and that is not followed; give the URL where it is")]
    Redirect,
    #[error("the server answered with status {0}")]
    Status(u16),
    #[error("the answer is of type `{0}`, and has to be JSON")]
    Type(String),
    #[error("the answer is compressed though nobody asked for that")]
    Coded,
    #[error("the answer is longer than {MOST} bytes")]
    Long,
    #[error("the answer is not UTF-8 text")]
    Text,
}

impl Fault {
    /// Whether what was asked for is wrong, and not what came of it.
    pub fn is_of_input(&self) -> bool {
        matches!(self, Self::Scheme | Self::User | Self::Private { .. } | Self::Elsewhere(_) | Self::Never(_))
    }

    /// Whether it says that what was there is there no more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Status(404 | 410))
    }
}

/// Fetches documents. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    tls: TlsConnector,
    has_roots: bool,
    resolve: Resolver,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetcher(…)")
    }
}

impl Fetcher {
    /// One that trusts the authorities that this system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
    ///
    /// # Errors
    /// Where TLS cannot be set up at all.
    pub fn new() -> Result<Self, rustls::Error> {
        let look_up = |name: &str| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect());
        Self::with(rustls_native_certs::load_native_certs().certs, Arc::new(look_up))
    }

    /// One that trusts `authorities` alone, those that can be read, and looks names up by `resolve`.
    pub(super) fn with(
        authorities: Vec<CertificateDer<'static>>,
        resolve: Resolver,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(authorities);
        let config = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), has_roots: added > 0, resolve })
    }

    /// Fetches `url`. `allow_private`: hosts that may be at private addresses.
    pub(super) async fn get(
        &self,
        url: &Url,
        allow_private: &[String],
        what: What<'_>,
    ) -> Result<Answer, FetchError> {
        let fetched = tokio::time::timeout(PATIENCE, self.fetch(url, allow_private, what)).await;
        fetched
            .unwrap_or(Err(Fault::Slow))
            .map_err(|fault| FetchError { url: without_user_info(url.as_str()).into_owned(), fault })
    }

    async fn fetch(&self, url: &Url, allow_private: &[String], what: What<'_>) -> Result<Answer, Fault> {
        let Some(host) = url.host() else { return Err(Fault::Scheme) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Fault::User);
        }
        let is_allowed = allow_private.iter().any(|allowed| *allowed == host.to_string());
        let is_secure = match url.scheme() {
            "https" if !self.has_roots => return Err(Fault::NoRoots),
            "https" => true,
            // Whether it was named is judged with its addresses.
            "http" if is_this_machine(&host) => false,
            _ => return Err(Fault::Scheme),
        };
        let stream = self.connect(url, &host, is_allowed).await?;
        let request = request(url, what)?;
        let response = if is_secure {
            let name = match &host {
                Host::Domain(name) => ServerName::try_from((*name).to_owned()).map_err(|_| Fault::Scheme)?,
                Host::Ipv4(address) => IpAddr::V4(*address).into(),
                Host::Ipv6(address) => IpAddr::V6(*address).into(),
            };
            exchange(self.tls.connect(name, stream).await.map_err(Fault::Tls)?, request).await?
        } else {
            exchange(stream, request).await?
        };
        read(response, what).await
    }

    /// Looks the name up once, judges every address, and connects to one of these.
    async fn connect(&self, url: &Url, host: &Host<&str>, is_allowed: bool) -> Result<TcpStream, Fault> {
        let (addresses, is_literal) = match host {
            Host::Domain(name) => {
                let (resolve, name) = (Arc::clone(&self.resolve), (*name).to_owned());
                let found = tokio::task::spawn_blocking(move || resolve(&name)).await;
                (found.map_err(|error| Fault::Name(error.into()))?.map_err(Fault::Name)?, false)
            }
            Host::Ipv4(address) => (vec![IpAddr::V4(*address)], true),
            Host::Ipv6(address) => (vec![IpAddr::V6(*address)], true),
        };
        let must_be_here = url.scheme() == "http";
        for &address in &addresses {
            match place(address) {
                Place::Never if !(is_allowed && is_literal) => return Err(Fault::Never(address)),
                _ if must_be_here && !address.to_canonical().is_loopback() => {
                    return Err(Fault::Elsewhere(address));
                }
                Place::Private if !is_allowed => {
                    return Err(Fault::Private { host: host.to_string(), address });
                }
                _ => {}
            }
        }
        let port = url.port_or_known_default().unwrap_or(443);
        let sockets: Vec<_> = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        TcpStream::connect(&*sockets).await.map_err(Fault::Connect)
    }
}

/// Whether a host is called as only this machine is.
fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn request(url: &Url, what: What<'_>) -> Result<Request<Empty<Bytes>>, Fault> {
    let mut builder = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(ACCEPT, "application/json, application/jwk-set+json")
        .header(ACCEPT_ENCODING, "identity");
    if let What::Keys { etag: Some(etag) } = what {
        builder = builder.header(IF_NONE_MATCH, etag);
    }
    builder.body(Empty::new()).map_err(|error| Fault::Http(error.to_string()))
}

/// One request on a connection of its own, which ends with the answer.
async fn exchange<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Fault::Http(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = AbortOnDropHandle::new(tokio::spawn(async move {
        // What ends it early is told to whoever waits for the answer.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok((response, driver))
}

async fn read(
    (response, driver): (Response<Incoming>, AbortOnDropHandle<()>),
    what: What<'_>,
) -> Result<Answer, Fault> {
    let (head, body) = response.into_parts();
    let fresh_for = fresh_for(&head.headers);
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if matches!(what, What::Keys { etag: Some(_) }) => {
            return Ok(Answer::Unchanged { fresh_for });
        }
        status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
            return Err(Fault::Redirect);
        }
        status => return Err(Fault::Status(status.as_u16())),
    }
    if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Fault::Coded);
    }
    let untyped = require_json(&head.headers).err();
    let untyped = match what {
        What::Metadata => untyped.map_or(Ok(None), Err)?,
        What::Keys { .. } => untyped,
    };
    let body = Limited::new(body, MOST).collect().await.map_err(|error| {
        match error.is::<http_body_util::LengthLimitError>() {
            true => Fault::Long,
            false => Fault::Http(error.to_string()),
        }
    })?;
    drop(driver);
    let text = String::from_utf8(body.to_bytes().into()).map_err(|_| Fault::Text)?;
    // RFC 8259 §8.1: what some editors write before a file may be passed over.
    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
    if let Some(fault) = untyped.filter(|_| json::object(text.as_bytes()).is_err()) {
        return Err(fault);
    }
    let etag = head.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
    let etag = etag.filter(|etag| etag.len() <= LONGEST_ETAG).map(str::to_owned);
    Ok(Answer::Document(Published { text, etag, fresh_for }))
}

/// `application/json`, or any type with the suffix `+json` (RFC 6839 §3.1), parameters aside.
fn require_json(headers: &HeaderMap) -> Result<(), Fault> {
    let field = headers.get(CONTENT_TYPE).map(|field| field.as_bytes()).unwrap_or_default();
    let essence = String::from_utf8_lossy(Media::of(field).essence()).to_ascii_lowercase();
    let is_json = essence == "application/json"
        || essence.strip_prefix("application/").is_some_and(|name| name.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Fault::Type(excerpt(&essence))) }
}

/// For how long an answer says that it stays so (RFC 9111 §5.2.2); `None` where it says nothing.
fn fresh_for(headers: &HeaderMap) -> Option<Duration> {
    let mut told = None;
    for field in headers.get_all(CACHE_CONTROL) {
        for directive in field.to_str().ok()?.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => told = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
                _ => {}
            }
        }
    }
    told
}
