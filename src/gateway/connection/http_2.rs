//! HTTP/2 brought into the form that the rest of the gateway judges, and bounded.
//!
//! | attack | bound |
//! |---|---|
//! | rapid reset (CVE-2023-44487) | h2: 20 streams reset before they were looked at; [`watch`](super::watch): 100 later |
//! | streams that the gateway has to reset (CVE-2025-8671) | h2: 100 in the life of a connection |
//! | too many streams | h2: 100 at once, the rest refused |
//! | CONTINUATION without end (CVE-2024-27316), lists of fields that grow when they are unpacked | h2: 64 KiB unpacked, and the frames that so much needs |
//! | PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA | [`Frames`] |
//! | small DATA | h2: half a connection's window |
//! | a window that is never opened | `max_send_buf_size`, and [`watch`](super::watch) for each stream |

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderValue, Request, header};
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, ReadBuf};

use super::watch::{Slot, Unread};
use crate::gateway::config::Timeouts;
use crate::gateway::wire::Tap;

/// The length of what a client says first (RFC 9113 §3.4).
pub const PREFACE: usize = 24;
/// Requests that one connection may have in flight.
const STREAMS: u32 = 100;
/// Of the fields of a request, unpacked: more than the gateway's own limit, so that it can answer 431 itself.
const FIELDS: u32 = u16::MAX as u32;
/// What a connection may send before it is read, and one stream of it.
const WINDOW: u32 = 1024 * 1024;
const STREAM_WINDOW: u32 = WINDOW / 4;
/// What waits to be sent on a stream.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were reset before anybody looked at them.
const RESET_UNSEEN: usize = 20;
/// Streams that the gateway had to reset for what came on them.
const RESET_FOR_ERRORS: usize = 100;
/// How often a silent peer is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The limits of a connection, none of which is left to a default.
pub fn builder(streams: Streams) -> Builder<Streams> {
    let answer_within = streams.timeouts.head;
    let mut builder = Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(FIELDS)
        .header_table_size(4096)
        .max_frame_size(16 * 1024)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(RESET_FOR_ERRORS)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .keep_alive_timeout(answer_within);
    builder
}

/// Runs the streams of one connection on the worker's own thread, and ends one whose answer nobody takes: a window that
/// stays shut does not keep a write waiting, only the stream.
#[derive(Clone)]
pub struct Streams {
    timeouts: Timeouts,
    /// Of the stream that hyper runs next, which it does as soon as it has asked for the answer.
    next: Rc<RefCell<Option<Rc<Slot>>>>,
}

impl Streams {
    pub fn new(timeouts: Timeouts) -> Self {
        Self { timeouts, next: Rc::default() }
    }

    /// Where the answer of the next stream will be looked for.
    pub fn slot(&self) -> Rc<Slot> {
        let slot = Rc::<Slot>::default();
        self.next.replace(Some(slot.clone()));
        slot
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + 'static,
{
    fn execute(&self, task: F) {
        let mut unread = self.next.take().map(|slot| Unread::new(slot, self.timeouts));
        // The connection owns its tasks and ends them; nobody waits for one by its handle.
        drop(tokio::task::spawn_local(async move {
            let mut task = pin!(task);
            poll_fn(|context| {
                if task.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                unread.as_mut().map_or(Poll::Pending, |unread| unread.poll(context))
            })
            .await;
        }));
    }
}

/// Bounds the frames that ask for nothing. Each costs as many bytes as it makes the gateway handle; what was sent to the
/// client pays for its answers to that, and a stream for what belongs to it.
pub struct Frames {
    /// Bytes to pass over: the preface, then what frames carry.
    skip: usize,
    head: [u8; Self::HEAD],
    /// How much of the head has come.
    come: usize,
    credit: usize,
}

impl Frames {
    const HEAD: usize = 9;
    const COST: usize = 32;
    /// A thousand of them at any time.
    const MOST: usize = 1000 * Self::COST;
    const OF_A_STREAM: usize = 8 * Self::COST;

    pub fn new() -> Self {
        Self { skip: PREFACE, head: [0; Self::HEAD], come: 0, credit: Self::MOST }
    }

    fn earn(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_add(bytes).min(Self::MOST);
    }

    /// Follows bytes as they come; `None` when there were too many frames.
    fn follow(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (Self::HEAD - self.come).min(bytes.len());
            self.head[self.come..self.come + wanted].copy_from_slice(&bytes[..wanted]);
            self.come += wanted;
            bytes = &bytes[wanted..];
            if self.come == Self::HEAD {
                self.come = 0;
                self.frame()?;
            }
        }
        Some(())
    }

    /// RFC 9113 §4.1: length, type, flags, stream.
    fn frame(&mut self) -> Option<()> {
        const DATA: u8 = 0;
        const HEADERS: u8 = 1;
        let [a, b, c, kind, ..] = self.head;
        self.skip = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        match kind {
            HEADERS => self.earn(Self::OF_A_STREAM),
            DATA if self.skip > 0 => {}
            _ => self.credit = self.credit.checked_sub(Self::COST)?,
        }
        Some(())
    }
}

impl Tap for Frames {
    fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        Poll::Ready(self.follow(&buffer.filled()[before..]).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the client sends too many frames that ask for nothing",
            )
        }))
    }

    fn wrote(&mut self, _: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.earn(bytes);
        }
        polled
    }
}

/// Gives a request the `Host` that its `:authority` stands for (RFC 9113 §8.3.1). A `Host` beside it stays: if the two
/// differ, the request is refused like any other that contradicts itself.
pub fn as_http_1<B>(mut request: Request<B>) -> Request<B> {
    let authority = request.uri().authority().and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let (Some(authority), false) = (authority, request.headers().contains_key(header::HOST)) {
        request.headers_mut().insert(header::HOST, authority);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: Option<&str>) -> Request<()> {
        let mut builder = Request::get("https://localhost:8443/mcp");
        if let Some(host) = host {
            builder = builder.header(header::HOST, host);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn the_authority_becomes_the_host_and_a_host_beside_it_stays() {
        assert_eq!(as_http_1(request(None)).headers()[header::HOST], "localhost:8443");
        assert_eq!(as_http_1(request(Some("elsewhere"))).headers()[header::HOST], "elsewhere");
    }

    /// A frame of a kind with so much in it.
    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        bytes.resize(bytes.len() + usize::from(length), 0);
        bytes
    }

    fn after(frames: &mut Frames, sent: &[u8]) -> bool {
        frames.follow(sent).is_some()
    }

    fn opened() -> Frames {
        let mut frames = Frames::new();
        assert!(after(&mut frames, &[b'P'; PREFACE]));
        frames
    }

    #[test]
    fn a_thousand_frames_may_ask_for_nothing_and_not_one_more() {
        const PING: u8 = 6;
        for (kind, length) in [(PING, 8), (4, 0), (8, 4), (2, 5), (3, 4), (0, 0), (77, 1)] {
            let mut frames = opened();
            assert!(after(&mut frames, &frame(kind, length).repeat(1000)), "{kind}");
            assert!(!after(&mut frames, &frame(kind, length)), "{kind}");
        }
        // In pieces as in one.
        let mut frames = opened();
        let all = frame(PING, 8).repeat(1000);
        assert!(all.chunks(7).all(|piece| frames.follow(piece).is_some()));
        assert!(!after(&mut frames, &frame(PING, 8)));
    }

    #[test]
    fn what_carries_something_is_free_and_pays_for_what_belongs_to_it() {
        let mut frames = opened();
        assert!(after(&mut frames, &frame(0, 1).repeat(10_000)));
        // A stream, a reset, and two windows.
        let stream = [frame(1, 50), frame(8, 4), frame(8, 4), frame(3, 4)].concat();
        assert!(after(&mut frames, &stream.repeat(10_000)));
        // A window for each 32 bytes of an answer.
        for _ in 0..10_000 {
            assert!(after(&mut frames, &frame(8, 4)));
            frames.earn(32);
        }
        // But an answered PING is not paid for by its answer.
        let pings = (0..10_000).take_while(|_| {
            frames.earn(17);
            after(&mut frames, &frame(6, 8))
        });
        assert!((1000..3000).contains(&pings.count()));
    }
}
