//! The act under way: how far it is, for who watches, and the way to end it early.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use crate::console::effect::{Progress, Reply, Ticket};
use crate::console::event::Event;
use crate::domain::pace::{Pace, QUIET};

/// Acts are done one after the other: there is one, or none.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<Mutex<Option<Act>>>);

#[derive(Debug)]
struct Act {
    ticket: Ticket,
    pace: Pace,
    verb: &'static str,
    begun: Instant,
}

impl UnderWay {
    fn act(&self) -> std::sync::MutexGuard<'_, Option<Act>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An act begins; what it does is counted at the pace that comes back.
    pub fn begin(&self, ticket: Ticket, verb: &'static str) -> Pace {
        let pace = Pace::default();
        *self.act() = Some(Act { ticket, pace: pace.clone(), verb, begun: Instant::now() });
        pace
    }

    /// It has ended with `reply`: nothing is told of its progress after that. False where nobody listens any more.
    pub fn end(&self, reply: Reply, out: &UnboundedSender<Event>) -> bool {
        let mut act = self.act();
        *act = None;
        out.send(Event::Reply(reply)).is_ok()
    }

    /// Tells how far it is, where it takes its time. False where nobody listens any more.
    pub fn tell(&self, out: &UnboundedSender<Event>) -> bool {
        let act = self.act();
        let Some(Act { ticket, pace, verb, begun }) = act.as_ref() else { return true };
        let (progress, took) = (pace.progress(), begun.elapsed());
        if took < QUIET || progress.done == 0 {
            return true;
        }
        let told = format!("{verb}: {}", progress.told(took));
        out.send(Event::Progress(Progress { ticket: *ticket, told })).is_ok()
    }

    /// Has it end where it may.
    pub fn cancel(&self, ticket: Ticket) {
        if let Some(act) = self.act().as_ref().filter(|act| act.ticket == ticket) {
            act.pace.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::domain::pace::Unit;

    #[test]
    fn only_the_act_that_is_meant_is_ended_and_nothing_is_told_of_it_afterwards() {
        let (out, mut told) = unbounded_channel();
        let ticket = |number| Ticket { topic: TypeId::of::<()>(), number };
        let under_way = UnderWay::default();
        let pace = under_way.begin(ticket(2), "revoking");
        under_way.cancel(ticket(1));
        assert!(!pace.is_cancelled(), "an earlier one");
        pace.expect(10, Unit::Items);
        pace.step(3);
        if let Some(act) = under_way.act().as_mut() {
            act.begun = Instant::now().checked_sub(QUIET * 4).unwrap();
        }
        assert!(under_way.tell(&out));
        let Some(Event::Progress(progress)) = told.blocking_recv() else { panic!("nothing was told") };
        assert!(
            progress.told.starts_with("revoking: 3 of 10, ") && progress.ticket == ticket(2),
            "{progress:?}"
        );
        under_way.cancel(ticket(2));
        assert!(pace.is_cancelled());
        assert!(
            under_way.end(Reply { ticket: ticket(2), outcome: None, left: None }, &out)
                && under_way.tell(&out)
        );
        assert!(matches!(told.blocking_recv(), Some(Event::Reply(_))));
        assert!(told.try_recv().is_err());
    }
}
