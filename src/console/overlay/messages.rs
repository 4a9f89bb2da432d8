//! What was said before: every notice of this session, the newest first.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, piece};
use crate::console::layer::{Layer, Tone, Turn};
use crate::console::notice::Notice;
use crate::console::widget::text::{moment, wrap};

pub struct Messages {
    /// Newest first.
    log: Vec<Notice>,
    top: usize,
}

impl Messages {
    pub fn new(log: &[Notice]) -> Self {
        Self { log: log.iter().rev().cloned().collect(), top: 0 }
    }
}

impl Layer for Messages {
    fn crumbs(&self) -> Vec<String> {
        vec!["messages".into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        match key.code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | 'm') => turn.close(),
            KeyCode::Down | KeyCode::Char('j') => {
                self.top = (self.top + 1).min(self.log.len().saturating_sub(1))
            }
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            _ => return false,
        }
        true
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("↑ ↓", "scroll"), ("esc", "close")]
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        canvas.blank(area);
        let accent = canvas.theme().accent;
        let inside = canvas.frame(area, "messages", accent);
        let theme = canvas.theme().clone();
        let room = usize::from(inside.width.saturating_sub(27)).max(10);
        let mut lines = Vec::new();
        for notice in self.log.iter().skip(self.top) {
            let style = match notice.tone {
                Tone::Done => theme.good,
                Tone::Refused => theme.warning,
                Tone::Failed => theme.bad,
            };
            let shown = canvas.shown(&notice.text).into_owned();
            for (place, line) in wrap(&shown, room).into_iter().enumerate() {
                let (time, mark) =
                    if place == 0 { (moment(notice.at), notice.tone.glyph()) } else { (String::new(), " ") };
                lines.push(vec![
                    piece(format!(" {time:<21}"), theme.dim),
                    piece(format!("{mark} "), style),
                    piece(line, theme.text),
                ]);
            }
        }
        if lines.is_empty() {
            lines.push(vec![piece(" nothing was said yet", theme.dim)]);
        }
        canvas.lines(inside, &lines);
    }
}
