//! The form that changes keys: one, which it shows as it is, or all that are marked.

use std::time::Duration;

use crate::console::ask::{Choices, ListChoices};
use crate::console::effect::{Deed, Fault};
use crate::console::layer::Turn;
use crate::console::tally::Tally;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::Form;
use crate::console::widget::panel::{Asks, FormPanel};
use crate::console::widget::text::moment;
use crate::domain::api_key::{ApiKey, KeyId, KeyTerms};
use crate::domain::clock::parse_life;
use crate::domain::name::ScopeName;
use crate::ops::{Ctx, api_key::Changes};

use super::bulk;

const KEEP: &str = "as it is";
const CUSTOM: &str = "other";
const NEVER: &str = "never";

/// Changes all of the keys that are still there, or none.
#[derive(Debug)]
pub struct Change {
    pub ids: Vec<KeyId>,
    pub changes: Changes,
}

impl Deed for Change {
    type Answer = Tally;
    const VERB: &'static str = "changing";
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        bulk::set(ctx, &self.ids, self.changes.clone())
    }
    fn unclaimed(tally: Tally, turn: &mut Turn<'_>) {
        tally.tell_left(turn);
    }
}

pub struct ChangeKeys {
    ids: Vec<KeyId>,
    named: String,
    /// What the one key is like; `None` where there are several.
    terms: Option<KeyTerms>,
}

impl ChangeKeys {
    /// `one`: the key that it is about, where it is about one.
    pub fn panel(ids: Vec<KeyId>, one: Option<&ApiKey>, named: String) -> FormPanel<Self> {
        FormPanel::choosing(Self { ids, named, terms: one.map(ApiKey::terms) }, ListChoices)
    }
}

impl Asks for ChangeKeys {
    type From = Choices;
    type Deed = Change;
    const TITLE: &'static str = "change";
    const CRUMB: &'static str = "change";
    fn about(&self, _form: Option<&Form>) -> Option<String> {
        Some(format!("From the next call on, tokens included: {}", self.named))
    }
    fn form(&self, choices: &Choices) -> Form {
        let terms = self.terms.as_ref();
        let held: Vec<String> =
            terms.map_or_else(Vec::new, |t| t.scopes.iter().map(|s| s.to_string()).collect());
        let mut scopes = choices.scopes();
        for name in &held {
            if scopes.iter().all(|scope| scope.value != *name) {
                scopes.push(Choice::new(name.as_str(), "not in the catalogue: it covers nothing"));
            }
        }
        let unknown = terms.map(|terms| &terms.policy).filter(|policy| !choices.policies.contains(policy));
        let policies = choices
            .policies()
            .into_iter()
            .chain(unknown.map(|policy| Choice::new(policy.as_str(), "is not there")));
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
        Form::new("change", fields).holding("not changed yet: esc again throws this away")
    }
    /// One key must be left a scope; of several, none picked leaves each its own.
    fn check(&self, form: &mut Form) {
        let picked_none = form.field("scopes").is_some_and(|field| field.values().is_empty());
        let no_scope = self.terms.is_some() && picked_none;
        let is_custom = form.value("life") == CUSTOM;
        form.judge([
            (
                "scopes",
                no_scope.then(|| "pick at least one: a key without a scope can call nothing".to_owned()),
            ),
            ("custom", life(form).err()),
        ]);
        form.hide("custom", !is_custom);
    }
    fn deed(&self, form: &Form) -> Option<Change> {
        Some(Change { ids: self.ids.clone(), changes: read(form, self.terms.as_ref())? })
    }
    fn refuses(&self, deed: &Change) -> Option<&'static str> {
        deed.changes.is_empty().then_some("nothing is changed yet")
    }
    fn took(&self, tally: Tally, turn: &mut Turn<'_>) {
        if tally.is_of_all() {
            turn.done(format!("changed {}", self.named));
        } else {
            turn.fail(tally.to_string());
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
