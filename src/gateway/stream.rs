//! What a client is answered: a body, whole or passed on from the upstream frame by frame, with the upstream's fields.
//!
//! A body that is passed on belongs to a principal. For as long as it is open the gateway asks whether that principal
//! still holds, for events also whether its policy still allows them, and cuts the body when the answer is no, when the
//! gateway stops, or when that cannot be known.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, Sleep};

use crate::domain::decision::{Principal, Request};

use super::mcp::listing::{Editor, Listing};
use super::metrics::Held;
use super::streams::Place;
use super::upstream::{Answer, BrokenAnswer};
use super::wire::{Fields, RequestId};
use super::worker::Worker;

/// The body of a response to a client and, where the upstream has answered, the fields of its answer that are passed on
/// beside what the response says itself.
#[derive(Default)]
pub struct Reply {
    pub fields: Fields,
    pub body: ReplyBody,
    /// The id of the request that is answered, told with every answer to one.
    pub request_id: Option<RequestId>,
}

/// The body of a response to a client.
pub enum ReplyBody {
    Whole(Full<Bytes>),
    Passed(Box<Passed>),
}

impl Default for ReplyBody {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl From<Bytes> for ReplyBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl From<Passed> for ReplyBody {
    fn from(passed: Passed) -> Self {
        Self::Passed(Box::new(passed))
    }
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self { body: bytes.into(), ..Self::default() }
    }
}

impl Reply {
    /// Whose it is, where it is passed on.
    pub fn passage(&self) -> Option<Rc<Passage>> {
        match &self.body {
            ReplyBody::Whole(_) => None,
            ReplyBody::Passed(passed) => Some(passed.passage()),
        }
    }
}

/// A response with all its fields in one map, for who cannot write them one after another.
pub fn in_one(response: Response<Reply>) -> Response<ReplyBody> {
    let (mut head, Reply { fields, body, request_id }) = response.into_parts();
    let mut all = fields.to_map();
    // One by one: a map that is added as a whole replaces what has the same name.
    for (name, value) in &head.headers {
        all.append(name, value.clone());
    }
    if let Some(id) = request_id {
        id.put_into(&mut all);
    }
    head.headers = all;
    Response::from_parts(head, body)
}

/// Why a body broke off. The client sees a connection that ended too early.
#[derive(Debug, thiserror::Error)]
pub enum BrokenOff {
    #[error("the upstream broke off")]
    Upstream(#[source] BrokenAnswer),
    #[error("the credential no longer holds")]
    Cut,
}

/// Whose a body is that is passed on, and how far it has come. It is looked at by the body, and while nobody asks the
/// body for more by who sends it: [`watch`](super::connection::watch) for HTTP/2, [`http_1`](super::connection::http_1).
pub struct Passage {
    worker: Rc<Worker>,
    principal: Rc<Principal>,
    is_stream: bool,
    /// What has to stay allowed. Nothing for what is no stream: an answer that was allowed when it began is finished.
    asked: Vec<Request>,
    /// How many pieces the client was given.
    given: Cell<u64>,
    is_unread: Cell<bool>,
}

impl Passage {
    /// Whether nobody has asked for more since the last piece.
    pub fn is_unread(&self) -> bool {
        self.is_unread.get()
    }

    pub fn given(&self) -> u64 {
        self.given.get()
    }

    /// Whether the body must end now. An event stream ends with the gateway; any other answer is finished first.
    pub fn must_end(&self) -> bool {
        (self.is_stream && self.worker.is_draining())
            || !self.worker.still_holds(&self.principal, &self.asked)
    }

    fn give(&self) {
        self.given.set(self.given.get() + 1);
        self.is_unread.set(true);
    }

    /// How often it is looked at while the client takes nothing.
    pub fn check(&self) -> Duration {
        self.worker.shared.settings.timeouts.stream_check
    }
}

/// A body on its way from the upstream to the client.
pub struct Passed {
    /// `None` once it has ended or was cut.
    body: Option<Answer>,
    passage: Rc<Passage>,
    /// Server-sent events, with the count of open streams and the principal's place among them.
    events: Option<(Held<Gauge>, Place)>,
    /// Edits lists of tools within events.
    editor: Option<Editor>,
    check: Option<Pin<Box<Sleep>>>,
}

impl Passed {
    pub fn new(body: Answer, worker: Rc<Worker>, principal: Rc<Principal>) -> Self {
        let passage = Passage {
            worker,
            principal,
            is_stream: false,
            asked: Vec::new(),
            given: Cell::new(0),
            is_unread: Cell::new(false),
        };
        let passage = Rc::new(passage);
        Self { body: Some(body), passage, events: None, editor: None, check: None }
    }

    /// Marks it as a stream of events, which lasts while what was `asked` is allowed, and in which lists of tools are
    /// edited where `listing` is given.
    pub fn events(mut self, asked: Vec<Request>, listing: Option<Listing>, place: Place) -> Self {
        let (worker, principal) = (self.passage.worker.clone(), self.passage.principal.clone());
        self.events = Some((worker.metrics.stream(), place));
        self.editor = listing.map(|listing| Editor::new(listing, worker.shared.aside.clone()));
        self.passage = Rc::new(Passage {
            worker,
            principal,
            is_stream: true,
            asked,
            given: Cell::new(0),
            is_unread: Cell::new(false),
        });
        self.check = Some(self.next_check());
        self
    }

    /// Whether it is a stream of events.
    pub fn is_stream(&self) -> bool {
        self.passage.is_stream
    }

    fn passage(&self) -> Rc<Passage> {
        self.passage.clone()
    }

    fn next_check(&self) -> Pin<Box<Sleep>> {
        Box::pin(tokio::time::sleep(self.passage.check()))
    }

    /// Whether it is time to look, and the look says that the body must end.
    fn must_end(&mut self, context: &mut Context<'_>) -> bool {
        while let Some(check) = &mut self.check {
            if check.as_mut().poll(context).is_pending() {
                return false;
            }
            if self.passage.must_end() {
                return true;
            }
            let next = Instant::now() + self.passage.check();
            check.as_mut().reset(next);
        }
        false
    }

    /// Ends the body before its time. Events end as a stream does; what has a length breaks off, so that nobody takes
    /// a part for the whole.
    fn cut(&mut self) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.body = None;
        match self.events.take() {
            Some(_) => Poll::Ready(None),
            None => Poll::Ready(Some(Err(BrokenOff::Cut))),
        }
    }

    fn broken_off(&mut self, why: BrokenOff) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.body = None;
        self.events = None;
        Poll::Ready(Some(Err(why)))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.passage.is_unread.set(false);
        let polled = self.advance(context);
        if let Poll::Ready(Some(Ok(_))) = polled {
            self.passage.give();
        }
        polled
    }

    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.body.is_some() && self.must_end(context) {
            return self.cut();
        }
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            if let Some(editor) = &mut self.editor
                && let Some(edited) = ready!(editor.poll_next(context))
            {
                return Poll::Ready(Some(Ok(Frame::data(edited))));
            }
            let polled = Pin::new(body).poll_frame(context);
            if polled.is_pending() && self.check.is_none() {
                self.check = Some(self.next_check());
                if self.must_end(context) {
                    return self.cut();
                }
            }
            let frame = match ready!(polled) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return self.broken_off(BrokenOff::Upstream(error)),
                // Its last event may lack its end.
                None if self.editor.as_mut().is_some_and(Editor::end) => continue,
                None => {
                    self.body = None;
                    self.events = None;
                    return Poll::Ready(None);
                }
            };
            // Trailers belong to the upstream's connection.
            let Ok(data) = frame.into_data() else { continue };
            if let Some(editor) = &mut self.editor {
                editor.push(&data);
                continue;
            }
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| self.events.is_none() && body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            // Events may be cut, and end then as if there were no more.
            Some(body) if self.events.is_none() => body.size_hint(),
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Passed(passed) => passed.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Passed(passed) => passed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Passed(passed) => passed.size_hint(),
        }
    }
}
