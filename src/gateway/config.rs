//! What a gateway is told at its start, in types that cannot hold a wrong value.

mod url;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::jose;

use super::call::headers::names::FieldPattern;
use super::connection::tls::Identity;

pub use url::{BadSetting, Origin, PublicUrl, Upstream};

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

/// For each principal, of the streams that clients open to listen, where nothing was asked for.
const STREAMS: NonZeroUsize = NonZeroUsize::new(100).unwrap();
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
            streams_per_principal: STREAMS,
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

    /// Whether keys would cross a network in the clear without anybody having asked for it.
    pub fn exposes_keys(&self) -> bool {
        self.tls.is_none() && !self.allow_plain_http && !self.listen.ip().to_canonical().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
