//! What the usage screen asks for: how far back, of what, and what came of it.

use std::time::Duration;

use crate::console::ask::{Busy, busiest, since};
use crate::console::effect::Question;
use crate::domain::{
    clock::Timestamp,
    usage::{Dimension, Totals},
};
use crate::ops::{self, Ctx, OpsError};
use crate::store;

const LISTED: u32 = 50;

#[derive(Clone, Debug, Default)]
pub struct UsageView {
    pub totals: Totals,
    pub series: Vec<(Timestamp, Totals)>,
    pub top: Vec<Busy>,
}

#[derive(Debug)]
pub struct ShowUsage {
    pub range: Range,
    pub focus: Focus,
    pub now: Timestamp,
}

impl Question for ShowUsage {
    type Answer = UsageView;
    fn answer(&self, ctx: &Ctx) -> Result<UsageView, OpsError> {
        let query = store::usage::Query {
            credential: self.focus.credential.clone(),
            endpoint: self.focus.endpoint.clone(),
            ..since(self.now, self.range.length())
        };
        let by = match self.focus.by {
            By::Credential => Dimension::Credential,
            By::Endpoint => Dimension::Endpoint,
            By::Outcome => Dimension::Outcome,
        };
        Ok(UsageView {
            totals: ops::usage::totals(ctx, query.clone())?,
            series: ops::usage::series(ctx, query.clone(), self.range.step_minutes())?,
            top: busiest(ctx, &query, by, LISTED)?,
        })
    }
}

/// How far back the usage screen looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    #[default]
    Hour,
    Day,
    Week,
    Month,
}

impl Range {
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 30 * 86_400,
        })
    }
    /// Minutes a point of the chart stands for.
    pub fn step_minutes(self) -> u32 {
        match self {
            Self::Hour => 1,
            Self::Day => 15,
            Self::Week => 120,
            Self::Month => 480,
        }
    }
    pub fn next(self) -> Self {
        match self {
            Self::Hour => Self::Day,
            Self::Day => Self::Week,
            Self::Week => Self::Month,
            Self::Month => Self::Hour,
        }
    }
}

/// What the usage screen counts, and what its table lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    pub by: By,
    pub credential: Option<String>,
    pub endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Credential,
    Endpoint,
    Outcome,
}

impl By {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Endpoint => "endpoint",
            Self::Outcome => "outcome",
        }
    }
    pub fn next(self) -> Self {
        match self {
            Self::Credential => Self::Endpoint,
            Self::Endpoint => Self::Outcome,
            Self::Outcome => Self::Credential,
        }
    }
}
