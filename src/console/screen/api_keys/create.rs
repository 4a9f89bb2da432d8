//! The form that makes a key. What is wrong stands beside its field as it is typed.

use std::time::Duration;

use crate::console::ask::{Choices, ListChoices};
use crate::console::effect::{Deed, Fault};
use crate::console::layer::Turn;
use crate::console::overlay::secret::SecretPanel;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::Form;
use crate::console::widget::panel::{Asks, FormPanel};
use crate::domain::api_key::Environment;
use crate::domain::clock::parse_life;
use crate::domain::name::{PolicyName, ScopeName, Subject};
use crate::ops::{
    self, Ctx,
    api_key::{IssuedKey, NewKey},
};

const CUSTOM: &str = "other";
const NEVER: &str = "never";

/// Makes a key.
#[derive(Debug)]
pub struct Create(pub NewKey);

impl Deed for Create {
    type Answer = IssuedKey;
    fn carry_out(&self, ctx: &Ctx) -> Result<IssuedKey, Fault> {
        Ok(ops::api_key::create(ctx, self.0.clone())?)
    }
    fn unclaimed(issued: IssuedKey, turn: &mut Turn<'_>) {
        turn.push(SecretPanel::of_key(issued, turn.now));
    }
}

pub struct CreateKey;

impl CreateKey {
    pub fn panel() -> FormPanel<Self> {
        FormPanel::choosing(Self, ListChoices)
    }
}

impl Asks for CreateKey {
    type From = Choices;
    type Deed = Create;
    const TITLE: &'static str = "new API key";
    const CRUMB: &'static str = "new";
    fn form(&self, choices: &Choices) -> Form {
        let lives = [
            ("24h", "the default"),
            ("7d", ""),
            ("30d", ""),
            ("90d", ""),
            (CUSTOM, "say how long"),
            (NEVER, "it ends only by being revoked"),
        ];
        let lives = lives.map(|(value, about)| Choice::new(value, about)).to_vec();
        let fields = vec![
            Field::text("subject", "subject", "for whom it speaks: a person, a service", ""),
            Field::text("name", "name", "a label for people", "").empty_means("none: its id names it"),
            Field::many("scopes", "scopes", "what it may call; at least one", choices.scopes(), &[]),
            Field::choice("policy", "policy", "its limits", choices.policies(), "default"),
            Field::text("environment", "environment", "1 to 8 of a-z and 0-9; part of the key", "live"),
            Field::choice("life", "life", "how long it is taken", lives, "24h"),
            Field::text("custom", "how long", "such as 12h, 45d or 1y", ""),
        ];
        Form::new("create", fields).holding("not created yet: esc again throws this away")
    }
    fn check(&self, form: &mut Form) {
        let subject = form.value("subject").trim().parse::<Subject>().err();
        let environment = form.value("environment").trim().parse::<Environment>().err();
        let no_scope = form.field("scopes").is_some_and(|field| field.values().is_empty());
        let is_custom = form.value("life") == CUSTOM;
        form.judge([
            ("subject", subject.map(|error| error.to_string())),
            ("environment", environment.map(|error| error.to_string())),
            (
                "scopes",
                no_scope.then(|| "pick at least one: a key without a scope can call nothing".to_owned()),
            ),
            ("custom", life(form).err()),
        ]);
        form.hide("custom", !is_custom);
    }
    fn deed(&self, form: &Form) -> Option<Create> {
        let scopes: Result<Vec<ScopeName>, _> =
            form.field("scopes")?.values().into_iter().map(str::parse::<ScopeName>).collect();
        Some(Create(NewKey {
            subject: form.value("subject").trim().parse().ok()?,
            scopes: scopes.ok()?,
            policy: form.value("policy").parse::<PolicyName>().ok()?,
            name: form.value("name").trim().to_owned(),
            environment: form.value("environment").trim().parse().ok()?,
            life: life(form).ok()?,
        }))
    }
    fn took(&self, issued: IssuedKey, turn: &mut Turn<'_>) {
        turn.done(format!("created a key for {}", issued.key.subject));
        turn.push(SecretPanel::of_key(issued, turn.now));
    }
}

fn life(form: &Form) -> Result<Option<Duration>, String> {
    match form.value("life") {
        NEVER => Ok(None),
        CUSTOM => parse_life(form.value("custom")).map(Some).map_err(|error| error.to_string()),
        fixed => parse_life(fixed).map(Some).map_err(|error| error.to_string()),
    }
}
