//! The cursor of a long list goes with its row, wherever that goes while the list moves.

use crate::console::layer::Turn;
use crate::store::Damaged;

use super::{FindRow, Listed, LongList};

/// A list may move while a row of it is looked for: so often it is looked for again.
const MOST_LOOKS: u8 = 3;

impl<L: Listed> LongList<L> {
    /// The cursor was put where it is.
    pub(super) fn stand(&mut self) {
        self.forget_row();
        self.on = self.row(self.cursor.selected).map(name_of);
    }

    pub(super) fn forget_row(&mut self) {
        (self.on, self.is_adrift, self.looks) = (None, false, 0);
        self.place.clear();
    }

    pub(super) fn took_window(&mut self) {
        self.is_of_now = true;
        if let Some(window) = &self.window.value {
            let held = window.rows.len() as u64;
            let seen = window.offset + held;
            let is_last = held < self.asked.1;
            self.total = if self.counted && !is_last { self.total.max(seen) } else { seen };
            self.counted |= is_last && (held > 0 || window.offset == 0);
        }
        let Some(window) = &self.window.value else { return };
        let place = |wanted: &str| {
            let place = window.rows.iter().position(|row| name_of(row) == wanted);
            place.map(|place| window.offset + place as u64)
        };
        if let Some(at) = self.on.as_deref().and_then(place) {
            self.cursor.shift_to(at);
        }
        if let Some(start) = &mut self.range_from {
            start.place = place(&start.id.to_string()).unwrap_or(start.place);
        }
    }

    /// Where the row that the cursor was on is not among those that came, it is looked for.
    pub(super) fn go_with_its_row(&mut self, turn: &mut Turn<'_>) {
        let here = self.row(self.cursor.selected).map(name_of);
        match &self.on {
            None => self.on = here,
            Some(_) if here == self.on => {
                (self.is_adrift, self.looks) = (false, 0);
                self.place.clear();
            }
            // an empty list keeps nobody's place: what comes next is what one sees
            Some(_) if self.total == 0 => self.forget_row(),
            Some(_) if here.is_none() && self.window.is_waiting() => {}
            Some(_) if self.looks == MOST_LOOKS => self.lose(),
            Some(on) => {
                let id = on.clone();
                self.is_adrift = true;
                self.looks += 1;
                let order = self.order(turn.now);
                self.place.ask(FindRow::<L> { order, id }, turn);
            }
        }
    }

    /// The row is where the store says; where it is gone, the cursor is on the one that has come to its place.
    pub(super) fn took_place(&mut self, place: Option<u64>, turn: &mut Turn<'_>) {
        match place {
            Some(place) => {
                self.total = self.total.max(place + 1);
                self.cursor.shift_to(place);
                // how many there are by now is not known yet
                self.ask_among(None, turn);
            }
            None => {
                self.lose();
                self.settle(turn);
            }
        }
    }

    fn lose(&mut self) {
        self.stand();
        self.is_lost = true;
    }

    /// Whether the cursor has come to another row since it was asked, because its own is gone: what was shown of that is
    /// not to be taken for the other's.
    pub fn has_lost_its_row(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }
}

/// The id of a row, as the store knows it.
fn name_of<L: Listed>(row: &Result<L, Damaged>) -> String {
    match row {
        Ok(row) => row.id().to_string(),
        Err(damaged) => damaged.id.clone(),
    }
}
