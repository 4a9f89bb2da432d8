//! The keys that sign tokens: made, brought along, rotated, retired; their public parts to copy.

mod ask;

use ratatui::layout::Rect;

use crate::console::canvas::Canvas;
use crate::console::effect::Reply;
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::overlay::confirm::{Confirm, Counted};
use crate::console::theme::signing_key_glyph;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::list::{Cursor, Step};
use crate::console::widget::page::{self, Ink, Line};
use crate::console::widget::table::{self, Column, Row, Table, cell, styled};
use crate::console::widget::text::{count, grouped, relative, wrap};
use crate::domain::clock::Timestamp;
use crate::domain::signing_key::{SigningKey, SigningKeyState};

use super::explain::time;
use super::key_forms::{CreateKey, ImportKey, RotateKey};
use super::reach::{CountReached, Reach, Reached};
use super::{INSET, short_kid};

pub use ask::{KeyInUse, KeysInUse, ListSigningKeys, Retire};

/// So many lines are told of what is wrong with a key.
const MOST_OF_FAULT: usize = 4;

#[derive(Default)]
pub struct SigningKeys {
    keys: Held<KeysInUse>,
    cursor: Cursor,
}

pub const BINDINGS: &[Binding<SigningKeys>] = &[
    Binding::new("close", &["esc", "backspace"], "close", "Close", |_, t| t.close()),
    Binding::new("signing-key.create", &["n"], "new", "Make a signing key", |_, t| {
        t.push(CreateKey::panel())
    })
    .writes(),
    Binding::new("signing-key.import", &["I"], "import", "Take a private key out of a file", |_, t| {
        t.push(ImportKey::panel())
    })
    .writes(),
    Binding::new(
        "signing-key.rotate",
        &["r"],
        "rotate",
        "Have a new key take over; the old one verifies for a while",
        |s: &mut SigningKeys, t| {
            if let Some(row) = s.selected() {
                t.push(RotateKey::panel(&row.key));
            }
        },
    )
    .writes()
    .when(SigningKeys::rotatable),
    Binding::new(
        "signing-key.retire",
        &["R"],
        "retire…",
        "End the key and all that it signed, for good",
        SigningKeys::retire,
    )
    .writes()
    .when(SigningKeys::retirable),
    Binding::new(
        "signing-key.tokens",
        &["t"],
        "tokens",
        "Show the tokens that it signed",
        |s: &mut SigningKeys, t| {
            if let Some(row) = s.selected() {
                let filter = format!("kid:{}", row.key.kid);
                t.close();
                t.wishes.push(Wish::GoWith("tokens", filter));
            }
        },
    )
    .when(SigningKeys::one),
    Binding::new(
        "copy",
        &["y"],
        "copy id",
        "Copy the key's id (kid) to the clipboard",
        |s: &mut SigningKeys, t| {
            if let Some(row) = s.selected() {
                t.copy(row.key.kid.as_str(), "the key's id");
            }
        },
    )
    .when(SigningKeys::one),
    Binding::new(
        "signing-key.jwk",
        &["x"],
        "copy JWK",
        "Copy the public key as a JWK",
        |s: &mut SigningKeys, t| {
            if let Some(jwk) = s.selected().and_then(|row| row.key.public.as_ref()) {
                t.copy(&jwk.to_string(), "the public key as a JWK");
            }
        },
    )
    .when(SigningKeys::public),
    Binding::new("signing-key.pem", &["X"], "copy PEM", "Copy the public key in PEM", SigningKeys::copy_pem)
        .when(SigningKeys::public),
    Binding::new("move.down", &["j", "down"], "", "Down", |s, t| s.step(Step::Down, t)),
    Binding::new("move.up", &["k", "up"], "", "Up", |s, t| s.step(Step::Up, t)),
    Binding::new("move.page-down", &["ctrl-d", "pagedown"], "", "Half a page down", |s, t| {
        s.step(Step::PageDown, t)
    }),
    Binding::new("move.page-up", &["ctrl-u", "pageup"], "", "Half a page up", |s, t| s.step(Step::PageUp, t)),
    Binding::new("move.top", &["g", "home"], "", "To the newest", |s, t| s.step(Step::Top, t)),
    Binding::new("move.bottom", &["G", "end"], "", "To the oldest", |s, t| s.step(Step::Bottom, t)),
    Binding::new("help", &["?", "f1"], "help", "List what can be done here, search it, run it", |_, t| {
        t.wishes.push(Wish::Help)
    }),
    Binding::new("command", &[":"], "", "Type a command", |_, t| t.wishes.push(Wish::CommandLine)),
    Binding::new("palette", &["ctrl-p"], "", "Find anything by a few letters", |_, t| {
        t.wishes.push(Wish::Palette)
    }),
    Binding::new("leave", &["q"], "", "Close", |_, t| t.close()),
];

impl SigningKeys {
    fn rows(&self) -> &[KeyInUse] {
        self.keys.value.as_ref().map_or(&[], |keys| &keys.sound)
    }
    fn damaged(&self) -> &[String] {
        self.keys.value.as_ref().map_or(&[], |keys| &keys.damaged)
    }
    fn selected(&self) -> Option<&KeyInUse> {
        self.rows().get(self.cursor.index())
    }
    fn one(&self) -> Result<(), &'static str> {
        self.selected().map(|_| ()).ok_or("there is no signing key here; n makes one")
    }
    fn public(&self) -> Result<(), &'static str> {
        self.one()?;
        match self.selected() {
            Some(row) if row.key.public.is_none() => Err("HS256 has one secret, and no public part"),
            _ => Ok(()),
        }
    }
    fn rotatable(&self) -> Result<(), &'static str> {
        self.one()?;
        match self.selected() {
            Some(row) if row.key.retired_at.is_some() => Err("it is retired; make a new one"),
            Some(row) if row.key.signs_until.is_some() => Err("it was rotated already: its successor signs"),
            _ => Ok(()),
        }
    }
    fn retirable(&self) -> Result<(), &'static str> {
        self.one()?;
        match self.selected() {
            Some(row) if row.key.retired_at.is_some() => Err("it is retired already, and for good"),
            _ => Ok(()),
        }
    }
    fn ask(&mut self, turn: &mut Turn<'_>) {
        self.keys.ask(ListSigningKeys { now: turn.now }, turn);
    }
    fn height(&self, turn: &Turn<'_>) -> u64 {
        let inside = turn.body.inner(INSET);
        let inside = below(inside, note(self.damaged(), inside.width).len());
        u64::from(table::height(areas(inside, usize::MAX).0)).max(1)
    }
    fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        let total = self.rows().len() as u64;
        let height = self.height(turn);
        self.cursor.step(step, total, height);
    }
    fn copy_pem(&mut self, turn: &mut Turn<'_>) {
        let Some(key) = self.selected().map(|row| &row.key) else { return };
        match key.public_pem() {
            Some(pem) => turn.copy(&pem, "the public key in PEM"),
            None => turn.fail(format!("the public part of signing key {} cannot be read", key.kid)),
        }
    }
    /// Asks before retiring; what was in use wants its name typed.
    fn retire(&mut self, turn: &mut Turn<'_>) {
        let Some(key) = self.selected().map(|row| row.key.clone()) else { return };
        let lines = vec![
            format!("Retire the {} key {}?", key.algorithm, short_kid(&key.kid)),
            "This is for good: its private part is destroyed, and all that it signed is refused.".into(),
            "To replace it without ending anything, rotate it instead.".into(),
        ];
        let reaches = vec![Reach::Key(key.kid.clone())];
        let name = key.kid.as_str().chars().take(8).collect();
        let done = format!("retired signing key {}", short_kid(&key.kid));
        let deed = move |reason| Retire { kid: key.kid.clone(), reason };
        let confirm = Confirm::new("retire signing key", lines, "retire", done, deed);
        turn.push(confirm.counting(CountReached { reaches, now: turn.now }, in_use, name).asks_reason());
    }
}

/// What retiring a key would end.
fn in_use(reached: Vec<Reached>) -> Counted {
    let reached = reached.first().copied().unwrap_or_default();
    let said = match reached.live {
        0 => "No live token was signed by it.".to_owned(),
        1 => "It ends the one live token that it signed.".into(),
        live => format!("It ends {} live tokens that it signed.", grouped(live)),
    };
    Counted { lines: vec![said], calls: reached.calls }
}

/// The list, as high as it has rows and half of what there is at most, and what is told of one key below it.
fn areas(inside: Rect, rows: usize) -> (Rect, Rect) {
    let rows = u16::try_from(rows.saturating_add(1)).unwrap_or(u16::MAX);
    let list = Rect { height: rows.min(inside.height / 2), ..inside };
    let y = list.bottom() + 1;
    (list, Rect { y, height: inside.bottom().saturating_sub(y), ..inside })
}

impl Layer for SigningKeys {
    fn crumbs(&self) -> Vec<String> {
        vec!["signing keys".into()]
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.ask(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        if what == Moved::Objects {
            self.ask(turn);
        }
        let total = self.rows().len() as u64;
        let height = self.height(turn);
        self.cursor.keep_within(total, height);
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let before = self.selected().map(|row| row.key.kid.clone());
        if self.keys.settle(reply) {
            let place = before.and_then(|kid| self.rows().iter().position(|row| row.key.kid == kid));
            let total = self.rows().len() as u64;
            let height = self.height(turn);
            self.cursor.stay_on(place, total, height);
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        canvas.blank(area);
        let (accent, dim) = (canvas.theme().accent, canvas.theme().dim);
        canvas.frame(area, "signing keys", accent);
        let inside = area.inner(INSET);
        if let Some(fault) = &self.keys.fault {
            return draw_fault(canvas, inside, &fault.message);
        }
        let note = note(self.damaged(), inside.width);
        let bad = canvas.theme().bad;
        for (index, (y, line)) in (inside.y..inside.bottom()).zip(&note).enumerate() {
            canvas.put(inside.x, y, inside.width, line, if index == 0 { bad } else { dim });
        }
        let inside = below(inside, note.len());
        if self.rows().is_empty() {
            let text = if self.keys.value.is_none() {
                "loading…"
            } else {
                "No key signs yet. n makes one; issuing a token makes one by itself."
            };
            canvas.put(inside.x, inside.y + 1, inside.width, text, dim);
            return;
        }
        let (list, below) = areas(inside, self.rows().len());
        self.draw_list(canvas, list);
        if let Some(row) = self.selected() {
            page::draw(&lines(row, canvas.now), 0, canvas, below);
        }
    }
}

impl SigningKeys {
    fn draw_list(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let columns = [
            Column::new("state", 11),
            Column::new("kid", 13).share(3),
            Column::new("alg", 5),
            Column::new("name", 8).share(2),
            Column::new("tokens", 6).right(),
            Column::new("until", 9),
            Column::new("made", 8).dispensable(1),
        ];
        let theme = canvas.theme().clone();
        let now = canvas.now;
        let rows = self
            .rows()
            .iter()
            .enumerate()
            .skip(usize::try_from(self.cursor.top).unwrap_or(0))
            .take(usize::from(table::height(area)))
            .map(|(place, row)| {
                let (key, state) = (&row.key, row.key.state(now));
                Row {
                    cells: vec![
                        styled(
                            format!("{} {}", signing_key_glyph(state), state.as_str()),
                            theme.signing_key_state(state),
                        ),
                        cell(key.kid.as_str()),
                        cell(key.algorithm.as_str()),
                        cell(key.name.as_str()),
                        cell(count(row.tokens)),
                        cell(until(key, state).map_or_else(String::new, |at| relative(at, now))),
                        styled(relative(key.created_at, now), theme.dim),
                    ],
                    marked: false,
                    selected: place == self.cursor.index(),
                }
            })
            .collect();
        let total = self.rows().len() as u64;
        Table { columns: &columns, rows, sort: None, top: self.cursor.top, total }.draw(canvas, area);
    }
}

/// What is wrong with damaged keys, as it is told above the list of the others.
fn note(damaged: &[String], width: u16) -> Vec<String> {
    let Some(first) = damaged.first() else { return Vec::new() };
    let what = match damaged.len() {
        1 => "✕ A signing key is damaged: what it signed is refused.".to_owned(),
        several => format!("✕ {several} signing keys are damaged: what they signed is refused. The first:"),
    };
    let mut lines = vec![what];
    // It must not hide the others.
    lines.extend(wrap(first, usize::from(width)).into_iter().take(MOST_OF_FAULT));
    lines.push(String::new());
    lines
}

/// What a note of so many lines leaves of an area.
fn below(area: Rect, lines: usize) -> Rect {
    let taken = u16::try_from(lines).unwrap_or(u16::MAX).min(area.height);
    Rect { y: area.y + taken, height: area.height - taken, ..area }
}

/// When the state that it is in ends, where that is known; for a retired one, since when it is.
fn until(key: &SigningKey, state: SigningKeyState) -> Option<Timestamp> {
    match state {
        SigningKeyState::Next => Some(key.signs_from),
        SigningKeyState::Active => key.signs_until,
        SigningKeyState::Verifying => key.verifies_until,
        SigningKeyState::Retired => key.retired_at.or(key.verifies_until),
    }
}

fn lines(row: &KeyInUse, now: Timestamp) -> Vec<Line> {
    let key = &row.key;
    let meaning = match key.state(now) {
        SigningKeyState::Next => "published, and does not sign yet",
        SigningKeyState::Active => "signs and verifies",
        SigningKeyState::Verifying => "was rotated: signs nothing more, and verifies what it signed",
        SigningKeyState::Retired => "all that it signed is refused; its id is never used again",
    };
    let mut lines = vec![
        Line::Heading("This key"),
        Line::fact("state", key.state(now).as_str()).note(meaning),
        Line::fact("kid", key.kid.as_str()),
        Line::fact("algorithm", key.algorithm.as_str()),
        Line::fact("signs from", time(key.signs_from, now)),
    ];
    for (label, at) in [
        ("signs until", key.signs_until),
        ("verifies until", key.verifies_until),
        ("retired", key.retired_at),
    ] {
        lines.extend(at.map(|at| Line::fact(label, time(at, now))));
    }
    lines.push(Line::fact("tokens", grouped(row.tokens)).note("signed by it and not ended by themselves"));
    match &key.public {
        Some(jwk) => lines.push(Line::fact("public key", jwk.to_string()).ink(Ink::Dim)),
        None => lines.push(Line::fact("public key", "none: one secret signs and verifies").ink(Ink::Warning)),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_one_key_leaves_room_for_the_others() {
        assert!(note(&[], 80).is_empty());
        let long = format!("the row `{}` is damaged", "long ".repeat(10_000));
        let told = note(&[long, "another".into()], 80);
        assert!(told.len() == 2 + MOST_OF_FAULT && told[0].contains("2 signing keys"), "{told:?}");
    }
}
