//! What the tests of this room, and of those behind it, stand on: a home in a temporary folder, and a clock that stands still.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;

use super::{
    Ctx, OpsError,
    api_key::{self, NewKey},
    audit,
    token::NewToken,
};
use crate::{
    domain::{
        act::Act,
        api_key::ApiKey,
        clock::{ManualClock, Timestamp},
        name::PolicyName,
    },
    store::{Mode, audit::Query, home::Home},
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct Bench {
    pub clock: Arc<ManualClock>,
    pub home: Home,
    pub ctx: Ctx,
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let clock = Arc::new(ManualClock::new("2026-07-28T09:30:00Z".parse().unwrap()));
        let ctx = Ctx::open(&home, Mode::ReadWrite, "cli", clock.clone()).unwrap();
        Self { clock, home, ctx, folder }
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn now(&self) -> Timestamp {
        self.ctx.now()
    }

    pub fn auditor(&self) -> Ctx {
        Ctx::open(&self.home, Mode::ReadOnly, "console", self.clock.clone()).unwrap()
    }

    /// A key for `tools/list` that lives a day.
    pub fn key(&self) -> ApiKey {
        api_key::create(&self.ctx, new_key()).unwrap().key
    }

    /// Acts and objects of the records after the `skip` first, oldest first.
    pub fn records(&self, skip: usize) -> Vec<(String, String)> {
        let mut entries = audit::list(&self.ctx, &Query { limit: 10_000, ..Query::default() }).unwrap();
        entries.reverse();
        entries.into_iter().skip(skip).map(|entry| (entry.record.act, entry.record.object)).collect()
    }

    /// Runs `act` and checks that it left exactly one record, of that act on that object.
    #[track_caller]
    pub fn one_record<T>(&self, act: Act, object: &str, done: impl FnOnce(&Ctx) -> T) -> T {
        let before = self.records(0).len();
        let value = done(&self.ctx);
        assert_eq!(self.records(before), [(act.as_str().to_owned(), object.to_owned())]);
        value
    }

    /// Runs an attempt that must be refused, and checks that its only trace is a `refused` record.
    #[track_caller]
    pub fn refused<T: std::fmt::Debug>(
        &self,
        object: &str,
        attempt: impl FnOnce(&Ctx) -> Result<T, OpsError>,
    ) -> OpsError {
        self.one_record(Act::Refused, object, |ctx| attempt(ctx).unwrap_err())
    }

    #[track_caller]
    pub fn assert_valid(&self) {
        let verdict = audit::verify(&self.ctx).unwrap();
        assert!(verdict.valid, "{verdict:?}");
    }
}

/// A token of `alice` for an hour, with what `change` makes of it.
pub fn new_token(policy: &str, change: impl FnOnce(&mut NewToken)) -> NewToken {
    let mut new = NewToken {
        subject: "alice".parse().unwrap(),
        client: None,
        scopes: vec!["mcp:*".parse().unwrap()],
        audience: Vec::new(),
        policy: policy.parse().unwrap(),
        bind_policy: false,
        life: HOUR,
        algorithm: None,
        kid: None,
        once: false,
        rests_on: Default::default(),
    };
    change(&mut new);
    new
}

pub(super) fn new_key() -> NewKey {
    NewKey {
        subject: "alice".parse().unwrap(),
        scopes: vec!["mcp:*".parse().unwrap()],
        policy: PolicyName::default(),
        name: "laptop".into(),
        environment: crate::domain::api_key::Environment::default(),
        life: Some(api_key::DEFAULT_LIFE),
    }
}
