//! Connections to the upstream: one thread's own, kept for the next request.
//!
//! A request is sent again only where it provably was not sent: a kept connection that the upstream closed meanwhile
//! hands the request back. What may have reached the upstream is never repeated.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep, timeout};

use super::config::{Timeouts, Upstream};
use super::refusal::UpstreamFault;

/// Kept connections a thread.
const KEPT: usize = 256;
/// Shorter than the five seconds after which common servers (uvicorn, Node) close an idle connection, so that a request
/// seldom meets one that is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(4);
/// A kept connection is ready as soon as its driver has run; one that is not still sends an earlier body.
const READY: Duration = Duration::from_millis(50);
/// Bounds what a response's head may take.
const BUFFER: usize = 128 * 1024;

/// The body of a request to the upstream.
pub enum Outgoing {
    Whole(Full<Bytes>),
    Streamed(Capped),
}

impl Outgoing {
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }

    /// Where it will be told what the client did wrong while its body was passed on.
    pub fn broken(&self) -> Broken {
        match self {
            Self::Whole(_) => Broken::default(),
            Self::Streamed(capped) => capped.broken.clone(),
        }
    }
}

/// Why a client's body could not be passed on to its end, if it could not.
pub type Broken = Rc<Cell<Option<BrokenBody>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenBody {
    TooLong,
    EndedEarly,
    TooSlow,
}

/// A client's body passed on as it comes, up to a length and no slower than a time between two pieces. Trailers end here: nobody judged them.
pub struct Capped {
    body: Incoming,
    left: u64,
    most_idle: Duration,
    /// Runs while the client has sent nothing more.
    idle: Option<Pin<Box<Sleep>>>,
    broken: Broken,
}

impl Capped {
    pub fn new(body: Incoming, most: u64, most_idle: Duration) -> Self {
        Self { body, left: most, most_idle, idle: None, broken: Broken::default() }
    }

    /// The client's next piece; an error where it kept everybody waiting for too long.
    fn next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<hyper::Result<Frame<Bytes>>>, OutgoingError>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.idle = None;
            return Poll::Ready(Ok(frame));
        }
        let most = self.most_idle;
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(idle.as_mut().poll(context));
        self.broken.set(Some(BrokenBody::TooSlow));
        Poll::Ready(Err(OutgoingError::TooSlow))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("the client's body is too long")]
    TooLong,
    #[error("the client's body did not go on")]
    TooSlow,
    #[error("the client's body ended early")]
    Client(#[source] hyper::Error),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = OutgoingError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutgoingError>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Streamed(capped) => {
                let frame = match ready!(capped.next(context)) {
                    Ok(Some(Ok(frame))) if frame.is_data() => frame,
                    Ok(Some(Ok(_)) | None) => return Poll::Ready(None),
                    Err(slow) => return Poll::Ready(Some(Err(slow))),
                    Ok(Some(Err(error))) => {
                        capped.broken.set(Some(BrokenBody::EndedEarly));
                        return Poll::Ready(Some(Err(OutgoingError::Client(error))));
                    }
                };
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match capped.left.checked_sub(length) {
                    Some(left) => {
                        capped.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => {
                        capped.broken.set(Some(BrokenBody::TooLong));
                        Poll::Ready(Some(Err(OutgoingError::TooLong)))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(capped) => capped.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(capped) => capped.body.size_hint(),
        }
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection in use. Dropped, it is closed at once, whatever the upstream is doing; [`Lease::give_back`] keeps it.
struct Connection {
    sender: SendRequest<Outgoing>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A connection on which a response is being read.
pub struct Lease {
    connection: Connection,
    pool: Rc<Pool>,
}

impl Lease {
    /// Keeps the connection for the next request; the response was read to its end.
    pub fn give_back(self) {
        let Self { connection, pool } = self;
        pool.keep(connection);
    }
}

/// One thread's connections to the upstream.
pub struct Pool {
    upstream: Upstream,
    timeouts: Timeouts,
    idle: RefCell<VecDeque<Idle>>,
    /// Whether the last attempt to connect succeeded: a change is logged, not every failure.
    reachable: Cell<bool>,
}

impl Pool {
    pub fn new(upstream: Upstream, timeouts: Timeouts) -> Self {
        Self { upstream, timeouts, idle: RefCell::default(), reachable: Cell::new(true) }
    }

    fn keep(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        while idle.len() >= KEPT || idle.front().is_some_and(|oldest| oldest.since.elapsed() > KEPT_FOR) {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
    }

    async fn kept(&self) -> Option<Connection> {
        loop {
            // The borrow must end before the wait.
            let newest = self.idle.borrow_mut().pop_back()?;
            let mut connection = newest.connection;
            if newest.since.elapsed() > KEPT_FOR {
                continue;
            }
            if let Ok(Ok(())) = timeout(READY, connection.sender.ready()).await {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection, UpstreamFault> {
        let connecting = async {
            let stream = TcpStream::connect((self.upstream.host(), self.upstream.port())).await?;
            stream.set_nodelay(true)?;
            io::Result::Ok(stream)
        };
        let connected = timeout(self.timeouts.connect, connecting).await;
        let reachable = matches!(connected, Ok(Ok(_)));
        if self.reachable.replace(reachable) != reachable {
            tracing::warn!(upstream = %self.upstream, reachable, "whether the upstream takes connections has changed");
        }
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the upstream takes no connection");
                return Err(UpstreamFault::Down);
            }
            Err(_) => return Err(UpstreamFault::Slow),
        };
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| UpstreamFault::Down)?;
        let driver = tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for the response.
            let _ = driver.await;
        });
        Ok(Connection { sender, driver: driver.abort_handle() })
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn send(
        self: &Rc<Self>,
        request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamFault> {
        let exchange = async {
            let mut request = request;
            if let Some(mut connection) = self.kept().await {
                match connection.sender.try_send_request(request).await {
                    Ok(response) => return Ok((response, connection)),
                    Err(mut failed) => match failed.take_message() {
                        Some(unsent) => request = unsent,
                        None => return Err(fault(failed.error())),
                    },
                }
            }
            let mut connection = self.connect().await?;
            match connection.sender.send_request(request).await {
                Ok(response) => Ok((response, connection)),
                Err(error) => Err(fault(&error)),
            }
        };
        match timeout(self.timeouts.response, exchange).await {
            Ok(answered) => {
                answered.map(|(response, connection)| (response, Lease { connection, pool: self.clone() }))
            }
            Err(_) => Err(UpstreamFault::Slow),
        }
    }
}

fn fault(error: &hyper::Error) -> UpstreamFault {
    tracing::debug!(%error, "the upstream did not answer");
    if error.is_parse() { UpstreamFault::Garbled } else { UpstreamFault::Down }
}
