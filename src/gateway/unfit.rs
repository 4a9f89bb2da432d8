//! What an operator has to mend about the MCP server behind the gateway, where its answers cannot be passed on whatever is
//! asked: told in the log and by an event.

use http::{StatusCode, header};
use url::Url;

use super::config::Upstream;
use super::upstream::AnswerHead;
use super::wire::text;
use crate::domain::text::{excerpt, url_excerpt};

/// Its answer is not HTTP.
pub const NO_HTTP: &str =
    "its answer is not HTTP/1.1: give the plain http:// address of a server that speaks Streamable HTTP";

/// What is wrong with the head of an answer of the MCP endpoint. `begins`: to a request that any server takes.
pub fn at_endpoint(upstream: &Upstream, head: &AnswerHead, begins: bool) -> Option<String> {
    let path = upstream.path();
    match head.status {
        StatusCode::NOT_MODIFIED => None,
        status if status.is_redirection() => Some(redirect(upstream, head)),
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some(format!(
            "it wants a login of its own ({}): switch that off, and let nobody but the gateway reach it",
            head.status.as_u16()
        )),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if begins => Some(format!(
            "it has no MCP at {path} ({}): give --upstream the URL of its MCP endpoint",
            head.status.as_u16()
        )),
        _ => None,
    }
}

/// The answer to a request is neither JSON nor a stream of events.
pub fn media(upstream: &Upstream, head: &AnswerHead) -> String {
    let media = head.fields.get(&header::CONTENT_TYPE).and_then(text).unwrap_or("nothing that it names");
    format!(
        "it answers with {}, which is no MCP: give --upstream the URL of its MCP endpoint, if {} is not it",
        excerpt(media),
        upstream.path()
    )
}

fn redirect(upstream: &Upstream, head: &AnswerHead) -> String {
    let Some(location) = head.fields.get(&header::LOCATION).and_then(text) else {
        return format!("it redirects, and does not say where to ({})", head.status.as_u16());
    };
    let Some(target) = Url::parse(&upstream.to_string()).ok().and_then(|own| own.join(location).ok()) else {
        return format!("it redirects to {}, which is no URL", excerpt(location));
    };
    let shown = url_excerpt(target.as_str());
    if target.as_str().parse().is_ok_and(|target: Upstream| target == *upstream) {
        return format!("it redirects to itself ({shown})");
    }
    let place = if location.starts_with('/') { excerpt(location) } else { shown.clone() };
    match target.scheme() {
        "http" => format!("it redirects to {place}: give --upstream {shown}"),
        _ => format!(
            "it redirects to {place}, and the gateway speaks plain http to it: give --upstream an http:// address that it \
             answers itself"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use http::Method;

    fn told(head: &str, begins: bool) -> Option<String> {
        let mut bytes = BytesMut::from(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes());
        let head = AnswerHead::take(&mut bytes, &Method::POST).ok().flatten().unwrap();
        at_endpoint(&"http://127.0.0.1:3000/mcp".parse().unwrap(), &head, begins)
    }

    #[test]
    fn a_redirect_is_told_with_the_url_that_would_do() {
        for (head, sentence) in [
            ("307 T\r\nLocation: /mcp/", "it redirects to /mcp/: give --upstream http://127.0.0.1:3000/mcp/"),
            (
                "308 P\r\nLocation: mcp/",
                "it redirects to http://127.0.0.1:3000/mcp/: give --upstream http://127.0.0.1:3000/mcp/",
            ),
            ("302 F\r\nLocation: http://other:81/x?key=secret", "it redirects to http://other:81/x"),
            (
                "301 M\r\nLocation: https://mcp.example/mcp",
                "it redirects to https://mcp.example/mcp, and the gateway speaks plain http",
            ),
            (
                "303 S\r\nLocation: /login?next=%2Fmcp",
                "it redirects to /login?next=%2Fmcp: give --upstream http://127.0.0.1:3000/login",
            ),
            ("302 F\r\nLocation: /mcp", "it redirects to itself"),
            ("302 F\r\nLocation: http://[", "it redirects to http://[, which is no URL"),
            ("302 F", "it redirects, and does not say where to (302)"),
        ] {
            let found = told(head, false).unwrap();
            assert!(found.starts_with(sentence), "{head}: {found}");
            assert!(!found.contains("secret"), "{found}");
        }
    }

    #[test]
    fn what_is_a_matter_of_one_call_is_told_to_its_client_alone() {
        assert!(told("401 U", false).unwrap().contains("a login of its own (401)"));
        assert!(told("407 P", true).unwrap().contains("a login of its own (407)"));
        assert!(told("404 N", true).unwrap().contains("no MCP at /mcp (404)"));
        assert!(told("405 M", true).unwrap().contains("no MCP at /mcp (405)"));
        for head in ["404 N", "405 M", "200 O", "202 A", "304 N", "400 B", "403 F", "500 I"] {
            assert_eq!(told(head, false), None, "{head}");
        }
    }
}
