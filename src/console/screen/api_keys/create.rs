//! The form that makes a key. What is wrong stands beside its field as it is typed.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use crate::console::canvas::Canvas;
use crate::console::effect::{Answer, Choices, Deed, Held, Query, Reply, Topic};
use crate::console::event::Moved;
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::overlay::secret::SecretPanel;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::{Form, Panel, Said};
use crate::domain::clock::parse_life;
use crate::domain::name::{PolicyName, ScopeName};
use crate::ops::api_key::{IssuedKey, NewKey};

const CUSTOM: &str = "other";
const NEVER: &str = "never";

pub struct CreateKey {
    choices: Held<Choices>,
    form: Option<Form>,
    sent: Held<Box<IssuedKey>>,
}

impl CreateKey {
    pub fn new() -> Self {
        Self { choices: Held::default(), form: None, sent: Held::default() }
    }

    fn took_choices(&mut self) {
        let Some(choices) = self.choices.value.as_ref().filter(|_| self.form.is_none()) else { return };
        let scopes = choices
            .catalogue
            .iter()
            .map(|scope| Choice::new(scope.name.as_str(), scope.description.as_str()))
            .collect();
        let policies =
            choices.policies.iter().map(|policy| Choice::new(policy.as_str(), "")).collect::<Vec<_>>();
        let lives = [
            ("24h", "the default"),
            ("7d", ""),
            ("30d", ""),
            ("90d", ""),
            (CUSTOM, "say how long"),
            (NEVER, "it ends only by being revoked"),
        ];
        let lives = lives.map(|(value, about)| Choice::new(value, about)).to_vec();
        let mut form = Form::new(
            "create",
            vec![
                Field::text("subject", "subject", "for whom it speaks: a person, a service", ""),
                Field::text("name", "name", "a label for people", "").empty_means("none: its id names it"),
                Field::many("scopes", "scopes", "what it may call; at least one", scopes, &[]),
                Field::choice("policy", "policy", "its limits", policies, "default"),
                Field::text("environment", "environment", "1 to 8 of a-z and 0-9; part of the key", "live"),
                Field::choice("life", "life", "how long it is taken", lives, "24h"),
                Field::text("custom", "how long", "such as 12h, 45d or 1y", ""),
            ],
        )
        .holding("not created yet: esc again throws this away");
        check(&mut form);
        self.form = Some(form);
    }

    fn submit(&mut self, turn: &mut Turn<'_>) {
        let Some(form) = &mut self.form else { return };
        if self.sent.is_waiting() {
            return;
        }
        check(form);
        match read(form) {
            Some(new) if form.is_right() => {
                form.busy = true;
                form.fault = None;
                self.sent.wait_for(turn.act(Deed::CreateKey(new)));
            }
            _ => form.show_faults(),
        }
    }
}

fn life(form: &Form) -> Result<Option<Duration>, String> {
    match form.value("life") {
        NEVER => Ok(None),
        CUSTOM => parse_life(form.value("custom")).map(Some).map_err(|error| error.to_string()),
        fixed => parse_life(fixed).map(Some).map_err(|error| error.to_string()),
    }
}

/// Judges every field as it stands.
fn check(form: &mut Form) {
    let subject = form.value("subject").trim().parse::<crate::domain::name::Subject>().err();
    let environment = form.value("environment").trim().parse::<crate::domain::api_key::Environment>().err();
    let no_scope = form.field("scopes").is_some_and(|field| field.values().is_empty());
    let custom = life(form).err();
    let is_custom = form.value("life") == CUSTOM;
    let faults = [
        ("subject", subject.map(|error| error.to_string())),
        ("environment", environment.map(|error| error.to_string())),
        ("scopes", no_scope.then(|| "pick at least one: a key without a scope can call nothing".to_owned())),
        ("custom", custom),
    ];
    for (name, fault) in faults {
        if let Some(field) = form.field_mut(name) {
            field.error = fault;
        }
    }
    if let Some(field) = form.field_mut("custom") {
        field.hidden = !is_custom;
    }
}

fn read(form: &Form) -> Option<NewKey> {
    let scopes: Result<Vec<ScopeName>, _> =
        form.field("scopes")?.values().into_iter().map(str::parse::<ScopeName>).collect();
    Some(NewKey {
        subject: form.value("subject").trim().parse().ok()?,
        scopes: scopes.ok()?,
        policy: form.value("policy").parse::<PolicyName>().ok()?,
        name: form.value("name").trim().to_owned(),
        environment: form.value("environment").trim().parse().ok()?,
        life: life(form).ok()?,
    })
}

impl Layer for CreateKey {
    fn crumbs(&self) -> Vec<String> {
        vec!["new".into()]
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        let ticket = turn.load(Topic::Choices, Query::Choices);
        self.choices.wait_for(ticket);
    }
    fn moved(&mut self, _what: Moved, _turn: &mut Turn<'_>) {}
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
        }
        let Some(form) = &mut self.form else {
            if key.code == KeyCode::Esc {
                turn.close();
            }
            return true;
        };
        match form.key(key) {
            Said::Submit => self.submit(turn),
            Said::Cancel => turn.close(),
            Said::Changed => check(form),
            Said::Taken | Said::Nothing => {}
        }
        true
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        self.form.is_none() && self.choices.is_waiting()
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        if let Some(form) = &mut self.form {
            form.paste(text);
            check(form);
        }
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let came = self.choices.settle(reply, |answer| match answer {
            Answer::Choices(choices) => Some(choices),
            _ => None,
        });
        if came {
            self.took_choices();
        }
        if !self.sent.owns(reply) {
            return;
        }
        let issued = self.sent.settle(reply, |answer| match answer {
            Answer::Issued(issued) => Some(issued),
            _ => None,
        });
        match (issued, self.sent.value.take()) {
            (true, Some(issued)) => {
                turn.done(format!("created a key for {}", issued.key.subject));
                turn.close();
                turn.push(SecretPanel::of_key(*issued, turn.now));
            }
            _ => {
                if let Some(form) = &mut self.form {
                    form.failed(self.sent.fault.take().map(|fault| fault.message));
                }
            }
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        self.form.as_ref().map(Form::hints).unwrap_or_default()
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let fault = self.choices.fault.as_ref().map(|fault| fault.message.as_str());
        let panel = Panel { title: "new API key", style: canvas.theme().accent, width: 78, about: None };
        panel.draw(self.form.as_ref(), fault, canvas, area);
    }
}
