//! Who is at the other end of a connection.

use std::net::IpAddr;

use ipnet::IpNet;

/// Who is at the other end of a connection, as far as the connection itself tells: a client, or a proxy before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// An IPv4 address is one, however the listener came by it.
    pub address: IpAddr,
}

impl Peer {
    pub fn at(address: IpAddr) -> Self {
        Self { address: address.to_canonical() }
    }

    /// Whether it is of one of these networks.
    pub fn is_of(self, networks: &[IpNet]) -> bool {
        is_of(self.address, networks)
    }
}

/// Whether an address is of one of these networks.
pub fn is_of(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}
