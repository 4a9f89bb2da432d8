//! Judging each request against the state as it was committed before the request began.
//!
//! Looking whether another process has committed costs a read of the database's header. Requests that arrive together
//! share one look: each takes a ticket, lets the others of this thread's turn arrive, and the first to go on looks for
//! all that hold a ticket by then. One thread, no locks.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::domain::clock::Timestamp;
use crate::engine::{Engine, Watch};
use crate::store::StoreError;

/// The state could not be read: nothing may be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// One thread's view of the change feed.
pub struct Freshness {
    engine: Arc<Engine>,
    watch: RefCell<Watch>,
    arrived: Cell<u64>,
    looked: Cell<u64>,
    /// When the last look began.
    outcome: Cell<Result<Timestamp, Unavailable>>,
    /// A failure is logged once, not at every request.
    has_failed: Cell<bool>,
}

impl Freshness {
    /// # Errors
    /// Where the store cannot be opened once more.
    pub fn new(engine: Arc<Engine>) -> Result<Self, StoreError> {
        let watch = RefCell::new(engine.watch()?);
        Ok(Self {
            engine,
            watch,
            arrived: Cell::new(0),
            looked: Cell::new(0),
            outcome: Cell::new(Err(Unavailable)),
            has_failed: Cell::new(false),
        })
    }

    /// Returns when the engine knows all that was committed before the call, and as of when it knows it: by that moment
    /// requests are judged.
    ///
    /// # Errors
    /// Where the store cannot be read, or what must be recorded cannot be.
    pub async fn up_to_date(&self) -> Result<Timestamp, Unavailable> {
        let ticket = self.arrived.get() + 1;
        self.arrived.set(ticket);
        after_the_others().await;
        if self.looked.get() < ticket {
            self.look();
        }
        self.outcome.get()
    }

    /// The same at once, for what cannot wait: the checks of open streams.
    pub fn look(&self) {
        self.looked.set(self.arrived.get());
        let now = self.engine.clock().now();
        let outcome = self.engine.refresh(&mut self.watch.borrow_mut());
        if let Err(error) = &outcome
            && !self.has_failed.replace(true)
        {
            tracing::error!(%error, "the store cannot be read; requests are refused");
        }
        self.has_failed.set(outcome.is_err());
        self.outcome.set(outcome.map(|()| now).map_err(|_| Unavailable));
    }

    /// # Errors
    /// As [`Self::up_to_date`].
    pub fn outcome(&self) -> Result<Timestamp, Unavailable> {
        self.outcome.get()
    }
}

/// Goes on behind all that is ready on this thread now. tokio's `yield_now` goes behind what is read from the network next
/// as well: those that came first would be answered last.
async fn after_the_others() {
    let mut is_turn = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_turn, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
