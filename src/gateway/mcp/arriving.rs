//! The body of an MCP POST on its way from the client: as much of it as its sender is worth, and in no disguise.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::gateway::call::refusal::Refusal;
use crate::gateway::forward::{ended_early, too_slow};
use crate::gateway::wire::{EndedEarly, Fields, Media, Received, Several, text};

/// A body on its way from the client.
pub struct Arriving {
    /// What is still to come.
    pub rest: Received,
    /// What has come, while that is a single piece, as most bodies are: it is not copied.
    first: Bytes,
    /// All that has come, from the second piece on.
    all: BytesMut,
    /// In which time all of it has to be there, and until when that is: nearly always it is there already.
    limit: Duration,
    until: Option<Instant>,
}

impl Arriving {
    pub fn new(rest: Received, limit: Duration) -> Self {
        Self { rest, first: Bytes::new(), all: BytesMut::new(), limit, until: None }
    }

    /// What was read.
    pub fn whole(self) -> Bytes {
        self.apart().0
    }

    /// What was read, and what is still to come.
    pub fn apart(self) -> (Bytes, Received) {
        (if self.all.is_empty() { self.first } else { self.all.freeze() }, self.rest)
    }

    fn length(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn take(&mut self, piece: Bytes) {
        if self.length() == 0 {
            self.first = piece;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&piece);
    }

    /// [`Self::read_within`] as far as it can be done now; `None` where more is still to come.
    ///
    /// # Errors
    /// As there.
    pub async fn read_there(&mut self, most: usize) -> Result<Option<bool>, Refusal> {
        let mut reading = pin!(self.read_within(most));
        poll_fn(|context| match reading.as_mut().poll(context) {
            Poll::Ready(read) => Poll::Ready(read.map(Some)),
            Poll::Pending => Poll::Ready(Ok(None)),
        })
        .await
    }

    /// Reads on to the end; `false` where there is more than `most`, which an announced length tells before it is read.
    ///
    /// # Errors
    /// 400 where it breaks off, 408 where it is not there in time.
    pub async fn read_within(&mut self, most: usize) -> Result<bool, Refusal> {
        while self.rest.size_hint().lower() <= most.saturating_sub(self.length()) as u64 {
            match self.frame().await? {
                None => return Ok(true),
                // Trailers are not read.
                Some(Ok(frame)) => frame.into_data().into_iter().for_each(|piece| self.take(piece)),
                Some(Err(_)) => return Err(ended_early()),
            }
            if self.length() > most {
                break;
            }
        }
        Ok(false)
    }

    /// The next piece, in time.
    async fn frame(&mut self) -> Result<Option<Result<Frame<Bytes>, EndedEarly>>, Refusal> {
        let there = poll_fn(|context| Poll::Ready(Pin::new(&mut self.rest).poll_frame(context)));
        if let Poll::Ready(frame) = there.await {
            return Ok(frame);
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.limit);
        timeout_at(until, self.rest.frame()).await.map_err(|_| too_slow())
    }
}

/// The body must be what was read: JSON in UTF-8, not in another coding that only the upstream would undo.
///
/// # Errors
/// 415 where it is said to be anything else.
pub fn is_plain_json(headers: &Fields) -> Result<(), Refusal> {
    let unsupported = |message| Err(Refusal::bad_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let one = match headers.single(&header::CONTENT_TYPE) {
        Ok(Some(b"application/json")) => return is_plain_coding(headers),
        Ok(value) => value.filter(|value| text(value).is_some()).map(Media::of),
        Err(Several) => None,
    };
    let Some(media) = one else {
        return unsupported("the request needs one Content-Type, application/json");
    };
    if !media.is("application/json") {
        return unsupported("the Content-Type is not application/json");
    }
    // Another one could have a server read something else than JSON in UTF-8.
    let is_known = |parameter: &[u8]| {
        [&b"charset=utf-8"[..], b"charset=\"utf-8\""]
            .iter()
            .any(|known| parameter.eq_ignore_ascii_case(known))
    };
    if !media.parameters().all(is_known) {
        return unsupported("the Content-Type has another parameter than charset=utf-8");
    }
    is_plain_coding(headers)
}

fn is_plain_coding(headers: &Fields) -> Result<(), Refusal> {
    if headers.all(&header::CONTENT_ENCODING).any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        let message = "a Content-Encoding is not taken";
        return Err(Refusal::bad_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    Ok(())
}
