//! How long a connection of HTTP/2 may do nothing: before its first request, between two, and with an answer that its
//! client does not take.
//!
//! hyper asks a body for more only where there is room, so that a body cannot end itself while nobody reads it. And a
//! request pays for no timer here: what a connection does is written down as it happens, and one alarm looks at it when
//! the time may have come.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::waiters::Waiter;
use crate::gateway::config::Timeouts;
use crate::gateway::stream::{BrokenOff, Passage, Reply, ReplyBody, in_one};

/// So many more requests may a connection forsake before their answer than it lets be answered (CVE-2023-44487).
const MOST_FORSAKEN: usize = 100;
/// How long a peer has to take its leave when it is sent away.
const PARTING: Duration = Duration::from_secs(1);

/// What a connection does between its answers.
pub struct Rest {
    waiter: Waiter,
    idle: Duration,
    answers: Cell<usize>,
    forsaken: Cell<usize>,
    /// When it has rested for too long, if it does not begin an answer before.
    until: Cell<Instant>,
}

impl Rest {
    /// Of a connection that was opened now.
    pub fn new(timeouts: Timeouts, waiter: Waiter) -> Rc<Self> {
        Rc::new(Self {
            waiter,
            idle: timeouts.idle,
            answers: Cell::new(0),
            forsaken: Cell::new(0),
            until: Cell::new(Instant::now() + timeouts.head),
        })
    }

    /// Begins an answer, which will be looked for in `slot`.
    pub fn begin(self: &Rc<Self>, slot: Rc<Slot>) -> Busy {
        self.answers.set(self.answers.get() + 1);
        self.waiter.is_answered();
        Busy { rest: self.clone(), slot, has_answer: false }
    }

    fn poll_over(&self, alarm: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> Poll<Leave> {
        if self.forsaken.get() > MOST_FORSAKEN {
            return Poll::Ready(Leave::AtOnce);
        }
        if self.answers.get() == 0 && self.waiter.poll_sent_away(context).is_ready() {
            return Poll::Ready(Leave::InOrder);
        }
        let until = (self.answers.get() == 0).then(|| self.until.get());
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(self.until.get())));
        if until.is_some_and(|until| until < alarm.deadline()) {
            alarm.as_mut().reset(self.until.get());
        }
        loop {
            ready!(alarm.as_mut().poll(context));
            match until {
                Some(until) if until <= alarm.deadline() => return Poll::Ready(Leave::InOrder),
                Some(until) => alarm.as_mut().reset(until),
                // The end of an answer need not wake this task.
                None => alarm.as_mut().reset(Instant::now() + self.idle),
            }
        }
    }
}

/// An answer that is being made or sent.
pub struct Busy {
    rest: Rc<Rest>,
    slot: Rc<Slot>,
    has_answer: bool,
}

impl Busy {
    /// Answers what `serving` does, and lasts until that was sent.
    pub async fn answering(
        mut self,
        serving: impl Future<Output = Result<Response<Reply>, Infallible>>,
    ) -> Result<Response<Answer>, Infallible> {
        let response = serving.await?;
        self.has_answer = true;
        self.rest.waiter.is_told(response.status());
        self.slot.0.replace(response.body().passage());
        Ok(in_one(response).map(|body| Answer { body, _busy: self }))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Self { rest, slot, has_answer } = self;
        slot.0.take();
        let forsaken = rest.forsaken.get();
        rest.forsaken.set(if *has_answer { forsaken.saturating_sub(1) } else { forsaken + 1 });
        rest.answers.set(rest.answers.get() - 1);
        let now = Instant::now();
        rest.until.set(now + rest.idle);
        if rest.answers.get() == 0 {
            rest.waiter.waits_since(now);
        }
    }
}

/// The body of a response, as hyper is given it.
pub struct Answer {
    body: ReplyBody,
    _busy: Busy,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where the answer is looked for that is on its way from the upstream to the client.
#[derive(Default)]
pub struct Slot(RefCell<Option<Rc<Passage>>>);

impl Slot {
    fn unread(&self) -> Option<Rc<Passage>> {
        self.0.borrow().as_ref().filter(|passage| passage.is_unread()).cloned()
    }
}

/// Looks at the answer in a slot while its client takes nothing of it.
pub struct Unread {
    slot: Rc<Slot>,
    check: Duration,
    stall: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Since when, and how many pieces the client had been given by then.
    since: Option<(Instant, u64)>,
}

impl Unread {
    pub fn new(slot: Rc<Slot>, timeouts: Timeouts) -> Self {
        Self { slot, check: timeouts.stream_check, stall: timeouts.stall, alarm: None, since: None }
    }

    /// Ready when the answer must not wait any longer: it may no longer be sent, or nobody wants it.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(passage) = self.slot.unread() else {
            self.since = None;
            return Poll::Pending;
        };
        let given = passage.given();
        let since = match self.since {
            Some((since, before)) if before == given => since,
            _ => self.since.insert((Instant::now(), given)).0,
        };
        let check = self.check;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(check)));
        loop {
            ready!(alarm.as_mut().poll(context));
            if passage.must_end() || since.elapsed() >= self.stall {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(Instant::now() + check);
        }
    }
}

/// How a connection is ended.
enum Leave {
    /// Its peer is told.
    InOrder,
    AtOnce,
}

/// Serves a connection until it ends, rests for too long, or the gateway stops.
///
/// # Errors
/// Where the connection broke.
pub async fn serve<C: GracefulConnection>(
    connection: C,
    rest: &Rest,
    stop: &CancellationToken,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let mut alarm = None;
    let watching = poll_fn(|context| rest.poll_over(&mut alarm, context));
    tokio::select! {
        // First, because the others judge what it has done.
        biased;
        ended = connection.as_mut() => ended,
        leave = watching => match leave {
            Leave::AtOnce => Ok(()),
            Leave::InOrder => {
                connection.as_mut().graceful_shutdown();
                timeout(PARTING, connection).await.unwrap_or(Ok(()))
            }
        },
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

#[cfg(test)]
mod tests;
