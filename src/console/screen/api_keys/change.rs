//! The form that changes keys: one, which it shows as it is, or all that are marked.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use crate::console::canvas::Canvas;
use crate::console::effect::{Answer, Choices, Deed, Held, Partly, Query, Reply, Topic};
use crate::console::event::Moved;
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::{Form, Panel, Said};
use crate::console::widget::text::moment;
use crate::domain::api_key::{ApiKey, KeyId, KeyTerms};
use crate::domain::clock::parse_life;
use crate::domain::name::ScopeName;
use crate::ops::api_key::Changes;

const KEEP: &str = "as it is";
const CUSTOM: &str = "other";
const NEVER: &str = "never";

pub struct ChangeKeys {
    ids: Vec<KeyId>,
    named: String,
    /// What the one key is like; `None` where there are several.
    terms: Option<KeyTerms>,
    choices: Held<Choices>,
    form: Option<Form>,
    sent: Held<Partly>,
}

impl ChangeKeys {
    /// `one`: the key that it is about, where it is about one.
    pub fn new(ids: Vec<KeyId>, one: Option<&ApiKey>, named: String) -> Self {
        let terms = one.map(ApiKey::terms);
        Self { ids, named, terms, choices: Held::default(), form: None, sent: Held::default() }
    }

    fn took_choices(&mut self) {
        let Some(choices) = self.choices.value.as_ref().filter(|_| self.form.is_none()) else { return };
        let terms = self.terms.as_ref();
        let held: Vec<String> =
            terms.map_or_else(Vec::new, |t| t.scopes.iter().map(|s| s.to_string()).collect());
        let mut scopes: Vec<Choice> = choices
            .catalogue
            .iter()
            .map(|scope| Choice::new(scope.name.as_str(), scope.description.as_str()))
            .collect();
        for name in &held {
            if scopes.iter().all(|scope| scope.value != *name) {
                scopes.push(Choice::new(name.as_str(), "not in the catalogue: it covers nothing"));
            }
        }
        let unknown = terms.map(|terms| &terms.policy).filter(|policy| !choices.policies.contains(policy));
        let policies = choices.policies.iter().map(|policy| Choice::new(policy.as_str(), ""));
        let policies = policies.chain(unknown.map(|policy| Choice::new(policy.as_str(), "is not there")));
        let mut fields = Vec::new();
        match terms {
            Some(terms) => {
                fields.push(
                    Field::text("name", "name", "a label for people", &terms.name)
                        .empty_means("none: its id names it"),
                );
                fields.push(Field::many("scopes", "scopes", "what it may call; at least one", scopes, &held));
                let policies = policies.collect();
                fields.push(Field::choice("policy", "policy", "its limits", policies, terms.policy.as_str()));
            }
            None => {
                fields.push(
                    Field::many("scopes", "scopes", "in the place of those they have", scopes, &[])
                        .empty_means("none picked: each keeps its own"),
                );
                let policies =
                    std::iter::once(Choice::new(KEEP, "each keeps its own")).chain(policies).collect();
                fields.push(Field::choice("policy", "policy", "their limits", policies, KEEP));
            }
        }
        let end = match terms {
            Some(KeyTerms { expires_at: Some(at), .. }) => format!("until {}", moment(*at)),
            Some(KeyTerms { expires_at: None, .. }) => "it never expires".into(),
            None => "each keeps its own end".into(),
        };
        let lives = [
            (KEEP, end.as_str()),
            ("24h", "from now"),
            ("7d", "from now"),
            ("30d", "from now"),
            ("90d", "from now"),
            (CUSTOM, "say how long from now"),
            (NEVER, "it ends only by being revoked"),
        ];
        let lives = lives.map(|(value, about)| Choice::new(value, about)).to_vec();
        fields.push(Field::choice("life", "life", "how long it is taken", lives, KEEP));
        fields.push(Field::text("custom", "how long", "such as 12h, 45d or 1y", ""));
        let mut form = Form::new("change", fields).holding("not changed yet: esc again throws this away");
        check(&mut form, terms.is_some());
        self.form = Some(form);
    }

    fn submit(&mut self, turn: &mut Turn<'_>) {
        let Some(form) = &mut self.form else { return };
        if self.sent.is_waiting() {
            return;
        }
        check(form, self.terms.is_some());
        match read(form, self.terms.as_ref()) {
            Some(changes) if form.is_right() && changes.is_empty() => {
                form.fault = Some("nothing is changed yet".into());
            }
            Some(changes) if form.is_right() => {
                form.busy = true;
                form.fault = None;
                self.sent.wait_for(turn.act(Deed::SetKeys { ids: self.ids.clone(), changes }));
            }
            _ => form.show_faults(),
        }
    }
}

fn life(form: &Form) -> Result<Option<Option<Duration>>, String> {
    match form.value("life") {
        KEEP => Ok(None),
        NEVER => Ok(Some(None)),
        CUSTOM => {
            parse_life(form.value("custom")).map(|life| Some(Some(life))).map_err(|error| error.to_string())
        }
        fixed => parse_life(fixed).map(|life| Some(Some(life))).map_err(|error| error.to_string()),
    }
}

/// Judges every field as it stands. One key must be left a scope; of several, none picked leaves each its own.
fn check(form: &mut Form, is_one: bool) {
    let no_scope = is_one && form.field("scopes").is_some_and(|field| field.values().is_empty());
    let is_custom = form.value("life") == CUSTOM;
    let faults = [
        ("scopes", no_scope.then(|| "pick at least one: a key without a scope can call nothing".to_owned())),
        ("custom", life(form).err()),
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

/// Only what is otherwise than it was.
fn read(form: &Form, terms: Option<&KeyTerms>) -> Option<Changes> {
    let picked = form.field("scopes")?.values();
    let scopes = picked.into_iter().map(str::parse).collect::<Result<Vec<ScopeName>, _>>().ok()?;
    let is_held = |scopes: &[ScopeName]| match terms {
        // The order of a form is the catalogue's.
        Some(terms) => scopes.len() == terms.scopes.len() && terms.scopes.iter().all(|s| scopes.contains(s)),
        None => scopes.is_empty(),
    };
    let policy = match form.value("policy") {
        KEEP => None,
        name => Some(name.parse().ok()?),
    };
    let name = form.field("name").map(|field| field.value().trim().to_owned());
    Some(Changes {
        policy: policy.filter(|policy| terms.is_none_or(|terms| terms.policy != *policy)),
        scopes: Some(scopes).filter(|scopes| !is_held(scopes)),
        name: name.filter(|name| terms.is_some_and(|terms| terms.name != *name)),
        life: life(form).ok()?,
        seen: terms.cloned(),
    })
}

impl Layer for ChangeKeys {
    fn crumbs(&self) -> Vec<String> {
        vec!["change".into()]
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
        let is_one = self.terms.is_some();
        let Some(form) = &mut self.form else {
            if key.code == KeyCode::Esc {
                turn.close();
            }
            return true;
        };
        match form.key(key) {
            Said::Submit => self.submit(turn),
            Said::Cancel => turn.close(),
            Said::Changed => check(form, is_one),
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
            check(form, self.terms.is_some());
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
        self.sent.settle(reply, |answer| match answer {
            Answer::Changed(done) => Some(Partly { done, ..Partly::default() }),
            Answer::Partly(partly) => Some(partly),
            _ => None,
        });
        match self.sent.value.take() {
            Some(partly) => {
                if partly.gone == 0 {
                    turn.done(format!("changed {}", self.named));
                } else {
                    turn.fail(partly.to_string());
                }
                turn.close();
            }
            None => {
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
        let about = format!("From the next call on, tokens included: {}", self.named);
        let panel = Panel { title: "change", style: canvas.theme().accent, width: 78, about: Some(&about) };
        panel.draw(self.form.as_ref(), fault, canvas, area);
    }
}
