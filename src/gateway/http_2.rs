//! HTTP/2 brought into the form that the rest of the gateway judges.

use std::future::Future;

use http::{HeaderValue, Request, header};
use hyper::rt::Executor;

/// The length of what a client says first (RFC 9113 §3.4).
pub const PREFACE: usize = 24;

/// Runs the tasks of an HTTP/2 connection on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub struct OnThisThread;

impl<F> Executor<F> for OnThisThread
where
    F: Future + 'static,
{
    fn execute(&self, task: F) {
        // The connection owns its tasks and ends them; nobody waits for one by its handle.
        drop(tokio::task::spawn_local(async { _ = task.await }));
    }
}

/// Gives a request the `Host` that its `:authority` stands for (RFC 9113 §8.3.1). A `Host` beside it stays: if the two
/// differ, the request is refused like any other that contradicts itself.
pub fn as_http_1<B>(mut request: Request<B>) -> Request<B> {
    let authority = request.uri().authority().and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let (Some(authority), false) = (authority, request.headers().contains_key(header::HOST)) {
        request.headers_mut().insert(header::HOST, authority);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: Option<&str>) -> Request<()> {
        let mut builder = Request::get("https://localhost:8443/mcp");
        if let Some(host) = host {
            builder = builder.header(header::HOST, host);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn the_authority_becomes_the_host_and_a_host_beside_it_stays() {
        assert_eq!(as_http_1(request(None)).headers()[header::HOST], "localhost:8443");
        assert_eq!(as_http_1(request(Some("elsewhere"))).headers()[header::HOST], "elsewhere");
    }
}
