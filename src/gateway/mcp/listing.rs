//! Which tools a principal may call, for answers that list them: whole ones, and those within a stream of events.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::domain::clock::Timestamp;
use crate::domain::decision::{self, Principal};
use crate::domain::endpoint::Endpoint;
use crate::domain::quota::Charge;

use super::aside::Aside;
use super::list::{self, Events, Unreadable};

/// Which tools a principal may call. A copy goes with each list that is edited aside.
#[derive(Clone)]
pub struct Listing {
    principal: Arc<Principal>,
    address: Option<IpAddr>,
    at: Timestamp,
}

impl Listing {
    /// As it is decided for a principal who asks from `address` at this moment.
    pub fn new(principal: &Principal, address: Option<IpAddr>, at: Timestamp) -> Self {
        Self { principal: Arc::new(principal.clone()), address, at }
    }

    fn may_call(&self, tool: &str) -> bool {
        Endpoint::mcp("tools/call", Some(tool)).is_ok_and(|endpoint| {
            let request = decision::Request { endpoint, address: self.address, at: self.at };
            decision::decide(&self.principal, &request, || Charge::Granted).is_allowed()
        })
    }

    /// A whole answer, without the tools that the principal may not call.
    ///
    /// # Errors
    /// Where it cannot be read, or has no turn to be.
    pub async fn edit(self, whole: Bytes, aside: Aside) -> Result<Bytes, Unreadable> {
        let (account, length) = (self.principal.account.clone(), whole.len());
        let edit = move || {
            let text = std::str::from_utf8(&whole).map_err(|_| Unreadable)?;
            let edited = list::edit(text, &mut |tool| self.may_call(tool))?;
            Ok(edited.map_or_else(|| whole.clone(), Bytes::from))
        };
        aside.run(account, length, edit).await.unwrap_or(Err(Unreadable))
    }
}

type Edit = Pin<Box<dyn Future<Output = Option<Bytes>>>>;

/// Edits the answers within a stream of events, one event after another.
pub struct Editor {
    events: Events,
    listing: Listing,
    aside: Aside,
    under_way: Option<Edit>,
    /// What stood behind the last event's end when the stream ended.
    last: Option<Bytes>,
}

impl Editor {
    pub fn new(listing: Listing, aside: Aside) -> Self {
        Self { events: Events::new(), listing, aside, under_way: None, last: None }
    }

    /// Takes what comes next of the stream.
    pub fn push(&mut self, frame: &[u8]) {
        self.events.push(frame);
    }

    /// The stream has ended. Whether there is a last event, without its end, that is still to come.
    pub fn end(&mut self) -> bool {
        self.last = self.events.rest();
        self.last.is_some()
    }

    /// The next event, edited; `None` where more of the stream has to come first.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(edit) = &mut self.under_way {
                let edited = ready!(edit.as_mut().poll(context));
                self.under_way = None;
                // An edit that ended in a fault has nothing to say.
                if let Some(edited) = edited {
                    return Poll::Ready(Some(edited));
                }
            }
            let Some(event) = self.events.take().or_else(|| self.last.take()) else {
                return Poll::Ready(None);
            };
            let (length, listing) = (event.len(), self.listing.clone());
            let account = listing.principal.account.clone();
            let edit = move || list::edit_event(event, &mut |tool| listing.may_call(tool));
            self.under_way = Some(Box::pin(self.aside.clone().run(account, length, edit)));
        }
    }
}
