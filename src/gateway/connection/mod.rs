//! Connections of clients: where they come in, how many and how long, and the two versions of HTTP that they speak. What is
//! answered on them is made elsewhere ([`stream`](super::stream)).

pub mod descriptors;
pub mod http_1;
pub mod http_2;
pub mod listen;
pub mod peer;
pub mod sources;
pub mod tls;
pub mod waiters;
pub mod watch;
