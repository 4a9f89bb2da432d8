//! What a home says when it is opened anew, without faults: the truth against which answers are held.

use std::sync::Arc;

use portcullis::{
    domain::{
        api_key::{ApiKey, KeyId},
        clock::SystemClock,
        filter::{Filter, KEY_FIELDS},
        name::PolicyName,
        policy::Revision,
    },
    ops::{self, Ctx},
    store::{
        self, Mode,
        api_key::{Query, Sort},
    },
};

use super::support::home::Home;

pub struct Books(Ctx, store::home::Home);

impl Books {
    pub fn open(home: &Home) -> Self {
        let place = store::home::Home::at(home.path());
        let ctx = Ctx::open(&place, Mode::ReadOnly, "test", Arc::new(SystemClock));
        Self(ctx.expect("a store that can be opened after any fault"), place)
    }

    pub fn key(&self, id: &str) -> ApiKey {
        let id: KeyId = id.parse().expect("an id");
        ops::api_key::show(&self.0, id).expect("the key")
    }

    pub fn keys_of(&self, subject: &str) -> Vec<ApiKey> {
        let now = self.0.now();
        let filter = Filter::parse(&format!("subject:{subject}"), KEY_FIELDS, now).expect("a filter");
        let query = Query { filter, sort: Sort::Created, descending: false, now };
        ops::api_key::list(&self.0, &query, None, 1000).expect("a list").items
    }

    /// How many records there are of this act on this object.
    pub fn records(&self, act: &str, object: &str) -> usize {
        let query = store::audit::Query {
            act: Some(act.to_owned()),
            object: Some(object.to_owned()),
            limit: 1000,
            ..Default::default()
        };
        ops::audit::list(&self.0, &query).expect("records").len()
    }

    /// The revisions of a policy, newest first.
    pub fn revisions(&self, policy: &str) -> Vec<Revision> {
        let name: PolicyName = policy.parse().expect("a name");
        ops::policy::history(&self.0, &name).unwrap_or_default()
    }

    /// Both databases are sound, and the audit chain is.
    pub fn assert_whole(&self) {
        assert_eq!(self.0.store.integrity().expect("a readable store"), Vec::<String>::new());
        let verdict =
            ops::audit::verify_against(&self.0, &self.1, &ops::audit::Kept::default()).expect("a verdict");
        assert!(verdict.valid, "{verdict:?}");
    }
}
