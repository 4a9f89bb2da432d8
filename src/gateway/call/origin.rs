//! Who may ask from a browser: the `Host` and `Origin` checks.
//!
//! A page of a stranger that rebinds its name to a loopback address arrives with the stranger's name in `Host` and
//! `Origin`; both are judged before anything else (MCP 2026-07-28, Streamable HTTP, Security).

use std::cell::RefCell;
use std::net::IpAddr;

use http::{StatusCode, header, uri::Authority};

use crate::domain::decision::Reason;
use crate::domain::leak::redacted;
use crate::domain::text::{first_of, url_excerpt};

use super::refusal::Refusal;
use crate::gateway::config::Settings;
use crate::gateway::wire::{Fields, Parts, text};

/// Why a request's `Host` or `Origin` is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// No `Host`, several, or one that contradicts the request line: RFC 9112 §3.2 wants 400.
    HostInvalid,
    HostDenied,
    OriginDenied,
}

impl Foreign {
    /// The refusal for it.
    pub fn refusal(self, headers: &Fields, settings: &Settings) -> Refusal {
        let refusal = match self {
            Self::HostInvalid => {
                Refusal::bad_request(StatusCode::BAD_REQUEST, "the request needs exactly one valid Host")
            }
            Self::HostDenied | Self::OriginDenied => Refusal::because(Reason::OriginDenied),
        };
        refusal.noting(self.why(headers, settings))
    }

    /// What was compared with what: for the event.
    pub fn why(self, headers: &Fields, settings: &Settings) -> String {
        let is_of_page = self == Self::OriginDenied;
        let (name, field) = if is_of_page { ("Origin", header::ORIGIN) } else { ("Host", header::HOST) };
        let values: Vec<_> = headers.all(&field).map(String::from_utf8_lossy).collect();
        let says = match values.as_slice() {
            [] => format!("{name} is missing"),
            [one] => format!("{name} is `{}`", url_excerpt(&redacted(one))),
            several => format!("{name} stands {} times", several.len()),
        };
        let mut taken: Vec<String> = match &settings.public_url {
            Some(url) if is_of_page => vec![format!("{}://{} (--public-url)", url.scheme(), url.authority())],
            Some(url) => vec![format!("{} (--public-url)", url.authority())],
            None => Vec::new(),
        };
        if is_of_page {
            let allowed = settings.allowed_origins.iter();
            taken.extend(allowed.map(|origin| format!("{} (--allow-origin)", origin.as_str())));
        }
        // A Host is judged on loopback alone.
        if !is_of_page || settings.listen.ip().to_canonical().is_loopback() {
            taken.push("any of loopback".into());
        }
        match (self, taken.as_slice()) {
            (Self::HostInvalid, _) => format!("{says}; exactly one valid Host is needed"),
            (_, []) => format!("{says}; none is taken, --allow-origin names those that may be"),
            (_, taken) => format!("{says}; taken here: {}", first_of(taken, String::clone)),
        }
    }
}

/// The `Host` that one thread has found good last. Nearly all requests name the same one.
#[derive(Debug, Default)]
pub struct LastHost(RefCell<Option<Box<[u8]>>>);

impl LastHost {
    fn is(&self, host: &[u8]) -> bool {
        self.0.borrow().as_deref() == Some(host)
    }

    fn remember(&self, host: &[u8]) {
        *self.0.borrow_mut() = Some(host.into());
    }
}

/// Judges `Host` and `Origin`; the answer is the page's origin, where a page asks.
///
/// # Errors
/// Where either is not one of those that are taken here; `Host` also where there is not exactly one that is valid.
pub fn check<'a>(
    parts: &'a Parts,
    settings: &Settings,
    last: &LastHost,
) -> Result<Option<&'a [u8]>, Foreign> {
    let host = parts.headers.single(&header::HOST).map_err(|_| Foreign::HostInvalid)?;
    let host = host.ok_or(Foreign::HostInvalid)?;
    // A target that names a host as well is compared with it each time.
    if parts.uri.authority().is_some() || !last.is(host) {
        check_host(parts, host, settings)?;
        last.remember(host);
    }
    page(&parts.headers, settings)
}

fn check_host(parts: &Parts, host: &[u8], settings: &Settings) -> Result<(), Foreign> {
    let host = text(host).ok_or(Foreign::HostInvalid)?;
    let authority: Authority = host.parse().map_err(|_| Foreign::HostInvalid)?;
    let has_odd_port = authority.as_str().len() > authority.host().len() && authority.port_u16().is_none();
    if host.contains('@') || has_odd_port || parts.uri.authority().is_some_and(|target| *target != authority)
    {
        return Err(Foreign::HostInvalid);
    }
    if settings.listen.ip().to_canonical().is_loopback() && !is_own_host(&authority, settings) {
        return Err(Foreign::HostDenied);
    }
    Ok(())
}

/// The origin of the page that asks, where a page asks.
///
/// # Errors
/// [`Foreign::OriginDenied`] where it is none of those that may, or there are several.
pub fn page<'a>(headers: &'a Fields, settings: &Settings) -> Result<Option<&'a [u8]>, Foreign> {
    match headers.single(&header::ORIGIN) {
        Ok(None) => Ok(None),
        Ok(Some(value)) if is_own_origin(value, settings) => Ok(Some(value)),
        _ => Err(Foreign::OriginDenied),
    }
}

/// Whether the `Host` of a question of a proxy is taken: as on the rest of the admin listener, or the name by which
/// clients reach the proxy, which some proxies leave in place.
pub fn is_host_of_proxy_acceptable(headers: &Fields, settings: &Settings) -> bool {
    let host = || text(headers.single(&header::HOST).ok()??);
    is_host_acceptable(headers, settings.admin_listen.ip())
        || settings
            .public_url
            .as_ref()
            .is_some_and(|url| host().is_some_and(|host| host.eq_ignore_ascii_case(url.authority())))
}

/// The same check for a listener that has no public name and no pages: loopback names only, where it listens there.
pub fn is_host_acceptable(headers: &Fields, listen: IpAddr) -> bool {
    if !listen.to_canonical().is_loopback() {
        return true;
    }
    let host = headers.single(&header::HOST).ok().flatten().and_then(text);
    host.and_then(|text| text.parse::<Authority>().ok()).is_some_and(|authority| is_loopback(&authority))
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_own_host(authority: &Authority, settings: &Settings) -> bool {
    is_loopback(authority)
        || settings
            .public_url
            .as_ref()
            .is_some_and(|url| authority.as_str().eq_ignore_ascii_case(url.authority()))
}

fn is_own_origin(value: &[u8], settings: &Settings) -> bool {
    let Some(text) = text(value) else { return false };
    if settings.allowed_origins.iter().any(|origin| origin.as_str().eq_ignore_ascii_case(text)) {
        return true;
    }
    if settings.public_url.as_ref().is_some_and(|url| url.is_origin(text)) {
        return true;
    }
    settings.listen.ip().to_canonical().is_loopback() && is_loopback_origin(text)
}

fn is_loopback_origin(origin: &str) -> bool {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
        .and_then(|rest| rest.parse::<Authority>().ok())
        .is_some_and(|authority| !authority.as_str().contains('@') && is_loopback(&authority))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use http::request::Builder;

    fn settings(listen: &str) -> Settings {
        let mut settings = Settings::new("http://127.0.0.1:1/mcp".parse().unwrap());
        settings.listen = listen.parse().unwrap();
        settings.public_url = Some("https://mcp.example.com/mcp".parse().unwrap());
        settings.allowed_origins = vec!["https://app.example.com".parse().unwrap()];
        settings
    }

    fn parts(request: Builder) -> Parts {
        request.body(()).unwrap().into_parts().0.into()
    }

    fn judge(listen: &str, fields: &[(&str, &str)]) -> Result<bool, Foreign> {
        let mut request = Request::builder().uri("/mcp");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, last) = (parts(request), LastHost::default());
        let judge = || check(&parts, &settings(listen), &last).map(|origin| origin.is_some());
        let judged = judge();
        assert_eq!(judged, judge(), "the same again");
        judged
    }

    #[test]
    fn a_loopback_listener_takes_loopback_names_and_its_public_one() {
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "mcp.example.com"]
        {
            assert_eq!(judge("127.0.0.1:8080", &[("host", host)]), Ok(false), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "mcp.example.com:81"]
        {
            assert_eq!(judge("127.0.0.1:8080", &[("host", host)]), Err(Foreign::HostDenied), "{host}");
            assert_eq!(judge("0.0.0.0:8080", &[("host", host)]), Ok(false), "{host}");
        }
    }

    #[test]
    fn a_host_that_is_absent_doubled_or_no_host_is_invalid() {
        for fields in [
            &[][..],
            &[("host", "localhost"), ("host", "localhost")],
            &[("host", "a b")],
            &[("host", "u@localhost")],
            &[("host", "localhost:http")],
            &[("host", "localhost:65536")],
        ] {
            assert_eq!(judge("127.0.0.1:8080", fields), Err(Foreign::HostInvalid), "{fields:?}");
        }
        let parts = parts(Request::builder().uri("http://evil.example/mcp").header("host", "localhost"));
        let last = LastHost::default();
        last.remember(b"localhost");
        assert_eq!(check(&parts, &settings("127.0.0.1:8080"), &last), Err(Foreign::HostInvalid));
    }

    #[test]
    fn pages_need_to_be_listed() {
        for origin in
            ["https://app.example.com", "https://mcp.example.com", "http://localhost:6274", "http://[::1]:9"]
        {
            assert_eq!(
                judge("127.0.0.1:8080", &[("host", "localhost"), ("origin", origin)]),
                Ok(true),
                "{origin}"
            );
        }
        for origin in [
            "null",
            "",
            "https://app.example.com.evil.example",
            "http://app.example.com",
            "https://app.example.com:444",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "https://evil.example",
        ] {
            let fields = [("host", "localhost"), ("origin", origin)];
            assert_eq!(judge("127.0.0.1:8080", &fields), Err(Foreign::OriginDenied), "{origin}");
        }
        let twice =
            [("host", "x"), ("origin", "https://app.example.com"), ("origin", "https://app.example.com")];
        assert_eq!(judge("0.0.0.0:8080", &twice), Err(Foreign::OriginDenied));
        let local = [("host", "x"), ("origin", "http://localhost:6274")];
        assert_eq!(judge("0.0.0.0:8080", &local), Err(Foreign::OriginDenied));
    }
}
