//! The gateway as clients and the upstream see it: real sockets, a real store, a clock that stands still.

mod harness;

mod abroad;
mod admin;
mod answers;
mod bodies;
mod derived;
mod eras;
mod forward_auth;
mod forwarding;
mod found;
mod limits;
mod lists;
mod oauth;
mod plain;
mod proofs;
mod quota;
mod readings;
mod refusing;
mod sessions;
mod slow;
mod strangers;
mod streams;
mod tls;
mod tokens;
mod trouble;
mod words;
