//! The forms that make, import and rotate a signing key.

use std::path::PathBuf;
use std::time::Duration;

use crate::console::effect::{Deed, Fault};
use crate::console::layer::Turn;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::Form;
use crate::console::widget::panel::{Asks, FormPanel};
use crate::console::widget::text::moment;
use crate::domain::clock::parse_life;
use crate::domain::jose::Algorithm;
use crate::domain::name::{BadName, Kid};
use crate::domain::signing_key::SigningKey;
use crate::ops::signing_key::{NewSigningKey, Rotated, Rotation};
use crate::ops::{self, Ctx};
use crate::vault::RsaBits;

use super::{private_key, short_kid};

const WIDTH: u16 = 80;

/// Makes a signing key.
#[derive(Debug)]
pub struct Create(pub NewSigningKey);

impl Deed for Create {
    type Answer = SigningKey;
    fn carry_out(&self, ctx: &Ctx) -> Result<SigningKey, Fault> {
        Ok(ops::signing_key::create(ctx, self.0.clone())?)
    }
}

/// Takes a private key out of a file that nobody else reads here.
#[derive(Debug)]
pub struct Import {
    pub new: NewSigningKey,
    pub file: PathBuf,
}

impl Deed for Import {
    type Answer = SigningKey;
    fn carry_out(&self, ctx: &Ctx) -> Result<SigningKey, Fault> {
        let text = private_key::read(&self.file)?;
        Ok(ops::signing_key::import(ctx, self.new.clone(), &text)?)
    }
}

/// Has a new key take over.
#[derive(Debug)]
pub struct Rotate {
    pub kid: Kid,
    pub rotation: Rotation,
}

impl Deed for Rotate {
    type Answer = Rotated;
    fn carry_out(&self, ctx: &Ctx) -> Result<Rotated, Fault> {
        Ok(ops::signing_key::rotate(ctx, &self.kid, self.rotation)?)
    }
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

/// What is asked of a key that is new here, whatever it is made from: beside its algorithm, what comes before it.
fn fields(before: Option<Field>, after: Option<Field>) -> Vec<Field> {
    let algorithm = Field::choice("algorithm", "algorithm", "what it signs with", algorithms(), "EdDSA");
    before.into_iter().chain([algorithm]).chain(after).chain(named()).collect()
}

fn algorithm(form: &Form) -> Algorithm {
    form.value("algorithm").parse().unwrap_or(Algorithm::EdDsa)
}

fn kid(form: &Form) -> Result<Option<Kid>, String> {
    match form.value("kid").trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: BadName| error.to_string()),
    }
}

fn span(form: &Form, field: &str) -> Result<Option<Duration>, String> {
    match form.value(field).trim() {
        "" => Ok(None),
        text => parse_life(text).map(Some).map_err(|error| error.to_string()),
    }
}

fn new_key(form: &Form) -> Option<NewSigningKey> {
    let bits = RsaBits::ALL.into_iter().find(|bits| bits.bits().to_string() == form.value("bits"));
    Some(NewSigningKey {
        algorithm: algorithm(form),
        name: form.value("name").trim().to_owned(),
        bits: bits.unwrap_or_default(),
        kid: kid(form).ok()?,
    })
}

fn tell_made(key: &SigningKey, turn: &mut Turn<'_>) {
    turn.done(format!("key {} signs with {} from now on", short_kid(&key.kid), key.algorithm));
}

pub struct CreateKey;

impl CreateKey {
    pub fn panel() -> FormPanel<Self> {
        FormPanel::new(Self)
    }
}

impl Asks for CreateKey {
    type From = ();
    type Deed = Create;
    const TITLE: &'static str = "new signing key";
    const CRUMB: &'static str = "create";
    const WIDTH: u16 = WIDTH;
    fn about(&self, _form: Option<&Form>) -> Option<String> {
        Some("A new key signs from now on. Its private part stays in the vault.".into())
    }
    fn form(&self, (): &()) -> Form {
        let bits = RsaBits::ALL.map(|bits| Choice::new(bits.bits().to_string(), "")).to_vec();
        let bits = Field::choice("bits", "RSA bits", "longer is slower", bits, "2048");
        Form::new("create", fields(None, Some(bits)))
    }
    fn check(&self, form: &mut Form) {
        form.judge([("kid", kid(form).err())]);
        let has_bits = matches!(algorithm(form), Algorithm::Rs256 | Algorithm::Ps256);
        form.hide("bits", !has_bits);
    }
    fn deed(&self, form: &Form) -> Option<Create> {
        new_key(form).map(Create)
    }
    fn took(&self, key: SigningKey, turn: &mut Turn<'_>) {
        tell_made(&key, turn);
    }
}

pub struct ImportKey;

impl ImportKey {
    pub fn panel() -> FormPanel<Self> {
        FormPanel::new(Self)
    }
}

impl Asks for ImportKey {
    type From = ();
    type Deed = Import;
    const TITLE: &'static str = "import a signing key";
    const CRUMB: &'static str = "import";
    const WIDTH: u16 = WIDTH;
    fn about(&self, _form: Option<&Form>) -> Option<String> {
        let said = "The private key is read from a file on this machine and sealed in the vault. Remove the file then.";
        Some(said.into())
    }
    fn form(&self, (): &()) -> Form {
        let about = "PEM (PKCS#8, SEC1, PKCS#1), a private JWK, or for HS256 the secret";
        Form::new("import", fields(Some(Field::text("file", "file", about, "")), None))
    }
    fn check(&self, form: &mut Form) {
        let no_file = form.value("file").trim().is_empty();
        form.judge([
            ("kid", kid(form).err()),
            ("file", no_file.then(|| "say where the private key is".to_owned())),
        ]);
    }
    fn deed(&self, form: &Form) -> Option<Import> {
        Some(Import { new: new_key(form)?, file: PathBuf::from(form.value("file").trim()) })
    }
    fn took(&self, key: SigningKey, turn: &mut Turn<'_>) {
        tell_made(&key, turn);
    }
}

pub struct RotateKey(Kid);

impl RotateKey {
    pub fn panel(key: &SigningKey) -> FormPanel<Self> {
        FormPanel::new(Self(key.kid.clone()))
    }
}

impl Asks for RotateKey {
    type From = ();
    type Deed = Rotate;
    const TITLE: &'static str = "rotate signing key";
    const CRUMB: &'static str = "rotate";
    const WIDTH: u16 = WIDTH;
    fn about(&self, _form: Option<&Form>) -> Option<String> {
        let said =
            "A new key of the same algorithm takes over. What the old one signed stays good for the overlap.";
        Some(said.into())
    }
    fn form(&self, (): &()) -> Form {
        let ahead = "such as 1h, so that verifiers have the new key before it signs";
        let overlap = "for how long the old key verifies after its last signature";
        let fields = vec![
            Field::text("ahead", "publish ahead", ahead, "").empty_means("none: the new key signs at once"),
            Field::text("overlap", "overlap", overlap, "").empty_means("as long as its longest-lived token"),
        ];
        Form::new("rotate", fields)
    }
    fn check(&self, form: &mut Form) {
        form.judge([("ahead", span(form, "ahead").err()), ("overlap", span(form, "overlap").err())]);
    }
    fn deed(&self, form: &Form) -> Option<Rotate> {
        let publish_ahead = span(form, "ahead").ok()?.unwrap_or_default();
        let rotation = Rotation { overlap: span(form, "overlap").ok()?, publish_ahead };
        Some(Rotate { kid: self.0.clone(), rotation })
    }
    fn took(&self, rotated: Rotated, turn: &mut Turn<'_>) {
        let at = moment(rotated.new.signs_from);
        turn.done(format!("key {} signs from {at} on", short_kid(&rotated.new.kid)));
    }
}
