//! What was counted and refused of late: for the overview, and for the screen of usage.

use std::time::Duration;

use crate::console::effect::{By, Focus, Range, Traffic, UsageView};
use crate::domain::{clock::Timestamp, decision::Reason, event::SHADOW_DENIED, usage::Dimension};
use crate::ops::{self, Ctx, OpsError};
use crate::store;

use super::{DAY, busy::busiest};

const LISTED: u32 = 50;

/// The start of the minute that `at` is in.
fn minute(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis().div_euclid(60_000) * 60_000)
}

/// What was counted in the last `length`, whole minutes.
pub fn since(now: Timestamp, length: Duration) -> store::usage::Query {
    let from = minute(now.minus(length));
    store::usage::Query { since: from, until: now.plus(Duration::from_millis(1)), ..Default::default() }
}

pub fn of_credential(id: String, now: Timestamp, length: Duration) -> store::usage::Query {
    store::usage::Query { credential: Some(id), ..since(now, length) }
}

pub fn traffic(ctx: &Ctx, now: Timestamp) -> Result<Traffic, OpsError> {
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);
    let last_minute = since(now, MINUTE);
    let hour = since(now, HOUR);
    let minute_totals = ops::usage::totals(ctx, last_minute.clone())?;
    let seconds = now.since(last_minute.since).as_secs_f64().max(1.0);
    let mut series = ops::usage::series(ctx, hour.clone(), 1)?;
    let surplus = series.len().saturating_sub(60);
    series.drain(..surplus);
    let query = store::event::Query { limit: LISTED, ..Default::default() };
    let is_refusal = |kind: &str| kind.parse::<Reason>().is_ok() || kind == SHADOW_DENIED;
    let refusals =
        ops::event::list(ctx, &query)?.into_iter().filter(|event| is_refusal(&event.kind)).collect();
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

pub fn view(ctx: &Ctx, range: Range, focus: Focus, now: Timestamp) -> Result<UsageView, OpsError> {
    let query = store::usage::Query {
        credential: focus.credential,
        endpoint: focus.endpoint,
        ..since(now, range.length())
    };
    let by = match focus.by {
        By::Credential => Dimension::Credential,
        By::Endpoint => Dimension::Endpoint,
        By::Outcome => Dimension::Outcome,
    };
    Ok(UsageView {
        totals: ops::usage::totals(ctx, query.clone())?,
        series: ops::usage::series(ctx, query.clone(), range.step_minutes())?,
        top: busiest(ctx, &query, by, LISTED)?,
    })
}
