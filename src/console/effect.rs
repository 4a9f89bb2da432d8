//! What the console asks of the world, as plain data: `update` only says it, the runner does it.
//!
//! Every question carries a ticket. Whoever asked keeps the ticket; an answer whose ticket
//! nobody holds any more is stale and is dropped.

mod bulk;
mod token;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::{
    api_key::{ApiKey, KeyId},
    clock::Timestamp,
    decision::{Check, CredentialId},
    event::Event,
    name::PolicyName,
    policy::{Policy, Revision},
    scope::Catalogue,
    secret::Secret,
    usage::Totals,
};
use crate::ops::api_key::{Changes, IssuedKey, NewKey};
use crate::ops::backup::BackedUp;
pub use crate::store::api_key::Counts as KeyCounts;
use crate::store::{Damaged, Sound, api_key as keys, audit::Entry, gateway::Gateway};

pub use bulk::{Activity, Partly};
pub use usage::{By, Focus, Range, UsageView};

pub use token::{
    Judged, KeyInUse, KeysInUse, Reach, Reached, TokenAnswer, TokenChoices, TokenCounts, TokenDeed,
    TokenDetail, TokenQuery,
};

/// What a question is about. Of several waiting questions with one topic only the newest is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    Traffic,
    KeyCounts,
    KeyWindow,
    KeyTotal,
    KeyIds,
    KeyPlace,
    KeyDetail,
    KeyActivity,
    TokenCounts,
    TokenWindow,
    TokenTotal,
    TokenIds,
    TokenPlace,
    TokenDetail,
    TokenChoices,
    TokenReach,
    TokenJudge,
    SigningKeys,
    Choices,
    Policies,
    History,
    Usage,
    Refusals,
    Refusal,
    Deed,
}

/// Names one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub topic: Topic,
    pub number: u64,
}

/// What the runner is to do.
#[derive(Debug)]
pub enum Effect {
    Load(Ticket, Query),
    Act(Ticket, Deed),
    /// Has an act that is under way end early.
    Cancel(Ticket),
    /// Into the terminal's clipboard (OSC 52).
    Copy(Secret),
    /// Whether clicks and the wheel come to us or select text in the terminal.
    Mouse(bool),
    /// Paint every cell again.
    Redraw,
    Suspend,
    Quit,
}

/// A question to the store.
#[derive(Clone, Debug)]
pub enum Query {
    Traffic {
        now: Timestamp,
    },
    KeyCounts {
        now: Timestamp,
    },
    KeyWindow {
        query: keys::Query,
        offset: u64,
        limit: u32,
        /// How many rows there are, where that is known.
        total: Option<u64>,
    },
    /// How many rows the sorted list has.
    KeyTotal(keys::Query),
    KeyIds {
        query: keys::Query,
        offset: u64,
        limit: u32,
    },
    /// Where a row of the sorted list is now.
    KeyPlace {
        query: keys::Query,
        id: String,
    },
    KeyDetail {
        id: KeyId,
        now: Timestamp,
    },
    /// How many calls these keys made in the last 24 hours.
    KeyActivity {
        ids: Vec<KeyId>,
        now: Timestamp,
    },
    Token(TokenQuery),
    Choices,
    Policies,
    History(PolicyName),
    /// What was refused of late, to all or to one credential.
    Refusals {
        credential: Option<String>,
    },
    /// Every check of one refusal.
    Refusal(Box<Event>),
    Usage {
        range: Range,
        focus: Focus,
        now: Timestamp,
    },
}

/// An act of the operator.
#[derive(Clone, Debug)]
pub enum Deed {
    CreateKey(NewKey),
    RotateKey {
        id: KeyId,
        grace: Duration,
    },
    SetKeys {
        ids: Vec<KeyId>,
        changes: Changes,
    },
    DisableKeys(Vec<KeyId>),
    EnableKeys(Vec<KeyId>),
    RevokeKeys {
        ids: Vec<KeyId>,
        reason: String,
    },
    /// Removes all whose rows are damaged.
    PurgeDamagedKeys,
    CreatePolicy {
        policy: Box<Policy>,
        reason: String,
    },
    SavePolicy {
        policy: Box<Policy>,
        expected: u32,
        reason: String,
    },
    RollbackPolicy {
        name: PolicyName,
        to: u32,
        expected: u32,
        reason: String,
    },
    DeletePolicy(PolicyName),
    /// Makes a backup of the home in a file that is not there yet.
    BackUp {
        file: PathBuf,
        passphrase: Secret,
    },
    /// Writes a secret into a file that is not there yet.
    WriteSecret {
        file: PathBuf,
        text: Secret,
    },
    Token(TokenDeed),
}

impl Deed {
    /// What is done meanwhile, where it may take its time.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::DisableKeys(_) => "disabling",
            Self::EnableKeys(_) => "enabling",
            Self::SetKeys { .. } => "changing",
            Self::RevokeKeys { .. } | Self::Token(TokenDeed::Revoke { .. }) => "revoking",
            Self::BackUp { .. } => "copying",
            Self::PurgeDamagedKeys | Self::Token(TokenDeed::PurgeDamaged) => "removing",
            _ => "working",
        }
    }

    /// Why it is done, where that is recorded.
    pub fn give_reason(&mut self, why: &str) {
        match self {
            Self::RevokeKeys { reason, .. }
            | Self::Token(TokenDeed::Revoke { reason, .. } | TokenDeed::RetireKey { reason, .. }) => {
                why.clone_into(reason);
            }
            _ => {}
        }
    }
}

/// What came of a question or an act.
#[derive(Debug)]
pub enum Answer {
    Traffic(Box<Traffic>),
    KeyCounts(KeyCounts),
    KeyWindow(KeyWindow),
    KeyTotal(u64),
    KeyIds(Vec<KeyId>),
    /// `None` where it is not in the list any more.
    KeyPlace(Option<u64>),
    KeyDetail(Box<KeyDetail>),
    KeyActivity(Activity),
    Choices(Choices),
    Policies(Sound<(Revision, u64)>),
    History(Vec<Revision>),
    Usage(Box<UsageView>),
    Refusals(Vec<Event>),
    Refusal(Box<Refused>),
    BackedUp(Box<BackedUp>),
    /// A secret was written into this file.
    Written(PathBuf),
    Issued(Box<IssuedKey>),
    /// How many objects were changed.
    Changed(u64),
    /// Some of them, and not the others.
    Partly(Partly),
    Saved(Box<Revision>),
    Deleted,
    Token(TokenAnswer),
}

/// How far an act is that takes its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub ticket: Ticket,
    pub told: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    /// Somebody else changed the object meanwhile.
    pub conflict: bool,
}

/// An answer on its way to whoever holds the ticket; taken at most once.
#[derive(Debug)]
pub struct Reply {
    pub ticket: Ticket,
    pub outcome: Option<Result<Answer, Fault>>,
}

/// What has been asked for and what is known: the value stays until a newer one comes.
#[derive(Debug)]
pub struct Held<T> {
    waiting: Option<Ticket>,
    pub value: Option<T>,
    pub fault: Option<Fault>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { waiting: None, value: None, fault: None }
    }
}

impl<T> Held<T> {
    pub fn wait_for(&mut self, ticket: Ticket) {
        self.waiting = Some(ticket);
    }
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
    /// What is waited for.
    pub fn waits_for(&self) -> Option<Ticket> {
        self.waiting
    }
    /// Whether it is this that is waited for.
    pub fn awaits(&self, ticket: Ticket) -> bool {
        self.waiting == Some(ticket)
    }
    /// Forgets the value and whatever was asked.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
    /// Whether `reply` answers what is waited for.
    pub fn owns(&self, reply: &Reply) -> bool {
        self.awaits(reply.ticket)
    }
    /// Takes the reply if it is ours; true where a new value has come.
    pub fn settle(&mut self, reply: &mut Reply, pick: impl FnOnce(Answer) -> Option<T>) -> bool {
        if !self.owns(reply) {
            return false;
        }
        self.waiting = None;
        match reply.outcome.take() {
            Some(Ok(answer)) => {
                self.fault = None;
                self.value = pick(answer);
                self.value.is_some()
            }
            Some(Err(fault)) => {
                self.fault = Some(fault);
                false
            }
            None => false,
        }
    }
}

/// Calls of late, for the overview.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub minute: Totals,
    pub hour: Totals,
    pub day: Totals,
    /// Calls per second over the current and the last whole minute.
    pub rate: f64,
    /// The last 60 minutes, one a minute, oldest first.
    pub series: Vec<(Timestamp, Totals)>,
    pub credentials: Vec<Busy>,
    pub endpoints: Vec<Busy>,
    /// Newest first.
    pub refusals: Vec<Event>,
    /// Those that run, then those that ended without a word.
    pub gateways: Vec<Gateway>,
}

/// One busy credential or endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Busy {
    /// A credential's id or an endpoint.
    pub object: String,
    /// What people call it.
    pub label: String,
    pub totals: Totals,
}

/// All about one refusal.
#[derive(Clone, Debug)]
pub struct Refused {
    pub event: Event,
    /// What its reason means.
    pub why: String,
    /// Which credential the call came with, where this home issued it and still has it.
    pub credential: Option<CredentialId>,
    /// The policy that the credential is under now.
    pub policy: Option<Revision>,
    /// Judged anew, for the moment of the call; none where nothing is known of the caller.
    pub checks: Vec<Check>,
}

/// Some rows of a sorted list.
#[derive(Clone, Debug)]
pub struct Window<T> {
    pub offset: u64,
    pub rows: Vec<Result<T, Damaged>>,
}

pub type KeyWindow = Window<ApiKey>;

/// All about one key.
#[derive(Clone, Debug)]
pub struct KeyDetail {
    pub key: ApiKey,
    /// How many live tokens were got with it, and fall with it.
    pub tokens: u64,
    pub policy: Option<Revision>,
    /// What each of its scopes covers.
    pub covers: BTreeMap<String, Vec<String>>,
    /// The last 24 hours, 30 minutes a step, oldest first.
    pub series: Vec<(Timestamp, Totals)>,
    pub day: Totals,
    pub events: Vec<Event>,
    pub audit: Vec<Entry>,
}

/// What forms choose from.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    pub catalogue: Catalogue,
    pub policies: Vec<PolicyName>,
}
