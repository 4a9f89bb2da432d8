//! HTTP/1.1 with clients: a request is read, answered, and only then the next one is looked at.
//!
//! One task does it all: whoever answers a request takes its body straight from what the connection has read, and the
//! answer goes out in one write with its head. hyper does each of these through channels, timers and tasks of its own, and
//! takes what two readers could frame differently; here a call costs half of that and is read strictly ([`head`]).
//!
//! How long a connection may do nothing: a head has so long from its first byte, the first one from the beginning; between
//! two requests there is more time; a body is bounded by who reads it, an answer that nobody takes by
//! [`Taken`](crate::gateway::wire::Taken) and, where it may no longer be sent, here.

mod head;
mod reply;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, timeout_at};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;

pub use self::head::Head;
use self::reply::{Manner, Sending};
use super::waiters::Waiter;
use crate::domain::clock::Clock;
use crate::gateway::config::Timeouts;
use crate::gateway::stream::Reply;
use crate::gateway::wire::{Abrupt, Alarm, Intake, Outbox, Parts, Received};

/// So much is read at once.
const READ: usize = 8 * 1024;
/// How long a client may keep silent that is told that the connection ends, before the connection is let go. While it goes
/// on sending it has the time of a head to see that.
const PARTING: Duration = Duration::from_secs(1);
/// So much is read and forgotten meanwhile.
const FORGOTTEN: usize = 16 * 1024 * 1024;

/// What holds for all connections of a worker.
pub struct Terms {
    pub timeouts: Timeouts,
    /// Where it is cancelled, what was begun is answered and no more.
    pub stop: CancellationToken,
    pub clock: Arc<dyn Clock>,
}

/// Serves a connection until its client has enough, does nothing for too long, or is told to stop. `service` answers a
/// request, and is dropped where its client goes away.
///
/// # Errors
/// Where the connection breaks, or what is answered breaks off.
pub async fn serve<S, F, A>(stream: S, terms: &Terms, waiter: &Waiter, service: F) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Abrupt + Unpin,
    F: Fn(Parts, Received) -> A,
    A: Future<Output = Result<Response<Reply>, Infallible>>,
{
    let mut connection = Connection::new(stream, terms, waiter);
    let mut stopped = pin!(terms.stop.cancelled());
    let mut within = terms.timeouts.head;
    let is_read = loop {
        match connection.next_head(within, stopped.as_mut()).await? {
            None => return connection.stream.shutdown().await,
            Some(Ok(head)) => match connection.answer(head, &service).await? {
                Next::Request => within = terms.timeouts.idle,
                Next::End { is_read } => break is_read,
            },
            Some(Err(status)) => {
                connection.refuse(status).await?;
                break false;
            }
        }
    };
    connection.part(is_read).await
}

/// What follows an answer.
enum Next {
    Request,
    /// `is_read`: all that the client has sent of the request was read.
    End {
        is_read: bool,
    },
}

/// One client's connection.
struct Connection<'a, S> {
    stream: S,
    terms: &'a Terms,
    waiter: &'a Waiter,
    intake: Rc<Intake>,
    out: Outbox,
    alarm: Alarm,
}

impl<'a, S> Connection<'a, S>
where
    S: AsyncRead + AsyncWrite + Abrupt + Unpin,
{
    fn new(stream: S, terms: &'a Terms, waiter: &'a Waiter) -> Self {
        let alarm = Alarm::new(terms.timeouts.head);
        Self { stream, terms, waiter, intake: Intake::new(), out: Outbox::default(), alarm }
    }

    /// Waits for the head of a request; for a first byte of it so long. `None` where none comes.
    async fn next_head(
        &mut self,
        within: Duration,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> io::Result<Option<Result<Head, StatusCode>>> {
        let now = Instant::now();
        let mut until = now + within;
        self.waiter.waits_since(now);
        let (mut is_begun, mut is_new) = (false, true);
        poll_fn(|context| {
            loop {
                if std::mem::take(&mut is_new) {
                    let head = Head::take(&mut self.intake.read.borrow_mut()).transpose();
                    if head.is_some() {
                        self.waiter.is_answered();
                        return Poll::Ready(Ok(head));
                    }
                }
                let length = self.intake.read.borrow().len();
                match self.poll_read(context)? {
                    Poll::Ready(0) => return Poll::Ready(Ok(None)),
                    // Without an end of a line in it nothing has changed.
                    Poll::Ready(_) => is_new = Head::may_be_whole(&self.intake.read.borrow(), length),
                    Poll::Pending => {
                        if length > 0 && !is_begun {
                            is_begun = true;
                            until = until.min(Instant::now() + self.terms.timeouts.head);
                        }
                        if !is_begun && stopped.as_mut().poll(context).is_ready() {
                            return Poll::Ready(Ok(None));
                        }
                        if self.waiter.poll_sent_away(context).is_ready() {
                            return Poll::Ready(Ok(None));
                        }
                        return self.alarm.poll(context, until).map(|()| Ok(None));
                    }
                }
            }
        })
        .await
    }

    /// Reads what there is: how many bytes, none at the end of the connection.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut read = self.intake.read.borrow_mut();
        read.reserve(READ);
        poll_read_buf(Pin::new(&mut self.stream), context, &mut *read)
    }

    /// Answers a request.
    async fn answer<A>(&mut self, head: Head, service: impl Fn(Parts, Received) -> A) -> io::Result<Next>
    where
        A: Future<Output = Result<Response<Reply>, Infallible>>,
    {
        let mut is_expectant = head.is_expectant;
        let manner = Manner {
            is_head: head.parts.method == Method::HEAD,
            is_first: head.is_first,
            is_kept: head.is_kept,
        };
        let body = Received::Http1(self.intake.begin(head.content));
        let response = {
            let mut serving = pin!(service(head.parts, body));
            poll_fn(|context| {
                loop {
                    if let Poll::Ready(Ok(response)) = serving.as_mut().poll(context) {
                        return Poll::Ready(io::Result::Ok(response));
                    }
                    ready!(self.poll_feed(context, &mut is_expectant))?;
                }
            })
            .await?
        };
        self.waiter.is_told(response.status());
        // Of a body that is still on its way nobody knows where it ends until it has: no other request is looked for.
        let is_read = self.intake.is_over_or_rest_there();
        let is_kept = manner.is_kept && is_read && !self.terms.stop.is_cancelled();
        let sending = self.begin(response, Manner { is_kept, ..manner });
        let is_kept = sending.is_kept;
        let ends_with_the_connection = sending.ends_with_the_connection();
        if ends_with_the_connection {
            self.stream.break_when_dropped(true)?;
        }
        self.send(sending).await?;
        if ends_with_the_connection {
            self.stream.break_when_dropped(false)?;
        }
        Ok(if is_kept { Next::Request } else { Next::End { is_read } })
    }

    /// Reads on for who answers, where he asks for it; otherwise looks whether the client is still there. Ready when the
    /// one who answers should be asked again; an error where there is nobody left to answer.
    fn poll_feed(&mut self, context: &mut Context<'_>, is_expectant: &mut bool) -> Poll<io::Result<()>> {
        let waiting = self.intake.read.borrow().len();
        if self.intake.is_wanted() {
            if std::mem::take(is_expectant) && waiting == 0 {
                self.out.add([b"HTTP/1.1 100 Continue\r\n\r\n"]);
            }
            if !self.out.is_empty() {
                ready!(self.poll_out(context))?;
            }
            if ready!(self.poll_read(context))? == 0 {
                self.intake.break_off();
            }
            self.intake.has_read();
            return Poll::Ready(Ok(()));
        }
        // One byte tells as much as many, and needs no room for them.
        let mut byte = [0];
        while self.intake.read.borrow().is_empty() {
            let mut buffer = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.intake.read.borrow_mut().extend_from_slice(buffer.filled());
        }
        while self.intake.read.borrow().len() < READ {
            if ready!(self.poll_read(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Poll::Pending
    }

    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.out.poll_write(&mut self.stream, context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Sends an answer to its end; where it breaks off, what came of it.
    async fn send(&mut self, mut sending: Sending) -> io::Result<()> {
        let mut unread: Option<Pin<Box<Sleep>>> = None;
        let mut broken = None;
        poll_fn(|context| {
            loop {
                // What is there leaves in one write.
                while !self.out.is_full() && !sending.is_over() && broken.is_none() {
                    match sending.poll_more(&mut self.out, context) {
                        Poll::Ready(more) => broken = more.err(),
                        // The upstream may still take the body of the request.
                        Poll::Pending => {
                            if self.poll_feed(context, &mut false)?.is_pending() {
                                break;
                            }
                        }
                    }
                }
                let is_waiting = self.out.is_empty();
                if self.poll_out(context)?.is_pending() {
                    return sending.poll_unread(&mut unread, context);
                }
                unread = None;
                if let Some(error) = broken.take() {
                    return Poll::Ready(Err(error));
                }
                if sending.is_over() {
                    return Poll::Ready(Ok(()));
                }
                if is_waiting {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Answers what cannot be read as a request.
    async fn refuse(&mut self, status: StatusCode) -> io::Result<()> {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = status;
        let sending = self.begin(response, Manner::default());
        self.send(sending).await
    }

    fn begin(&mut self, response: Response<Reply>, manner: Manner) -> Sending {
        Sending::begin(&mut self.out, response, manner, || self.terms.clock.now())
    }

    /// Ends the connection. A client that is still sending when it is closed often sees a broken connection in place of
    /// the answer (RFC 9112 §9.6): for a while what it sends is read and forgotten.
    async fn part(mut self, is_read: bool) -> io::Result<()> {
        self.stream.shutdown().await?;
        if is_read {
            return Ok(());
        }
        let (until, mut left) = (Instant::now() + self.terms.timeouts.head, FORGOTTEN);
        // Whoever goes on is let go.
        while Instant::now() < until {
            self.intake.read.borrow_mut().clear();
            let wait = until.min(Instant::now() + PARTING);
            match timeout_at(wait, poll_fn(|context| self.poll_read(context))).await {
                Ok(Ok(read @ 1..)) if read <= left => left -= read,
                _ => break,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
