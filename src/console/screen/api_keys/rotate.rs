//! Gives a key a new secret, after asking how long the old one is still taken.

use std::time::Duration;

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, centred};
use crate::console::effect::{Answer, Deed, Held, Reply};
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::overlay::secret::SecretPanel;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::{Form, Said};
use crate::domain::api_key::{ApiKey, KeyId};
use crate::ops::api_key::IssuedKey;

const GRACES: [(&str, &str, u64); 3] = [
    ("none", "the old secret is refused at once", 0),
    ("1h", "time to put the new one in place", 3_600),
    ("24h", "", 86_400),
];

pub struct RotateKey {
    id: KeyId,
    named: String,
    form: Form,
    sent: Held<Box<IssuedKey>>,
}

impl RotateKey {
    pub fn new(key: &ApiKey) -> Self {
        let graces = GRACES.iter().map(|(value, about, _)| Choice::new(*value, *about)).collect();
        let help = "how long the old secret is taken beside the new one";
        Self {
            id: key.id,
            named: format!("{} of {}", key.called(), key.subject),
            form: Form::new("rotate", vec![Field::choice("grace", "grace", help, graces, "none")]),
            sent: Held::default(),
        }
    }

    fn submit(&mut self, turn: &mut Turn<'_>) {
        if self.sent.is_waiting() {
            return;
        }
        let chosen = self.form.value("grace");
        let seconds = GRACES.iter().find(|(value, ..)| *value == chosen).map_or(0, |(.., seconds)| *seconds);
        self.form.busy = true;
        let deed = Deed::RotateKey { id: self.id, grace: Duration::from_secs(seconds) };
        self.sent.wait_for(turn.act(deed));
    }
}

impl Layer for RotateKey {
    fn crumbs(&self) -> Vec<String> {
        vec!["rotate".into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
        }
        match self.form.key(key) {
            Said::Submit => self.submit(turn),
            Said::Cancel => turn.close(),
            Said::Changed | Said::Taken | Said::Nothing => {}
        }
        true
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        if !self.sent.owns(reply) {
            return;
        }
        self.sent.settle(reply, |answer| match answer {
            Answer::Issued(issued) => Some(issued),
            _ => None,
        });
        match self.sent.value.take() {
            Some(issued) => {
                turn.done(format!("rotated {}", self.named));
                turn.close();
                turn.push(SecretPanel::of_key(*issued, turn.now));
            }
            None => {
                self.form.failed(self.sent.fault.take().map(|fault| fault.message));
            }
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        self.form.hints()
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        const WIDTH: u16 = 70;
        let rows = self.form.rows(canvas, WIDTH.min(area.width).saturating_sub(4));
        let panel = centred(area, WIDTH, rows + 5);
        canvas.blank(panel);
        let (accent, text) = (canvas.theme().accent, canvas.theme().text);
        let inside = canvas.frame(panel, "rotate", accent);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
        let line = format!("A new secret for {}. The id stays.", self.named);
        canvas.put(inside.x, inside.y + 1, inside.width, &line, text);
        let below = Rect { y: inside.y + 3, height: inside.height.saturating_sub(3), ..inside };
        self.form.draw(canvas, below);
    }
}
