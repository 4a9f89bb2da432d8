//! What a gateway is told at its start, in types that cannot hold a wrong value.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderValue, Uri, uri::Authority};
use ipnet::IpNet;

use crate::domain::endpoint::Endpoint;
use crate::domain::jose;
use crate::domain::text::url_excerpt;

use super::headers::names::FieldPattern;
use super::place::Place;
use super::streams;
use super::tls::Identity;

/// Why a text is no setting of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    #[error("`{0}` is not a URL such as http://127.0.0.1:3000/mcp")]
    Url(String),
    #[error(
        "`{0}` is an https URL; this release speaks plain http to its upstream. Give the http:// address of a server \
         on the same host or in a private network"
    )]
    HttpsUpstream(String),
    #[error("`{0}` holds a user name or password; put no secret into a URL")]
    UserInfo(String),
    #[error(
        "`{0}` has no host that can be: give one name or address, and a number where there is a port; `*` stands for nothing"
    )]
    Host(String),
    #[error("`{0}` has a query or a fragment; give scheme, host, port and path only")]
    Query(String),
    #[error(
        "`{0}` is not an origin such as https://app.example.com (scheme and host, with a port if it is unusual); give each \
         one by itself, `*` stands for nothing"
    )]
    Origin(String),
}

fn parts(text: &str) -> Result<(Uri, Authority), BadSetting> {
    let shown = || url_excerpt(text);
    let uri: Uri = text.parse().map_err(|_| BadSetting::Url(shown()))?;
    let authority = uri.authority().cloned().ok_or_else(|| BadSetting::Url(shown()))?;
    if authority.as_str().contains('@') {
        return Err(BadSetting::UserInfo("the URL".into()));
    }
    if authority.host().is_empty() {
        return Err(BadSetting::Url(shown()));
    }
    if !is_host(authority.host()) || (has_port(&authority) && authority.port_u16().is_none()) {
        return Err(BadSetting::Host(shown()));
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(BadSetting::Query(shown()));
    }
    Ok((uri, authority))
}

/// Whether it is made of what host names and addresses are made of. URIs allow more, but what stands for other hosts, or is
/// no name at all, is the host of nothing.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    }
}

fn has_port(authority: &Authority) -> bool {
    authority.as_str().len() > authority.host().len()
}

/// The MCP server behind the gateway: `http://host[:port]/path`. Its path is the MCP endpoint, on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    host: String,
    port: u16,
    authority: HeaderValue,
    path: String,
}

impl Upstream {
    /// The name or address to connect to, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
    pub fn port(&self) -> u16 {
        self.port
    }
    /// What goes into the `Host` field of requests to it.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }
    /// The MCP endpoint's path, normalised.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Upstream {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let shown = || url_excerpt(text);
        let (uri, authority) = parts(text)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(BadSetting::HttpsUpstream(shown())),
            _ => return Err(BadSetting::Url(shown())),
        }
        let path = Endpoint::http(uri.path()).map_err(|_| BadSetting::Url(shown()))?;
        Ok(Self {
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| BadSetting::Url(shown()))?,
            path: path.as_str().to_owned(),
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", String::from_utf8_lossy(self.authority.as_bytes()), self.path)
    }
}

/// The origin of a web page (RFC 6454): scheme, host and port, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let wrong = || BadSetting::Origin(url_excerpt(text));
        let (uri, authority) = parts(text).map_err(|_| wrong())?;
        let scheme = uri.scheme_str().ok_or_else(wrong)?;
        if uri.path() != "/" || text.ends_with('/') {
            return Err(wrong());
        }
        // Browsers leave out the port that is usual (RFC 6454 §6.2).
        let authority = match (scheme, authority.port_u16()) {
            ("http", Some(80)) | ("https", Some(443)) => authority.host(),
            _ => authority.as_str(),
        };
        Ok(Self(format!("{scheme}://{authority}").to_ascii_lowercase()))
    }
}

/// The URL by which clients reach this gateway, where that is not its listening address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    scheme: &'static str,
    authority: String,
    path: String,
}

impl PublicUrl {
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }
    /// Host and port as clients write them, in lower case.
    pub fn authority(&self) -> &str {
        &self.authority
    }
    /// The path, `/` where the URL has none.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The origin of pages that this URL serves.
    pub fn is_origin(&self, origin: &str) -> bool {
        origin.split_once("://").is_some_and(|(scheme, authority)| {
            scheme == self.scheme && authority.eq_ignore_ascii_case(&self.authority)
        })
    }
}

impl FromStr for PublicUrl {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let (uri, authority) = parts(text)?;
        let scheme = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err(BadSetting::Url(url_excerpt(text))),
        };
        let authority = authority.as_str().to_ascii_lowercase();
        Ok(Self { text: text.to_owned(), scheme, authority, path: uri.path().to_owned() })
    }
}

/// How a single call that policy refuses is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusals {
    /// The true status; in a session of an older revision of MCP, whose clients would end the whole session on it,
    /// 200 with the JSON-RPC error.
    #[default]
    Auto,
    /// The true status always.
    Status,
}

/// A tool may work for minutes before it answers; a client that is still there after two has most often given up, and
/// an upstream that hangs must not hold connections for longer. A tool that takes more reports progress in a stream.
const RESPONSE: Duration = Duration::from_secs(120);

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a client has sent a request's head: from the connection's beginning, or the head's first byte.
    pub head: Duration,
    /// How long a connection is kept that asks for nothing more.
    pub idle: Duration,
    /// Until a client has sent the whole body of an MCP message.
    pub body: Duration,
    /// Until the upstream takes a connection.
    pub connect: Duration,
    /// Until the upstream has sent a response's head.
    pub response: Duration,
    /// How often an open stream asks whether its credential still holds.
    pub stream_check: Duration,
    /// How long a client may not take anything of what is written to it.
    pub stall: Duration,
    /// How long a shutdown waits for requests in flight.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            response: RESPONSE,
            stream_check: Duration::from_millis(400),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// All that a gateway is told.
#[derive(Clone, Debug)]
pub struct Settings {
    pub upstream: Upstream,
    /// The data listener. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The listener of `/health`, `/ready`, `/metrics` and `/verify`. Port 0 picks a free one.
    pub admin_listen: SocketAddr,
    pub public_url: Option<PublicUrl>,
    /// The certificate of the data listener; `None`: plain HTTP.
    pub tls: Option<Identity>,
    /// Whether plain HTTP may leave this machine. Without it, a listener off loopback needs TLS.
    pub allow_plain_http: bool,
    /// Whose `X-Forwarded-For` is believed, and who may ask `/verify`.
    pub trusted_proxies: Vec<IpNet>,
    /// Web pages that may call, beside the gateway's own origin.
    pub allowed_origins: Vec<Origin>,
    /// Fields of clients that do not reach the upstream, beside those that never do.
    pub stripped: Vec<FieldPattern>,
    pub refusals: Refusals,
    /// Threads of the data path, each with a runtime of its own.
    pub workers: NonZeroUsize,
    /// Client connections at once; more wait in the listen queue.
    pub connections: usize,
    /// Those of one source; more are closed. `None`: 64, and as many as there are for loopback.
    pub connections_per_source: Option<NonZeroUsize>,
    /// Streams of events that one principal may listen on; as many again may answer its calls. More are refused.
    pub streams_per_principal: NonZeroUsize,
    /// Bytes of a token; a longer one is refused.
    pub max_token: usize,
    /// Bytes of a request's body; a longer one is 413.
    pub max_body: usize,
    /// Whether clients are told that tokens can be had here for an API key.
    pub advertises_tokens: bool,
    pub timeouts: Timeouts,
}

/// The body of a request that is taken where the operator says nothing.
pub const BODY: usize = 4 * 1024 * 1024;

impl Settings {
    /// The defaults of `serve`: `127.0.0.1:8080`, admin on `127.0.0.1:8081`, one worker a core.
    pub fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            admin_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081),
            public_url: None,
            tls: None,
            allow_plain_http: false,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            stripped: Vec::new(),
            refusals: Refusals::default(),
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            connections: 1024,
            connections_per_source: None,
            streams_per_principal: streams::MOST,
            max_token: jose::USUAL,
            max_body: BODY,
            advertises_tokens: false,
            timeouts: Timeouts::default(),
        }
    }

    /// The scheme by which clients reach the gateway.
    pub fn scheme(&self) -> &'static str {
        match (&self.public_url, &self.tls) {
            (Some(url), _) => url.scheme(),
            (None, Some(_)) => "https",
            (None, None) => "http",
        }
    }

    /// The public URL of the MCP endpoint, where the operator has named it.
    pub fn resource(&self) -> Option<String> {
        self.public_url.as_ref().map(|_| Place::default().resource(self))
    }

    /// Whether keys would cross a network in the clear without anybody having asked for it.
    pub fn exposes_keys(&self) -> bool {
        self.tls.is_none() && !self.allow_plain_http && !self.listen.ip().to_canonical().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_host_port_and_normalised_path() {
        let upstream: Upstream = "http://localhost:3000//a/../mcp".parse().unwrap();
        assert_eq!((upstream.host(), upstream.port(), upstream.path()), ("localhost", 3000, "/mcp"));
        assert_eq!(upstream.to_string(), "http://localhost:3000/mcp");
        let six: Upstream = "http://[::1]/".parse().unwrap();
        assert_eq!(
            (six.host(), six.port(), six.path(), six.authority().as_bytes()),
            ("::1", 80, "/", &b"[::1]"[..])
        );
    }

    #[test]
    fn an_upstream_that_cannot_be_served_says_why() {
        let fault = |text: &str| text.parse::<Upstream>().unwrap_err();
        assert!(matches!(fault("https://mcp.example/mcp"), BadSetting::HttpsUpstream(_)));
        assert!(matches!(fault("http://u:p@localhost/mcp"), BadSetting::UserInfo(_)));
        for text in [
            "http://u:p4ss@localhost/mcp",
            "http://u:p4 ss@localhost/mcp",
            "http://u:p4ss@",
            "https://u:p4ss@localhost/mcp",
            "u:p4ss@localhost",
            "http://u:p4ss@localhost:99999/mcp",
            "http://localhost/mcp?key=p4ss",
        ] {
            assert!(!fault(text).to_string().contains("p4"), "{text}: {}", fault(text));
            let public = text.parse::<PublicUrl>().unwrap_err();
            assert!(!public.to_string().contains("p4"), "{text}: {public}");
            let origin = text.parse::<Origin>().unwrap_err();
            assert!(!origin.to_string().contains("p4"), "{text}: {origin}");
        }
        assert!(matches!(fault("http://localhost/mcp?x=1"), BadSetting::Query(_)));
        assert!(matches!(fault("http://localhost/mcp#x"), BadSetting::Query(_)));
        for text in ["", "localhost:3000", "ftp://localhost/mcp", "/mcp", "http://"] {
            assert!(matches!(fault(text), BadSetting::Url(_)), "{text}");
        }
    }

    #[test]
    fn keys_leave_the_machine_in_the_clear_only_where_asked_for() {
        let mut settings = Settings::new("http://localhost:3000/mcp".parse().unwrap());
        assert!(!settings.exposes_keys());
        settings.listen = "[::ffff:127.0.0.1]:0".parse().unwrap();
        assert!(!settings.exposes_keys());
        settings.listen = "0.0.0.0:0".parse().unwrap();
        assert!(settings.exposes_keys());
        settings.tls = Some(Identity::SelfSigned);
        assert!(!settings.exposes_keys());
        settings.tls = None;
        settings.allow_plain_http = true;
        assert!(!settings.exposes_keys());
    }

    #[test]
    fn a_tool_has_two_minutes_to_answer() {
        assert_eq!(Timeouts::default().response, Duration::from_secs(120));
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(
            "HTTPS://App.Example:8443".parse::<Origin>().unwrap().as_str(),
            "https://app.example:8443"
        );
        for text in ["https://app.example/", "https://app.example/x", "null", "*", "app.example"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_refused_or_written_as_it_does() {
        for text in [
            "http://localhost:*",
            "https://*.example.com",
            "https://*",
            "*://app.example.com",
            "https://app.example.com:https",
            "https://app.example.com:99999",
            "https://app.example.com:",
            "https://app.(a|b).example",
            "https://app.example.com,https://b.example",
            "https://b\u{fc}cher.example",
            "https://[::1%25eth0]",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        for (text, origin) in [
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("http://app.example.com:443", "http://app.example.com:443"),
            ("http://[::1]:6274", "http://[::1]:6274"),
            ("http://under_score.example", "http://under_score.example"),
            ("vscode-webview://abc-1", "vscode-webview://abc-1"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), origin);
        }
        for text in ["https://*.example.com/mcp", "http://localhost:*/mcp"] {
            assert!(matches!(text.parse::<PublicUrl>().unwrap_err(), BadSetting::Host(_)), "{text}");
            assert!(text.replace("https", "http").parse::<Upstream>().is_err(), "{text}");
        }
    }
}
