//! A small store in memory, and what stands in it.

use std::time::Duration;

use crate::domain::api_key::{ApiKey, Environment, KeyId, SecretDigest};
use crate::domain::audit::{Hash, Record};
use crate::domain::clock::Timestamp;
use crate::domain::decision::{Check, CredentialId, Reason};
use crate::domain::event::Event as Recorded;
use crate::domain::policy::{Policy, Revision};
use crate::domain::scope::Catalogue;
use crate::domain::secret::Secret;
use crate::domain::usage::Totals;
use crate::ops::api_key::IssuedKey;
use crate::ops::backup::BackedUp;
use crate::store::audit::Entry;
use crate::store::backup::VaultKey;
use crate::store::gateway::{Gateway, Presence};
use crate::store::{Damaged, StoreError};

use crate::console::effect::{
    Activity, Answer, Busy, Choices, Deed, Fault, KeyCounts, KeyDetail, KeyWindow, Query, Refused, Traffic,
    UsageView,
};

pub const SECRET: &str = "pcl_live_0000000000000000000000_theSecretThatIsShownOnceAndNeverAgain00000abcdef";

/// 2026-07-28T14:02:11Z
pub fn noon() -> Timestamp {
    "2026-07-28T14:02:11Z".parse().unwrap()
}

pub fn id(number: usize) -> KeyId {
    format!("{number:022}").parse().unwrap()
}

pub fn key(number: usize) -> ApiKey {
    let day = Duration::from_secs(86_400);
    ApiKey {
        id: id(number),
        environment: Environment::default(),
        name: if number.is_multiple_of(3) { String::new() } else { format!("agent-{number}") },
        subject: format!("user{number}@example.com").parse().unwrap(),
        scopes: vec!["mcp:read".parse().unwrap()],
        policy: "default".parse().unwrap(),
        created_at: noon().minus(day * number as u32),
        expires_at: [Some(noon().plus(Duration::from_secs(7_200))), None, Some(noon().minus(day))]
            [number % 3],
        disabled: number % 5 == 4,
        revoked_at: (number % 7 == 6).then(|| noon().minus(day)),
        revoked_reason: if number % 7 == 6 { "laptop lost".into() } else { String::new() },
        rotated_at: None,
        previous_until: None,
        digest: SecretDigest::from_bytes([0; 32]),
        previous_digest: None,
    }
}

pub fn revision(name: &str, number: u32) -> Revision {
    let mut policy = Policy::new(name.parse().unwrap());
    policy.rate_limits.requests_per_minute = Some(10 * number);
    let (author, reason) = ("console:ana".to_owned(), format!("change {number}"));
    Revision { policy, revision: number, author, reason, saved_at: noon().minus(Duration::from_secs(3_600)) }
}

/// What the store would say.
#[derive(Clone)]
pub struct Shop {
    pub keys: usize,
    /// The label of every key, where it is not the usual one.
    pub label: Option<&'static str>,
    pub busy: u64,
    pub fault: Option<Fault>,
    /// What is wrong with signing keys that are damaged.
    pub damaged_keys: Vec<String>,
    /// Which key is damaged, and what is wrong with policies that are.
    pub damaged_key: Option<usize>,
    pub damaged_policies: Vec<StoreError>,
    /// How many keys were made elsewhere meanwhile: they stand on top of the others.
    pub made: usize,
    /// A key that was removed elsewhere meanwhile.
    pub gone: Option<usize>,
}

impl Shop {
    pub fn key(&self, number: usize) -> ApiKey {
        let usual = key(number);
        let name = self.label.map_or_else(|| usual.name.clone(), str::to_owned);
        ApiKey { name, ..usual }
    }
    fn row(&self, number: usize) -> Result<ApiKey, Damaged> {
        let damaged =
            Damaged { id: id(number).to_string(), why: "its seal does not fit what it holds".into() };
        if self.damaged_key == Some(number) { Err(damaged) } else { Ok(self.key(number)) }
    }
    /// The keys in the order of the list: those that were made elsewhere are numbered from 10 000 on.
    fn numbers(&self) -> Vec<usize> {
        let made = (0..self.made).map(|place| 10_000 + self.made - place);
        made.chain((0..self.keys).filter(|number| self.gone != Some(*number))).collect()
    }
    fn numbers_at(&self, offset: u64, limit: u32) -> Vec<usize> {
        self.numbers().into_iter().skip(offset as usize).take(limit as usize).collect()
    }
    pub fn totals(scale: u64) -> Totals {
        Totals { allowed: 90 * scale, denied: 7 * scale, failed: scale }
    }
    pub fn series(steps: usize) -> Vec<(Timestamp, Totals)> {
        (0..steps)
            .map(|step| {
                let at = noon().minus(Duration::from_secs(60 * (steps - step) as u64));
                (at, Self::totals((step % 8) as u64))
            })
            .collect()
    }
    pub fn busy(objects: &[&str]) -> Vec<Busy> {
        objects
            .iter()
            .enumerate()
            .map(|(place, object)| Busy {
                object: (*object).to_owned(),
                label: (*object).to_owned(),
                totals: Self::totals(20 / (place as u64 + 1)),
            })
            .collect()
    }
    pub fn refusal(kind: Reason, subject: &str) -> Recorded {
        Recorded {
            seq: 1,
            at: noon().minus(Duration::from_secs(42)),
            kind: kind.as_str().into(),
            credential: id(1).to_string(),
            issuer: String::new(),
            subject: subject.into(),
            endpoint: "tools/call/delete_file".into(),
            address: "203.0.113.7".into(),
            count: 3,
            detail: String::new(),
        }
    }
    pub fn refusals() -> Vec<Recorded> {
        let kinds = [Reason::IpDenied, Reason::RateLimited, Reason::Expired, Reason::UnknownCredential];
        let (issuers, subjects) = (["", "", "corp", ""], ["ana@example.com", "bo@example.com", "dora", ""]);
        let recorded = |(place, kind): (usize, Reason)| Recorded {
            seq: 9 - place as i64,
            issuer: issuers[place].into(),
            detail: ["", "", "", "r-3; issuer: the token claims to be of `https://evil.example`"][place]
                .into(),
            ..Self::refusal(kind, subjects[place])
        };
        kinds.into_iter().enumerate().map(recorded).collect()
    }
    fn refused(event: &Recorded) -> Refused {
        let known = event.kind != Reason::UnknownCredential.as_str() && event.issuer.is_empty();
        let check = |check, passed, detail: &str| Check { check, passed, detail: detail.into() };
        let checks = vec![
            check("credential", true, "the key was active then"),
            check("ip", false, "203.0.113.7 is not on the whitelist"),
        ];
        Refused {
            event: event.clone(),
            why: "the address may not call".into(),
            credential: known.then(|| CredentialId::ApiKey(id(1))),
            policy: known.then(|| revision("default", 3)),
            checks: if known { checks } else { Vec::new() },
        }
    }
    pub fn answer(&self, query: &Query) -> Result<Answer, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        Ok(match query {
            Query::Traffic { .. } => Answer::Traffic(Box::new(Traffic {
                minute: Self::totals(1),
                hour: Self::totals(60),
                day: Self::totals(1_400),
                rate: 1.6,
                series: Self::series(60),
                credentials: Self::busy(&["ana@example.com · ci", "bo@example.com"]),
                endpoints: Self::busy(&["tools/call/search_docs", "tools/list", "/health"]),
                refusals: vec![
                    Self::refusal(Reason::IpDenied, "ana@example.com"),
                    Self::refusal(Reason::RateLimited, "evil\u{1b}[2J\u{202e}name"),
                ],
                gateways: vec![Gateway {
                    presence: Presence {
                        listen: "http://127.0.0.1:8080".into(),
                        admin_listen: "http://127.0.0.1:8081".into(),
                        upstream: "http://127.0.0.1:3000/mcp".into(),
                        since: noon().minus(Duration::from_secs(7_200)),
                        version: "0".into(),
                        process: 1,
                    },
                    alive: Some(true),
                }],
            })),
            Query::KeyCounts { .. } => {
                let active = self.keys as u64;
                let some = u64::from(active > 0);
                Answer::KeyCounts(KeyCounts {
                    active,
                    disabled: some,
                    expired: 2 * some,
                    revoked: some,
                    ending: some,
                })
            }
            Query::KeyTotal(_) => Answer::KeyTotal(self.numbers().len() as u64),
            Query::KeyWindow { offset, limit, .. } => Answer::KeyWindow(KeyWindow {
                offset: *offset,
                rows: self.numbers_at(*offset, *limit).into_iter().map(|number| self.row(number)).collect(),
            }),
            Query::KeyIds { offset, limit, .. } => {
                Answer::KeyIds(self.numbers_at(*offset, *limit).into_iter().map(id).collect())
            }
            Query::KeyPlace { id: wanted, .. } => {
                let place = self.numbers().into_iter().position(|number| id(number).as_str() == wanted);
                Answer::KeyPlace(place.map(|place| place as u64))
            }
            Query::KeyDetail { id, .. } => {
                let number: usize = id.as_str().parse().unwrap();
                let record = Record {
                    seq: 7,
                    at: noon().minus(Duration::from_secs(600)),
                    actor: "console:ana".into(),
                    act: "key.create".into(),
                    object: id.to_string(),
                    detail: serde_json::Value::Null,
                };
                Answer::KeyDetail(Box::new(KeyDetail {
                    tokens: 2,
                    key: key(number),
                    policy: Some(revision("default", 3)),
                    covers: [("mcp:read".to_owned(), vec!["tools/list".to_owned(), "resources/**".into()])]
                        .into(),
                    series: Self::series(48),
                    day: Self::totals(9),
                    events: vec![Self::refusal(Reason::IpDenied, "x")],
                    audit: vec![Entry { record, hash: Hash::GENESIS, signature: None }],
                }))
            }
            Query::KeyActivity { ids, .. } => {
                let named = |id: &KeyId| {
                    let key = self.key(id.as_str().parse().unwrap());
                    format!("{} of {}", key.name, key.subject)
                };
                Answer::KeyActivity(Activity {
                    calls: self.busy,
                    keys: ids.len() as u64,
                    subjects: ids.len() as u64,
                    first: ids.iter().take(Activity::NAMED).map(named).collect(),
                })
            }
            Query::Choices => Answer::Choices(Choices {
                catalogue: Catalogue::new(Catalogue::built_in()).unwrap(),
                policies: vec!["default".parse().unwrap(), "readers".parse().unwrap()],
            }),
            Query::Token(query) => Answer::Token(self.answer_token(query)),
            Query::Policies => {
                let sound = vec![(revision("default", 3), 12), (revision("readers", 1), 0)];
                Answer::Policies((sound, self.damaged_policies.clone()))
            }
            Query::Refusals { .. } => Answer::Refusals(Self::refusals()),
            Query::Refusal(event) => Answer::Refusal(Box::new(Self::refused(event))),
            Query::History(name) => {
                Answer::History((1..=3).rev().map(|n| revision(name.as_str(), n)).collect())
            }
            Query::Usage { .. } => Answer::Usage(Box::new(UsageView {
                totals: Self::totals(200),
                series: Self::series(60),
                top: Self::busy(&["ana@example.com", "bo@example.com"]),
            })),
        })
    }
    pub fn act(&self, deed: &Deed) -> Result<Answer, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let issued = || {
            Answer::Issued(Box::new(IssuedKey { key: key(1), text: Secret::new(SECRET.into()), ended: 0 }))
        };
        Ok(match deed {
            Deed::CreateKey(_) | Deed::RotateKey { .. } => issued(),
            Deed::SetKeys { ids, .. }
            | Deed::DisableKeys(ids)
            | Deed::EnableKeys(ids)
            | Deed::RevokeKeys { ids, .. } => Answer::Changed(ids.len() as u64),
            Deed::CreatePolicy { policy, .. } | Deed::SavePolicy { policy, .. } => {
                Answer::Saved(Box::new(revision(policy.name.as_str(), 4)))
            }
            Deed::RollbackPolicy { name, .. } => Answer::Saved(Box::new(revision(name.as_str(), 4))),
            Deed::PurgeDamagedKeys => Answer::Changed(1),
            Deed::DeletePolicy(_) => Answer::Deleted,
            Deed::BackUp { file, .. } => {
                let vault_key = VaultKey::Included;
                let manifest = serde_json::from_value(serde_json::json!({
                    "version": "0", "taken_at": noon(), "store_id": "s1", "seq": 7, "head": "00",
                    "vault_key": vault_key, "parts": [],
                }));
                let manifest = manifest.unwrap();
                Answer::BackedUp(Box::new(BackedUp {
                    file: file.clone(),
                    size: 70_000,
                    manifest,
                    damaged: Vec::new(),
                }))
            }
            Deed::WriteSecret { file, .. } => Answer::Written(file.clone()),
            Deed::Token(deed) => self.act_token(deed),
        })
    }
}
