//! Connections to the upstream: one thread's own, kept for the next request.
//!
//! A request is sent again only where it provably was not sent: a kept connection that the upstream closed meanwhile
//! hands the request back. What may have reached the upstream is never repeated.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{
    TrySendError,
    http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::config::{Timeouts, Upstream};
use super::refusal::UpstreamFault;

/// Kept connections a thread.
const KEPT: usize = 256;
/// Shorter than the five seconds after which common servers (uvicorn, Node) close an idle connection, so that a request
/// seldom meets one that is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(4);
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
    pub fn broken(&self) -> Option<Broken> {
        match self {
            Self::Whole(_) => None,
            Self::Streamed(capped) => Some(capped.broken.clone()),
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

/// A connection to the upstream. Nobody but its holder drives it: it goes on only while it is polled, in the task of the
/// client's connection, so that an answer costs no change of task. Dropped, it is closed at once, whatever the upstream is
/// doing.
struct Connection {
    sender: SendRequest<Outgoing>,
    driver: Box<http1::Connection<TokioIo<TcpStream>, Outgoing>>,
    ended: bool,
    /// Goes off no later than an answer is due. Set anew only when it goes off, since most answers come long before.
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    /// Goes on as far as it can. Its end shows where its holder waits for something of it.
    fn drive(&mut self, context: &mut Context<'_>) {
        self.ended = self.ended || Pin::new(&mut *self.driver).poll(context).is_ready();
    }

    /// The same for now, without being told when it can go further.
    fn drive_now(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }

    /// Whether it takes another request. Not while it still sends the body of the last one.
    fn is_ready(&mut self) -> bool {
        self.drive_now();
        !self.ended && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer, `None` where it has not come `within` a time.
    async fn exchange(
        &mut self,
        request: Request<Outgoing>,
        within: Duration,
    ) -> Option<Result<Response<Incoming>, TrySendError<Request<Outgoing>>>> {
        let due = Instant::now() + within;
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|context| {
            self.drive(context);
            // It is only ever ready by what the driver did.
            if let Poll::Ready(answered) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(Some(answered));
            }
            while self.alarm.as_mut().poll(context).is_ready() {
                if self.alarm.deadline() >= due {
                    return Poll::Ready(None);
                }
                self.alarm.as_mut().reset(due);
            }
            Poll::Pending
        });
        let answered = answered.await;
        // So that asking for the body does not wake the one who asks.
        self.drive_now();
        answered
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_over(&self) -> bool {
        self.since.elapsed() > KEPT_FOR
    }
}

/// The body of an answer, with the connection that it comes over. Read to its end, the connection is kept for the next
/// request; dropped earlier, it is closed.
pub struct Answer {
    body: Incoming,
    /// `None` once the body has ended.
    connection: Option<Connection>,
    pool: Rc<Pool>,
}

impl Answer {
    fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.keep(connection);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let body = &mut Pin::new(&mut this.body);
        let mut now = Context::from_waker(Waker::noop());
        let mut polled = body.as_mut().poll_frame(&mut now);
        if let (true, Some(connection)) = (polled.is_pending(), &mut this.connection) {
            connection.drive(context);
            polled = body.as_mut().poll_frame(&mut now);
        }
        match &polled {
            Poll::Ready(None) => this.end(),
            Poll::Ready(Some(Err(_))) => this.connection = None,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // A body whose length is known is not asked again after its last byte.
        if self.body.is_end_stream() {
            self.end();
        }
    }
}

/// One thread's connections to the upstream.
pub struct Pool {
    upstream: Upstream,
    timeouts: Timeouts,
    idle: RefCell<VecDeque<Idle>>,
    /// Whether somebody is about to close what was kept for too long.
    is_swept: Cell<bool>,
    /// Whether the last attempt to connect succeeded: a change is logged, not every failure.
    reachable: Cell<bool>,
}

impl Pool {
    pub fn new(upstream: Upstream, timeouts: Timeouts) -> Self {
        Self {
            upstream,
            timeouts,
            idle: RefCell::default(),
            is_swept: Cell::new(false),
            reachable: Cell::new(true),
        }
    }

    fn keep(self: &Rc<Self>, mut connection: Connection) {
        if !connection.is_ready() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= KEPT {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
        if !self.is_swept.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    /// The connection that was used last: it is the least likely to be closed.
    fn kept(&self) -> Option<Connection> {
        loop {
            let newest = self.idle.borrow_mut().pop_back()?;
            if newest.is_over() {
                continue;
            }
            let mut connection = newest.connection;
            if connection.is_ready() {
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
        let alarm = Box::pin(sleep(self.timeouts.response));
        Ok(Connection { sender, driver: Box::new(driver), ended: false, alarm })
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn send(
        self: &Rc<Self>,
        request: Request<Outgoing>,
    ) -> Result<Response<Answer>, UpstreamFault> {
        let within = self.timeouts.response;
        let mut request = request;
        if let Some(mut connection) = self.kept() {
            match connection.exchange(request, within).await.ok_or(UpstreamFault::Slow)? {
                Ok(response) => return Ok(self.answer(response, connection)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(fault(failed.error())),
                },
            }
        }
        let mut connection = self.connect().await?;
        match connection.exchange(request, within).await.ok_or(UpstreamFault::Slow)? {
            Ok(response) => Ok(self.answer(response, connection)),
            Err(failed) => Err(fault(failed.error())),
        }
    }

    fn answer(self: &Rc<Self>, response: Response<Incoming>, connection: Connection) -> Response<Answer> {
        response.map(|body| Answer { body, connection: Some(connection), pool: self.clone() })
    }
}

/// Closes what was kept for too long, until there is nothing more. What the upstream has closed meanwhile goes with it.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(KEPT_FOR).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle.borrow_mut();
        while idle.front().is_some_and(Idle::is_over) {
            idle.pop_front();
        }
        if idle.is_empty() {
            pool.is_swept.set(false);
            return;
        }
    }
}

fn fault(error: &hyper::Error) -> UpstreamFault {
    tracing::debug!(%error, "the upstream did not answer");
    if error.is_parse() { UpstreamFault::Garbled } else { UpstreamFault::Down }
}
