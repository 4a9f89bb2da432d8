//! A secret, shown once: it says so, closes by itself, and is wiped when it goes.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, centred, piece};
use crate::console::effect::Effect;
use crate::console::layer::{Layer, Turn, Wish};
use crate::console::widget::text::{moment, relative, width};
use crate::domain::clock::Timestamp;
use crate::domain::secret::Secret;
use crate::ops::api_key::IssuedKey;
use crate::ops::token::Issued;

const STAY: Duration = Duration::from_secs(60);

pub struct SecretPanel {
    title: &'static str,
    facts: Vec<(&'static str, String)>,
    text: Secret,
    /// What of it is kept, and that it cannot be shown again.
    kept: &'static str,
    closes: Timestamp,
    copied: bool,
    /// The first row of the text in view: a token may be longer than the panel.
    top: usize,
}

impl SecretPanel {
    pub fn of_key(issued: IssuedKey, now: Timestamp) -> Self {
        let key = issued.key;
        let ends = key.expires_at.map_or_else(|| "never".to_owned(), |at| ends(at, now));
        let facts =
            vec![("subject", key.subject.to_string()), ("policy", key.policy.to_string()), ("expires", ends)];
        let kept = "Portcullis keeps only a digest: this key cannot be shown again.";
        Self::new("the key, shown once", facts, issued.text, kept, now)
    }

    pub fn of_token(issued: Issued, now: Timestamp) -> Self {
        let token = issued.token;
        let facts = vec![
            ("subject", token.subject.to_string()),
            ("jti", token.jti.to_string()),
            ("expires", ends(token.expires_at, now)),
        ];
        let kept = "Portcullis keeps no copy: it cannot be shown again.";
        Self::new("the token, shown once", facts, issued.text, kept, now)
    }

    fn new(
        title: &'static str,
        facts: Vec<(&'static str, String)>,
        text: Secret,
        kept: &'static str,
        now: Timestamp,
    ) -> Self {
        Self { title, facts, text, kept, closes: now.plus(STAY), copied: false, top: 0 }
    }
}

fn ends(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", moment(at), relative(at, now))
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
                turn.wishes.push(Wish::Do(Effect::Copy(self.text.clone())));
                self.copied = true;
            }
            KeyCode::Down | KeyCode::Char('j') => {
                let most = self.text.expose().len() / usize::from(turn.body.width.max(1));
                self.top = (self.top + 1).min(most);
            }
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
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
        let text = self.text.expose();
        let wanted = u16::try_from(width(text) + 8).unwrap_or(area.width).clamp(64, 100).min(area.width);
        // in rows of the panel's width, so that a narrow window still shows all of it
        let room = usize::from(wanted.saturating_sub(6)).max(1);
        let rows: Vec<&str> = text
            .as_bytes()
            .chunks(room)
            .map(|chunk| std::str::from_utf8(chunk).unwrap_or_default())
            .collect();
        // the frame, the facts, the two warnings, what was copied; and four blank rows where there is room for them
        let fixed = self.facts.len() + 5;
        let loose = usize::from(area.height) >= fixed + 4 + rows.len();
        let blank = u16::from(loose);
        let height = fixed + rows.len() + if loose { 4 } else { 0 };
        let panel = centred(area, wanted, u16::try_from(height).unwrap_or(u16::MAX));
        canvas.blank(panel);
        let (warning, dim, plain, secret, good) = (
            canvas.theme().warning,
            canvas.theme().dim,
            canvas.theme().text,
            canvas.theme().secret,
            canvas.theme().good,
        );
        let inside = canvas.frame(panel, self.title, warning);
        let mut y = inside.y + blank;
        for (label, value) in &self.facts {
            canvas.put_pieces(
                inside.x + 2,
                y,
                inside.width.saturating_sub(4),
                &[piece(format!("{label:<9}"), dim), piece(value.as_str(), plain)],
            );
            y += 1;
        }
        y += blank;
        let seen = rows.len().min(usize::from(panel.height).saturating_sub(fixed));
        let top = self.top.min(rows.len() - seen);
        for row in &rows[top..top + seen] {
            canvas.put(inside.x + 2, y, inside.width.saturating_sub(3), row, secret);
            y += 1;
        }
        if seen < rows.len() {
            let said = format!("rows {}-{} of {}, ↑ ↓ for the rest", top + 1, top + seen, rows.len());
            canvas.put_right(
                panel.right() - 2,
                panel.bottom() - 1,
                panel.width - 4,
                &format!(" {said} "),
                dim,
            );
        }
        y += blank;
        for line in [self.kept, "Copy it now. The panel closes by itself after 60 seconds."] {
            canvas.put(inside.x + 2, y, inside.width.saturating_sub(3), line, warning);
            y += 1;
        }
        let (said, style) = if self.copied {
            ("✓ sent to the terminal's clipboard", good)
        } else {
            ("y copies it (OSC 52), esc closes and wipes it", dim)
        };
        canvas.put(inside.x + 2, y + blank, inside.width.saturating_sub(3), said, style);
    }
}
