//! What browsers are answered for the pages that may ask: preflights, and the fields that let a page read an answer (Fetch
//! §3.2).

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::stream::Reply;
use super::wire::{Fields, Parts};

/// Whether it is a browser's question before the real request.
pub fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.headers.has(&header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: the origin was found good, whatever fields it asks for may be sent. No credential is
/// asked for, because browsers send none here, and nothing is forwarded.
pub fn preflight(asked: &Fields) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    invite(response.headers_mut(), asked);
    response
}

/// The fields of such an answer, beside those of [`share_fields`].
pub fn invite(headers: &mut HeaderMap, asked: &Fields) {
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    let fields = asked.get(&header::ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(fields) = fields.and_then(|fields| HeaderValue::from_bytes(fields).ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fields);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

/// Lets the page that asked read the answer, and the fields of it that MCP clients need.
pub fn share(response: &mut Response<Reply>, origin: &[u8]) {
    for name in [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_EXPOSE_HEADERS] {
        response.body_mut().fields.remove(&name);
    }
    share_fields(response.headers_mut(), origin);
}

/// The fields that do so.
pub fn share_fields(headers: &mut HeaderMap, origin: &[u8]) {
    let Ok(origin) = HeaderValue::from_bytes(origin) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "mcp-session-id, www-authenticate, retry-after, ratelimit, ratelimit-policy, x-portcullis-request-id",
        ),
    );
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
