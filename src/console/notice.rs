//! Notices: what was done goes by itself, what failed stays until it is dismissed; all are logged.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::clock::Timestamp;

use super::canvas::{Canvas, piece};
use super::layer::Tone;
use super::widget::text::wrap;

const STAY: Duration = Duration::from_secs(4);
const SHOWN: usize = 3;
const LOGGED: usize = 200;

#[derive(Clone, Debug)]
pub struct Notice {
    pub at: Timestamp,
    pub tone: Tone,
    pub text: String,
    until: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub struct Notices {
    shown: Vec<Notice>,
    /// Oldest first.
    log: Vec<Notice>,
}

impl Tone {
    pub fn glyph(self) -> &'static str {
        match self {
            Self::Done => "✓",
            Self::Refused => "○",
            Self::Failed => "✕",
        }
    }
}

impl Notices {
    pub fn add(&mut self, tone: Tone, text: String, now: Timestamp) {
        let until = (tone != Tone::Failed).then(|| now.plus(STAY));
        // what was said last is what matters: an older passing notice makes room
        self.shown.retain(|notice| notice.until.is_none() && notice.text != text);
        let notice = Notice { at: now, tone, text, until };
        self.shown.push(notice.clone());
        if self.log.len() == LOGGED {
            self.log.remove(0);
        }
        self.log.push(notice);
    }

    pub fn log(&self) -> &[Notice] {
        &self.log
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        self.shown.iter().filter_map(|notice| notice.until).min()
    }

    pub fn expire(&mut self, now: Timestamp) {
        self.shown.retain(|notice| notice.until.is_none_or(|until| until > now));
    }

    /// Something else comes into view: what was done or refused before it is not to lie over that.
    pub fn pass(&mut self, now: Timestamp) {
        self.shown.retain(|notice| notice.until.is_none() || notice.at >= now);
    }

    /// Takes the newest failure away; false where there is none.
    pub fn dismiss(&mut self) -> bool {
        let failed = self.shown.iter().rposition(|notice| notice.tone == Tone::Failed);
        failed.map(|place| self.shown.remove(place)).is_some()
    }

    /// Small boxes at the lower right of `body`, the newest lowest.
    pub fn draw(&self, canvas: &mut Canvas<'_>, body: Rect) {
        let width = body.width.min(64);
        if width < 16 {
            return;
        }
        let mut bottom = body.bottom();
        for notice in self.shown.iter().rev().take(SHOWN) {
            let style = match notice.tone {
                Tone::Done => canvas.theme().good,
                Tone::Refused => canvas.theme().warning,
                Tone::Failed => canvas.theme().bad,
            };
            let text = canvas.theme().text;
            let mut lines: Vec<_> = wrap(&canvas.shown(&notice.text), usize::from(width) - 6);
            lines.truncate(6);
            let longest = lines.iter().map(|line| super::widget::text::width(line)).max().unwrap_or(0);
            let hint = notice.tone == Tone::Failed;
            let rows = u16::try_from(lines.len()).unwrap_or(1) + 2;
            if bottom < body.y + rows {
                return;
            }
            let box_width = u16::try_from(longest + 6).unwrap_or(width).max(if hint { 20 } else { 8 });
            let area = Rect {
                x: body.right().saturating_sub(box_width),
                y: bottom - rows,
                width: box_width.min(body.width),
                height: rows,
            };
            canvas.blank(area);
            let inside = canvas.frame(area, "", style);
            let lines: Vec<_> = lines
                .into_iter()
                .enumerate()
                .map(|(place, line)| {
                    let mark = if place == 0 { notice.tone.glyph() } else { " " };
                    vec![piece(format!(" {mark} "), style), piece(line, text)]
                })
                .collect();
            canvas.lines(inside, &lines);
            if hint {
                let dim = canvas.theme().dim;
                canvas.put_right(area.right() - 2, area.bottom() - 1, 14, " esc dismiss ", dim);
            }
            bottom = area.y;
        }
    }
}
