//! An answer on its way to a client.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode, header};
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep};

use crate::domain::clock::Timestamp;
use crate::gateway::stream::{Passage, Reply, ReplyBody};
use crate::gateway::wire::Outbox;

/// What of a request says how its answer is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// It was HEAD: the answer has no body.
    pub is_head: bool,
    /// The client speaks HTTP/1.0, which knows no chunks.
    pub is_first: bool,
    /// Another request may follow.
    pub is_kept: bool,
}

/// An answer whose head was written to an [`Outbox`].
pub struct Sending {
    /// `None` where all of it was taken.
    body: Option<ReplyBody>,
    /// How many bytes are still to come, where that was said.
    left: Option<u64>,
    is_chunked: bool,
    /// Whether another request may follow it.
    pub is_kept: bool,
    passage: Option<Rc<Passage>>,
}

impl Sending {
    /// Writes the head.
    pub fn begin(
        out: &mut Outbox,
        response: Response<Reply>,
        Manner { is_head, is_first, is_kept }: Manner,
        now: impl FnOnce() -> Timestamp,
    ) -> Self {
        let (parts, reply) = response.into_parts();
        let passage = reply.passage();
        let Reply { fields, body, request_id } = reply;
        let version: &[u8] = if is_first { b"HTTP/1.0 " } else { b"HTTP/1.1 " };
        let reason = parts.status.canonical_reason().unwrap_or_default();
        out.add([version, parts.status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);

        let says_nothing = parts.status == StatusCode::NO_CONTENT || parts.status.is_informational();
        let has_no_body = is_head || says_nothing || parts.status == StatusCode::NOT_MODIFIED;
        let length = body.size_hint().exact();
        let mut is_said = says_nothing;
        let (mut is_dated, mut is_closed) = (fields.has(&header::DATE), false);
        fields.pass(out, |_| true);
        for (name, value) in &parts.headers {
            match *name {
                header::CONNECTION => {
                    is_closed = true;
                    continue;
                }
                // What a body would be long that is not sent is told by who knows it.
                header::CONTENT_LENGTH if has_no_body && !says_nothing => is_said = true,
                header::CONTENT_LENGTH | header::TRANSFER_ENCODING => continue,
                header::DATE => is_dated = true,
                _ => {}
            }
            out.add_field(name, value);
        }
        if let Some(id) = request_id {
            id.write(out);
        }
        if !is_dated {
            out.add([b"date: ", date(now()).as_bytes(), b"\r\n"]);
        }
        let is_chunked = length.is_none() && !is_first && !has_no_body;
        match length {
            Some(length) if !(is_said || has_no_body && length == 0) => {
                out.add_length(length);
            }
            None if is_chunked => out.add([b"transfer-encoding: chunked\r\n"]),
            _ => {}
        }
        let is_kept = is_kept && !is_closed && (length.is_some() || is_chunked || has_no_body);
        match (is_kept, is_first) {
            (false, _) => out.add([b"connection: close\r\n"]),
            (true, true) => out.add([b"connection: keep-alive\r\n"]),
            (true, false) => {}
        }
        out.add([b"\r\n"]);
        let body = (!has_no_body && length != Some(0)).then_some(body);
        Self { body, left: length, is_chunked, is_kept, passage }
    }

    /// Whether the client knows by the end of the connection alone that it has all of the answer.
    pub fn ends_with_the_connection(&self) -> bool {
        self.body.is_some() && self.left.is_none() && !self.is_chunked
    }

    pub fn is_over(&self) -> bool {
        self.body.is_none()
    }

    /// Adds what comes next.
    pub fn poll_more(&mut self, out: &mut Outbox, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(&mut *body).poll_frame(context)) {
            Some(Ok(frame)) => {
                // Trailers of an answer are not passed on.
                let piece = frame.into_data().unwrap_or_default();
                if let Some(left) = &mut self.left {
                    let more = || io::Error::other("an answer is longer than it said");
                    *left = left.checked_sub(piece.len() as u64).ok_or_else(more)?;
                }
                out.add_piece(piece, self.is_chunked);
                if self.left == Some(0) {
                    self.body = None;
                }
            }
            // Nobody may take a part for the whole: there is no end to it.
            Some(Err(broken)) => return Poll::Ready(Err(io::Error::other(broken))),
            None if self.left.is_some() => {
                return Poll::Ready(Err(io::Error::other("an answer is shorter than it said")));
            }
            None => {
                self.body = None;
                if self.is_chunked {
                    out.end_chunks();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Looks, while the client takes nothing, from time to time whether the answer may still be sent.
    pub fn poll_unread(
        &self,
        alarm: &mut Option<Pin<Box<Sleep>>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(passage) = &self.passage else { return Poll::Pending };
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep(passage.check())));
        loop {
            ready!(alarm.as_mut().poll(context));
            if passage.must_end() {
                return Poll::Ready(Err(io::Error::other("what is not read may no longer be sent")));
            }
            alarm.as_mut().reset(Instant::now() + passage.check());
        }
    }
}

/// As HTTP writes it (RFC 9110 §5.6.7).
fn date(at: Timestamp) -> String {
    at.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
