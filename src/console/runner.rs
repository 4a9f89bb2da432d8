//! Carries out effects: worker threads for questions, for the counts that look at every row,
//! and for acts, and a watcher that tells when another process changed the store. SQLite is
//! never touched by the thread that draws.

mod under_way;

use std::any::TypeId;
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::ops::Ctx;
use crate::store::StoreError;
use crate::store::feed::{Feed, UsageFeed};

use super::effect::{AnyDeed, AnyQuestion, Reply, Ticket};
use super::event::{Event, Moved};
use under_way::UnderWay;

/// How often the store is asked whether it moved: a few microseconds each time.
const LOOK: Duration = Duration::from_millis(250);
/// Counters move all the time under load: once a second is often enough to look at.
const CALM: Duration = Duration::from_secs(1);

type Asked = (Ticket, Box<dyn AnyQuestion>);
type Ordered = (Ticket, Box<dyn AnyDeed>);

/// The way to the workers. They end when it is dropped.
pub struct Runner {
    questions: Sender<Asked>,
    /// Questions that look at every row: others must not wait for them.
    counts: Sender<Asked>,
    deeds: Sender<Ordered>,
    under_way: UnderWay,
    _watching: Sender<()>,
}

impl Runner {
    pub fn start(ctx: &Ctx, events: &UnboundedSender<Event>) -> std::io::Result<Self> {
        let (questions, asked) = channel();
        let (counts, counted) = channel();
        let (deeds, ordered) = channel();
        let (watching, stop) = channel();
        let spawn = |name: &str, job: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.into()).spawn(job).map(|_| ())
        };
        let (own, out) = (ctx.clone(), events.clone());
        spawn("console-read", Box::new(move || read(&own, &asked, &out)))?;
        let (own, out) = (ctx.clone(), events.clone());
        spawn("console-count", Box::new(move || read(&own, &counted, &out)))?;
        let under_way = UnderWay::default();
        let (own, out, doing) = (ctx.clone(), events.clone(), under_way.clone());
        spawn("console-act", Box::new(move || act(&own, &ordered, &doing, &out)))?;
        let (own, out, doing) = (ctx.clone(), events.clone(), under_way.clone());
        spawn("console-watch", Box::new(move || watch(&own, &stop, &doing, &out)))?;
        Ok(Self { questions, counts, deeds, under_way, _watching: watching })
    }

    pub fn load(&self, ticket: Ticket, question: Box<dyn AnyQuestion>) {
        // the worker lives as long as this does; where a panic has ended it, the answer never comes
        let way = if question.is_slow() { &self.counts } else { &self.questions };
        let _ = way.send((ticket, question));
    }

    pub fn act(&self, ticket: Ticket, deed: Box<dyn AnyDeed>) {
        let _ = self.deeds.send((ticket, deed));
    }

    pub fn cancel(&self, ticket: Ticket) {
        self.under_way.cancel(ticket);
    }
}

/// Leaves the newest question of each topic.
fn newest(waiting: Vec<Asked>) -> Vec<Asked> {
    let mut seen: HashSet<TypeId> = HashSet::new();
    let mut kept: Vec<_> =
        waiting.into_iter().rev().filter(|(ticket, _)| seen.insert(ticket.topic)).collect();
    kept.reverse();
    kept
}

fn read(ctx: &Ctx, asked: &Receiver<Asked>, out: &UnboundedSender<Event>) {
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() {
            match asked.recv() {
                Ok(question) => waiting.push(question),
                Err(_) => return,
            }
        }
        waiting.extend(asked.try_iter());
        waiting = newest(waiting);
        let (ticket, question) = waiting.remove(0);
        let outcome = Some(question.ask(ctx));
        if out.send(Event::Reply(Reply { ticket, outcome, left: None })).is_err() {
            return;
        }
    }
}

fn act(ctx: &Ctx, ordered: &Receiver<Ordered>, under_way: &UnderWay, out: &UnboundedSender<Event>) {
    while let Ok((ticket, deed)) = ordered.recv() {
        let ctx = Ctx { pace: under_way.begin(ticket, deed.verb()), ..ctx.clone() };
        let outcome = Some(deed.act(&ctx));
        if !under_way.end(Reply { ticket, outcome, left: Some(deed.left()) }, out) {
            return;
        }
    }
}

fn watch(ctx: &Ctx, stop: &Receiver<()>, under_way: &UnderWay, out: &UnboundedSender<Event>) {
    let mut feeds: Option<(Feed, UsageFeed)> = None;
    let mut told: Option<Instant> = None;
    let mut usage_moved = false;
    let mut full = false;
    loop {
        match stop.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if !under_way.tell(out) {
            return;
        }
        if ctx.store.is_full() != full {
            full = !full;
            if out.send(Event::Full(full)).is_err() {
                return;
            }
        }
        let looked = look(ctx, &mut feeds);
        let sent = match looked {
            Err(error) => {
                feeds = None;
                out.send(Event::Unwatched(format!("the store cannot be watched: {error}")))
            }
            Ok((objects, usage)) => {
                usage_moved |= usage;
                let due = told.is_none_or(|told| told.elapsed() >= CALM);
                let mut sent = Ok(());
                if objects {
                    sent = out.send(Event::Moved(Moved::Objects));
                }
                if usage_moved && due {
                    usage_moved = false;
                    told = Some(Instant::now());
                    sent = sent.and(out.send(Event::Moved(Moved::Usage)));
                }
                sent
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Whether objects and usage moved since the last look. The first look of a new feed counts as
/// movement: something may have happened before it.
fn look(ctx: &Ctx, feeds: &mut Option<(Feed, UsageFeed)>) -> Result<(bool, bool), StoreError> {
    match feeds {
        Some((objects, usage)) => Ok((objects.moved()?, usage.moved()?)),
        None => {
            *feeds = Some((Feed::new(&ctx.store)?, UsageFeed::new(&ctx.store)?));
            Ok((true, true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::effect::Question;
    use crate::ops::OpsError;

    #[derive(Debug)]
    struct Rows;
    #[derive(Debug)]
    struct Detail;
    #[derive(Debug)]
    struct Usage;

    macro_rules! asks_nothing {
        ($($question:ty),*) => {$(
            impl Question for $question {
                type Answer = ();
                fn answer(&self, _ctx: &Ctx) -> Result<(), OpsError> {
                    Ok(())
                }
            }
        )*};
    }
    asks_nothing!(Rows, Detail, Usage);

    #[test]
    fn of_waiting_questions_the_newest_of_each_topic_is_asked() {
        fn ask<Q: Question>(question: Q, number: u64) -> Asked {
            (Ticket { topic: TypeId::of::<Q>(), number }, Box::new(question))
        }
        let waiting = vec![ask(Rows, 1), ask(Detail, 2), ask(Rows, 3), ask(Usage, 4)];
        let kept: Vec<u64> = newest(waiting).into_iter().map(|(ticket, _)| ticket.number).collect();
        assert_eq!(kept, [2, 3, 4]);
    }
}
