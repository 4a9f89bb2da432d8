//! What several screens ask: what forms choose from, what was counted of late, who was busy.

mod busy;

use std::time::Duration;

use crate::domain::{clock::Timestamp, name::PolicyName, scope::Catalogue};
use crate::ops::{self, Ctx, OpsError};
use crate::store;

use super::effect::Question;
use super::widget::field::Choice;

pub use busy::{Busy, busiest};

/// What "of late" means in most places.
pub const DAY: Duration = Duration::from_secs(86_400);

/// What forms choose from.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    pub catalogue: Catalogue,
    /// Those that something can be put under: what is damaged allows nothing.
    pub policies: Vec<PolicyName>,
}

impl Choices {
    pub fn read(ctx: &Ctx) -> Result<Self, OpsError> {
        let (policies, _) = ops::policy::sound(ctx)?;
        Ok(Self {
            catalogue: ops::scope::sound(ctx)?.0,
            policies: policies.into_iter().map(|(row, _)| row.policy.name).collect(),
        })
    }
    pub fn scopes(&self) -> Vec<Choice> {
        let scopes = self.catalogue.iter();
        scopes.map(|scope| Choice::new(scope.name.as_str(), scope.description.as_str())).collect()
    }
    pub fn policies(&self) -> Vec<Choice> {
        self.policies.iter().map(|policy| Choice::new(policy.as_str(), "")).collect()
    }
}

#[derive(Debug)]
pub struct ListChoices;

impl Question for ListChoices {
    type Answer = Choices;
    fn answer(&self, ctx: &Ctx) -> Result<Choices, OpsError> {
        Choices::read(ctx)
    }
}

/// What was counted in the last `length`, whole minutes.
pub fn since(now: Timestamp, length: Duration) -> store::usage::Query {
    let from = Timestamp::from_millis(now.minus(length).millis().div_euclid(60_000) * 60_000);
    store::usage::Query { since: from, until: now.plus(Duration::from_millis(1)), ..Default::default() }
}

/// The same of one credential.
pub fn of_credential(id: String, now: Timestamp, length: Duration) -> store::usage::Query {
    store::usage::Query { credential: Some(id), ..since(now, length) }
}
