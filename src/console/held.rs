//! What has been asked for, and what is known of it.

use super::effect::{Deed, Fault, Question, Reply, Ticket};
use super::layer::Turn;

/// What has been asked for and what is known: the value stays until a newer one comes.
#[derive(Debug)]
pub struct Held<T> {
    waiting: Option<Ticket>,
    pub value: Option<T>,
    pub fault: Option<Fault>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { waiting: None, value: None, fault: None }
    }
}

impl<T: 'static> Held<T> {
    /// Asks the store; whatever was asked before is answered no more.
    pub fn ask<Q: Question<Answer = T>>(&mut self, question: Q, turn: &mut Turn<'_>) {
        self.waiting = Some(turn.load(question));
    }
    /// Has something changed.
    pub fn act<D: Deed<Answer = T>>(&mut self, deed: D, turn: &mut Turn<'_>) {
        self.waiting = Some(turn.act(deed));
    }
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
    /// What is waited for.
    pub fn waits_for(&self) -> Option<Ticket> {
        self.waiting
    }
    /// Whether it is this that is waited for.
    pub fn awaits(&self, ticket: Ticket) -> bool {
        self.waiting == Some(ticket)
    }
    /// Forgets the value and whatever was asked.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
    /// Takes the reply if it is ours; true where a new value has come.
    pub fn settle(&mut self, reply: &mut Reply) -> bool {
        match self.take(reply) {
            Some(Ok(value)) => {
                (self.value, self.fault) = (Some(value), None);
                true
            }
            Some(Err(fault)) => {
                self.fault = Some(fault);
                false
            }
            None => false,
        }
    }
    /// Takes the reply if it is ours, and hands it on.
    pub fn take(&mut self, reply: &mut Reply) -> Option<Result<T, Fault>> {
        if !self.awaits(reply.ticket) {
            return None;
        }
        self.waiting = None;
        match reply.outcome.take()? {
            // what is waited for was asked here, so that its answer is of this type
            Ok(answer) => answer.downcast().ok().map(|answer| Ok(*answer)),
            Err(fault) => Some(Err(fault)),
        }
    }
}
