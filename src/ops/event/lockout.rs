//! Which lock-outs of a key may be in force. Each gateway keeps its own in memory; what the home knows are the events of
//! their beginnings, and which gateways have run since.

use std::{net::IpAddr, time::Duration};

use serde::Serialize;

use super::list;
use crate::domain::{
    api_key::KeyId,
    clock::Timestamp,
    event::{LOCKOUT_STARTED, LONGEST_LOCKOUT, network_of as network},
    text::visible,
    usage::NOBODY,
};
use crate::ops::{Ctx, OpsError, gateway};
use crate::store::event::Query;

/// More lock-outs of one key are not looked for.
const MOST: u32 = 1000;

/// A lock-out of a key that has not ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lockout {
    /// The number of its event.
    pub event: i64,
    pub at: Timestamp,
    /// Calls from its network are refused; `None` where there were too many to tell apart, or it was not known.
    pub address: Option<String>,
    pub until: Timestamp,
    /// Where the gateways listen that were there when it began and run still: one of them is locked. Without one it ended
    /// with the gateway that began it.
    pub gateways: Vec<String>,
}

/// Those of a key that are in force at `at`, the newest of each address first.
///
/// # Errors
/// Where the events or the gateways of the home cannot be read.
pub fn lockouts(ctx: &Ctx, id: KeyId, at: Timestamp) -> Result<Vec<Lockout>, OpsError> {
    let query = Query {
        kind: Some(LOCKOUT_STARTED.into()),
        credential: Some(id.to_string()),
        since: Some(at.minus(LONGEST_LOCKOUT)),
        until: Some(at.plus(Duration::from_millis(1))),
        limit: MOST,
        ..Query::default()
    };
    let gateways = gateway::list(ctx)?;
    let mut found: Vec<Lockout> = Vec::new();
    for event in list(ctx, &query)? {
        let address = (event.address != NOBODY).then_some(event.address.clone());
        let Some(until) = event.locked_until().filter(|until| at < *until) else { continue };
        if found.iter().any(|newer| newer.address == address) {
            continue;
        }
        let were_there = gateways
            .iter()
            .filter(|gateway| gateway.alive != Some(false) && gateway.presence.since <= event.at)
            .map(|gateway| gateway.presence.listen.clone());
        found.push(Lockout {
            event: event.seq,
            at: event.at,
            address,
            until,
            gateways: were_there.collect(),
        });
    }
    Ok(found)
}

impl Lockout {
    /// In words, and no surer than it is.
    pub fn told(&self) -> String {
        let whence = match &self.address {
            Some(address) => format!("from the network of {}", visible(address)),
            None => "from several networks, or from where is not known,".into(),
        };
        let by = match self.gateways.as_slice() {
            [] => "the gateway that did it has ended, and with it the lock-out".into(),
            [one] => format!("by the gateway at {}", visible(one)),
            several => format!("by a gateway, one of {}", visible(&several.join(", "))),
        };
        format!("{whence} until {}, {by} (event {})", self.until, self.event)
    }

    /// Whether it has a call from `address` refused at that moment, as far as is known.
    pub fn holds(&self, address: IpAddr, at: Timestamp) -> bool {
        let begun = self.address.as_ref().and_then(|from| from.parse().ok());
        let is_there = begun.is_some_and(|from: IpAddr| network(from) == network(address));
        self.may_hold() && is_there && (self.at..self.until).contains(&at)
    }

    /// Whether a gateway runs that may hold it.
    pub fn may_hold(&self) -> bool {
        !self.gateways.is_empty()
    }
}

#[cfg(test)]
mod tests;
