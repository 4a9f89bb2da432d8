//! Who was stopped: what the audit chain says of revocations and the like, replayed to how all of them must stand now.
//!
//! A row of a table can be removed, or replaced by an older one of itself, and no seal shows it. The chain shows it: what
//! it says was taken back must be taken back in the tables too.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{
    act::Act, api_key::KeyTerms, audit::Record, clock::Timestamp, issuer::IssuerTerms, token::REMEMBERED,
};

/// How a key must stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyStop {
    pub revoked: bool,
    pub disabled: bool,
    /// It was removed for good: there is no such key any more.
    pub purged: bool,
    /// When its secret was last replaced: the one before is good no longer than was said then.
    pub rotated_at: Option<Timestamp>,
    /// What it was changed to last; `None` where it is as it was made.
    pub terms: Option<KeyTerms>,
}

/// A revocation of tokens that must be there. `None` for `issuer` is this home, or every issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revoked {
    pub kind: String,
    pub issuer: Option<String>,
    pub object: String,
}

/// Until when and how far it must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Where it parts what is refused from what is not; the latest that was recorded.
    pub cut: Option<Timestamp>,
    /// It may be gone, for what it refused is expired and was purged.
    pub may_be_gone: bool,
    pub ends_at: Option<Timestamp>,
    /// Whether the record says when it ends: those of older releases do not.
    says_its_end: bool,
    /// When it was recorded last.
    recorded_at: Timestamp,
}

impl Reach {
    /// Whether its row may be gone at `now`: what it refused is expired, and whatever ended is forgotten in passing when
    /// a token is issued. Of one whose record does not say when it ends nothing more can be said once it could have been
    /// forgotten.
    pub fn is_over(&self, revoked: &Revoked, now: Timestamp) -> bool {
        self.may_be_gone
            || match self.says_its_end {
                true => self.ends_at.is_some_and(|ends_at| ends_at < now),
                false => revoked.kind == "token" && self.recorded_at.plus(REMEMBERED) < now,
            }
    }
}

/// All that was stopped and not set free again.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    pub keys: HashMap<String, KeyStop>,
    pub revoked: BTreeMap<Revoked, Reach>,
    /// Signing keys that are retired.
    pub retired: HashSet<String>,
    /// Issuers that were removed.
    pub removed: HashSet<String>,
    /// The newest revision of each policy that there is.
    pub policies: HashMap<String, u64>,
    /// What each scope that was set covers, as it was recorded; nothing where it was removed.
    pub scopes: HashMap<String, Vec<String>>,
    /// The keys of each issuer as they were recorded last, by their thumbprints (RFC 7638).
    pub issuer_keys: HashMap<String, Vec<String>>,
    /// What each issuer was changed to last; those that are as they were made are not among them.
    pub issuer_terms: HashMap<String, IssuerTerms>,
}

impl Stops {
    /// The acts that stop somebody, set free again, or forget what has ended: each tells all of one stop, so that it can be
    /// done again.
    pub const OF_SOMEBODY: [Act; 10] = [
        Act::KeyRevoke,
        Act::KeyDisable,
        Act::KeyEnable,
        Act::KeyRotate,
        Act::KeyPurge,
        Act::TokenRevoke,
        Act::TokenPurge,
        Act::SigningKeyRetire,
        Act::IssuerAdd,
        Act::IssuerRemove,
    ];

    /// Those that may allow less than was allowed.
    const OF_LIMITS: [Act; 9] = [
        Act::KeySet,
        Act::PolicyCreate,
        Act::PolicyApply,
        Act::PolicyRollback,
        Act::PolicyDelete,
        Act::ScopeSet,
        Act::ScopeRemove,
        Act::IssuerSet,
        Act::IssuerRefresh,
    ];

    /// All that [`Stops::add`] takes in.
    pub fn acts() -> impl Iterator<Item = Act> {
        Self::OF_SOMEBODY.into_iter().chain(Self::OF_LIMITS)
    }

    /// Takes one more record, the next in the chain. Other acts change nothing.
    pub fn add(&mut self, record: &Record) {
        let Some(act) = Self::acts().find(|act| act.as_str() == record.act) else { return };
        let (object, detail) = (record.object.clone(), &record.detail);
        match act {
            Act::KeyRevoke => self.key(object).revoked = true,
            Act::KeyDisable => self.key(object).disabled = true,
            Act::KeyEnable => self.key(object).disabled = false,
            Act::KeyRotate => self.key(object).rotated_at = Some(record.at),
            Act::KeySet => self.key(object).terms = serde_json::from_value(detail["after"].clone()).ok(),
            Act::KeyPurge => detail["keys"].as_array().into_iter().flatten().for_each(|id| {
                self.key(id.as_str().unwrap_or_default().to_owned()).purged = true;
            }),
            Act::TokenRevoke => self.revoke(object, detail, record.at),
            Act::TokenPurge => self.purge(detail),
            Act::SigningKeyRetire => _ = self.retired.insert(object),
            Act::IssuerAdd => {
                self.removed.remove(&object);
                self.issuer_terms.remove(&object);
                self.keys_of(object, detail);
            }
            Act::IssuerSet => {
                if let Ok(terms) = serde_json::from_value(detail["after"].clone()) {
                    self.issuer_terms.insert(object.clone(), terms);
                }
                self.keys_of(object, &detail["after"]);
            }
            Act::IssuerRefresh => self.keys_of(object, detail),
            Act::IssuerRemove => {
                self.issuer_keys.remove(&object);
                self.issuer_terms.remove(&object);
                self.removed.insert(object);
            }
            Act::ScopeSet => _ = self.scopes.insert(object, texts(&detail["endpoints"])),
            Act::ScopeRemove => _ = self.scopes.insert(object, Vec::new()),
            Act::PolicyDelete => _ = self.policies.remove(&object),
            _ => {
                if let Some(revision) = detail["revision"].as_u64() {
                    self.policies.insert(object, revision);
                }
            }
        }
    }

    fn key(&mut self, id: String) -> &mut KeyStop {
        self.keys.entry(id).or_default()
    }

    /// A record that says nothing of keys is of a release that did not.
    fn keys_of(&mut self, issuer: String, detail: &Value) {
        match detail["keys"].as_array() {
            Some(_) => self.issuer_keys.insert(issuer, texts(&detail["keys"])),
            None => self.issuer_keys.remove(&issuer),
        };
    }

    fn revoke(&mut self, object: String, detail: &Value, at: Timestamp) {
        let Some(kind) = detail["kind"].as_str() else { return };
        let issuer = detail["issuer"].as_str().map(str::to_owned);
        if kind == "key" && issuer.is_none() {
            self.retired.insert(object.clone());
        }
        let reach = Reach {
            cut: moment(&detail["cut"]),
            may_be_gone: false,
            ends_at: moment(&detail["ends_at"]),
            says_its_end: detail.get("ends_at").is_some(),
            recorded_at: at,
        };
        let known = self.revoked.entry(Revoked { kind: kind.to_owned(), issuer, object }).or_default();
        *known = Reach { cut: reach.cut.max(known.cut), ..reach };
    }

    /// What had ended may be gone. Of one whose record does not say when it ends, and that is of a single token, as only
    /// those end, nothing more can be said.
    fn purge(&mut self, detail: &Value) {
        let Some(before) = moment(&detail["before"]) else { return };
        if detail["revocations"].as_u64() == Some(0) {
            return;
        }
        for (revoked, reach) in &mut self.revoked {
            reach.may_be_gone |= if reach.says_its_end {
                reach.ends_at.is_some_and(|ends_at| ends_at < before)
            } else {
                revoked.kind == "token"
            };
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A moment as records write it.
fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replayed(records: &[(&str, &str, Value)]) -> Stops {
        let mut stops = Stops::default();
        for (seq, (act, object, detail)) in (1..).zip(records) {
            stops.add(&Record {
                seq,
                at: Timestamp::from_millis(seq * 1000),
                actor: "cli:alice".into(),
                act: (*act).into(),
                object: (*object).into(),
                detail: detail.clone(),
            });
        }
        stops
    }

    #[test]
    fn the_last_word_on_a_key_counts_and_revocation_is_for_good() {
        let terms =
            |policy: &str| json!({ "policy": policy, "scopes": ["s"], "name": "", "expires_at": null });
        let stops = replayed(&[
            ("key.create", "a", json!({})),
            ("key.disable", "a", json!({})),
            ("key.enable", "a", json!({})),
            ("key.disable", "b", json!({})),
            ("key.rotate", "b", json!({})),
            ("key.set", "e", json!({ "before": {}, "after": terms("first") })),
            ("key.set", "e", json!({ "before": terms("first"), "after": terms("last") })),
            ("key.revoke", "c", json!({})),
            ("key.revoke", "d", json!({})),
            ("key.purge", "", json!({ "keys": ["d"] })),
            ("refused", "f", json!({ "act": "key.revoke" })),
        ]);
        assert_eq!(stops.keys["a"], KeyStop::default());
        let rotated_at = Some(Timestamp::from_millis(5000));
        assert_eq!(stops.keys["b"], KeyStop { disabled: true, rotated_at, ..KeyStop::default() });
        assert!(stops.keys["c"].revoked);
        assert!(stops.keys["d"].purged && !stops.keys.contains_key("f"));
        assert_eq!(stops.keys["e"].terms.as_ref().unwrap().policy.as_str(), "last");
    }

    #[test]
    fn a_revocation_may_be_gone_once_what_it_refused_was_purged() {
        let revoke = |end: Value| json!({ "kind": "token", "issuer": null, "cut": null, "ends_at": end });
        let stops = replayed(&[
            ("token.revoke", "ended", revoke(json!("2026-01-01T00:00:00Z"))),
            ("token.revoke", "later", revoke(json!("2026-03-01T00:00:00Z"))),
            ("token.revoke", "never", revoke(json!(null))),
            ("token.revoke", "old", json!({ "kind": "token", "issuer": null, "cut": null })),
            ("token.revoke", "kid", json!({ "kind": "key", "issuer": null, "cut": null })),
            ("token.purge", "", json!({ "before": "2026-02-01T00:00:00Z", "revocations": 2 })),
        ]);
        let gone = |object: &str| {
            let found = stops.revoked.iter().find(|(revoked, _)| revoked.object == object);
            found.is_some_and(|(_, reach)| reach.may_be_gone)
        };
        assert!(gone("ended") && gone("old"));
        assert!(!gone("later") && !gone("never") && !gone("kid"));
        assert!(stops.retired.contains("kid"));
    }

    #[test]
    fn what_a_scope_covers_and_what_an_issuer_is_are_as_they_were_recorded_last() {
        let terms = |policy: &str, key: &str| {
            json!({ "profile": "oidc", "url": null, "allow_private": [], "audience": "a", "algorithms": ["ES256"],
                "policy": policy, "mapping": { "subject": "sub", "scopes": "scope", "prefix": "", "rename": {} }, "keys": [key] })
        };
        let stops = replayed(&[
            ("scope.set", "s", json!({ "endpoints": ["tools/list", "tools/call/*"] })),
            ("scope.set", "s", json!({ "endpoints": ["tools/list"] })),
            ("scope.set", "gone", json!({ "endpoints": ["tools/list"] })),
            ("scope.remove", "gone", json!({})),
            ("issuer.add", "i", json!({ "keys": ["a"] })),
            ("issuer.refresh", "i", json!({ "keys": ["b"], "before": ["a"] })),
            ("issuer.add", "old", json!({})),
            ("issuer.add", "set", json!({ "keys": ["a"] })),
            ("issuer.set", "set", json!({ "before": terms("a", "b"), "after": terms("c", "b") })),
            ("issuer.set", "set", json!({ "before": terms("c", "b"), "after": terms("d", "e") })),
            ("issuer.add", "removed", json!({ "keys": ["a"] })),
            ("issuer.set", "removed", json!({ "before": {}, "after": terms("a", "a") })),
            ("issuer.remove", "removed", json!({})),
            ("issuer.add", "anew", json!({ "keys": ["a"] })),
            ("issuer.set", "anew", json!({ "before": {}, "after": terms("a", "a") })),
            ("issuer.remove", "anew", json!({})),
            ("issuer.add", "anew", json!({ "keys": ["f"] })),
        ]);
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            stops.scopes,
            HashMap::from([("s".to_owned(), texts(&["tools/list"])), ("gone".to_owned(), Vec::new())])
        );
        let keys = [("i", "b"), ("set", "e"), ("anew", "f")];
        let keys = HashMap::from(keys.map(|(name, key)| (name.to_owned(), texts(&[key]))));
        assert_eq!(stops.issuer_keys, keys);
        let policies: Vec<_> =
            stops.issuer_terms.iter().map(|(name, terms)| (&**name, terms.policy.as_str())).collect();
        assert_eq!(policies, [("set", "d")]);
    }

    #[test]
    fn the_latest_cut_and_the_newest_revision_count() {
        let cut = |day: &str| json!({ "kind": "subject", "issuer": null, "cut": format!("2026-01-{day}T00:00:00Z") });
        let stops = replayed(&[
            ("token.revoke", "alice", cut("02")),
            ("token.revoke", "alice", cut("01")),
            ("policy.create", "p", json!({ "revision": 1 })),
            ("policy.apply", "p", json!({ "revision": 2 })),
            ("policy.create", "gone", json!({ "revision": 1 })),
            ("policy.delete", "gone", json!({ "revision": 1 })),
            ("issuer.add", "i", json!({})),
            ("issuer.remove", "i", json!({})),
            ("issuer.remove", "j", json!({})),
            ("issuer.add", "j", json!({})),
        ]);
        let reach = stops.revoked.values().next().unwrap();
        assert_eq!(reach.cut, Some("2026-01-02T00:00:00Z".parse().unwrap()));
        assert_eq!(stops.policies, HashMap::from([("p".to_owned(), 2)]));
        assert!(stops.removed.contains("i") && !stops.removed.contains("j"));
    }
}
