//! What a home says of itself: its keys, its policies, and its audit log.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::home::Home;

pub struct Ledger {
    /// The state of each key by its id.
    pub keys: HashMap<String, String>,
    /// The subject of each key by its id.
    subjects: HashMap<String, String>,
    /// How many records there are of an act on an object.
    records: HashMap<(String, String), u64>,
    /// The revisions of each policy, newest first, as far as anyone asked.
    revisions: HashMap<String, Vec<Value>>,
}

impl Ledger {
    pub fn read(home: &Home) -> Self {
        let export = home.run(&["audit", "export"]);
        assert_eq!(export.code, 0, "audit export: {}", export.errors);
        let mut records = HashMap::new();
        for line in export.output.lines() {
            let record: Value = serde_json::from_str(line).expect("a record");
            *records.entry((text(&record["act"]), text(&record["object"]))).or_default() += 1;
        }
        let revisions = items(home, &["policy", "list"]).into_iter().map(|policy| {
            let name = text(&policy["name"]);
            let history = items(home, &["policy", "history", &name]);
            (name, history)
        });
        let revisions = revisions.collect();
        let keys = items(home, &["key", "list", "--limit", "1000"]);
        let by_id = |field: &str| keys.iter().map(|key| (text(&key["id"]), text(&key[field]))).collect();
        Self { keys: by_id("state"), subjects: by_id("subject"), records, revisions }
    }

    /// How many records there are of this act on this object.
    pub fn records(&self, act: &str, object: &str) -> u64 {
        self.records.get(&(act.to_owned(), object.to_owned())).copied().unwrap_or(0)
    }

    /// The ids of this subject's keys.
    pub fn keys_of(&self, subject: &str) -> Vec<String> {
        self.subjects.iter().filter(|(_, found)| *found == subject).map(|(id, _)| id.clone()).collect()
    }

    /// The descriptions that a policy had, newest first.
    pub fn descriptions(&self, policy: &str) -> Vec<String> {
        let revisions = self.revisions.get(policy).map(Vec::as_slice).unwrap_or_default();
        revisions.iter().map(|revision| text(&revision["description"])).collect()
    }

    /// What is there has its one record, and what has a record is there.
    pub fn assert_consistent(&self) {
        for (id, state) in &self.keys {
            assert_eq!(self.records("key.create", id), 1, "records of the making of {id}");
            let revoked = u64::from(state == "revoked");
            assert_eq!(self.records("key.revoke", id), revoked, "records of the revoking of {id} ({state})");
        }
        let created = self.records.keys().filter(|(act, _)| act == "key.create").count();
        assert_eq!(created, self.keys.len(), "keys that were made, and keys that are there");
        for (name, revisions) in self.revisions.iter().filter(|(name, _)| *name != "default") {
            let saved = self.records("policy.create", name) + self.records("policy.apply", name);
            assert_eq!(saved, revisions.len() as u64, "records of the revisions of {name}");
        }
    }
}

/// All items of a list, page by page.
fn items(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let more = after.as_deref().map_or_else(Vec::new, |cursor| vec!["--after", cursor]);
        let page = home.json(&[arguments, more.as_slice()].concat());
        all.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next"].as_str() {
            Some(cursor) => after = Some(cursor.to_owned()),
            None => return all,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
