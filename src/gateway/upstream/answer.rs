//! The body of an answer, with the connection that it comes over.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::connection::Connection;
use super::head::AnswerHead;
use super::pool::Pool;
use crate::gateway::wire::{Content, Garbled, Next};

/// The body of an answer. Read to its end, the connection is kept for the next request; dropped earlier, it is closed.
pub struct Answer {
    content: Content,
    /// `None` once the body has ended.
    connection: Option<Box<Connection>>,
    /// Whether the connection takes another request then.
    is_kept: bool,
    pool: Rc<Pool>,
}

/// Why an answer did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BrokenAnswer {
    #[error("the connection to the upstream broke")]
    Connection(#[from] io::Error),
    #[error("the upstream's answer ended early")]
    EndedEarly,
    #[error("the body of the upstream's answer is not framed as HTTP wants it")]
    Garbled,
    #[error("the client broke off its own body")]
    Client,
}

impl Answer {
    pub fn new(head: &AnswerHead, connection: Box<Connection>, pool: Rc<Pool>) -> Self {
        let mut answer =
            Self { content: head.content, connection: Some(connection), is_kept: head.is_kept, pool };
        answer.end_if_over();
        answer
    }

    fn end_if_over(&mut self) {
        if self.content.is_over()
            && let Some(connection) = self.connection.take()
            && self.is_kept
        {
            self.pool.keep(connection);
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BrokenAnswer>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
            connection.poll_send(context).map_err(|_| BrokenAnswer::Client)?;
            let next = self.content.take(&mut connection.read).map_err(|Garbled| BrokenAnswer::Garbled)?;
            match next {
                Next::Piece(piece) => {
                    self.end_if_over();
                    return Poll::Ready(Ok(Some(piece)));
                }
                Next::End => self.end_if_over(),
                Next::Unread => {
                    let length = ready!(connection.poll_read(context))?;
                    if length == 0 {
                        let is_whole = self.content == Content::UntilClose;
                        self.connection = None;
                        return Poll::Ready(if is_whole { Ok(None) } else { Err(BrokenAnswer::EndedEarly) });
                    }
                }
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenAnswer;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenAnswer>>> {
        let this = self.get_mut();
        let next = ready!(this.poll_next(context));
        if next.is_err() {
            this.connection = None;
        }
        Poll::Ready(next.transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.connection, self.content.length()) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(length)) => SizeHint::with_exact(length),
            (Some(_), None) => SizeHint::default(),
        }
    }
}
