//! Carries out effects: worker threads for questions, for the counts that look at every key,
//! and for acts, and a watcher that tells when another process changed the store. SQLite is
//! never touched by the thread that draws.

mod busy;
mod keys;
mod refusal;
mod secret;
mod token;
mod under_way;
mod usage;

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::domain::{
    api_key::KeyId,
    clock::Timestamp,
    name::PolicyName,
    pace::{self, Pace},
};
use crate::ops;
use crate::ops::{Ctx, OpsError};
use crate::store::backup::Recipient;
use crate::store::feed::{Feed, UsageFeed};
use crate::store::home::Home;
use crate::store::{self, StoreError};

use super::effect::{
    Activity, Answer, Choices, Deed, Fault, KeyDetail, KeyWindow, Partly, Query, Reply, Ticket, Topic,
};
use super::event::{Event, Moved};
use under_way::UnderWay;
use usage::{of_credential, since, traffic};

/// How often the store is asked whether it moved: a few microseconds each time.
const LOOK: Duration = Duration::from_millis(250);
/// Counters move all the time under load: once a second is often enough to look at.
const CALM: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The way to the workers. They end when it is dropped.
pub struct Runner {
    questions: Sender<(Ticket, Query)>,
    /// Questions that look at every key: rows must not wait for them.
    counts: Sender<(Ticket, Query)>,
    deeds: Sender<(Ticket, Deed)>,
    under_way: UnderWay,
    _watching: Sender<()>,
}

impl Runner {
    pub fn start(ctx: &Ctx, home: Option<&Home>, events: &UnboundedSender<Event>) -> std::io::Result<Self> {
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
        let home = home.cloned();
        spawn("console-act", Box::new(move || act(&own, home.as_ref(), &ordered, &doing, &out)))?;
        let (own, out, doing) = (ctx.clone(), events.clone(), under_way.clone());
        spawn("console-watch", Box::new(move || watch(&own, &stop, &doing, &out)))?;
        Ok(Self { questions, counts, deeds, under_way, _watching: watching })
    }

    pub fn load(&self, ticket: Ticket, query: Query) {
        // the worker lives as long as this does; where a panic has ended it, the answer never comes
        let counts = matches!(
            ticket.topic,
            Topic::KeyCounts
                | Topic::KeyTotal
                | Topic::KeyPlace
                | Topic::TokenCounts
                | Topic::TokenTotal
                | Topic::TokenPlace
                | Topic::TokenReach
        );
        let way = if counts { &self.counts } else { &self.questions };
        let _ = way.send((ticket, query));
    }

    pub fn act(&self, ticket: Ticket, deed: Deed) {
        let _ = self.deeds.send((ticket, deed));
    }

    pub fn cancel(&self, ticket: Ticket) {
        self.under_way.cancel(ticket);
    }
}

/// Leaves the newest question of each topic.
fn newest(waiting: Vec<(Ticket, Query)>) -> Vec<(Ticket, Query)> {
    let mut seen: HashSet<Topic> = HashSet::new();
    let mut kept: Vec<_> =
        waiting.into_iter().rev().filter(|(ticket, _)| seen.insert(ticket.topic)).collect();
    kept.reverse();
    kept
}

fn read(ctx: &Ctx, asked: &Receiver<(Ticket, Query)>, out: &UnboundedSender<Event>) {
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
        let (ticket, query) = waiting.remove(0);
        let outcome = answer(ctx, query).map_err(fault);
        if out.send(Event::Reply(Reply { ticket, outcome: Some(outcome) })).is_err() {
            return;
        }
    }
}

fn act(
    ctx: &Ctx,
    home: Option<&Home>,
    ordered: &Receiver<(Ticket, Deed)>,
    under_way: &UnderWay,
    out: &UnboundedSender<Event>,
) {
    while let Ok((ticket, deed)) = ordered.recv() {
        let ctx = Ctx { pace: under_way.begin(ticket, deed.verb()), ..ctx.clone() };
        let outcome = carry_out(&ctx, home, deed).map(|answer| cut_short(answer, &ctx.pace));
        if !under_way.end(Reply { ticket, outcome: Some(outcome) }, out) {
            return;
        }
    }
}

/// What was cancelled before its end was not done to all.
fn cut_short(answer: Answer, pace: &Pace) -> Answer {
    let pace::Progress { done, of, .. } = pace.progress();
    let left = of.unwrap_or(done).saturating_sub(done);
    match answer {
        Answer::Changed(_) if left > 0 => Answer::Partly(Partly { done, left, ..Partly::default() }),
        answer => answer,
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

fn fault(error: OpsError) -> Fault {
    Fault { conflict: matches!(error, OpsError::Conflict(_)), message: error.to_string() }
}

fn carry_out(ctx: &Ctx, home: Option<&Home>, deed: Deed) -> Result<Answer, Fault> {
    let issued = |issued| Answer::Issued(Box::new(issued));
    let saved = |revision| Answer::Saved(Box::new(revision));
    match deed {
        Deed::CreateKey(new) => ops::api_key::create(ctx, new).map(issued).map_err(fault),
        Deed::RotateKey { id, grace } => ops::api_key::rotate(ctx, id, grace).map(issued).map_err(fault),
        Deed::SetKeys { ids, changes } => keys::set(ctx, &ids, changes),
        Deed::DisableKeys(ids) => {
            keys::for_each(ctx, &ids, |ctx, ids| ops::api_key::disable_all(ctx, ids).map(|_| ()))
        }
        Deed::EnableKeys(ids) => {
            keys::for_each(ctx, &ids, |ctx, ids| ops::api_key::enable_all(ctx, ids).map(|_| ()))
        }
        Deed::RevokeKeys { ids, reason } => {
            keys::for_each(ctx, &ids, |ctx, ids| ops::api_key::revoke_all(ctx, ids, &reason).map(|_| ()))
        }
        Deed::PurgeDamagedKeys => ops::api_key::purge_damaged(ctx).map(Answer::Changed).map_err(fault),
        Deed::CreatePolicy { policy, reason } => {
            ops::policy::create(ctx, *policy, &reason).map(saved).map_err(fault)
        }
        Deed::SavePolicy { policy, expected, reason } => {
            ops::policy::apply_over(ctx, *policy, expected, &reason).map(saved).map_err(fault)
        }
        Deed::RollbackPolicy { name, to, expected, reason } => {
            ops::policy::rollback_over(ctx, &name, to, expected, &reason).map(saved).map_err(fault)
        }
        Deed::DeletePolicy(name) => {
            ops::policy::delete(ctx, &name, "").map(|()| Answer::Deleted).map_err(fault)
        }
        Deed::BackUp { file, passphrase } => {
            let Some(home) = home else {
                let message = "the home of a demo goes with it, and is not backed up".into();
                return Err(Fault { message, conflict: false });
            };
            let file = secret::below_home(&file);
            ops::backup::into_file(ctx, home, &Recipient::Operator(&passphrase), &file, |_, _| {})
                .map(|backed_up| Answer::BackedUp(Box::new(backed_up)))
                .map_err(fault)
        }
        Deed::WriteSecret { file, text } => secret::write(&file, &text).map(Answer::Written),
        Deed::Token(deed) => token::carry_out(ctx, deed),
    }
}

fn answer(ctx: &Ctx, query: Query) -> Result<Answer, OpsError> {
    match query {
        Query::Traffic { now } => traffic(ctx, now).map(|traffic| Answer::Traffic(Box::new(traffic))),
        Query::KeyCounts { now } => {
            let counts = ctx.store.read(|c| store::api_key::counts(c, now, now.plus(DAY)))?;
            Ok(Answer::KeyCounts(counts))
        }
        Query::KeyWindow { query, offset, limit, total } => {
            let rows = ctx
                .store
                .read(|connection| store::api_key::window(connection, &query, offset, limit, total))?;
            Ok(Answer::KeyWindow(KeyWindow { offset, rows }))
        }
        Query::KeyTotal(query) => {
            let total = ctx.store.read(|connection| store::api_key::count(connection, &query))?;
            Ok(Answer::KeyTotal(total))
        }
        Query::KeyIds { query, offset, limit } => {
            let rows = ctx
                .store
                .read(|connection| store::api_key::window(connection, &query, offset, limit, None))?;
            Ok(Answer::KeyIds(rows.into_iter().flatten().map(|key| key.id).collect()))
        }
        Query::KeyPlace { query, id } => {
            Ok(Answer::KeyPlace(ctx.store.read(|connection| store::api_key::place(connection, &query, &id))?))
        }
        Query::KeyDetail { id, now } => {
            key_detail(ctx, id, now).map(|detail| Answer::KeyDetail(Box::new(detail)))
        }
        Query::KeyActivity { ids, now } => {
            let mut activity = Activity { keys: ids.len() as u64, ..Activity::default() };
            let mut subjects = HashSet::new();
            for id in ids {
                activity.calls += ops::usage::totals(ctx, of_credential(id.to_string(), now, DAY))?.calls();
                let found = ctx.store.read(|c| store::api_key::find(c, id));
                let Some(key) = StoreError::none_where_damaged(found)? else { continue };
                if activity.first.len() < Activity::NAMED {
                    activity.first.push(format!("{} of {}", key.called(), key.subject));
                }
                subjects.insert(key.subject);
            }
            activity.subjects = subjects.len() as u64;
            Ok(Answer::KeyActivity(activity))
        }
        Query::Choices => {
            Ok(Answer::Choices(Choices { catalogue: ops::scope::sound(ctx)?.0, policies: policies(ctx)? }))
        }
        Query::Token(query) => token::answer(ctx, query).map(Answer::Token),
        Query::Policies => ops::policy::sound(ctx).map(Answer::Policies),
        Query::Refusals { credential } => refusal::list(ctx, credential).map(Answer::Refusals),
        Query::Refusal(event) => refusal::of(ctx, *event).map(|refused| Answer::Refusal(Box::new(refused))),
        Query::History(name) => ops::policy::history(ctx, &name).map(Answer::History),
        Query::Usage { range, focus, now } => {
            usage::view(ctx, range, focus, now).map(|view| Answer::Usage(Box::new(view)))
        }
    }
}

/// Those that something can be put under: what is damaged allows nothing.
fn policies(ctx: &Ctx) -> Result<Vec<PolicyName>, OpsError> {
    let (sound, _) = ops::policy::sound(ctx)?;
    Ok(sound.into_iter().map(|(row, _)| row.policy.name).collect())
}

fn key_detail(ctx: &Ctx, id: KeyId, now: Timestamp) -> Result<KeyDetail, OpsError> {
    let key = ops::api_key::show(ctx, id)?;
    let (policy, catalogue, tokens) = ctx.store.read(|connection| -> Result<_, StoreError> {
        Ok((
            StoreError::none_where_damaged(store::policy::find(connection, &key.policy))?,
            store::scope::sound(connection)?.0,
            store::token::live_on(connection, id, now)?,
        ))
    })?;
    let day = of_credential(id.to_string(), now, DAY);
    let events = store::event::Query { credential: Some(id.to_string()), limit: 8, ..Default::default() };
    let audit = store::audit::Query { object: Some(id.to_string()), limit: 20, ..Default::default() };
    Ok(KeyDetail {
        policy,
        tokens,
        covers: token::covers(&catalogue, &key.scopes),
        series: ops::usage::series(ctx, day.clone(), 30)?,
        day: ops::usage::totals(ctx, day)?,
        events: ops::event::list(ctx, &events)?,
        audit: ops::audit::list(ctx, &audit)?,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_waiting_questions_the_newest_of_each_topic_is_asked() {
        let ask = |topic, number| (Ticket { topic, number }, Query::Policies);
        let waiting = vec![
            ask(Topic::KeyWindow, 1),
            ask(Topic::KeyDetail, 2),
            ask(Topic::KeyWindow, 3),
            ask(Topic::Usage, 4),
        ];
        let kept: Vec<u64> = newest(waiting).into_iter().map(|(ticket, _)| ticket.number).collect();
        assert_eq!(kept, [2, 3, 4]);
    }
}
