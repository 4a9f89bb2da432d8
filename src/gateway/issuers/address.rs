//! To which addresses a connection is made for what a URL of somebody else names (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Anybody's.
    Public,
    /// Of this machine, or of the network that it stands in. An operator may name hosts that are there.
    Private,
    /// Where no issuer is: what tells a machine of the cloud its secrets, a link, many, none. Only a literal address
    /// that the operator typed leads there.
    Never,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// RFC 1918, RFC 1122 §3.2.1.3 (loopback), RFC 6598 (shared).
const PRIVATE_4: [Ipv4Net; 5] = [
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    v4(127, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
];

/// The rest of the IANA IPv4 Special-Purpose Address Registry, multicast, and two addresses under which clouds tell
/// machines of themselves that lie elsewhere.
const NEVER_4: [Ipv4Net; 14] = [
    v4(0, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 31, 196, 0, 24),
    v4(192, 52, 193, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 175, 48, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 3),
    v4(168, 63, 129, 16, 32),
    v4(100, 100, 100, 200, 32),
];

/// RFC 4193. Loopback is looked at by itself.
const PRIVATE_6: Ipv6Net = v6(0xfc00, 0, 7);
/// What is handed out at all: everything beside it is for special purposes.
const GLOBAL_6: Ipv6Net = v6(0x2000, 0, 3);
/// Of the IANA IPv6 Special-Purpose Address Registry what lies within: protocols (Teredo, ORCHID), documentation, 6to4.
const NEVER_6: [Ipv6Net; 4] =
    [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];
/// RFC 6052: the last 32 bits are the address of IPv4 that is meant.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);
/// Where a machine of the cloud is told of itself over IPv6.
const METADATA_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

pub(super) fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_4(address),
        IpAddr::V6(address) => place_6(address),
    }
}

fn place_4(address: Ipv4Addr) -> Place {
    if NEVER_4.iter().any(|network| network.contains(&address)) {
        Place::Never
    } else if PRIVATE_4.iter().any(|network| network.contains(&address)) {
        Place::Private
    } else {
        Place::Public
    }
}

fn place_6(address: Ipv6Addr) -> Place {
    if let Some(inner) = address.to_ipv4_mapped() {
        return place_4(inner);
    }
    let [.., a, b, c, d] = address.octets();
    if NAT64.contains(&address) {
        return place_4(Ipv4Addr::new(a, b, c, d));
    }
    if address != METADATA_6 && (PRIVATE_6.contains(&address) || address.is_loopback()) {
        Place::Private
    } else if GLOBAL_6.contains(&address) && !NEVER_6.iter().any(|network| network.contains(&address)) {
        Place::Public
    } else {
        Place::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are(expected: Place, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(place(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_anybody_may_have_is_public() {
        are(Place::Public, &["8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0"]);
        are(Place::Public, &["11.0.0.0", "192.167.255.255", "223.255.255.255", "::ffff:8.8.8.8"]);
        are(Place::Public, &["2606:4700::1111", "2001:200::1", "64:ff9b::808:808"]);
    }

    #[test]
    fn networks_of_ones_own_are_private() {
        are(Place::Private, &["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255"]);
        are(Place::Private, &["192.168.1.1", "100.64.0.1", "::1", "fd12::1", "fc00::1"]);
        are(Place::Private, &["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]);
    }

    #[test]
    fn where_no_issuer_is_is_never_asked() {
        are(Place::Never, &["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1"]);
        are(Place::Never, &["168.63.129.16", "100.100.100.200", "192.0.2.1", "240.0.0.1"]);
        are(
            Place::Never,
            &["::", "fe80::1", "ff02::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "fec0::1"],
        );
        are(
            Place::Never,
            &["fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "::7f00:1", "100::1"],
        );
    }
}
