//! Which path is the MCP endpoint, and what any other path asks for.
//!
//! Whatever a lenient router behind the gateway could take for the MCP endpoint is judged as the MCP endpoint, so that
//! no spelling of its path gets by with the rules of plain HTTP.

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::domain::endpoint::{BadEndpoint, Endpoint};

use super::refusal::Refusal;

/// The MCP endpoint's path, and what it looks like to a router that is not strict.
#[derive(Clone, Debug)]
pub struct McpPath {
    exact: String,
    loose: Vec<String>,
    /// The loose segments with slashes between them.
    joined: String,
}

impl McpPath {
    pub fn new(path: &str) -> Self {
        let loose: Vec<_> = loose(path).collect();
        Self { exact: path.to_owned(), joined: loose.join("/"), loose }
    }

    /// Whether it is the path to the letter.
    pub fn is(&self, path: &str) -> bool {
        path == self.exact
    }

    pub fn matches(&self, path: &str) -> bool {
        if self.is(path) {
            return true;
        }
        if is_plain(path) {
            return path.trim_matches('/').eq_ignore_ascii_case(&self.joined);
        }
        resolved(path).is_some_and(|segments| segments == self.loose)
    }
}

/// Whether a path has nothing that a lenient router could read in another way, but for the case of its letters.
fn is_plain(path: &str) -> bool {
    !path.contains(['%', '\\', ';']) && !path.contains("//") && !path.contains("/.")
}

/// All percent-escapes undone, also of escapes, as often as servers in a row could do it.
fn decoded(path: &str) -> String {
    let mut text = path.to_owned();
    for _ in 0..3 {
        let once = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if once == text {
            break;
        }
        text = once;
    }
    text
}

/// The segments without empty ones, without path parameters, in lower case.
fn loose(path: &str) -> impl Iterator<Item = String> {
    let text = decoded(path);
    let segments: Vec<String> = text
        .split(['/', '\\'])
        .map(|segment| segment.split_once(';').map_or(segment, |(name, _)| name).to_ascii_lowercase())
        .filter(|segment| !segment.is_empty())
        .collect();
    segments.into_iter()
}

/// The same with dot segments resolved; `None` where they lead above the root.
fn resolved(path: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    for segment in loose(path) {
        match segment.as_str() {
            "." => {}
            ".." => {
                segments.pop()?;
            }
            _ => segments.push(segment),
        }
    }
    Some(segments)
}

/// What a path asks for. Who wrote a credential into one is told so.
///
/// # Errors
/// 400 where servers could read it in more than one way.
pub fn endpoint(path: &str) -> Result<Endpoint, Refusal> {
    Endpoint::http(path).map_err(|fault| match fault {
        BadEndpoint::Credential => Refusal::bad_request(StatusCode::BAD_REQUEST, fault.to_string()),
        _ => Refusal::bad_request(StatusCode::BAD_REQUEST, "the path cannot be normalised"),
    })
}

/// Whether requests by this method are forwarded.
pub fn is_served(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
        .contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_endpoint_is_the_endpoint() {
        let endpoint = McpPath::new("/api/mcp");
        for path in [
            "/api/mcp",
            "/api/mcp/",
            "//api//mcp",
            "/API/Mcp",
            "/api/%6dcp",
            "/api/%256dcp",
            "/api%2Fmcp",
            "/api%5cmcp",
            "/api;v=1/mcp;jsessionid=2",
            "/x/..%2fapi/mcp",
            "/api/mcp%2f",
            "/api/./mcp",
            "/api/mcp%3Bx",
        ] {
            assert!(endpoint.matches(path), "{path}");
        }
        for path in ["/", "/api", "/api/mcp2", "/api/mcp/x", "/mcp", "/%2e%2e/api/mcp", "/api/mcp.json"] {
            assert!(!endpoint.matches(path), "{path}");
        }
    }

    #[test]
    fn an_endpoint_at_the_root_is_the_root_alone() {
        let endpoint = McpPath::new("/");
        assert!(endpoint.matches("/") && endpoint.matches("//") && !endpoint.matches("/health"));
    }
}
