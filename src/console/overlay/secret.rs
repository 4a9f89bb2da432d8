//! A secret, shown once: it says so, closes by itself, and is wiped when it goes.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, centred, piece};
use crate::console::effect::Effect;
use crate::console::layer::{Layer, Turn, Wish};
use crate::console::widget::text::{moment, relative, width};
use crate::domain::clock::Timestamp;
use crate::ops::api_key::IssuedKey;

const STAY: Duration = Duration::from_secs(60);

pub struct SecretPanel {
    issued: IssuedKey,
    closes: Timestamp,
    copied: bool,
}

impl SecretPanel {
    pub fn new(issued: IssuedKey, now: Timestamp) -> Self {
        Self { issued, closes: now.plus(STAY), copied: false }
    }
}

impl Layer for SecretPanel {
    fn crumbs(&self) -> Vec<String> {
        vec!["secret".into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char(_) if control => return false,
            KeyCode::Esc => turn.close(),
            KeyCode::Char('y' | 'c') => {
                turn.wishes.push(Wish::Do(Effect::Copy(self.issued.text.clone())));
                self.copied = true;
            }
            _ => {}
        }
        true
    }
    fn deadline(&self) -> Option<Timestamp> {
        Some(self.closes)
    }
    fn due(&mut self, turn: &mut Turn<'_>) {
        if turn.now >= self.closes {
            turn.close();
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("y", "copy"), ("esc", "close and wipe")]
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let key = &self.issued.key;
        let text = self.issued.text.expose();
        let wanted = u16::try_from(width(text) + 8).unwrap_or(area.width).max(64);
        let panel = centred(area, wanted, 14);
        canvas.blank(panel);
        let (warning, dim, plain, secret, good) = (
            canvas.theme().warning,
            canvas.theme().dim,
            canvas.theme().text,
            canvas.theme().secret,
            canvas.theme().good,
        );
        let inside = canvas.frame(panel, "the key, shown once", warning);
        let ends = match key.expires_at {
            Some(at) => format!("{} ({})", moment(at), relative(at, canvas.now)),
            None => "never".to_owned(),
        };
        // in rows of the panel's width, so that a narrow window still shows all of it
        let room = usize::from(inside.width.saturating_sub(4)).max(1);
        let bytes = text.as_bytes();
        let rows: Vec<&str> =
            bytes.chunks(room).map(|chunk| std::str::from_utf8(chunk).unwrap_or_default()).collect();
        let mut y = inside.y + 1;
        for (label, value) in
            [("subject", key.subject.as_str()), ("policy", key.policy.as_str()), ("expires", ends.as_str())]
        {
            canvas.put_pieces(
                inside.x + 2,
                y,
                inside.width.saturating_sub(4),
                &[piece(format!("{label:<9}"), dim), piece(value, plain)],
            );
            y += 1;
        }
        y += 1;
        for row in rows {
            canvas.put(inside.x + 2, y, inside.width.saturating_sub(3), row, secret);
            y += 1;
        }
        y += 1;
        let lines = [
            "Portcullis keeps only a digest: this key cannot be shown again.",
            "Copy it now. The panel closes by itself after 60 seconds.",
        ];
        for line in lines {
            canvas.put(inside.x + 2, y, inside.width.saturating_sub(3), line, warning);
            y += 1;
        }
        let (said, style) = if self.copied {
            ("✓ sent to the terminal's clipboard", good)
        } else {
            ("y copies it (OSC 52), esc closes and wipes it", dim)
        };
        canvas.put(inside.x + 2, y + 1, inside.width.saturating_sub(3), said, style);
    }
}
