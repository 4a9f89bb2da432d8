//! What an operator has to mend about the MCP server behind the gateway, where its answers cannot be passed on whatever is
//! asked: told in the log and by an event.

use std::borrow::Cow;

use http::{StatusCode, header};
use serde::Deserialize;
use url::Url;

use super::head::AnswerHead;
use crate::domain::text::{excerpt, url_excerpt};
use crate::gateway::config::Upstream;
use crate::gateway::wire::text;

/// Its answer is not HTTP.
pub const NO_HTTP: &str =
    "its answer is not HTTP/1.1: give the plain http:// address of a server that speaks Streamable HTTP";

/// What is wrong with the head of an answer of the MCP endpoint, whatever was asked.
pub fn at_endpoint(upstream: &Upstream, head: &AnswerHead) -> Option<String> {
    match head.status {
        StatusCode::NOT_MODIFIED => None,
        status if status.is_redirection() => Some(redirect(upstream, head)),
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some(format!(
            "it wants a login of its own ({}): switch that off, and let nobody but the gateway reach it",
            head.status.as_u16()
        )),
        _ => None,
    }
}

/// Whether a status turns away whatever is asked, unless MCP itself says in the body that it means this one request.
pub fn turns_away(status: StatusCode) -> bool {
    [
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::MISDIRECTED_REQUEST,
    ]
    .contains(&status)
}

/// A request was turned away, and not by MCP.
pub fn turned_away(upstream: &Upstream, head: &AnswerHead) -> String {
    let status = head.status.as_u16();
    match head.status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            format!(
                "it has no MCP at {} ({status}): give --upstream the URL of its MCP endpoint",
                upstream.path()
            )
        }
        _ => format!(
            "it turns the gateway away ({status}): have it take what the gateway sends, under the name that clients use as well \
             (Host)"
        ),
    }
}

/// Whether a body is a message of MCP, or a batch of them.
pub fn is_message(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        jsonrpc: Cow<'a, str>,
    }
    let one = serde_json::from_slice::<Message<'_>>(body).map(|message| vec![message]);
    let all = one.or_else(|_| serde_json::from_slice::<Vec<Message<'_>>>(body));
    all.is_ok_and(|all| !all.is_empty() && all.iter().all(|message| message.jsonrpc == "2.0"))
}

/// The answer to a request has no body.
pub fn empty(upstream: &Upstream) -> String {
    format!(
        "it answers with an empty body, which is no MCP: give --upstream the URL of its MCP endpoint, if {} is not it",
        upstream.path()
    )
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

    fn head(text: &str) -> AnswerHead {
        let mut bytes = BytesMut::from(format!("HTTP/1.1 {text}\r\n\r\n").as_bytes());
        AnswerHead::take(&mut bytes, &Method::POST).ok().flatten().unwrap()
    }

    fn upstream() -> Upstream {
        "http://127.0.0.1:3000/mcp".parse().unwrap()
    }

    fn told(text: &str) -> Option<String> {
        at_endpoint(&upstream(), &head(text))
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
            let found = told(head).unwrap();
            assert!(found.starts_with(sentence), "{head}: {found}");
            assert!(!found.contains("secret"), "{found}");
        }
    }

    #[test]
    fn what_is_a_matter_of_one_call_is_told_to_its_client_alone() {
        assert!(told("401 U").unwrap().contains("a login of its own (401)"));
        assert!(told("407 P").unwrap().contains("a login of its own (407)"));
        for text in ["404 N", "405 M", "200 O", "202 A", "304 N", "400 B", "403 F", "500 I"] {
            assert_eq!(told(text), None, "{text}");
        }
        for (text, sentence) in [
            ("404 N", Some("it has no MCP at /mcp (404)")),
            ("405 M", Some("it has no MCP at /mcp (405)")),
            ("403 F", Some("it turns the gateway away (403)")),
            ("421 M", Some("it turns the gateway away (421)")),
            ("200 O", None),
            ("400 B", None),
            ("429 T", None),
            ("503 S", None),
        ] {
            let head = head(text);
            let found = turns_away(head.status).then(|| turned_away(&upstream(), &head));
            assert_eq!(found.as_deref().map(|found| found.split(':').next().unwrap()), sentence);
        }
    }

    #[test]
    fn a_message_of_mcp_says_that_it_is_one() {
        for message in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#,
            r#" [{"id":null,"jsonrpc":"2\u002e0","error":{}}] "#,
        ] {
            assert!(is_message(message.as_bytes()), "{message}");
        }
        for other in [
            "",
            "[]",
            "null",
            "Not Found",
            r#"{"detail":"Not Found"}"#,
            r#"{"jsonrpc":"1.0"}"#,
            r#"[{"jsonrpc":"2.0"},{}]"#,
            r#"{"jsonrpc":"2.0""#,
        ] {
            assert!(!is_message(other.as_bytes()), "{other}");
        }
    }
}
