//! What has come over a connection and was not yet taken, and the body of a request that is taken from it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};

use super::content::{Content, Garbled, Next};

/// What a connection has read. The connection reads, and whoever answers a request takes its body: both in one task, so
/// that nothing has to be handed over.
pub struct Intake {
    pub read: RefCell<BytesMut>,
    content: Cell<Content>,
    /// Counts the requests: a body of an earlier one takes nothing of a later one.
    request: Cell<u64>,
    is_wanted: Cell<bool>,
    is_broken: Cell<bool>,
}

impl Intake {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            read: RefCell::default(),
            content: Cell::new(Content::Length(0)),
            request: Cell::new(0),
            is_wanted: Cell::new(false),
            is_broken: Cell::new(false),
        })
    }

    /// The body of the request whose head was just taken.
    pub fn begin(self: &Rc<Self>, content: Content) -> Arriving {
        self.content.set(content);
        self.request.set(self.request.get() + 1);
        self.is_wanted.set(false);
        Arriving { intake: self.clone(), request: self.request.get() }
    }

    /// Whether more of the body was asked for than has come.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.get()
    }

    /// The rest of the body will not come.
    pub fn break_off(&self) {
        self.is_broken.set(true);
    }

    /// More was read, or will never be.
    pub fn has_read(&self) {
        self.is_wanted.set(false);
    }

    /// Whether all of the body was taken, or nobody is there to take it and the rest has come, which is then forgotten.
    pub fn is_over_or_rest_there(self: &Rc<Self>) -> bool {
        let has_taker = Rc::strong_count(self) > 1;
        loop {
            match self.content.get().is_over() {
                false if has_taker => return false,
                false => match self.take() {
                    Ok(Next::Piece(_) | Next::End) => {}
                    Ok(Next::Unread) | Err(Garbled) => return false,
                },
                true => return true,
            }
        }
    }

    fn take(&self) -> Result<Next, Garbled> {
        let mut content = self.content.get();
        let next = content.take(&mut self.read.borrow_mut());
        self.content.set(content);
        next
    }
}

/// The client has broken its body off, or framed it in a way that HTTP does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body ended early")]
pub struct EndedEarly;

/// The body of a request that is on its way.
pub struct Arriving {
    intake: Rc<Intake>,
    request: u64,
}

impl Arriving {
    /// The next piece, `None` at the end. Where it is pending the connection reads and asks its task again.
    ///
    /// # Errors
    /// Where the client broke it off, or framed it in a way that HTTP does not know.
    pub fn poll_piece(&mut self) -> Poll<Result<Option<Bytes>, EndedEarly>> {
        let intake = &*self.intake;
        if intake.request.get() != self.request {
            return Poll::Ready(Err(EndedEarly));
        }
        match intake.take() {
            Ok(Next::Piece(piece)) => Poll::Ready(Ok(Some(piece))),
            Ok(Next::End) => Poll::Ready(Ok(None)),
            Ok(Next::Unread) if !intake.is_broken.get() => {
                intake.is_wanted.set(true);
                Poll::Pending
            }
            Ok(Next::Unread) | Err(Garbled) => Poll::Ready(Err(EndedEarly)),
        }
    }

    pub fn is_over(&self) -> bool {
        self.length() == Some(0)
    }

    /// How many bytes are to come, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.intake.content.get().length()
    }
}
