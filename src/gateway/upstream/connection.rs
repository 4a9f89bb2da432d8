//! One connection to the upstream.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::Method;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::fault::UpstreamFault;
use super::head::{AnswerHead, RequestHead};
use super::outgoing::{BrokenBody, Capped, Outgoing};
use crate::gateway::wire::{Alarm, Garbled, Outbox};

/// So much is read at once.
const READ: usize = 8 * 1024;

/// A connection to the upstream. Nobody but its holder drives it: it goes on only while it is polled, in the task of the
/// client's connection, so that an answer costs no change of task. Dropped, it is closed at once, whatever the upstream is
/// doing.
pub struct Connection {
    stream: TcpStream,
    /// What was read and not yet taken.
    pub read: BytesMut,
    sending: Option<Sending>,
    /// When its last exchange began. After a long one it looks older than it is, and is closed the earlier.
    since: Instant,
    alarm: Alarm,
}

impl Connection {
    /// `within`: how long an answer may take.
    pub fn new(stream: TcpStream, within: Duration) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            sending: None,
            since: Instant::now(),
            alarm: Alarm::new(within),
        }
    }

    /// Whether it takes another request: not where the upstream has closed it or said what nobody asked, nor while the body
    /// of the last request is still on its way.
    pub fn is_free(&self) -> bool {
        let is_silent = || {
            let said = self.stream.try_read(&mut [0]);
            said.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        self.sending.is_none() && self.read.is_empty() && is_silent()
    }

    /// When it was last used.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Sends a request and waits for the head of its answer, which has to come `within` a time of `now`; where the client is
    /// still sending the body then, within that time of its end. A body that is not there by then is the client's fault.
    ///
    /// # Errors
    /// Where the upstream goes away, answers no HTTP, or not in time.
    pub async fn exchange(
        &mut self,
        head: RequestHead,
        body: Outgoing,
        now: Instant,
        within: Duration,
    ) -> Result<AnswerHead, UpstreamFault> {
        let mut due = now + within;
        self.since = now;
        let (sending, method) = Sending::new(head, body);
        let mut is_streamed = sending.body.is_some();
        self.sending = Some(sending);
        poll_fn(|context| {
            if let Poll::Ready(answered) = self.poll_answer(&method, context) {
                return Poll::Ready(answered);
            }
            if is_streamed && self.sending.is_none() {
                is_streamed = false;
                due = Instant::now() + within;
            }
            ready!(self.alarm.poll(context, due));
            if let Some(sending) = &mut self.sending {
                sending.give_up();
            }
            Poll::Ready(Err(UpstreamFault::Slow))
        })
        .await
    }

    fn poll_answer(
        &mut self,
        method: &Method,
        context: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, UpstreamFault>> {
        if self.poll_send(context).is_err() {
            return Poll::Ready(Err(UpstreamFault::Down));
        }
        loop {
            let before = self.read.len();
            match ready!(self.poll_read(context)) {
                // Without an end of a line in it nothing has changed.
                Ok(1..) if !AnswerHead::may_be_whole(&self.read, before) => continue,
                Ok(1..) => {}
                _ => return Poll::Ready(Err(UpstreamFault::Down)),
            }
            match AnswerHead::take(&mut self.read, method) {
                Ok(None) => {}
                Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                Err(Garbled) => return Poll::Ready(Err(UpstreamFault::Garbled)),
            }
        }
    }

    /// Reads what there is: how many bytes, none at the end of the connection.
    ///
    /// # Errors
    /// Where the connection broke.
    pub fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.reserve(READ);
        poll_read_buf(Pin::new(&mut self.stream), context, &mut self.read)
    }

    /// Goes on to send the request, as far as that can be done now; an error where the client does not send its body.
    pub fn poll_send(&mut self, context: &mut Context<'_>) -> Result<(), BrokenBody> {
        let Some(sending) = &mut self.sending else { return Ok(()) };
        if let Poll::Ready(sent) = sending.poll(&mut self.stream, context) {
            sent?;
            self.sending = None;
        }
        Ok(())
    }
}

/// A request on its way out.
struct Sending {
    out: Outbox,
    /// What is still to come from the client.
    body: Option<Box<Capped>>,
    is_chunked: bool,
    /// Set where the upstream takes no more. It may have answered before that.
    is_refused: bool,
}

impl Sending {
    fn new(head: RequestHead, body: Outgoing) -> (Self, Method) {
        let length = body.length();
        let (mut out, method) = head.framed(length);
        let is_chunked = length.is_none();
        let body = match body {
            Outgoing::Whole(bytes) => {
                out.add_piece(bytes, is_chunked);
                None
            }
            Outgoing::Streamed(capped) => Some(capped),
        };
        (Self { out, body, is_chunked, is_refused: false }, method)
    }

    /// Nobody waits any longer. Where all that has come was taken, it is for the client that one has waited.
    fn give_up(&mut self) {
        if let Some(body) = self.body.as_mut().filter(|_| self.out.is_empty() && !self.is_refused) {
            body.give_up();
        }
    }

    /// Ready when all was sent, or when the client has broken off its body.
    fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<Result<(), BrokenBody>> {
        while !self.is_refused {
            let mut is_waiting = false;
            // What is there leaves in one write.
            while let (false, false, Some(body)) = (is_waiting, self.out.is_full(), &mut self.body) {
                match body.poll_piece(context)? {
                    Poll::Pending => is_waiting = true,
                    Poll::Ready(Some(piece)) => self.out.add_piece(piece, self.is_chunked),
                    Poll::Ready(None) => {
                        self.body = None;
                        if self.is_chunked {
                            self.out.end_chunks();
                        }
                    }
                }
            }
            self.is_refused = ready!(self.out.poll_write(stream, context)).is_err();
            match &self.body {
                None if !self.is_refused => return Poll::Ready(Ok(())),
                Some(_) if is_waiting => return Poll::Pending,
                _ => {}
            }
        }
        Poll::Pending
    }
}
