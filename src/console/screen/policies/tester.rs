//! Tries a call against a policy: every check with its outcome, as it is typed. Nothing is
//! charged and nothing recorded.

use std::net::IpAddr;
use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use crate::console::ask::{Choices, ListChoices};
use crate::console::canvas::{Canvas, piece};
use crate::console::effect::Reply;
use crate::console::held::Held;
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::widget::field::Field;
use crate::console::widget::form::{Form, Said};
use crate::domain::clock::Timestamp;
use crate::domain::credential::CredentialId;
use crate::domain::decision::{Account, Check, Principal, Request, explain};
use crate::domain::endpoint::Endpoint;
use crate::domain::identity::Identity;
use crate::domain::name::{BadName, ScopeName};
use crate::domain::policy::{CompiledPolicy, Revision};
use crate::domain::quota::{Cost, Counter};
use crate::domain::scope::Catalogue;

/// Stands for a key where none is meant.
const NO_KEY: &str = "0000000000000000000000";

pub struct Tester {
    revision: Revision,
    choices: Held<Choices>,
    form: Form,
    /// The outcome for the fields as they stand, or why there is none.
    checks: Result<Vec<Check>, String>,
}

impl Tester {
    pub fn new(revision: Revision, now: Timestamp) -> Self {
        let mut form = Form::new(
            "close",
            vec![
                Field::text(
                    "endpoint",
                    "endpoint",
                    "tools/call/search_docs, or a path such as /health",
                    "tools/list",
                ),
                Field::text("address", "address", "of the client", "127.0.0.1").empty_means("unknown"),
                Field::text("at", "time", "a date, or RFC 3339", &now.to_string()),
                Field::many("scopes", "scopes", "that the key holds", Vec::new(), &[]),
            ],
        )
        .without_buttons();
        for field in &mut form.fields {
            field.touched = true;
        }
        Self { revision, choices: Held::default(), form, checks: Ok(Vec::new()) }
    }

    fn judge(&mut self) {
        let Some(choices) = &self.choices.value else { return };
        let endpoint = self.form.value("endpoint").trim().parse::<Endpoint>();
        let address = match self.form.value("address").trim() {
            "" => Ok(None),
            text => text.parse::<IpAddr>().map(Some).map_err(|_| {
                "this is not an IP address; write one such as 10.0.0.1 or 2001:db8::1".to_owned()
            }),
        };
        let at = Timestamp::typed(self.form.value("at"));
        self.form.judge([
            ("endpoint", endpoint.as_ref().err().map(ToString::to_string)),
            ("address", address.as_ref().err().cloned()),
            ("at", at.as_ref().err().map(ToString::to_string)),
        ]);
        let held: Vec<ScopeName> = self
            .form
            .field("scopes")
            .map(|field| field.values().into_iter().filter_map(|scope| scope.parse().ok()).collect())
            .unwrap_or_default();
        self.checks = match (endpoint, address, at) {
            (Ok(endpoint), Ok(address), Ok(at)) => {
                let request = Request { endpoint, address, at };
                try_call(&self.revision, &choices.catalogue, &held, &request)
            }
            _ => Err("fill in the fields above".into()),
        };
    }
}

fn try_call(
    revision: &Revision,
    catalogue: &Catalogue,
    held: &[ScopeName],
    request: &Request,
) -> Result<Vec<Check>, String> {
    let policy =
        CompiledPolicy::new(revision.policy.clone(), revision.revision).map_err(|error| error.to_string())?;
    let scopes = revision.policy.effective_scopes(held);
    let key = NO_KEY.parse().map_err(|error| format!("{error}"))?;
    let principal = Principal {
        credential: CredentialId::ApiKey(key),
        identity: Identity::own("tester".parse().map_err(|error: BadName| error.to_string())?),
        covered: Arc::new(catalogue.compile(&scopes)),
        scopes: scopes.into(),
        policy,
        bound: None,
        account: Account::ApiKey(key),
        expires_at: None,
        proof: None,
    };
    let limits = &revision.policy.rate_limits;
    let charge = Counter::new().peek_call(limits, Cost::of(&request.endpoint), request.at);
    Ok(explain(&principal, request, &charge))
}

impl Layer for Tester {
    fn crumbs(&self) -> Vec<String> {
        vec![self.revision.policy.name.as_str().to_owned(), "test".into()]
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.choices.ask(ListChoices, turn);
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
        }
        match self.form.key(key) {
            Said::Submit | Said::Cancel => turn.close(),
            Said::Changed => self.judge(),
            Said::Taken | Said::Nothing => {}
        }
        true
    }
    /// Its scopes are still on their way.
    fn waits(&self, _name: Option<&str>) -> bool {
        self.choices.value.is_none() && self.choices.is_waiting()
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        self.form.paste(text);
        self.judge();
    }
    fn reply(&mut self, reply: &mut Reply, _turn: &mut Turn<'_>) {
        if !self.choices.settle(reply) {
            return;
        }
        let scopes = self.choices.value.as_ref().map(Choices::scopes).unwrap_or_default();
        if let Some(field) = self.form.field_mut("scopes") {
            *field = Field::many("scopes", "scopes", "that the key holds", scopes, &["mcp:*".to_owned()]);
        }
        self.judge();
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        self.form.hints()
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        canvas.blank(area);
        let theme = canvas.theme().clone();
        let title = format!("try a call against {} r{}", self.revision.policy.name, self.revision.revision);
        let inside = canvas.frame(area, &title, theme.accent);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
        let form = Rect { height: inside.height.saturating_sub(9), ..inside };
        self.form.draw(canvas, form);
        let y = form.bottom();
        let below = Rect { y, height: inside.bottom().saturating_sub(y), ..inside };
        let checks = match &self.checks {
            Ok(checks) => checks,
            Err(why) => {
                canvas.heading(below, below.y, "Decision");
                canvas.put(below.x, below.y + 1, below.width, why, theme.dim);
                return;
            }
        };
        let failed = checks.iter().find(|check| !check.passed);
        canvas.heading(below, below.y, "Decision");
        let verdict = match failed {
            None => vec![piece("✓ allow", theme.good)],
            Some(first) => {
                vec![piece("✕ deny", theme.bad), piece(format!("  by {}", first.check), theme.text)]
            }
        };
        canvas.put_pieces(below.x, below.y + 1, below.width, &verdict);
        for (y, check) in (below.y + 2..below.bottom()).zip(checks) {
            let (glyph, style) = if check.passed { ("✓", theme.good) } else { ("✕", theme.bad) };
            canvas.put_pieces(
                below.x,
                y,
                below.width,
                &[
                    piece(format!("{glyph} "), style),
                    piece(format!("{:<12}", check.check), theme.text),
                    piece(check.detail.as_str(), theme.dim),
                ],
            );
        }
    }
}
