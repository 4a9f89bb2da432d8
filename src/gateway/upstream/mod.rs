//! The way to the MCP server behind the gateway: HTTP/1.1 (RFC 9112), over connections that one thread keeps.
//!
//! Heads and the sizes of chunks are read by httparse; where bodies end [`wire`](super::wire) knows. Whoever waits for an answer
//! drives its connection himself. hyper's client takes each request and each answer through channels to a driver of its
//! own, which cost a third of what the whole gateway spends on a call.

mod answer;
mod connection;
mod fault;
mod head;
mod outgoing;
mod pool;
pub mod unfit;

pub use answer::{Answer, BrokenAnswer};
pub use fault::UpstreamFault;
pub use head::{AnswerHead, RequestHead};
pub use outgoing::{BrokenBody, Outgoing};
pub use pool::Pool;

#[cfg(test)]
mod tests;
