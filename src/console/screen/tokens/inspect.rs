//! Any token, pasted and judged: what stands in it, and every check with its outcome. Nothing of it is kept or sent, and
//! it is wiped when the panel closes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use zeroize::Zeroizing;

use crate::console::canvas::{Canvas, piece};
use crate::console::effect::{Question, Reply};
use crate::console::held::Held;
use crate::console::layer::{Layer, Turn};
use crate::console::widget::list::Step;
use crate::console::widget::page::{self, Ink, Line};
use crate::domain::clock::Timestamp;
use crate::domain::jose::LONGEST;
use crate::domain::secret::Secret;
use crate::domain::token::{Inspection, Verdict, inspect};
use crate::ops::{self, Ctx, OpsError};

use super::{INSET, explain};

/// Judges any token; nothing of it is kept or sent.
#[derive(Debug)]
pub struct Judge {
    pub text: Secret,
    pub now: Timestamp,
}

/// A token taken apart, and what this home thinks of it.
#[derive(Clone, Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// `None` where nothing in it can be read.
    pub inspection: Option<Inspection>,
}

impl Question for Judge {
    type Answer = Judged;
    fn answer(&self, ctx: &Ctx) -> Result<Judged, OpsError> {
        let verdict = ops::token::verify(ctx, self.text.expose(), &[], ctx.judge_by(self.now))?;
        Ok(Judged { verdict, inspection: inspect(self.text.expose(), self.now).ok() })
    }
}

pub struct Inspect {
    text: Zeroizing<String>,
    /// More was pasted than any token has.
    too_long: bool,
    judged: Held<Judged>,
    top: u16,
}

impl Default for Inspect {
    fn default() -> Self {
        // as long as it can become, so that growing leaves no copy behind
        let text = Zeroizing::new(String::with_capacity(LONGEST));
        Self { text, too_long: false, judged: Held::default(), top: 0 }
    }
}

/// Above the page: the token's line, and a blank one.
const ABOVE: u16 = 2;

impl Inspect {
    /// Adds what belongs to a token: where it was broken into lines, they are joined.
    fn add(&mut self, text: &str) {
        let text = text.trim();
        let is_first = self.text.is_empty();
        let text = text.strip_prefix("Bearer ").filter(|_| is_first).unwrap_or(text);
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            if self.text.len() + c.len_utf8() > LONGEST {
                self.too_long = true;
                return;
            }
            self.text.push(c);
        }
    }

    fn judge(&mut self, turn: &mut Turn<'_>) {
        self.top = 0;
        if self.text.is_empty() {
            self.judged.clear();
            return;
        }
        let text = Secret::new(self.text.as_str().to_owned());
        self.judged.ask(Judge { text, now: turn.now }, turn);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn lines(&self, now: Timestamp) -> Vec<Line> {
        match (&self.judged.value, &self.judged.fault) {
            (_, Some(fault)) => vec![Line::Text(format!("✕ {}", fault.message), Ink::Bad)],
            (Some(judged), None) if !self.text.is_empty() => lines(judged, now),
            _ => Vec::new(),
        }
    }

    fn scroll(&mut self, step: Step, turn: &Turn<'_>) {
        let inside = turn.body.inner(INSET);
        let rows = page::height(&self.lines(turn.now), inside.width);
        self.top = page::scrolled(self.top, step, inside.height.saturating_sub(ABOVE), rows);
    }
}

impl Layer for Inspect {
    fn crumbs(&self) -> Vec<String> {
        vec!["inspect".into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => self.clear(),
            KeyCode::Char(_) if control => return false,
            KeyCode::Esc => turn.close(),
            KeyCode::Down => self.scroll(Step::Down, turn),
            KeyCode::Up => self.scroll(Step::Up, turn),
            KeyCode::PageDown => self.scroll(Step::PageDown, turn),
            KeyCode::PageUp => self.scroll(Step::PageUp, turn),
            KeyCode::Home => self.scroll(Step::Top, turn),
            KeyCode::End => self.scroll(Step::Bottom, turn),
            KeyCode::Backspace => {
                self.text.pop();
                self.too_long = false;
                self.judge(turn);
            }
            // a terminal without bracketed paste types what is pasted
            KeyCode::Char(c) => {
                self.add(c.encode_utf8(&mut [0; 4]));
                self.judge(turn);
            }
            _ => {}
        }
        true
    }
    fn paste(&mut self, text: &str, turn: &mut Turn<'_>) {
        // what is pasted is another token, not more of the one before
        self.clear();
        self.add(text);
        self.judge(turn);
    }
    fn reply(&mut self, reply: &mut Reply, _turn: &mut Turn<'_>) {
        self.judged.settle(reply);
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("paste", "a token"), ("↑ ↓", "scroll"), ("ctrl-u", "clear"), ("esc", "close and wipe")]
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        canvas.blank(area);
        let theme = canvas.theme().clone();
        canvas.frame(area, "inspect a token", theme.accent);
        let inside = area.inner(INSET);
        if self.text.is_empty() {
            let lines = [
                Line::Text("Paste a token here: any JWT, of this home or of somebody else.".into(), Ink::Text),
                Line::Blank,
                Line::Text(
                    "It is taken apart and judged as the gateway would: every check with its outcome and why. It is \
                     not used up, not kept, and sent nowhere; closing the panel wipes it."
                        .into(),
                    Ink::Dim,
                ),
            ];
            let below = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
            return page::draw(&lines, 0, canvas, below);
        }
        let size = if self.too_long {
            piece(format!("cut after {LONGEST} characters: no token that is taken is longer"), theme.bad)
        } else {
            piece(format!("{} characters", self.text.chars().count()), theme.dim)
        };
        let room = usize::from(inside.width.saturating_sub(22)).max(8);
        let shown: String = self.text.chars().take(room.min(32)).collect();
        canvas.put_pieces(
            inside.x,
            inside.y,
            inside.width,
            &[piece(format!("{shown}…  "), theme.secret), size],
        );
        let below = Rect { y: inside.y + ABOVE, height: inside.height.saturating_sub(ABOVE), ..inside };
        page::draw(&self.lines(canvas.now), self.top, canvas, below);
    }
}

fn lines(judged: &Judged, now: Timestamp) -> Vec<Line> {
    let verdict = &judged.verdict;
    let mut lines = vec![match verdict.reason {
        None => Line::Text("✓ valid: the gateway would believe it".into(), Ink::Good),
        Some(reason) => {
            let failed = verdict.checks.iter().find(|check| !check.passed);
            let why = failed.map_or(reason.explanation(), |check| check.detail.as_str());
            Line::Text(format!("✕ NOT valid: {reason}: {why}"), Ink::Bad)
        }
    }];
    lines.extend([Line::Blank, Line::Heading("Checks")]);
    for check in &verdict.checks {
        let (glyph, ink) = if check.passed { ("✓", Ink::Text) } else { ("✕", Ink::Bad) };
        lines.push(Line::fact(format!("{glyph} {}", check.check), check.detail.clone()).ink(ink));
    }
    let Some(found) = &judged.inspection else { return lines };
    for (title, said) in [
        ("Header", found.header.as_ref().map(explain::header)),
        ("Claims", found.claims.as_ref().map(|claims| explain::claims(claims, found, now))),
    ] {
        lines.extend([Line::Blank, Line::Heading(title)]);
        lines.extend(said.unwrap_or_else(|| vec![Line::Text("cannot be read".into(), Ink::Bad)]));
    }
    // of which profiles it is not matters only where it is of none
    let is_noise = |warning: &&String| !found.profiles.is_empty() && warning.starts_with("not of the ");
    let mut warnings = found.warnings.iter().filter(|warning| !is_noise(warning)).peekable();
    if warnings.peek().is_some() {
        lines.extend([Line::Blank, Line::Heading("Worth a second look")]);
        lines.extend(warnings.map(|warning| Line::Text(warning.clone(), Ink::Warning)));
    }
    lines
}
