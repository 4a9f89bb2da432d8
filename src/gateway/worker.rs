//! One thread of the data path, as its requests see it: what it shares, what it counts, its connections to the upstream.
//!
//! Nothing here is shared with another worker but the engine and what never changes, so that a request meets no lock.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::clock::Timestamp;
use crate::domain::decision::{self, Principal};

use super::call::headers::Preface;
use super::call::introduction::Introductions;
use super::call::origin::LastHost;
use super::freshness::{Freshness, Unavailable};
use super::metrics::WorkerMetrics;
use super::shared::Shared;
use super::upstream::Pool;
use super::wire::RequestIds;

/// One worker, as its requests see it.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub metrics: WorkerMetrics,
    pub pool: Rc<Pool>,
    pub ids: RequestIds,
    pub introductions: Introductions,
    pub last_host: LastHost,
    pub preface: Preface,
    /// What was told last of the upstream.
    unfit: RefCell<String>,
    freshness: Freshness,
}

impl Worker {
    /// # Errors
    /// Where the system gives no random bytes for the ids of its requests.
    pub fn new(shared: Arc<Shared>, metrics: WorkerMetrics, freshness: Freshness) -> io::Result<Self> {
        Ok(Self {
            pool: Rc::new(Pool::new(shared.settings.upstream.clone(), shared.settings.timeouts)),
            ids: RequestIds::new()?,
            introductions: Introductions::default(),
            last_host: LastHost::default(),
            preface: Preface::new(shared.settings.upstream.authority()),
            unfit: RefCell::default(),
            shared,
            metrics,
            freshness,
        })
    }

    pub fn now(&self) -> Timestamp {
        self.shared.engine.clock().now()
    }

    /// Returns when the engine knows all that was committed before the call, and as of when it knows it.
    ///
    /// # Errors
    /// Where that cannot be known: whoever asks is refused as [`Reason::Unavailable`](decision::Reason::Unavailable).
    pub async fn up_to_date(&self) -> Result<Timestamp, Unavailable> {
        self.freshness.up_to_date().await
    }

    /// Whether a principal admitted earlier would still be; no where that cannot be known.
    pub fn still_holds(&self, principal: &Principal, asked: &[decision::Request]) -> bool {
        self.freshness.look();
        self.freshness.outcome().is_ok() && self.shared.engine.still_valid(principal, asked, self.now())
    }

    /// Tells the operator why the MCP server behind the gateway cannot be used as it is: by an event each minute, and in the
    /// log where it was another reason before.
    pub fn upstream_is_unfit(&self, why: &str) {
        if self.unfit.borrow().as_str() != why {
            tracing::warn!(upstream = %self.shared.settings.upstream, "the upstream cannot be used: {why}");
            why.clone_into(&mut self.unfit.borrow_mut());
        }
        self.shared.engine.upstream_unfit(why, self.now());
    }

    pub fn is_draining(&self) -> bool {
        self.shared.stop.is_cancelled()
    }
}
