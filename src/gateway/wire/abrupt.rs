//! Connections that break, rather than end, where an answer breaks off whose end is that of its connection.
//!
//! A client of HTTP/1.0 knows no other end of an answer without a length (RFC 9112 §6.3), and nginx asks its upstreams as
//! one unless told otherwise: a connection that was closed in the midst would make a part pass for the whole.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::tap::Tapped;

/// A connection that can be told to break where it is dropped.
pub trait Abrupt {
    /// From now on its peer finds it reset (RFC 9293 §3.5.2) where it is let go of, or no longer. That holds for whatever
    /// ends it, also for the death of the process.
    fn break_when_dropped(&self, breaks: bool) -> io::Result<()>;
}

impl Abrupt for TcpStream {
    fn break_when_dropped(&self, breaks: bool) -> io::Result<()> {
        SockRef::from(self).set_linger(breaks.then_some(Duration::ZERO))
    }
}

impl<S: Abrupt, T> Abrupt for Tapped<S, T> {
    fn break_when_dropped(&self, breaks: bool) -> io::Result<()> {
        self.get_ref().break_when_dropped(breaks)
    }
}

impl<S: Abrupt> Abrupt for TlsStream<S> {
    fn break_when_dropped(&self, breaks: bool) -> io::Result<()> {
        self.get_ref().0.break_when_dropped(breaks)
    }
}
