//! The form that issues a token. What is wrong stands beside its field as it is typed.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use crate::console::canvas::Canvas;
use crate::console::effect::{
    Answer, Deed, Held, Query, Reply, TokenAnswer, TokenChoices, TokenDeed, TokenQuery, Topic,
};
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::overlay::secret::SecretPanel;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::{Form, Panel, Said};
use crate::domain::clock::parse_life;
use crate::domain::jose::Algorithm;
use crate::domain::name::{Kid, PolicyName, ScopeName, Subject};
use crate::domain::text::visible;
use crate::ops::token::{LONGEST_LIFE, NewToken};

use super::short_kid;

const CUSTOM: &str = "other";
const YES: &str = "yes";
const NO: &str = "no";

pub struct IssueToken {
    choices: Held<Box<TokenChoices>>,
    form: Option<Form>,
    sent: Held<Box<crate::ops::token::Issued>>,
}

impl IssueToken {
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
        let policies = choices.policies.iter().map(|policy| Choice::new(policy.as_str(), "")).collect();
        let lives = [
            ("1h", "the default"),
            ("5m", ""),
            ("8h", ""),
            ("24h", ""),
            ("7d", ""),
            (CUSTOM, "say how long"),
        ];
        let lives = lives.map(|(value, about)| Choice::new(value, about)).to_vec();
        let no_yes = |yes: &'static str| vec![Choice::new(NO, ""), Choice::new(YES, yes)];
        let mut form = Form::new(
            "issue",
            vec![
                Field::text("subject", "subject", "for whom it speaks: a person, a service", ""),
                Field::many("scopes", "scopes", "what it may call; at least one", scopes, &[]),
                Field::text(
                    "audience",
                    "audience",
                    "whom it is for; several between spaces",
                    &choices.audience,
                )
                .empty_means("this home's gateway"),
                Field::choice("life", "life", "how long it is taken; a token always ends", lives, "1h"),
                Field::text("custom", "how long", "such as 45m, 12h or 30d, which is the longest", ""),
                Field::choice("key", "signed with", "which key signs it", keys(choices), "EdDSA"),
                Field::choice(
                    "policy",
                    "policy",
                    "its limits, as they are at each call",
                    policies,
                    "default",
                ),
                Field::choice(
                    "bind",
                    "bind policy",
                    "whether the policy as it is now stands in the token too",
                    no_yes("it holds beside what becomes of the policy"),
                    NO,
                ),
                Field::choice(
                    "once",
                    "one use",
                    "whether it is used up by its first call",
                    no_yes("once and never again"),
                    NO,
                ),
                Field::text("client", "client", "to whom it is given", "").empty_means("the subject"),
            ],
        )
        .holding("not issued yet: esc again throws this away");
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
                self.sent.wait_for(turn.act(Deed::Token(TokenDeed::Issue(Box::new(new)))));
            }
            _ => form.show_faults(),
        }
    }
}

/// An algorithm, whose newest key signs; and where it has several, each of the others.
fn keys(choices: &TokenChoices) -> Vec<Choice> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ISSUED {
        let mut signing = choices.keys.iter().filter(|key| key.algorithm == algorithm);
        let about = match signing.next() {
            Some(newest) => format!("by key {}", short_kid(&newest.kid)),
            None => "no key yet: one is made".into(),
        };
        all.push(Choice::new(algorithm.as_str(), about));
        all.extend(signing.map(|key| {
            let name = if key.name.is_empty() { String::new() } else { format!(", {}", key.name) };
            Choice::new(key.kid.as_str(), format!("{algorithm}{name}"))
        }));
    }
    all
}

fn life(form: &Form) -> Result<Duration, String> {
    let text = if form.value("life") == CUSTOM { form.value("custom") } else { form.value("life") };
    match parse_life(text) {
        Ok(life) if life > LONGEST_LIFE => {
            Err("a token lives for 30 days at most; for longer than that make an API key".into())
        }
        other => other.map_err(|error| error.to_string()),
    }
}

/// Texts that stand in the token as they are.
fn unfit(text: &str) -> Option<String> {
    let is_fit = text.chars().count() <= 256 && visible(text) == text;
    (!is_fit).then(|| "has at most 256 characters, all of them visible".to_owned())
}

/// Judges every field as it stands.
fn check(form: &mut Form) {
    let subject = form.value("subject").trim().parse::<Subject>().err();
    let no_scope = form.field("scopes").is_some_and(|field| field.values().is_empty());
    let is_custom = form.value("life") == CUSTOM;
    let faults = [
        ("subject", subject.map(|error| error.to_string())),
        (
            "scopes",
            no_scope.then(|| "pick at least one: a token without a scope can call nothing".to_owned()),
        ),
        (
            "audience",
            form.value("audience").split_whitespace().find_map(unfit).map(|why| format!("an audience {why}")),
        ),
        ("custom", life(form).err()),
        ("client", unfit(form.value("client").trim()).map(|why| format!("the client {why}"))),
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

fn read(form: &Form) -> Option<NewToken> {
    let scopes: Result<Vec<ScopeName>, _> =
        form.field("scopes")?.values().into_iter().map(str::parse::<ScopeName>).collect();
    let algorithm = form.value("key").parse::<Algorithm>().ok();
    let kid = if algorithm.is_none() { Some(form.value("key").parse::<Kid>().ok()?) } else { None };
    let client = form.value("client").trim();
    Some(NewToken {
        subject: form.value("subject").trim().parse().ok()?,
        client: (!client.is_empty()).then(|| client.to_owned()),
        scopes: scopes.ok()?,
        audience: form.value("audience").split_whitespace().map(str::to_owned).collect(),
        policy: form.value("policy").parse::<PolicyName>().ok()?,
        bind_policy: form.value("bind") == YES,
        life: life(form).ok()?,
        algorithm,
        kid,
        once: form.value("once") == YES,
        rests_on: Default::default(),
    })
}

impl Layer for IssueToken {
    fn crumbs(&self) -> Vec<String> {
        vec!["new".into()]
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        let ticket = turn.load(Topic::TokenChoices, Query::Token(TokenQuery::Choices));
        self.choices.wait_for(ticket);
    }
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
            Answer::Token(TokenAnswer::Choices(choices)) => Some(choices),
            _ => None,
        });
        if came {
            self.took_choices();
        }
        if !self.sent.owns(reply) {
            return;
        }
        self.sent.settle(reply, |answer| match answer {
            Answer::Token(TokenAnswer::Issued(issued)) => Some(issued),
            _ => None,
        });
        if let Some(issued) = self.sent.value.take() {
            // the panel says that it was issued, and nothing may lie over it
            turn.close();
            turn.push(SecretPanel::of_token(*issued, turn.now));
        } else if let Some(form) = &mut self.form {
            form.failed(self.sent.fault.take().map(|fault| fault.message));
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        self.form.as_ref().map(Form::hints).unwrap_or_default()
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let fault = self.choices.fault.as_ref().map(|fault| fault.message.as_str());
        let panel = Panel { title: "new token", style: canvas.theme().accent, width: 84, about: None };
        panel.draw(self.form.as_ref(), fault, canvas, area);
    }
}
