//! Judging each request against the state as it was committed before the request began.
//!
//! Looking whether another process has committed costs a read of the database's header. Requests that arrive together
//! share one look: each takes a ticket, lets the others of this thread's turn arrive, and the first to go on looks for
//! all that hold a ticket by then. One thread, no locks.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

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
    outcome: Cell<Result<(), Unavailable>>,
}

impl Freshness {
    pub fn new(engine: Arc<Engine>) -> Result<Self, StoreError> {
        let watch = RefCell::new(engine.watch()?);
        Ok(Self { engine, watch, arrived: Cell::new(0), looked: Cell::new(0), outcome: Cell::new(Ok(())) })
    }

    /// Returns when the engine knows all that was committed before the call.
    pub async fn up_to_date(&self) -> Result<(), Unavailable> {
        let ticket = self.arrived.get() + 1;
        self.arrived.set(ticket);
        tokio::task::yield_now().await;
        if self.looked.get() < ticket {
            self.look();
        }
        self.outcome.get()
    }

    /// The same at once, for what cannot wait: the checks of open streams.
    pub fn look(&self) {
        self.looked.set(self.arrived.get());
        let outcome = self.engine.refresh(&mut self.watch.borrow_mut());
        if let (Ok(()), Err(error)) = (self.outcome.get(), &outcome) {
            tracing::error!(%error, "the store cannot be read; requests are refused");
        }
        self.outcome.set(outcome.map_err(|_| Unavailable));
    }

    pub fn outcome(&self) -> Result<(), Unavailable> {
        self.outcome.get()
    }
}
