//! Why the upstream gives no answer that can be passed on.

/// What is wrong with the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamFault {
    /// No connection, or one that ended before the answer.
    Down,
    /// No answer in time.
    Slow,
    /// An answer that is not HTTP, or not MCP.
    Garbled,
}

impl UpstreamFault {
    /// As metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "upstream_down",
            Self::Slow => "upstream_slow",
            Self::Garbled => "upstream_garbled",
        }
    }
}
