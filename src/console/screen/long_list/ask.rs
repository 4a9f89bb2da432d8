//! What a long list asks of the store.

use crate::console::effect::Question;
use crate::domain::clock::Timestamp;
use crate::domain::filter::Filter;
use crate::ops::{Ctx, OpsError};
use crate::store::Damaged;

use super::Listed;

/// Which rows, in which order.
#[derive(Clone, Debug)]
pub struct Order<S> {
    pub filter: Filter,
    pub sort: S,
    pub descending: bool,
    pub now: Timestamp,
}

/// Some rows of a sorted list.
#[derive(Clone, Debug)]
pub struct Window<T> {
    pub offset: u64,
    pub rows: Vec<Result<T, Damaged>>,
}

/// The rows about the view.
#[derive(Debug)]
pub struct ListRows<L: Listed> {
    pub order: Order<L::Sort>,
    pub offset: u64,
    pub limit: u32,
    /// How many rows there are, where that is known.
    pub total: Option<u64>,
}

impl<L: Listed> Question for ListRows<L> {
    type Answer = Window<L>;
    fn answer(&self, ctx: &Ctx) -> Result<Window<L>, OpsError> {
        let rows = L::window(ctx, &self.order, self.offset, self.limit, self.total)?;
        Ok(Window { offset: self.offset, rows })
    }
}

/// How many rows the list has.
#[derive(Debug)]
pub struct CountRows<L: Listed>(pub Order<L::Sort>);

impl<L: Listed> Question for CountRows<L> {
    type Answer = u64;
    const SLOW: bool = true;
    fn answer(&self, ctx: &Ctx) -> Result<u64, OpsError> {
        Ok(L::count(ctx, &self.0)?)
    }
}

/// The ids of rows, damaged ones left out: what is marked.
#[derive(Debug)]
pub struct ListIds<L: Listed> {
    pub order: Order<L::Sort>,
    pub offset: u64,
    pub limit: u32,
}

impl<L: Listed> Question for ListIds<L> {
    type Answer = Vec<L::Id>;
    fn answer(&self, ctx: &Ctx) -> Result<Vec<L::Id>, OpsError> {
        let rows = L::window(ctx, &self.order, self.offset, self.limit, None)?;
        Ok(rows.iter().flatten().map(L::id).collect())
    }
}

/// Where a row of the list is now; `None` where it is not in it any more.
#[derive(Debug)]
pub struct FindRow<L: Listed> {
    pub order: Order<L::Sort>,
    pub id: String,
}

impl<L: Listed> Question for FindRow<L> {
    type Answer = Option<u64>;
    const SLOW: bool = true;
    fn answer(&self, ctx: &Ctx) -> Result<Option<u64>, OpsError> {
        Ok(L::place(ctx, &self.order, &self.id)?)
    }
}
