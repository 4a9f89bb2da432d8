//! Connections to the upstream: one thread's own, kept for the next request.
//!
//! A kept connection that the upstream has closed meanwhile is passed over before anything is sent on it. What may have
//! reached the upstream is never repeated.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::answer::Answer;
use super::connection::Connection;
use super::fault::UpstreamFault;
use super::head::{AnswerHead, RequestHead};
use super::outgoing::Outgoing;
use crate::gateway::config::{Timeouts, Upstream};

/// Kept connections a thread.
const KEPT: usize = 256;
/// Shorter than the five seconds after which common servers (uvicorn, Node) close an idle connection, so that a request
/// seldom meets one that is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// One thread's connections to the upstream.
pub struct Pool {
    upstream: Upstream,
    timeouts: Timeouts,
    idle: RefCell<VecDeque<Box<Connection>>>,
    /// Whether somebody is about to close what was kept for too long.
    is_swept: Cell<bool>,
    /// Whether the last attempt to connect succeeded: a change is logged, not every failure.
    reachable: Cell<bool>,
}

impl Pool {
    pub fn new(upstream: Upstream, timeouts: Timeouts) -> Self {
        Self {
            upstream,
            timeouts,
            idle: RefCell::default(),
            is_swept: Cell::new(false),
            reachable: Cell::new(true),
        }
    }

    /// Takes back a connection whose answer is over.
    pub fn keep(self: &Rc<Self>, connection: Box<Connection>) {
        if !connection.is_free() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= KEPT {
            idle.pop_front();
        }
        idle.push_back(connection);
        if !self.is_swept.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    /// The connection that was used last: it is the least likely to be closed.
    fn kept(&self, now: Instant) -> Option<Box<Connection>> {
        loop {
            let newest = self.idle.borrow_mut().pop_back()?;
            if !is_over(&newest, now) && newest.is_free() {
                return Some(newest);
            }
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, UpstreamFault> {
        let connecting = async {
            let stream = TcpStream::connect((self.upstream.host(), self.upstream.port())).await?;
            stream.set_nodelay(true)?;
            io::Result::Ok(stream)
        };
        let connected = timeout(self.timeouts.connect, connecting).await;
        let reachable = matches!(connected, Ok(Ok(_)));
        if self.reachable.replace(reachable) != reachable {
            tracing::warn!(upstream = %self.upstream, reachable, "whether the upstream takes connections has changed");
        }
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the upstream takes no connection");
                return Err(UpstreamFault::Down);
            }
            Err(_) => return Err(UpstreamFault::Slow),
        };
        Ok(Box::new(Connection::new(stream, self.timeouts.response)))
    }

    /// Sends a request, which it is time for `now`, and waits for the head of its answer.
    ///
    /// # Errors
    /// Where no connection can be had, or the upstream goes away, answers no HTTP, or not in time.
    pub async fn send(
        self: &Rc<Self>,
        head: RequestHead,
        body: Outgoing,
        now: Instant,
    ) -> Result<(AnswerHead, Answer), UpstreamFault> {
        let within = self.timeouts.response;
        let (mut connection, now) = match self.kept(now) {
            Some(connection) => (connection, now),
            None => (self.connect().await?, Instant::now()),
        };
        let sent = connection.exchange(head, body, now, within).await;
        let head =
            sent.inspect_err(|fault| tracing::debug!(fault = fault.as_str(), "the upstream did not answer"))?;
        let answer = Answer::new(&head, connection, self.clone());
        Ok((head, answer))
    }
}

/// Whether a connection was kept for too long.
fn is_over(connection: &Connection, now: Instant) -> bool {
    now.saturating_duration_since(connection.since()) > KEPT_FOR
}

/// Closes what was kept for too long, until there is nothing more. What the upstream has closed meanwhile goes with it.
async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(KEPT_FOR).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle.borrow_mut();
        let now = Instant::now();
        while idle.front().is_some_and(|connection| is_over(connection, now)) {
            idle.pop_front();
        }
        if idle.is_empty() {
            pool.is_swept.set(false);
            return;
        }
    }
}
