//! What was counted and refused of late.

use std::time::Duration;

use crate::console::ask::{Busy, DAY, busiest, since};
use crate::console::effect::Question;
use crate::console::overlay::refusals::is_refusal;
use crate::domain::{
    clock::Timestamp,
    event::Event,
    usage::{Dimension, Totals},
};
use crate::ops::{self, Ctx, OpsError};
use crate::store::{self, gateway::Gateway};

const LISTED: u32 = 50;

/// Calls of late.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub minute: Totals,
    pub hour: Totals,
    pub day: Totals,
    /// Calls per second over the current and the last whole minute.
    pub rate: f64,
    /// The last 60 minutes, one a minute, oldest first.
    pub series: Vec<(Timestamp, Totals)>,
    pub credentials: Vec<Busy>,
    pub endpoints: Vec<Busy>,
    /// Newest first.
    pub refusals: Vec<Event>,
    /// Those that run, then those that ended without a word.
    pub gateways: Vec<Gateway>,
}

#[derive(Debug)]
pub struct ShowTraffic {
    pub now: Timestamp,
}

impl Question for ShowTraffic {
    type Answer = Traffic;
    fn answer(&self, ctx: &Ctx) -> Result<Traffic, OpsError> {
        const MINUTE: Duration = Duration::from_secs(60);
        const HOUR: Duration = Duration::from_secs(3_600);
        let now = self.now;
        let last_minute = since(now, MINUTE);
        let hour = since(now, HOUR);
        let minute_totals = ops::usage::totals(ctx, last_minute.clone())?;
        let seconds = now.since(last_minute.since).as_secs_f64().max(1.0);
        let mut series = ops::usage::series(ctx, hour.clone(), 1)?;
        let surplus = series.len().saturating_sub(60);
        series.drain(..surplus);
        let query = store::event::Query { limit: LISTED, ..Default::default() };
        let refusals = ops::event::list(ctx, &query)?.into_iter().filter(is_refusal).collect();
        Ok(Traffic {
            minute: minute_totals,
            hour: ops::usage::totals(ctx, hour.clone())?,
            day: ops::usage::totals(ctx, since(now, DAY))?,
            rate: minute_totals.calls() as f64 / seconds,
            series,
            credentials: busiest(ctx, &hour, Dimension::Credential, 10)?,
            endpoints: busiest(ctx, &hour, Dimension::Endpoint, 10)?,
            refusals,
            gateways: ops::gateway::list(ctx)?,
        })
    }
}
