//! Connections on which nobody waits for an answer. Where all places are taken, the one that has waited for longest makes
//! room for who comes: whoever opens connections and says nothing on them, from however many addresses, keeps nobody out.
//! Nor does who asks on them and proves nothing: who was refused for that goes first, and at once.
//!
//! Of one worker each, so that what happens with every request takes no lock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

/// So long everybody may wait: the time to shake hands and to ask, or those who come in haste would send each other away.
const LEAST: Duration = Duration::from_millis(500);

/// Of one worker, by their numbers.
#[derive(Default)]
pub struct Waiters {
    all: RefCell<BTreeMap<u64, Waiter>>,
    last: Cell<u64>,
}

/// One connection. It waits from its beginning to the end of its first head, and between its answers.
#[derive(Clone)]
pub struct Waiter(Rc<Wait>);

struct Wait {
    /// `None` while an answer is made or sent.
    since: Cell<Option<Instant>>,
    /// Whether its last answer was that it has not proved who it is.
    is_unproved: Cell<bool>,
    is_sent_away: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A connection's entry among the others, for as long as it lives.
pub struct Entry {
    waiters: Rc<Waiters>,
    number: u64,
    pub waiter: Waiter,
}

impl Waiters {
    pub fn enter(self: &Rc<Self>) -> Entry {
        let number = self.last.get() + 1;
        self.last.set(number);
        let waiter = Waiter::begins();
        self.all.borrow_mut().insert(number, waiter.clone());
        Entry { waiters: self.clone(), number, waiter }
    }

    /// Sends the one away that has waited for longest, and for long enough, or before it one whose last request proved
    /// nothing; says whether there is one.
    pub fn send_one_away(&self) -> bool {
        let (all, now) = (self.all.borrow(), Instant::now());
        let waiting = all.values().filter(|waiter| !waiter.0.is_sent_away.get());
        let longest = waiting
            .filter_map(|waiter| Some((!waiter.0.is_unproved.get(), waiter.0.since.get()?, waiter)))
            .filter(|(is_trusted, since, _)| !is_trusted || now.duration_since(*since) >= LEAST)
            .min_by_key(|(is_trusted, since, _)| (*is_trusted, *since));
        let Some((_, _, Waiter(wait))) = longest else { return false };
        wait.is_sent_away.set(true);
        if let Some(waker) = wait.waker.take() {
            waker.wake();
        }
        true
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.waiters.all.borrow_mut().remove(&self.number);
    }
}

impl Waiter {
    /// One that waits from now on.
    pub fn begins() -> Self {
        Self(Rc::new(Wait {
            since: Cell::new(Some(Instant::now())),
            is_unproved: Cell::default(),
            is_sent_away: Cell::default(),
            waker: RefCell::default(),
        }))
    }

    pub fn waits_since(&self, since: Instant) {
        self.0.since.set(Some(since));
    }

    pub fn is_answered(&self) {
        self.0.since.set(None);
    }

    /// What it is told.
    pub fn is_told(&self, status: StatusCode) {
        self.0.is_unproved.set(status == StatusCode::UNAUTHORIZED);
    }

    /// Ready when it has to make room. Only who waits asks.
    pub fn poll_sent_away(&self, context: &Context<'_>) -> Poll<()> {
        if self.0.is_sent_away.get() {
            return Poll::Ready(());
        }
        let mut waker = self.0.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    pub async fn sent_away(&self) {
        poll_fn(|context| self.poll_sent_away(context)).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_longest_is_sent_away_and_nobody_who_is_being_answered() {
        let waiters = Rc::<Waiters>::default();
        let mut entries = Vec::new();
        for _ in 0..4 {
            entries.push(waiters.enter());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let gone = |entries: &[Entry]| -> Vec<bool> {
            entries.iter().map(|entry| entry.waiter.sent_away().now_or_never().is_some()).collect()
        };
        entries[0].waiter.is_answered();
        entries[1].waiter.is_answered();
        entries[1].waiter.waits_since(Instant::now());
        assert!(waiters.send_one_away());
        assert_eq!(gone(&entries), [false, false, true, false]);
        assert!(waiters.send_one_away());
        assert_eq!(gone(&entries), [false, false, true, true]);
        drop(entries.drain(2..));
        assert!(!waiters.send_one_away(), "the one that waits has only begun to");
        tokio::time::advance(LEAST).await;
        assert!(waiters.send_one_away());
        assert_eq!(gone(&entries), [false, true]);
        assert!(!waiters.send_one_away(), "who is answered stays");
    }

    #[tokio::test(start_paused = true)]
    async fn whose_last_request_proved_nothing_goes_first_and_at_once() {
        let waiters = Rc::<Waiters>::default();
        let [proved, unproved, again] = [(); 3].map(|()| waiters.enter());
        tokio::time::advance(LEAST * 2).await;
        let is_gone = |entry: &Entry| entry.waiter.sent_away().now_or_never().is_some();
        for (entry, told) in [(&unproved, &[200, 401][..]), (&again, &[401, 403])] {
            for status in told {
                entry.waiter.is_answered();
                entry.waiter.is_told(StatusCode::from_u16(*status).unwrap());
                entry.waiter.waits_since(Instant::now());
            }
        }
        assert!(waiters.send_one_away());
        assert_eq!([&proved, &unproved, &again].map(is_gone), [false, true, false]);
        assert!(waiters.send_one_away());
        assert_eq!([&proved, &unproved, &again].map(is_gone), [true, true, false]);
        assert!(!waiters.send_one_away(), "who has only begun to wait stays");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_away_is_woken() {
        let waiters = Rc::<Waiters>::default();
        let entry = waiters.enter();
        tokio::time::advance(LEAST).await;
        let ((), is_told) = tokio::join!(entry.waiter.sent_away(), async {
            tokio::task::yield_now().await;
            waiters.send_one_away()
        });
        assert!(is_told);
    }
}
