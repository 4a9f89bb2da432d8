//! What keys did of late: asked before an act on them.

use std::collections::HashSet;

use crate::console::ask::{DAY, of_credential};
use crate::console::effect::Question;
use crate::console::overlay::confirm::Counted;
use crate::domain::{api_key::KeyId, clock::Timestamp, text::counted};
use crate::ops::{self, Ctx, OpsError};
use crate::store::{self, StoreError};

/// How many calls these keys made in the last 24 hours.
#[derive(Debug)]
pub struct CountCalls {
    pub ids: Vec<KeyId>,
    pub now: Timestamp,
}

/// What several keys did of late, and which they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Calls in the last 24 hours.
    calls: u64,
    /// How many keys were asked about, and how many subjects these speak for.
    keys: u64,
    subjects: u64,
    /// The first of them, as people know them.
    first: Vec<String>,
}

/// How many are named.
const NAMED: usize = 3;

impl Activity {
    /// What is said beside the question whether to do to them what can be undone.
    pub fn which(self) -> Counted {
        Counted { lines: self.named(), calls: 0 }
    }

    /// What is said beside the question whether to end them.
    pub fn in_use(self) -> Counted {
        Counted { lines: self.named(), calls: self.calls }
    }

    /// Which keys an act on several is about, in a line; nothing of one, which the question names itself.
    fn named(&self) -> Vec<String> {
        if self.keys < 2 {
            return Vec::new();
        }
        let more = self.keys.saturating_sub(self.first.len() as u64);
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        let subjects =
            if self.subjects == 1 { "one subject".into() } else { counted(self.subjects, "subject") };
        vec![format!("{}{rest}: of {subjects}.", self.first.join(", "))]
    }
}

impl Question for CountCalls {
    type Answer = Activity;
    fn answer(&self, ctx: &Ctx) -> Result<Activity, OpsError> {
        let mut activity = Activity { keys: self.ids.len() as u64, ..Activity::default() };
        let mut subjects = HashSet::new();
        for id in &self.ids {
            activity.calls += ops::usage::totals(ctx, of_credential(id.to_string(), self.now, DAY))?.calls();
            let found = ctx.store.read(|c| store::api_key::find(c, *id));
            let Some(key) = StoreError::none_where_damaged(found)? else { continue };
            if activity.first.len() < NAMED {
                activity.first.push(format!("{} of {}", key.called(), key.subject));
            }
            subjects.insert(key.subject);
        }
        activity.subjects = subjects.len() as u64;
        Ok(activity)
    }
}
