//! Whom a token is for: how two names of an audience are compared.
//!
//! To the letter. Two URLs are one also where only the case of scheme and host differs, the default port, or one slash at
//! the end (RFC 3986 §6.2.2 and §6.2.3). Nothing is mended as browsers mend it: what needs mending is another name.

/// Whether two names mean one audience.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || Address::of(one).is_some_and(|one| Address::of(other).is_some_and(|other| one == other))
}

/// A URL in its parts. Scheme and host are compared without regard to case.
#[derive(Debug)]
struct Address<'a> {
    is_secure: bool,
    host: &'a str,
    /// As it stands there; empty where it is the default one.
    port: &'a str,
    /// Path and query, without the slash at the end.
    rest: &'a str,
}

impl PartialEq for Address<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.is_secure == other.is_secure
            && self.host.eq_ignore_ascii_case(other.host)
            && (self.port, self.rest) == (other.port, other.rest)
    }
}

impl<'a> Address<'a> {
    /// `None` for what is no plain http or https URL: with white space or anything else outside of visible ASCII, a
    /// backslash, a fragment, user info, dot segments, or a port that is none.
    fn of(text: &'a str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#'));
        let (scheme, rest) = text.split_once("://").filter(|_| is_plain)?;
        let (is_secure, default) = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => (true, "443"),
            _ if scheme.eq_ignore_ascii_case("http") => (false, "80"),
            _ => return None,
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => {
                let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                (host, Some(port).filter(|_| is_number)?)
            }
            _ => (authority, ""),
        };
        let path = rest.split('?').next().unwrap_or_default();
        if host.is_empty() || authority.contains('@') || path.split('/').any(is_dot_segment) {
            return None;
        }
        let port = if port == default { "" } else { port };
        Some(Self { is_secure, host, port, rest: rest.strip_suffix('/').unwrap_or(rest) })
    }
}

fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://mcp.example/mcp";

    #[test]
    fn names_of_one_url_are_one() {
        for text in [
            OURS,
            "https://mcp.example/mcp/",
            "HTTPS://MCP.Example/mcp",
            "https://mcp.example:443/mcp",
            "https://mcp.example:443/mcp/",
        ] {
            assert!(is_same(text, OURS) && is_same(OURS, text), "{text}");
        }
        assert!(is_same("http://[::1]:8080/mcp", "http://[::1]:8080/mcp/"));
        assert!(is_same("http://[::1]", "http://[::1]:80/"));
        assert!(is_same("urn:portcullis:7", "urn:portcullis:7") && is_same("api ", "api "));
    }

    #[test]
    fn nothing_else_is_forgiven() {
        for text in [
            "https://mcp.example/mcp ",
            " https://mcp.example/mcp",
            "https://mcp.example/mcp\t",
            "https://mcp.example/mcp\n",
            "https://mcp.example/m\ncp",
            "https://mcp.example/mcp//",
            "https://mcp.example//mcp",
            "https:\\\\mcp.example\\mcp",
            "https:mcp.example/mcp",
            "https:/mcp.example/mcp",
            "https:///mcp.example/mcp",
            "https://mcp.example/./mcp",
            "https://mcp.example/x/../mcp",
            "https://mcp.example/x/%2E%2e/mcp",
            "https://mcp.example/mcp#",
            "https://mcp.example/mcp#x",
            "https://mcp.example/mcp?",
            "https://mcp.example/%6Dcp",
            "https://@mcp.example/mcp",
            "https://a:b@mcp.example/mcp",
            "https://mcp.example.:443/mcp",
            "https://mcp.example:/mcp",
            "https://mcp.example:0443/mcp",
            "https://mcp.example:80/mcp",
            "https://mcp.example/MCP",
            "http://mcp.example/mcp",
            "ｈttps://mcp.example/mcp",
            "https://ｍcp.example/mcp",
        ] {
            assert!(!is_same(text, OURS) && !is_same(OURS, text), "{text:?}");
        }
        assert!(!is_same("URN:portcullis:7", "urn:portcullis:7") && !is_same("api/", "api"));
    }
}
