//! What the console asks and does about tokens and the keys that sign them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::{
    clock::Timestamp,
    event::Event,
    name::{Kid, PolicyName, Subject},
    policy::Revision,
    revocation::Target,
    scope::Catalogue,
    secret::Secret,
    signing_key::SigningKey,
    token::{Inspection, TokenId, Verdict},
    usage::Totals,
};
use crate::ops::signing_key::{NewSigningKey, Rotated, Rotation};
use crate::ops::token::{Issued, NewToken};
pub use crate::store::token::Counts as TokenCounts;
use crate::store::{
    audit::Entry,
    token::{self as store, Standing},
};

use super::Window;

#[derive(Clone, Debug)]
pub enum TokenQuery {
    Window {
        query: store::Query,
        offset: u64,
        limit: u32,
        /// How many rows there are, where that is known.
        total: Option<u64>,
    },
    /// How many rows the sorted list has.
    Total(store::Query),
    Ids {
        query: store::Query,
        offset: u64,
        limit: u32,
    },
    /// Where a row of the sorted list is now.
    Place {
        query: store::Query,
        id: String,
    },
    Detail {
        jti: TokenId,
        now: Timestamp,
    },
    Counts {
        now: Timestamp,
    },
    /// What the form that issues chooses from.
    Choices,
    /// What each of these would end.
    Reach {
        reaches: Vec<Reach>,
        now: Timestamp,
    },
    /// Judges any token; nothing of it is kept or sent.
    Judge {
        text: Secret,
        now: Timestamp,
    },
    SigningKeys {
        now: Timestamp,
    },
}

#[derive(Clone, Debug)]
pub enum TokenDeed {
    Issue(Box<NewToken>),
    Revoke {
        reach: Reach,
        reason: String,
    },
    /// Forgets all whose rows are damaged.
    PurgeDamaged,
    CreateKey(NewSigningKey),
    /// From a file that only the runner reads.
    ImportKey {
        new: NewSigningKey,
        file: PathBuf,
    },
    RotateKey {
        kid: Kid,
        rotation: Rotation,
    },
    RetireKey {
        kid: Kid,
        reason: String,
    },
}

#[derive(Debug)]
pub enum TokenAnswer {
    Window(Window<Standing>),
    Total(u64),
    Ids(Vec<TokenId>),
    /// `None` where it is not in the list any more.
    Place(Option<u64>),
    Detail(Box<TokenDetail>),
    Counts(TokenCounts),
    Choices(Box<TokenChoices>),
    /// In the order of the question.
    Reached(Vec<Reached>),
    Judged(Box<Judged>),
    SigningKeys(KeysInUse),
    Issued(Box<Issued>),
    KeyMade(Box<SigningKey>),
    Rotated(Box<Rotated>),
}

/// Which tokens a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Tokens(Vec<TokenId>),
    /// What speaks for the subject and was issued up to now, whoever issued it.
    Subject(Subject),
    /// All that the key signed; it is retired with it.
    Key(Kid),
    /// What this home issued before the moment.
    IssuedBefore(Timestamp),
}

impl Reach {
    /// As the store keeps it; one target a token.
    pub fn targets(&self, now: Timestamp) -> Vec<Target> {
        match self {
            Self::Tokens(ids) => ids.iter().map(|id| Target::Token { id: *id }).collect(),
            Self::Subject(subject) => vec![Target::Subject { subject: subject.clone(), cut: now }],
            Self::Key(kid) => vec![Target::Key { issuer: None, kid: kid.clone() }],
            Self::IssuedBefore(moment) => vec![Target::IssuedBefore { issuer: None, moment: *moment }],
        }
    }
}

/// What a revocation would end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Live tokens of this home.
    pub live: u64,
    /// Their calls in the last 24 hours.
    pub calls: u64,
}

/// All about one token.
#[derive(Clone, Debug)]
pub struct TokenDetail {
    pub standing: Standing,
    pub policy: Option<Revision>,
    /// What each of its scopes covers.
    pub covers: BTreeMap<String, Vec<String>>,
    /// The last 24 hours, 30 minutes a step, oldest first.
    pub series: Vec<(Timestamp, Totals)>,
    pub day: Totals,
    pub events: Vec<Event>,
    pub audit: Vec<Entry>,
}

/// What the form that issues tokens chooses from.
#[derive(Clone, Debug, Default)]
pub struct TokenChoices {
    pub catalogue: Catalogue,
    pub policies: Vec<PolicyName>,
    /// Whom a token is for where nobody is named.
    pub audience: String,
    /// Those that sign now, the newest first.
    pub keys: Vec<SigningKey>,
}

/// A token taken apart, and what this home thinks of it.
#[derive(Clone, Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// `None` where nothing in it can be read.
    pub inspection: Option<Inspection>,
}

/// The signing keys, the newest first.
#[derive(Clone, Debug, Default)]
pub struct KeysInUse {
    pub sound: Vec<KeyInUse>,
    /// What is wrong with those that are damaged: what they signed is refused.
    pub damaged: Vec<String>,
}

/// A signing key, and how many tokens that it signed have not ended by themselves.
#[derive(Clone, Debug)]
pub struct KeyInUse {
    pub key: SigningKey,
    pub tokens: u64,
}
