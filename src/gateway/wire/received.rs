//! A client's request, whichever version of HTTP it comes by.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::arriving::{Arriving, EndedEarly};
use super::fields::Fields;

/// A client's request without its body.
#[derive(Debug)]
pub struct Parts {
    pub method: Method,
    pub uri: Uri,
    pub headers: Fields,
}

impl From<http::request::Parts> for Parts {
    fn from(parts: http::request::Parts) -> Self {
        Self { method: parts.method, uri: parts.uri, headers: Fields::from(&parts.headers) }
    }
}

/// The body of a client's request.
pub enum Received {
    Http1(Arriving),
    Http2(Streamed),
}

/// The body of a request of HTTP/2.
pub struct Streamed {
    body: Incoming,
    /// Whether it was found broken off, and who serves the stream was let look first.
    is_broken_off: bool,
}

impl From<Incoming> for Received {
    fn from(body: Incoming) -> Self {
        Self::Http2(Streamed { body, is_broken_off: false })
    }
}

impl Streamed {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EndedEarly>>> {
        let end = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            // hyper takes a stream that its client has reset for one at its end.
            None if self.body.is_end_stream() => return Poll::Ready(None),
            Some(Err(_)) | None => Poll::Ready(Some(Err(EndedEarly))),
        };
        if std::mem::replace(&mut self.is_broken_off, true) {
            return end;
        }
        // hyper looks for a reset only while an answer is not there yet: a request that was taken back is to be forsaken,
        // and counted as such, not answered.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = EndedEarly;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EndedEarly>>> {
        match self.get_mut() {
            Self::Http1(arriving) => {
                arriving.poll_piece().map(|piece| piece.transpose().map(|it| it.map(Frame::data)))
            }
            Self::Http2(streamed) => streamed.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(arriving) => arriving.is_over(),
            Self::Http2(streamed) => streamed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(arriving) => arriving.length().map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Http2(streamed) => streamed.body.size_hint(),
        }
    }
}
