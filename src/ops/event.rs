//! Reading events, for both roles.

use super::{Ctx, OpsError};
use crate::domain::event::Event;
use crate::store::event::{self, Query};

pub fn list(ctx: &Ctx, q: &Query) -> Result<Vec<Event>, OpsError> {
    ctx.store.read_usage(|c| Ok(event::list(c, q)?))
}
