//! Where one is in a long list, of which only what is seen is held.

/// The cursor and the first row in view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub selected: u64,
    pub top: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

impl Cursor {
    /// Takes a step in a list of `total` rows of which `height` are in view.
    pub fn step(&mut self, step: Step, total: u64, height: u64) {
        let page = (height / 2).max(1);
        self.selected = match step {
            Step::Up => self.selected.saturating_sub(1),
            Step::Down => self.selected.saturating_add(1),
            Step::PageUp => self.selected.saturating_sub(page),
            Step::PageDown => self.selected.saturating_add(page),
            Step::Top => 0,
            Step::Bottom => u64::MAX,
        };
        self.keep_within(total, height);
    }

    /// Moves cursor and view so that both lie in the list and the cursor in the view.
    pub fn keep_within(&mut self, total: u64, height: u64) {
        let height = height.max(1);
        self.selected = self.selected.min(total.saturating_sub(1));
        if self.selected < self.top {
            self.top = self.selected;
        }
        if self.selected >= self.top.saturating_add(height) {
            self.top = self.selected + 1 - height;
        }
        self.top = self.top.min(total.saturating_sub(height));
    }

    /// The rows have come anew: the cursor goes with the one that it was on, which is at `place` now, and the view with it.
    pub fn stay_on(&mut self, place: Option<usize>, total: u64, height: u64) {
        if let Some(place) = place {
            self.shift_to(place as u64);
        }
        self.keep_within(total, height);
    }

    /// Moves cursor and view together.
    pub fn shift_to(&mut self, place: u64) {
        let above = self.selected.saturating_sub(self.top);
        self.selected = place;
        self.top = place.saturating_sub(above);
    }

    pub fn index(self) -> usize {
        usize::try_from(self.selected).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_in_the_list_and_in_view() {
        let mut cursor = Cursor::default();
        cursor.step(Step::Bottom, 100, 10);
        assert_eq!(cursor, Cursor { selected: 99, top: 90 });
        cursor.step(Step::Down, 100, 10);
        assert_eq!(cursor.selected, 99);
        cursor.step(Step::PageUp, 100, 10);
        assert_eq!(cursor, Cursor { selected: 94, top: 90 });
        cursor.step(Step::Top, 100, 10);
        assert_eq!(cursor, Cursor::default());
        cursor.step(Step::Down, 0, 10);
        assert_eq!(cursor, Cursor::default());
        cursor.step(Step::Bottom, u64::MAX, 10);
        cursor.keep_within(3, 0);
        assert_eq!(cursor, Cursor { selected: 2, top: 2 });
    }
}
