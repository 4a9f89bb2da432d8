//! What was said before: every notice of this session, the newest first.

use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, piece};
use crate::console::layer::{Action, Binding, Layer, Setting, Tone, Turn, carry_out, offer};
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

pub const BINDINGS: &[Binding<Messages>] = &[
    Binding::new("move.down", &["j", "down"], "scroll", "Down", |s, _| {
        s.top = (s.top + 1).min(s.log.len().saturating_sub(1));
    }),
    Binding::new("move.up", &["k", "up"], "", "Up", |s, _| s.top = s.top.saturating_sub(1)),
    Binding::new("open", &["enter", "l", "right"], "", "Close", |_, t| t.close()),
    Binding::new("messages", &["m"], "", "Close", |_, t| t.close()),
    Binding::new("leave", &["q"], "", "Close", |_, t| t.close()),
    Binding::new("close", &["esc", "backspace"], "close", "Close", |_, t| t.close()),
];

impl Layer for Messages {
    fn crumbs(&self) -> Vec<String> {
        vec!["messages".into()]
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
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
