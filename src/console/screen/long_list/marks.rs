//! Marking in a long list: one row, from a row to a row, all that the filter lets through. Rows are meant, and not places: the
//! list may move while it is marked.

use crate::console::layer::Turn;
use crate::console::widget::list::Step;

use super::{ListIds, Listed, LongList};

/// Bulk acts take at most so many: they are named one by one.
const MOST_MARKED: u32 = 10_000;
/// Beyond the ends of a range so many rows are looked at: the list may move while it is marked.
const SLACK: u64 = 200;

/// Where a range began: at a row, which is at this place for now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<I> {
    pub(super) id: I,
    pub(super) place: u64,
}

/// What is marked when the ids come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Marking<I> {
    All,
    /// From the one to the other, whichever comes first.
    Range(I, I),
}

impl<L: Listed> LongList<L> {
    pub fn mark(&mut self, turn: &mut Turn<'_>) {
        if let Some(id) = self.selected().map(L::id)
            && !self.marks.remove(&id)
        {
            self.marks.insert(id);
        }
        self.step(Step::Down, turn);
    }

    pub fn mark_range(&mut self, turn: &mut Turn<'_>) {
        let Some(to) = self.selected().map(L::id) else { return };
        let Some(from) = self.range_from.take() else {
            self.range_from = Some(Start { id: to, place: self.cursor.selected });
            return;
        };
        let (first, last) = (from.place.min(self.cursor.selected), from.place.max(self.cursor.selected));
        let offset = first.saturating_sub(SLACK);
        let rows = last.saturating_sub(first).saturating_add(1);
        if rows > u64::from(MOST_MARKED) {
            return Self::refuse_so_many(turn);
        }
        let limit = u32::try_from(rows + 2 * SLACK).unwrap_or(u32::MAX);
        self.ask_ids(Marking::Range(from.id, to), offset, limit, turn);
    }

    /// All that the filter lets through when it is done, and not as many as were counted before.
    pub fn mark_all(&mut self, turn: &mut Turn<'_>) {
        self.ask_ids(Marking::All, 0, MOST_MARKED + 1, turn);
    }

    fn ask_ids(&mut self, marking: Marking<L::Id>, offset: u64, limit: u32, turn: &mut Turn<'_>) {
        self.marking = marking;
        let order = self.order(turn.now);
        self.ids.ask(ListIds::<L> { order, offset, limit }, turn);
    }

    fn refuse_so_many(turn: &mut Turn<'_>) {
        turn.refuse(format!("at most {MOST_MARKED} {} can be marked; filter for fewer", L::MANY));
    }

    pub(super) fn took_ids(&mut self, ids: Vec<L::Id>, turn: &mut Turn<'_>) {
        match self.marking {
            Marking::All if ids.len() > MOST_MARKED as usize => Self::refuse_so_many(turn),
            Marking::All => self.marks.extend(ids),
            Marking::Range(from, to) => {
                let place = |wanted| ids.iter().position(|id| *id == wanted);
                let (Some(from), Some(to)) = (place(from), place(to)) else {
                    return turn.refuse("the list moved while the range was marked; mark it again");
                };
                self.marks.extend(ids.into_iter().skip(from.min(to)).take(from.abs_diff(to) + 1));
            }
        }
    }

    pub fn clear_marks(&mut self) {
        self.marks.clear();
        self.range_from = None;
    }
}
