//! One connection to the upstream.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::io::poll_read_buf;

use super::content::Garbled;
use super::head::{AnswerHead, RequestHead};
use super::outgoing::{BrokenBody, Capped, Outgoing};
use crate::gateway::refusal::UpstreamFault;

/// A body no longer than this leaves with its head: one piece costs the system less than two.
const WITH_HEAD: usize = 16 * 1024;
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
    /// Goes off no later than an answer is due. Set anew only when it goes off, since most answers come long before.
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    /// `within`: how long an answer may take.
    pub fn new(stream: TcpStream, within: Duration) -> Self {
        Self { stream, read: BytesMut::new(), sending: None, alarm: Box::pin(sleep(within)) }
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

    /// Sends a request and waits for the head of its answer, which has to come `within` a time.
    pub async fn exchange(
        &mut self,
        head: RequestHead,
        body: Outgoing,
        within: Duration,
    ) -> Result<AnswerHead, UpstreamFault> {
        let due = Instant::now() + within;
        let (sending, method) = Sending::new(head, body);
        self.sending = Some(sending);
        poll_fn(|context| {
            if let Poll::Ready(answered) = self.poll_answer(&method, context) {
                return Poll::Ready(answered);
            }
            while self.alarm.as_mut().poll(context).is_ready() {
                if self.alarm.deadline() >= due {
                    return Poll::Ready(Err(UpstreamFault::Slow));
                }
                self.alarm.as_mut().reset(due);
            }
            Poll::Pending
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
            match ready!(self.poll_read(context)) {
                Ok(length) if length > 0 => {}
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
    /// What comes first: a head, a chunk.
    first: Bytes,
    /// What comes then: a piece of a body whose length was said.
    then: Bytes,
    /// What is still to come from the client.
    body: Option<Capped>,
    is_chunked: bool,
    /// Set where the upstream takes no more. It may have answered before that.
    is_refused: bool,
}

impl Sending {
    fn new(head: RequestHead, body: Outgoing) -> (Self, Method) {
        let length = body.length();
        let (mut first, method) = head.framed(length);
        let (then, body) = match body {
            Outgoing::Whole(bytes) if bytes.len() <= WITH_HEAD => {
                first.extend_from_slice(&bytes);
                (Bytes::new(), None)
            }
            Outgoing::Whole(bytes) => (bytes, None),
            Outgoing::Streamed(capped) => (Bytes::new(), Some(capped)),
        };
        let is_chunked = length.is_none();
        (Self { first: first.into(), then, body, is_chunked, is_refused: false }, method)
    }

    /// Ready when all was sent, or when the client has broken off its body.
    fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<Result<(), BrokenBody>> {
        loop {
            if self.is_refused || ready!(self.poll_write(stream, context)).is_err() {
                self.is_refused = true;
                return Poll::Pending;
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
            match ready!(body.poll_piece(context))? {
                Some(piece) if self.is_chunked => self.first = chunk(&piece),
                Some(piece) => self.then = piece,
                None => {
                    self.body = None;
                    self.first = Bytes::from_static(if self.is_chunked { b"0\r\n\r\n" } else { b"" });
                }
            }
        }
    }

    fn poll_write(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        for part in [&mut self.first, &mut self.then] {
            while !part.is_empty() {
                match ready!(Pin::new(&mut *stream).poll_write(context, part))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    length => part.advance(length),
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A chunk (RFC 9112 §7.1). One without data would end the body: it is none.
fn chunk(data: &Bytes) -> Bytes {
    if data.is_empty() {
        return Bytes::new();
    }
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat().into()
}
