//! The URLs that a gateway is told: of the server behind it, of pages that may call, of itself.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use http::{HeaderValue, Uri, uri::Authority};

use crate::domain::endpoint::Endpoint;
use crate::domain::text::url_excerpt;

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
