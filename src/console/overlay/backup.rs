//! A backup of the home into a new file, sealed under a passphrase; and where it lies then.

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, centred};
use crate::console::effect::{Answer, Deed, Effect, Held, Reply, Ticket};
use crate::console::layer::{Layer, Turn, Wish, is_for_all};
use crate::console::widget::field::Field;
use crate::console::widget::form::{Form, Panel, Said};
use crate::console::widget::page::{self, Ink, Line};
use crate::domain::clock::Timestamp;
use crate::domain::{
    secret::Secret,
    text::{for_shell, visible},
};
use crate::ops::backup::{BackedUp, SHORT_PASSPHRASE};

const TITLE: &str = "backup";
const WIDTH: u16 = 78;
/// So many damaged rows are named.
const MOST_NAMED: usize = 5;

pub struct BackUp {
    form: Form,
    made: Held<BackedUp>,
}

impl BackUp {
    pub fn new(now: Timestamp) -> Self {
        let file = format!("~/portcullis-{}.backup", now.to_utc().format("%Y-%m-%d"));
        let fields = vec![
            Field::text("file", "file", "a new one; keep it on another machine", &file),
            Field::hidden("passphrase", "passphrase", "not shown; without it nobody can restore the backup"),
            Field::hidden("again", "the same again", "a slip would show only when it is needed"),
        ];
        let form = Form::new("back up", fields).holding("not made yet: esc again throws this away");
        let mut panel = Self { form, made: Held::default() };
        panel.check();
        panel
    }

    fn check(&mut self) {
        let (first, second) = (self.form.exposed("passphrase"), self.form.exposed("again"));
        let faults = [
            ("file", self.form.value("file").trim().is_empty().then_some("name a file")),
            ("passphrase", first.is_empty().then_some("an empty passphrase seals nothing")),
            ("again", (first != second).then_some("the two are not the same")),
        ];
        for (name, fault) in faults {
            if let Some(field) = self.form.field_mut(name) {
                field.error = fault.map(str::to_owned);
            }
        }
    }

    fn submit(&mut self, turn: &mut Turn<'_>) {
        if self.made.is_waiting() {
            return;
        }
        self.check();
        if !self.form.is_right() {
            return self.form.show_faults();
        }
        self.form.busy = true;
        self.form.fault = None;
        let file = PathBuf::from(self.form.value("file").trim());
        let passphrase = Secret::new(self.form.exposed("passphrase").to_owned());
        self.made.wait_for(turn.act(Deed::BackUp { file, passphrase }));
    }

    fn is_short(&self) -> bool {
        (1..SHORT_PASSPHRASE).contains(&self.form.exposed("passphrase").chars().count())
    }
}

fn lines(made: &BackedUp) -> Vec<Line> {
    let file = made.file.display().to_string();
    let mut lines = vec![Line::Text(made.said(), Ink::Good), Line::Blank];
    let named = made.damaged.iter().take(MOST_NAMED);
    lines.extend(named.map(|row| Line::Text(format!("Copied as it stands: {}", visible(row)), Ink::Bad)));
    if made.damaged.len() > MOST_NAMED {
        lines.push(Line::Text(format!("And {} more.", made.damaged.len() - MOST_NAMED), Ink::Bad));
    }
    if !made.damaged.is_empty() {
        lines.push(Line::Text(
            "What rests on damaged rows is denied; portcullis doctor says what to do.".into(),
            Ink::Dim,
        ));
        lines.push(Line::Blank);
    }
    lines.extend(made.manifest.told(&file).map(|told| Line::Text(told, Ink::Text)));
    lines.extend([
        Line::Blank,
        Line::Text(
            format!("Put back with: portcullis --home DIR restore {}", for_shell(&made.file)),
            Ink::Dim,
        ),
        Line::Text("Keep the file on another machine, and the passphrase apart from it.".into(), Ink::Dim),
    ]);
    lines
}

impl Layer for BackUp {
    fn crumbs(&self) -> Vec<String> {
        vec![TITLE.into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
        }
        if self.made.value.is_some() {
            if matches!(key.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q')) {
                turn.close();
            }
            return true;
        }
        // It is being made, from what was typed.
        if let Some(act) = self.made.waits_for() {
            if key.code == KeyCode::Esc {
                turn.wishes.push(Wish::Do(Effect::Cancel(act)));
            }
            return true;
        }
        match self.form.key(key) {
            Said::Submit => self.submit(turn),
            Said::Cancel => turn.close(),
            Said::Changed => self.check(),
            Said::Taken | Said::Nothing => {}
        }
        true
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        if !self.made.is_waiting() {
            self.form.paste(text);
            self.check();
        }
    }
    fn awaits(&self, act: Ticket) -> bool {
        self.made.awaits(act)
    }
    fn reply(&mut self, reply: &mut Reply, _turn: &mut Turn<'_>) {
        if !self.made.owns(reply) {
            return;
        }
        let is_made = self.made.settle(reply, |answer| match answer {
            Answer::BackedUp(made) => Some(*made),
            _ => None,
        });
        // What was typed stays where it failed, and is wiped where it is needed no more.
        if is_made {
            self.form = Form::new("back up", Vec::new());
        } else {
            self.form.failed(self.made.fault.take().map(|fault| fault.message));
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        if self.made.value.is_some() { vec![("esc", "close")] } else { self.form.hints() }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let (accent, good) = (canvas.theme().accent, canvas.theme().good);
        let Some(made) = &self.made.value else {
            let about = if self.is_short() {
                "So short a passphrase is soon guessed by whoever gets the file."
            } else {
                "All of the home as it is now, sealed; everything goes on meanwhile."
            };
            let panel = Panel { title: TITLE, style: accent, width: WIDTH, about: Some(about) };
            return panel.draw(Some(&self.form), None, canvas, area);
        };
        let lines = lines(made);
        let rows = page::height(&lines, WIDTH.min(area.width).saturating_sub(4));
        let panel = centred(area, WIDTH, rows + 4);
        canvas.blank(panel);
        let frame = canvas.frame(panel, "backed up", good);
        let inside = Rect {
            x: frame.x + 1,
            y: frame.y + 1,
            width: frame.width.saturating_sub(2),
            height: frame.height.saturating_sub(2),
        };
        page::draw(&lines, 0, canvas, inside);
    }
}
