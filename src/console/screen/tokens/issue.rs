//! The form that issues a token. What is wrong stands beside its field as it is typed.

use std::time::Duration;

use crate::console::ask::Choices;
use crate::console::effect::{Deed, Fault, Question};
use crate::console::layer::Turn;
use crate::console::overlay::secret::SecretPanel;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::Form;
use crate::console::widget::panel::{Asks, FormPanel};
use crate::domain::clock::parse_life;
use crate::domain::jose::Algorithm;
use crate::domain::name::{Kid, PolicyName, ScopeName, Subject};
use crate::domain::signing_key::SigningKey;
use crate::domain::text::visible;
use crate::ops::token::{Issued, LONGEST_LIFE, NewToken};
use crate::ops::{self, Ctx, OpsError};
use crate::store::{self, StoreError};

use super::short_kid;

const CUSTOM: &str = "other";
const YES: &str = "yes";
const NO: &str = "no";

/// What the form chooses from.
#[derive(Clone, Debug, Default)]
pub struct TokenChoices {
    choices: Choices,
    /// Whom a token is for where nobody is named.
    audience: String,
    /// Those that sign now, the newest first.
    keys: Vec<SigningKey>,
}

#[derive(Debug)]
pub struct ListTokenChoices;

impl Question for ListTokenChoices {
    type Answer = TokenChoices;
    fn answer(&self, ctx: &Ctx) -> Result<TokenChoices, OpsError> {
        let now = ctx.now();
        let (audience, (mut keys, _)) = ctx.store.read(|c| -> Result<_, StoreError> {
            Ok((store::trust::identity(c)?.audience(), store::signing_key::sound(c)?))
        })?;
        keys.retain(|key| key.signs_at(now));
        Ok(TokenChoices { choices: Choices::read(ctx)?, audience, keys })
    }
}

/// Issues a token.
#[derive(Debug)]
pub struct Issue(pub NewToken);

impl Deed for Issue {
    type Answer = Issued;
    fn carry_out(&self, ctx: &Ctx) -> Result<Issued, Fault> {
        Ok(ops::token::issue(ctx, self.0.clone())?)
    }
    fn unclaimed(issued: Issued, turn: &mut Turn<'_>) {
        turn.push(SecretPanel::of_token(issued, turn.now));
    }
}

pub struct IssueToken;

impl IssueToken {
    pub fn panel() -> FormPanel<Self> {
        FormPanel::choosing(Self, ListTokenChoices)
    }
}

impl Asks for IssueToken {
    type From = TokenChoices;
    type Deed = Issue;
    const TITLE: &'static str = "new token";
    const CRUMB: &'static str = "new";
    const WIDTH: u16 = 84;
    fn form(&self, from: &TokenChoices) -> Form {
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
        let fields = vec![
            Field::text("subject", "subject", "for whom it speaks: a person, a service", ""),
            Field::many("scopes", "scopes", "what it may call; at least one", from.choices.scopes(), &[]),
            Field::text("audience", "audience", "whom it is for; several between spaces", &from.audience)
                .empty_means("this home's gateway"),
            Field::choice("life", "life", "how long it is taken; a token always ends", lives, "1h"),
            Field::text("custom", "how long", "such as 45m, 12h or 30d, which is the longest", ""),
            Field::choice("key", "signed with", "which key signs it", keys(from), "EdDSA"),
            Field::choice(
                "policy",
                "policy",
                "its limits, as they are at each call",
                from.choices.policies(),
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
        ];
        Form::new("issue", fields).holding("not issued yet: esc again throws this away")
    }
    fn check(&self, form: &mut Form) {
        let subject = form.value("subject").trim().parse::<Subject>().err();
        let no_scope = form.field("scopes").is_some_and(|field| field.values().is_empty());
        let is_custom = form.value("life") == CUSTOM;
        let audience = form.value("audience").split_whitespace().find_map(unfit);
        form.judge([
            ("subject", subject.map(|error| error.to_string())),
            (
                "scopes",
                no_scope.then(|| "pick at least one: a token without a scope can call nothing".to_owned()),
            ),
            ("audience", audience.map(|why| format!("an audience {why}"))),
            ("custom", life(form).err()),
            ("client", unfit(form.value("client").trim()).map(|why| format!("the client {why}"))),
        ]);
        form.hide("custom", !is_custom);
    }
    fn deed(&self, form: &Form) -> Option<Issue> {
        read(form).map(Issue)
    }
    fn took(&self, issued: Issued, turn: &mut Turn<'_>) {
        // the panel says that it was issued, and nothing may lie over it
        turn.push(SecretPanel::of_token(issued, turn.now));
    }
}

/// An algorithm, whose newest key signs; and where it has several, each of the others.
fn keys(from: &TokenChoices) -> Vec<Choice> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ISSUED {
        let mut signing = from.keys.iter().filter(|key| key.algorithm == algorithm);
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
