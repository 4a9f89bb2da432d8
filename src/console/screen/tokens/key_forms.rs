//! The forms that make, import and rotate a signing key.

use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, centred};
use crate::console::effect::{Answer, Deed, Held, Reply, TokenAnswer, TokenDeed};
use crate::console::layer::{Layer, Tone, Turn, Wish, is_for_all};
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::{Form, Said};
use crate::console::widget::text::{moment, wrap};
use crate::domain::clock::parse_life;
use crate::domain::jose::Algorithm;
use crate::domain::name::Kid;
use crate::domain::signing_key::SigningKey;
use crate::ops::signing_key::{NewSigningKey, Rotation};
use crate::vault::RsaBits;

/// What the form is to do.
enum Purpose {
    Create,
    Import,
    Rotate(Kid),
}

pub struct KeyForm {
    purpose: Purpose,
    title: &'static str,
    intro: &'static str,
    form: Form,
    sent: Held<TokenAnswer>,
}

fn algorithms() -> Vec<Choice> {
    Algorithm::ISSUED
        .into_iter()
        .map(|algorithm| {
            let about = match algorithm {
                Algorithm::EdDsa => "Ed25519: small and fast, the default",
                Algorithm::Es256 => "P-256: where Ed25519 is not known",
                Algorithm::Rs256 => "RSA: for old libraries",
                Algorithm::Ps256 => "RSA-PSS",
                _ => "one secret: who verifies can issue as well",
            };
            Choice::new(algorithm.as_str(), about)
        })
        .collect()
}

fn named() -> [Field; 2] {
    [
        Field::text("name", "name", "a label for people", "").empty_means("none"),
        Field::text("kid", "key id", "under which id verifiers find it; never used twice", "")
            .empty_means("the key's own digest"),
    ]
}

impl KeyForm {
    pub fn create() -> Self {
        let bits = RsaBits::ALL.map(|bits| Choice::new(bits.bits().to_string(), "")).to_vec();
        let mut fields = vec![
            Field::choice("algorithm", "algorithm", "what it signs with", algorithms(), "EdDSA"),
            Field::choice("bits", "RSA bits", "longer is slower", bits, "2048"),
        ];
        fields.extend(named());
        let intro = "A new key signs from now on. Its private part stays in the vault.";
        Self::new(Purpose::Create, "new signing key", intro, Form::new("create", fields))
    }

    pub fn import() -> Self {
        let mut fields = vec![
            Field::text(
                "file",
                "file",
                "PEM (PKCS#8, SEC1, PKCS#1), a private JWK, or for HS256 the secret",
                "",
            ),
            Field::choice("algorithm", "algorithm", "what it signs with", algorithms(), "EdDSA"),
        ];
        fields.extend(named());
        let intro = "The private key is read from a file on this machine and sealed in the vault. Remove the file then.";
        Self::new(Purpose::Import, "import a signing key", intro, Form::new("import", fields))
    }

    pub fn rotate(key: &SigningKey) -> Self {
        let fields = vec![
            Field::text(
                "ahead",
                "publish ahead",
                "such as 1h, so that verifiers have the new key before it signs",
                "",
            )
            .empty_means("none: the new key signs at once"),
            Field::text(
                "overlap",
                "overlap",
                "for how long the old key verifies after its last signature",
                "",
            )
            .empty_means("as long as its longest-lived token"),
        ];
        let intro =
            "A new key of the same algorithm takes over. What the old one signed stays good for the overlap.";
        Self::new(Purpose::Rotate(key.kid.clone()), "rotate signing key", intro, Form::new("rotate", fields))
    }

    fn new(purpose: Purpose, title: &'static str, intro: &'static str, form: Form) -> Self {
        let mut made = Self { purpose, title, intro, form, sent: Held::default() };
        made.check();
        made
    }

    fn algorithm(&self) -> Algorithm {
        self.form.value("algorithm").parse().unwrap_or(Algorithm::EdDsa)
    }

    fn kid(&self) -> Result<Option<Kid>, String> {
        match self.form.value("kid").trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|error: crate::domain::name::BadName| error.to_string()),
        }
    }

    fn span(&self, field: &str) -> Result<Option<Duration>, String> {
        match self.form.value(field).trim() {
            "" => Ok(None),
            text => parse_life(text).map(Some).map_err(|error| error.to_string()),
        }
    }

    /// Judges every field as it stands.
    fn check(&mut self) {
        let has_bits = matches!(self.algorithm(), Algorithm::Rs256 | Algorithm::Ps256);
        let no_file = self.form.value("file").trim().is_empty();
        let faults = [
            ("kid", self.kid().err()),
            ("file", no_file.then(|| "say where the private key is".to_owned())),
            ("ahead", self.span("ahead").err()),
            ("overlap", self.span("overlap").err()),
        ];
        for (name, fault) in faults {
            if let Some(field) = self.form.field_mut(name) {
                field.error = fault;
            }
        }
        if let Some(bits) = self.form.field_mut("bits") {
            bits.hidden = !has_bits;
        }
    }

    fn read(&self) -> Option<TokenDeed> {
        let new = || {
            let bits =
                RsaBits::ALL.into_iter().find(|bits| bits.bits().to_string() == self.form.value("bits"));
            Some(NewSigningKey {
                algorithm: self.algorithm(),
                name: self.form.value("name").trim().to_owned(),
                bits: bits.unwrap_or_default(),
                kid: self.kid().ok()?,
            })
        };
        match &self.purpose {
            Purpose::Create => Some(TokenDeed::CreateKey(new()?)),
            Purpose::Import => {
                let file = PathBuf::from(self.form.value("file").trim());
                Some(TokenDeed::ImportKey { new: new()?, file })
            }
            Purpose::Rotate(kid) => Some(TokenDeed::RotateKey {
                kid: kid.clone(),
                rotation: Rotation {
                    overlap: self.span("overlap").ok()?,
                    publish_ahead: self.span("ahead").ok()?.unwrap_or_default(),
                },
            }),
        }
    }

    fn submit(&mut self, turn: &mut Turn<'_>) {
        if self.sent.is_waiting() {
            return;
        }
        self.check();
        match self.read() {
            Some(deed) if self.form.is_right() => {
                self.form.busy = true;
                self.form.fault = None;
                self.sent.wait_for(turn.act(Deed::Token(deed)));
            }
            _ => self.form.show_faults(),
        }
    }
}

/// What a notice says of the outcome.
fn done(answer: &TokenAnswer) -> Option<String> {
    match answer {
        TokenAnswer::KeyMade(key) => {
            Some(format!("key {} signs with {} from now on", super::short_kid(&key.kid), key.algorithm))
        }
        TokenAnswer::Rotated(rotated) => Some(format!(
            "key {} signs from {} on",
            super::short_kid(&rotated.new.kid),
            moment(rotated.new.signs_from)
        )),
        _ => None,
    }
}

impl Layer for KeyForm {
    fn crumbs(&self) -> Vec<String> {
        vec![self.form.submit().into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
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
        self.form.paste(text);
        self.check();
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        if !self.sent.owns(reply) {
            return;
        }
        self.sent.settle(reply, |answer| match answer {
            Answer::Token(answer) => Some(answer),
            _ => None,
        });
        match self.sent.value.take() {
            Some(answer) => {
                turn.wishes.extend(done(&answer).map(|text| Wish::Notice(Tone::Done, text)));
                turn.close();
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
        const WIDTH: u16 = 80;
        let cells = WIDTH.min(area.width).saturating_sub(4);
        let intro = wrap(self.intro, usize::from(cells));
        let above = u16::try_from(intro.len()).unwrap_or(1) + 2;
        let panel = centred(area, WIDTH, self.form.rows(canvas, cells) + above + 2);
        canvas.blank(panel);
        let (accent, dim) = (canvas.theme().accent, canvas.theme().dim);
        let inside = canvas.frame(panel, self.title, accent);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
        for (y, line) in (inside.y + 1..inside.bottom()).zip(&intro) {
            canvas.put(inside.x, y, inside.width, line, dim);
        }
        let below = Rect { y: inside.y + above, height: inside.height.saturating_sub(above), ..inside };
        self.form.draw(canvas, below);
    }
}
