//! The body of a request on its way to the upstream.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::{Sleep, sleep};

use crate::gateway::wire::Received;

/// The body of a request to the upstream.
pub enum Outgoing {
    Whole(Bytes),
    Streamed(Box<Capped>),
}

impl Outgoing {
    /// A client's body, passed on as it comes, up to `most` bytes and with no longer a pause than `most_idle`.
    pub fn streamed(body: Received, most: u64, most_idle: Duration) -> Self {
        let broken = Broken::default();
        Self::Streamed(Box::new(Capped { body, left: most, most_idle, idle: None, broken }))
    }

    /// Where it will be told what the client did wrong while its body was passed on.
    pub fn broken(&self) -> Option<Broken> {
        match self {
            Self::Whole(_) => None,
            Self::Streamed(capped) => Some(capped.broken.clone()),
        }
    }

    /// How long it will be, in bytes, where that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Streamed(capped) => capped.body.size_hint().exact(),
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

/// A client's body passed on as it comes, up to a length and no slower than a time between two pieces. Trailers end here:
/// nobody judged them.
pub struct Capped {
    body: Received,
    left: u64,
    most_idle: Duration,
    /// Runs while the client has sent nothing more.
    idle: Option<Pin<Box<Sleep>>>,
    broken: Broken,
}

impl Capped {
    /// The client's next piece, `None` at the end. An error is told in [`Outgoing::broken`] as well.
    pub fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BrokenBody>> {
        let piece = ready!(self.poll_next(context));
        if let Err(broken) = piece {
            self.broken.set(Some(broken));
        }
        Poll::Ready(piece)
    }

    /// Nobody waits for the client any longer.
    pub fn give_up(&mut self) {
        self.broken.set(Some(BrokenBody::TooSlow));
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BrokenBody>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let most = self.most_idle;
            let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(most)));
            ready!(idle.as_mut().poll(context));
            return Poll::Ready(Err(BrokenBody::TooSlow));
        };
        self.idle = None;
        let piece = match frame.transpose() {
            Ok(frame) => frame.and_then(|frame| frame.into_data().ok()),
            Err(_) => return Poll::Ready(Err(BrokenBody::EndedEarly)),
        };
        let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                Ok(piece)
            }
            None => Err(BrokenBody::TooLong),
        })
    }
}
