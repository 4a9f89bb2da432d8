//! By which URL a client reaches the gateway: what it is told to ask for, and what its proofs have to be for.

use std::net::SocketAddr;

use http::{HeaderName, header, uri::Authority};

use super::headers::{FORWARDED_HOST, FORWARDED_PROTO};
use crate::gateway::config::Settings;
use crate::gateway::wire::{Fields, text};

/// Where metadata of protected resources is (RFC 9728 §3.1).
pub const METADATA: &str = "/.well-known/oauth-protected-resource";

/// What a request itself says of that, as far as it is believed; nothing where the operator has named the public URL.
#[derive(Clone, Debug, Default)]
pub struct Place<'a> {
    host: Option<&'a [u8]>,
    scheme: Option<&'static str>,
    /// Whether it is a proxy that serves the client, and this gateway only decides.
    is_asked: bool,
    /// Whether that is certain, whatever clients say.
    is_certain: bool,
}

impl<'a> Place<'a> {
    /// `is_trusted`: the peer is a proxy that may say what its client asked for; nobody else may.
    pub fn of(settings: &Settings, is_trusted: bool, headers: &'a Fields) -> Self {
        if settings.public_url.is_some() {
            return Self { is_certain: true, ..Self::default() };
        }
        let single = |name: &HeaderName| headers.single_to_the_letter(name).ok().flatten();
        let forwarded = |name: &HeaderName| is_trusted.then(|| single(name)).flatten();
        let host = forwarded(&FORWARDED_HOST).filter(|host| authority(host).is_some());
        let host = host.or_else(|| single(&header::HOST));
        let scheme = forwarded(&FORWARDED_PROTO).and_then(|value| match value {
            b"https" => Some("https"),
            b"http" => Some("http"),
            _ => None,
        });
        // A proxy may pass on what its client wrote of that. Without one, on loopback, only names of loopback are served.
        let is_certain = !is_trusted && settings.listen.ip().to_canonical().is_loopback();
        Self { host, scheme, is_asked: false, is_certain }
    }

    /// For a proxy that only asks for a decision. Whether the metadata can be had there is known only where the operator has
    /// named the public URL.
    pub fn behind(settings: &Settings, headers: &'a Fields) -> Self {
        Self { is_asked: settings.public_url.is_none(), ..Self::of(settings, true, headers) }
    }

    /// Scheme, host and port.
    pub fn origin(&self, settings: &Settings) -> String {
        if let Some(url) = &settings.public_url {
            return format!("{}://{}", url.scheme(), url.authority());
        }
        let host = self.host.and_then(authority);
        let host =
            host.map_or_else(|| settings.listen.to_string(), |host| host.as_str().to_ascii_lowercase());
        format!("{}://{host}", self.scheme(settings))
    }

    /// Whether no client can have had a say in it. What is not certain is nothing that a proof could be for, nor anything
    /// that may be kept.
    pub fn is_certain(&self) -> bool {
        self.is_certain
    }

    /// How the client reached this gateway, or the proxy before it: `http` or `https`.
    pub fn scheme(&self, settings: &Settings) -> &'static str {
        self.scheme.unwrap_or(settings.scheme())
    }

    /// By which host and port, as the upstream is told.
    pub fn host<'b>(&'b self, settings: &'b Settings) -> Option<&'b [u8]> {
        match &settings.public_url {
            Some(url) => Some(url.authority().as_bytes()),
            None => self.host,
        }
    }

    /// The URL of the MCP endpoint: this gateway as a protected resource.
    pub fn resource(&self, settings: &Settings) -> String {
        format!("{}{}", self.origin(settings), path(settings))
    }

    /// Where that is described; `None` where nobody is known to serve that.
    pub fn metadata(&self, settings: &Settings) -> Option<String> {
        let path = path(settings);
        let path = if path == "/" { "" } else { path };
        (!self.is_asked).then(|| format!("{}{METADATA}{path}", self.origin(settings)))
    }
}

impl Settings {
    /// The public URL of the MCP endpoint, where the operator has named it.
    pub fn resource(&self) -> Option<String> {
        self.public_url.as_ref().map(|_| Place::default().resource(self))
    }
}

/// The URLs by which a gateway that listens at `listen` knows its own MCP endpoint: the public one, else by its own address
/// and port, on loopback by that one's names as well. What a client writes into `Host` does not count: it could name
/// whatever a token is for.
pub fn own_resources(settings: &Settings, listen: SocketAddr) -> Vec<String> {
    if settings.public_url.is_some() {
        return vec![Place::default().resource(settings)];
    }
    let (ip, port) = (listen.ip().to_canonical(), listen.port());
    let loopback = [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    let mut hosts = if ip.is_loopback() || ip.is_unspecified() { loopback.to_vec() } else { Vec::new() };
    if !ip.is_unspecified() {
        hosts.push(SocketAddr::new(ip, port).to_string());
    }
    hosts.iter().map(|host| format!("{}://{host}{}", settings.scheme(), path(settings))).collect()
}

/// Host and port, where that is what a field holds.
fn authority(host: &[u8]) -> Option<Authority> {
    text(host)?.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'))
}

/// The path of the MCP endpoint as clients write it.
pub fn path(settings: &Settings) -> &str {
    match settings.public_url.as_ref().map(|url| url.path()) {
        None | Some("" | "/") => settings.upstream.path(),
        Some(path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn fields(fields: &[(&'static str, &'static str)]) -> Fields {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Fields::from(&HeaderMap::from_iter(fields))
    }

    #[test]
    fn a_gateway_knows_itself_by_its_own_address_and_not_by_what_it_is_called() {
        let mut settings = Settings::new("http://127.0.0.1:1/mcp".parse().unwrap());
        let known = |settings: &Settings, listen: &str| own_resources(settings, listen.parse().unwrap());
        let names = known(&settings, "127.0.0.1:8080");
        for own in ["http://localhost:8080/mcp", "http://127.0.0.1:8080/mcp", "http://[::1]:8080/mcp"] {
            assert!(names.contains(&own.to_owned()), "{own}");
        }
        assert_eq!(known(&settings, "192.0.2.7:80"), ["http://192.0.2.7:80/mcp"]);
        assert_eq!(known(&settings, "0.0.0.0:8080").len(), 3);
        settings.public_url = Some("https://mcp.example".parse().unwrap());
        assert_eq!(known(&settings, "127.0.0.1:8080"), ["https://mcp.example/mcp"]);
    }

    #[test]
    fn the_public_url_beats_whatever_a_request_says() {
        let mut settings = Settings::new("http://127.0.0.1:1/mcp".parse().unwrap());
        let says =
            [("host", "evil.example"), ("x-forwarded-host", "worse.example"), ("x-forwarded-proto", "http")];
        for (url, resource, metadata) in [
            (
                "https://mcp.example",
                "https://mcp.example/mcp",
                "https://mcp.example/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "https://MCP.example:8443/a/b",
                "https://mcp.example:8443/a/b",
                "https://mcp.example:8443/.well-known/oauth-protected-resource/a/b",
            ),
        ] {
            settings.public_url = Some(url.parse().unwrap());
            let fields = fields(&says);
            let place = Place::of(&settings, true, &fields);
            assert!(place.is_certain());
            assert_eq!(place.scheme(&settings), "https");
            assert_eq!(
                place.host(&settings),
                settings.public_url.as_ref().map(|url| url.authority().as_bytes())
            );
            assert_eq!(place.resource(&settings), resource);
            assert_eq!(place.metadata(&settings).as_deref(), Some(metadata));
        }
    }

    #[test]
    fn it_is_certain_where_nobody_else_could_have_said_it() {
        let mut settings = Settings::new("http://127.0.0.1:1/mcp".parse().unwrap());
        let says = fields(&[("host", "localhost:8080")]);
        assert!(Place::of(&settings, false, &says).is_certain());
        assert!(!Place::of(&settings, true, &says).is_certain(), "behind a proxy");
        assert!(!Place::behind(&settings, &says).is_certain(), "a proxy asks");
        settings.listen = "0.0.0.0:8080".parse().unwrap();
        assert!(!Place::of(&settings, false, &says).is_certain(), "a client may name any host");
        settings.public_url = Some("https://mcp.example".parse().unwrap());
        assert!(
            Place::of(&settings, true, &says).is_certain() && Place::behind(&settings, &says).is_certain()
        );
    }

    #[test]
    fn only_a_trusted_proxy_may_say_what_its_client_asked_for() {
        let settings = Settings::new("http://127.0.0.1:1/mcp".parse().unwrap());
        let says =
            [("host", "10.0.0.7"), ("x-forwarded-host", "mcp.example"), ("x-forwarded-proto", "https")];
        let says = fields(&says);
        assert_eq!(Place::of(&settings, true, &says).resource(&settings), "https://mcp.example/mcp");
        assert_eq!(Place::of(&settings, false, &says).resource(&settings), "http://10.0.0.7/mcp");
        assert_eq!(Place::of(&settings, true, &says).host(&settings), Some(&b"mcp.example"[..]));
        assert_eq!(Place::of(&settings, false, &says).host(&settings), Some(&b"10.0.0.7"[..]));
        let other = fields(&[
            ("host", "10.0.0.7"),
            ("x_forwarded_host", "mcp.example"),
            ("x_forwarded-proto", "https"),
        ]);
        assert_eq!(
            Place::of(&settings, true, &other).resource(&settings),
            "http://10.0.0.7/mcp",
            "a client's spelling"
        );
        let odd = [("host", "localhost:8080"), ("x-forwarded-proto", "gopher")];
        assert_eq!(Place::of(&settings, true, &fields(&odd)).origin(&settings), "http://localhost:8080");
        let cut = [("host", "a\"b"), ("x-forwarded-host", "u@h")];
        assert_eq!(Place::of(&settings, true, &fields(&cut)).origin(&settings), "http://127.0.0.1:8080");
    }
}
