//! Listening sockets: one for each worker on the same address (`SO_REUSEPORT`), so that the kernel spreads connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}; choose another address with {option} (port 0 picks a free port)")]
pub struct CannotListen {
    pub address: SocketAddr,
    /// The option of `serve` that names the address.
    pub option: &'static str,
    why: String,
    #[source]
    source: io::Error,
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn start(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Listens on `address` as one socket that shares with nobody.
///
/// # Errors
/// Where the system does not give it, and why; `option` says what to change.
pub fn listen_alone(address: SocketAddr, option: &'static str) -> Result<TcpListener, CannotListen> {
    bind(address, false).and_then(start).map_err(|fault| explained(fault, address, option))
}

/// Listens on `address` as `count` sockets. With port 0 all are on the one port that the system picked.
///
/// # Errors
/// As [`listen_alone`].
pub fn listen(
    address: SocketAddr,
    count: NonZeroUsize,
    option: &'static str,
) -> Result<Vec<TcpListener>, CannotListen> {
    if count == NonZeroUsize::MIN {
        return Ok(vec![listen_alone(address, option)?]);
    }
    // A second gateway of the same user could share the port unnoticed; a socket that does not share finds it out.
    drop(listen_alone(address, option)?);
    shared(address, count).map_err(|fault| explained(fault, address, option))
}

fn shared(address: SocketAddr, count: NonZeroUsize) -> io::Result<Vec<TcpListener>> {
    let first = start(bind(address, true)?)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..count.get() {
        all.push(start(bind(address, true)?)?);
    }
    Ok(all)
}

fn explained(source: io::Error, address: SocketAddr, option: &'static str) -> CannotListen {
    let why = match source.kind() {
        io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
        _ => source.to_string(),
    };
    CannotListen { address, option, why, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, CannotListen> {
        listen(address, NonZeroUsize::new(count).unwrap(), "--admin-listen")
    }

    #[test]
    fn several_sockets_share_the_port_that_was_picked() {
        let sockets = many("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]));
    }

    #[test]
    fn a_port_in_use_is_named_with_what_mends_it() {
        for holders in [1, 2] {
            let held = many("127.0.0.1:0".parse().unwrap(), holders).unwrap();
            let address = held[0].local_addr().unwrap();
            for count in [1, 2] {
                let fault = many(address, count).unwrap_err();
                let text = format!(
                    "cannot listen on {address}: the address is in use; choose another address with --admin-listen (port 0 picks a free port)"
                );
                assert_eq!(fault.to_string(), text);
            }
        }
    }

    #[test]
    fn an_address_of_another_machine_is_said_so() {
        let fault = many("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert!(fault.to_string().contains("this machine has no such address"), "{fault}");
    }
}
