//! Ends a connection whose client does nothing: one that never begins, and one that never takes what is written to it.
//!
//! A body is asked for more only where there is room, so that a client which does not read would hold its stream, and the
//! upstream's connection behind it, for as long as it likes. And hyper does not bound how long an HTTP/2 client may keep its
//! preface to itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::tap::Tap;

/// No write may wait for longer than a time.
pub struct Taken {
    most: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Taken {
    pub fn within(most: Duration) -> Self {
        Self { most, stalled: None }
    }
}

impl Tap for Taken {
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let most = self.most;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(most)));
        stalled.as_mut().poll(context).map(|()| Err(late("the client does not read")))
    }
}

/// So many bytes, without which nothing else begins, must have come within a time.
pub struct Opening(Option<Awaited>);

struct Awaited {
    left: usize,
    until: Pin<Box<Sleep>>,
}

impl Opening {
    pub fn of(bytes: usize, within: Duration) -> Self {
        Self(Some(Awaited { left: bytes, until: Box::pin(sleep(within)) }))
    }
}

impl Tap for Opening {
    fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(stream).poll_read(context, buffer);
        let Some(opening) = &mut self.0 else { return polled };
        opening.left = opening.left.saturating_sub(buffer.filled().len() - before);
        if opening.left == 0 {
            self.0 = None;
        } else if polled.is_pending() {
            return opening.until.as_mut().poll(context).map(|()| Err(late("the client does not begin")));
        }
        polled
    }
}

/// Goes off at a moment that is asked for anew each time. The timer below it is set again only when it goes off, or would
/// too late: most of what is waited for comes long before.
pub struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    /// `first`: in which time it is likely to be asked for at first.
    pub fn new(first: Duration) -> Self {
        Self(Box::pin(sleep(first)))
    }

    /// Ready when it is so late.
    pub fn poll(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        if until < self.0.deadline() {
            self.0.as_mut().reset(until);
        }
        loop {
            ready!(self.0.as_mut().poll(context));
            if until <= self.0.deadline() {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(until);
        }
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::wire::Tapped;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const SOON: Duration = Duration::from_millis(20);
    /// Never waited for.
    const LATER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_write_that_nobody_takes_ends() {
        let (here, mut there) = duplex(8);
        let mut timely = Tapped::new(here, Taken::within(SOON));
        timely.write_all(b"it fits.").await.unwrap();
        let error = timely.write_all(b"and this does not").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut read = [0; 8];
        there.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"it fits.");
    }

    #[tokio::test]
    async fn a_write_that_is_taken_goes_on() {
        let (here, mut there) = duplex(8);
        let mut timely = Tapped::new(here, Taken::within(LATER));
        let all = [7; 1000];
        let mut read = Vec::new();
        let (wrote, _) = tokio::join!(
            async {
                timely.write_all(&all).await.unwrap();
                drop(timely);
            },
            there.read_to_end(&mut read)
        );
        assert_eq!((wrote, read.as_slice()), ((), &all[..]));
    }

    #[tokio::test]
    async fn an_opening_is_wanted_whole_and_nothing_after_it() {
        let (here, mut there) = duplex(64);
        let mut timely = Tapped::new(here, Opening::of(4, SOON));
        there.write_all(b"123").await.unwrap();
        let mut read = [0; 4];
        let error = timely.read_exact(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (here, mut there) = duplex(64);
        let mut timely = Tapped::new(here, Opening::of(4, SOON));
        there.write_all(b"1234").await.unwrap();
        timely.read_exact(&mut read).await.unwrap();
        // Past the time of an opening that was not whole.
        let next = tokio::time::timeout(SOON * 3, timely.read_u8()).await;
        assert!(next.is_err(), "it still waits for what may come: {next:?}");
    }
}
