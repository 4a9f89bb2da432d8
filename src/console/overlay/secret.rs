//! A secret, shown once: it says so, closes by itself, and is wiped when it goes.

mod file;

use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::console::canvas::{Canvas, centred, piece};
use crate::console::effect::{Effect, Reply};
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, is_for_all, offer};
use crate::console::widget::field::{paste_into, type_into};
use crate::console::widget::text::{moment, relative, skip_cells, width};
use crate::domain::clock::Timestamp;
use crate::domain::secret::Secret;
use crate::ops::api_key::IssuedKey;
use crate::ops::token::Issued;

pub use file::{WriteSecret, below_home};

const STAY: Duration = Duration::from_secs(60);
/// While a file is named: to think of a name takes longer than to press a key.
const STAY_WHILE_NAMED: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);

pub struct SecretPanel {
    title: &'static str,
    facts: Vec<(&'static str, String)>,
    text: Secret,
    /// What of it is kept, and that it cannot be shown again.
    kept: &'static str,
    closes: Timestamp,
    /// When what is left of that is told anew.
    told_next: Timestamp,
    copied: bool,
    /// Whether who pressed ctrl-c was told what goes with that.
    warned: bool,
    /// Where it is written to unless another name is typed.
    suggested: String,
    /// The name of a file, while it is typed.
    file: Option<Input>,
    sent: Held<PathBuf>,
    /// Where it was written to, or why it was not.
    written: Option<Result<PathBuf, String>>,
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
        let suggested = format!("~/portcullis-{}.key", key.id.short());
        Self::new("the key, shown once", facts, issued.text, kept, suggested, now)
    }

    pub fn of_token(issued: Issued, now: Timestamp) -> Self {
        let token = issued.token;
        let facts = vec![
            ("subject", token.subject.to_string()),
            ("jti", token.jti.to_string()),
            ("expires", ends(token.expires_at, now)),
        ];
        let kept = "Portcullis keeps no copy: it cannot be shown again.";
        let suggested = format!("~/portcullis-{:.8}.token", token.jti.to_string());
        Self::new("the token, shown once", facts, issued.text, kept, suggested, now)
    }

    fn new(
        title: &'static str,
        facts: Vec<(&'static str, String)>,
        text: Secret,
        kept: &'static str,
        suggested: String,
        now: Timestamp,
    ) -> Self {
        Self {
            title,
            facts,
            text,
            kept,
            closes: now.plus(STAY),
            told_next: now.plus(SECOND),
            copied: false,
            warned: false,
            suggested,
            file: None,
            sent: Held::default(),
            written: None,
            top: 0,
        }
    }
}

/// What can be done with what is shown.
pub const BINDINGS: &[Binding<SecretPanel>] = &[
    Binding::new("secret.copy", &["y", "c"], "copy", "Copy it to the clipboard", |s, t| {
        t.wishes.push(Wish::Do(Effect::Copy(s.text.clone())));
        s.copied = true;
    }),
    Binding::new("secret.write", &["w"], "write to a file", "Write it to a new file", |s, t| {
        s.file = Some(Input::default());
        s.stay(t);
    }),
    Binding::new("secret.down", &["j", "down"], "", "Down", |s, t| {
        let most = s.text.expose().len() / usize::from(t.body.width.max(1));
        s.top = (s.top + 1).min(most);
    }),
    Binding::new("secret.up", &["k", "up"], "", "Up", |s, _| s.top = s.top.saturating_sub(1)),
    Binding::new("secret.wipe", &["esc"], "close and wipe", "Close and wipe it", |_, t| t.close()),
];

/// What can be done while a file is named.
pub const NAMING: &[Binding<SecretPanel>] = &[
    Binding::new("secret.save", &["enter"], "write", "Write it to the file", SecretPanel::write),
    Binding::new("secret.keep", &["esc"], "back", "Back, without writing it", |s, _| {
        (s.file, s.written) = (None, None);
    }),
];

impl SecretPanel {
    /// Somebody is at it: it does not close under their hands.
    fn stay(&mut self, turn: &Turn<'_>) {
        self.closes = turn.now.plus(if self.file.is_some() { STAY_WHILE_NAMED } else { STAY });
        self.told_next = turn.now.plus(SECOND);
    }

    fn write(&mut self, turn: &mut Turn<'_>) {
        let Some(file) = self.file.as_ref().filter(|_| !self.sent.is_waiting()) else { return };
        let typed = file.value().trim();
        let file = PathBuf::from(if typed.is_empty() { self.suggested.as_str() } else { typed });
        self.sent.act(WriteSecret { file, text: self.text.clone() }, turn);
    }

    fn table(&self) -> &'static [Binding<Self>] {
        if self.file.is_some() { NAMING } else { BINDINGS }
    }

    /// The line where the file is named; why it was not written stands in its place until another is typed.
    fn draw_file(&self, canvas: &mut Canvas<'_>, line: Rect, file: &Input) {
        let theme = canvas.theme();
        let (accent, field, bad, dim) = (theme.accent, theme.field, theme.bad, theme.dim);
        if let Some(Err(why)) = &self.written {
            canvas.put(line.x, line.y, line.width, &format!("✕ {why}"), bad);
            return;
        }
        let label = canvas.put(line.x, line.y, line.width, "a new file: ", accent);
        let room = line.width.saturating_sub(label + 1);
        if file.value().is_empty() {
            let said = format!(" {}, unless you type another", self.suggested);
            canvas.put(line.x + label, line.y, room, &said, dim);
            canvas.cursor = Some(Position::new(line.x + label, line.y));
            return;
        }
        let before: String = file.value().chars().take(file.cursor()).collect();
        let offset = width(&canvas.shown(&before));
        let shown = canvas.shown(file.value()).into_owned();
        let seen = skip_cells(&shown, (offset + 1).saturating_sub(usize::from(room)), usize::from(room));
        let gap = usize::from(room).saturating_sub(width(&seen));
        canvas.put(line.x + label, line.y, room, &format!("{seen}{}", " ".repeat(gap)), field);
        let column = u16::try_from(offset).unwrap_or(u16::MAX).min(room.saturating_sub(1));
        canvas.cursor = Some(Position::new(line.x + label + column, line.y));
    }
}

fn ends(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", moment(at), relative(at, now))
}

impl Layer for SecretPanel {
    fn crumbs(&self) -> Vec<String> {
        vec!["secret".into()]
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(self.table(), self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(self.table(), self, name, turn);
        self.stay(turn);
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        let is_kept = self.copied || matches!(self.written, Some(Ok(_)));
        let leaves = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if leaves && !is_kept && !self.warned {
            // With it people copy elsewhere.
            self.warned = true;
            turn.refuse(
                "neither copied nor written yet: y copies, w writes it; ctrl-c again leaves, and it is gone",
            );
            self.stay(turn);
            return true;
        }
        if is_for_all(key) {
            return false;
        }
        self.stay(turn);
        match (&mut self.file, key.code) {
            (None, _) | (Some(_), KeyCode::Esc | KeyCode::Enter) => false,
            (Some(file), _) => {
                type_into(file, key);
                self.written = None;
                true
            }
        }
    }
    fn paste(&mut self, text: &str, turn: &mut Turn<'_>) {
        if let Some(file) = &mut self.file {
            paste_into(file, text);
            self.stay(turn);
        }
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let Some(outcome) = self.sent.take(reply) else { return };
        let written = outcome.map_err(|fault| fault.message);
        if written.is_ok() {
            self.file = None;
        }
        self.written = Some(written);
        self.stay(turn);
    }
    fn deadline(&self) -> Option<Timestamp> {
        Some(self.closes.min(self.told_next))
    }
    fn due(&mut self, turn: &mut Turn<'_>) {
        if turn.now >= self.closes {
            turn.close();
        }
        if turn.now >= self.told_next {
            self.told_next = turn.now.plus(SECOND);
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let text = self.text.expose();
        // on one line wherever there is one so long, and else in rows of the panel's width
        let wanted = u16::try_from(width(text) + 8).unwrap_or(area.width).max(64).min(area.width);
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
        let theme = canvas.theme().clone();
        let (warning, dim, plain, secret, good, bad) =
            (theme.warning, theme.dim, theme.text, theme.secret, theme.good, theme.bad);
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
        let left = self.closes.since(canvas.now).as_secs();
        let closes = format!("Copy it now. This closes in {left} s; any key starts the count anew.");
        for line in [self.kept, closes.as_str()] {
            canvas.put(inside.x + 2, y, inside.width.saturating_sub(3), line, warning);
            y += 1;
        }
        let (x, y, room) = (inside.x + 2, y + blank, inside.width.saturating_sub(3));
        if let Some(file) = &self.file {
            self.draw_file(canvas, Rect { x, y, width: room, height: 1 }, file);
            return;
        }
        let (said, style) = match (&self.written, self.copied) {
            (Some(Ok(file)), _) => (format!("✓ written to {}, for you alone to read", file.display()), good),
            (Some(Err(why)), _) => (format!("✕ {why}"), bad),
            (None, true) => {
                ("sent to the terminal's clipboard; whether it took it, it does not say".into(), dim)
            }
            (None, false) => {
                ("y copies it (OSC 52), w writes it to a file on one line, esc wipes it".into(), dim)
            }
        };
        canvas.put(x, y, room, &said, style);
    }
}
