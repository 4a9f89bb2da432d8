//! What of a JSON-RPC message decides: what it asks for, and what that acts on.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::domain::endpoint::Endpoint;

/// What of a JSON-RPC message decides.
#[derive(Debug)]
pub struct Message<'a> {
    pub kind: Kind<'a>,
    /// `_meta`'s protocol version: absent, of another type, or what it says.
    pub version: Version<'a>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) uri: Option<Cow<'a, str>>,
    pub(super) task: Option<Cow<'a, str>>,
    /// What `completion/complete` completes for, as the endpoint of that.
    pub(super) reference: Option<String>,
    pub(super) subscriptions: Vec<Cow<'a, str>>,
}

#[derive(Debug)]
pub enum Kind<'a> {
    Request {
        /// The id as it was written.
        id: Cow<'a, RawValue>,
        method: Cow<'a, str>,
    },
    Notification {
        method: Cow<'a, str>,
    },
    /// The client's answer to a request of the server's (before 2026-07-28).
    Response,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub enum Version<'a> {
    #[default]
    Absent,
    WrongType,
    Given(Cow<'a, str>),
}

impl<'a> Message<'a> {
    /// The same, apart from the bytes that it was read from.
    pub fn into_owned(self) -> Message<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Message {
            kind: match self.kind {
                Kind::Request { id, method } => {
                    Kind::Request { id: Cow::Owned(id.into_owned()), method: owned(method) }
                }
                Kind::Notification { method } => Kind::Notification { method: owned(method) },
                Kind::Response => Kind::Response,
            },
            version: match self.version {
                Version::Absent => Version::Absent,
                Version::WrongType => Version::WrongType,
                Version::Given(text) => Version::Given(owned(text)),
            },
            name: self.name.map(owned),
            uri: self.uri.map(owned),
            task: self.task.map(owned),
            reference: self.reference,
            subscriptions: self.subscriptions.into_iter().map(owned).collect(),
        }
    }

    /// The id of a request, as it was written.
    pub fn id(&self) -> Option<&RawValue> {
        match &self.kind {
            Kind::Request { id, .. } => Some(id),
            Kind::Notification { .. } | Kind::Response => None,
        }
    }

    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method } => Some(method),
            Kind::Response => None,
        }
    }

    /// What the call is judged by beside its method: the name or URI that it acts on.
    pub fn acts_on(&self) -> Option<&str> {
        match Naming::of(self.method()?)? {
            Naming::Name => self.name.as_deref(),
            Naming::Uri => self.uri.as_deref(),
            Naming::Reference => self.reference.as_deref(),
            // Each is judged by itself.
            Naming::Subscriptions => None,
        }
    }

    /// The URIs of which `subscriptions/listen` wants to hear.
    pub fn subscriptions(&self) -> impl ExactSizeIterator<Item = &str> {
        self.subscriptions.iter().map(|uri| &**uri)
    }

    /// Whether the method is one that must name its target.
    pub fn needs_target(&self) -> bool {
        self.method().is_some_and(Endpoint::names_a_target)
    }

    /// What `Mcp-Name` may say of it. Beside the targets, extensions name what they act on in the same field.
    pub fn nameable(&self) -> Option<&str> {
        let method = self.method()?;
        match Naming::of(method) {
            Some(Naming::Name | Naming::Uri) => self.acts_on(),
            _ if matches!(method, "tasks/get" | "tasks/update" | "tasks/cancel") => self.task.as_deref(),
            _ => None,
        }
    }
}

/// Which member of `params` says what a method acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway::mcp) enum Naming {
    Name,
    Uri,
    /// `ref`.
    Reference,
    /// `notifications`.
    Subscriptions,
}

impl Naming {
    pub(in crate::gateway::mcp) fn of(method: &str) -> Option<Self> {
        Some(match method {
            "tools/call" | "prompts/get" => Self::Name,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Self::Uri,
            "completion/complete" => Self::Reference,
            "subscriptions/listen" => Self::Subscriptions,
            _ => return None,
        })
    }
}
