//! A home in a folder of its own, with an operator to change it.

use crate::domain::{
    api_key::{KeyId, PresentedKey},
    clock::{Clock, ManualClock, Timestamp},
    decision::{Principal, Reason, Request},
    event::Event,
    name::PolicyName,
    policy::Policy,
};
use crate::engine::{Decided, Engine, Presented, Watch};
use crate::ops::{
    self, Ctx,
    api_key::NewKey,
    bench::new_token,
    token::{Issued, NewToken},
};
use crate::store::{self, Mode, home::Home};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// 2027-01-15T08:00:00Z: the start of a minute, an hour and a tenth of a day.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub struct House {
    pub folder: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub ctx: Ctx,
}

impl House {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let ctx = open(&folder, &clock);
        Self { folder, clock, ctx }
    }

    /// The home of another that was left, opened again.
    pub fn again(folder: tempfile::TempDir, clock: Arc<ManualClock>) -> Self {
        let ctx = open(&folder, &clock);
        Self { folder, clock, ctx }
    }

    /// Another process on the same home: an operator with connections of its own.
    pub fn neighbour(&self) -> Ctx {
        open(&self.folder, &self.clock)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A gateway's engine, with connections of its own.
    pub fn engine(&self) -> Arc<Engine> {
        let ctx = self.neighbour();
        Engine::start(ctx.store.clone(), ctx.vault.as_ref().unwrap(), self.clock.clone()).unwrap()
    }

    pub fn gate(&self) -> Gate {
        let engine = self.engine();
        let watch = engine.watch().unwrap();
        Gate { engine, watch, clock: self.clock.clone() }
    }

    /// Saves a policy: the defaults, without limits, with `fields` laid over.
    pub fn policy(&self, name: &str, fields: Value) {
        let mut document = json!({
            "name": name,
            "rate_limits": {"requests_per_minute": null, "requests_per_hour": null, "requests_per_day": null},
        });
        let fields = fields.as_object().unwrap().clone();
        document.as_object_mut().unwrap().extend(fields);
        let policy = Policy::from_json(&document.to_string()).unwrap();
        ops::policy::apply(&self.ctx, policy, "test").unwrap();
    }

    /// A policy of `per_minute` requests, `fixed` or `sliding`.
    pub fn limit(&self, name: &str, per_minute: u32, algorithm: &str) {
        self.policy(
            name,
            json!({"rate_limits": {"requests_per_minute": per_minute, "requests_per_hour": null,
                "requests_per_day": null, "algorithm": algorithm}}),
        );
    }

    /// A key of `alice` with all scopes; its id and its text.
    pub fn key(&self, policy: &str) -> (KeyId, String) {
        self.key_with(policy, &["mcp:*"])
    }

    pub fn key_with(&self, policy: &str, scopes: &[&str]) -> (KeyId, String) {
        let issued = ops::api_key::create(&self.ctx, new_key(policy, scopes)).unwrap();
        (issued.key.id, issued.text.expose().to_owned())
    }

    /// A token of `alice` for an hour, under a policy, with what `change` makes of it.
    pub fn token(&self, policy: &str, change: impl FnOnce(&mut NewToken)) -> Issued {
        ops::token::issue(&self.ctx, new_token(policy, change)).unwrap()
    }

    pub fn events(&self) -> Vec<Event> {
        let query = store::event::Query { limit: 1_000, ..Default::default() };
        ops::event::list(&self.ctx, &query).unwrap()
    }

    pub fn last_hour(&self) -> store::usage::Query {
        store::usage::Query {
            since: self.now().minus(Duration::from_secs(3600)),
            until: self.now().plus(Duration::from_secs(60)),
            ..Default::default()
        }
    }
}

/// A key of `alice` for a day.
pub fn new_key(policy: &str, scopes: &[&str]) -> NewKey {
    NewKey {
        subject: "alice".parse().unwrap(),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        policy: policy.parse::<PolicyName>().unwrap(),
        name: String::new(),
        environment: "live".parse().unwrap(),
        life: Some(Duration::from_secs(24 * 3600)),
    }
}

fn open(folder: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Ctx {
    let home = Home::locate(Some(folder.path().join("home"))).unwrap();
    Ctx::open(&home, Mode::ReadWrite, "test", clock.clone()).unwrap()
}

/// One thread of a gateway.
pub struct Gate {
    pub engine: Arc<Engine>,
    pub watch: Watch,
    pub clock: Arc<ManualClock>,
}

impl Gate {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn authenticate_from(&mut self, text: &str, address: &str) -> Result<Principal, Reason> {
        self.engine.refresh(&mut self.watch).map_err(|_| Reason::Unavailable)?;
        let address = Some(address.parse().unwrap());
        self.engine.authenticate(&presented(text), address, self.clock.now()).map_err(|denied| denied.reason)
    }

    pub fn authenticate(&mut self, text: &str) -> Result<Principal, Reason> {
        self.authenticate_from(text, "192.0.2.1")
    }

    /// The whole way of a request.
    pub async fn ask(&mut self, text: &str, endpoint: &str) -> Result<Decided, Reason> {
        let principal = self.authenticate(text)?;
        Ok(self.engine.decide(&principal, &request(endpoint, self.clock.now())).await)
    }

    /// Whether a call passes, and if not, why.
    pub async fn call(&mut self, text: &str, endpoint: &str) -> Result<(), Reason> {
        use crate::domain::decision::Outcome;
        match self.ask(text, endpoint).await?.decision.outcome {
            Outcome::Allow => Ok(()),
            Outcome::Deny(denial) => Err(denial.reason),
        }
    }
}

pub fn presented(text: &str) -> Presented {
    Presented::of_text(text)
}

pub fn request(endpoint: &str, at: Timestamp) -> Request {
    Request { endpoint: endpoint.parse().unwrap(), address: Some("192.0.2.1".parse().unwrap()), at }
}

/// The same key with another secret, its checksum right.
pub fn with_wrong_secret(text: &str) -> String {
    use crate::domain::api_key::KeySecret;
    let key = PresentedKey::parse(text).unwrap();
    KeySecret::generate().unwrap().join(key.environment.unwrap(), key.id).expose().to_owned()
}

/// The same secret under an id that no key has.
pub fn with_unknown_id(text: &str) -> String {
    let key = PresentedKey::parse(text).unwrap();
    key.secret.join(key.environment.unwrap(), KeyId::generate().unwrap()).expose().to_owned()
}
