//! Events: recorded denials and security facts.

use serde::Serialize;

use super::clock::Timestamp;

/// One recorded denial or security fact. A burst of equal ones is one event with a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Position in the store; 0 before it is saved.
    pub seq: i64,
    pub at: Timestamp,
    /// A [`super::decision::Reason`], or a fact: `lockout_started`, `gateway_started`,
    /// `gateway_stopped`, `shadow_denied`.
    pub kind: String,
    /// The credential's id, `-` where none was recognised.
    pub credential: String,
    pub subject: String,
    pub endpoint: String,
    pub address: String,
    /// How many equal ones this stands for.
    pub count: u32,
    /// The request's id, or what else helps.
    pub detail: String,
}
