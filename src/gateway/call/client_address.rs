//! Where a request comes from.
//!
//! `X-Forwarded-For` is written by anybody; it is read only where the peer is a trusted proxy, and from the right, where
//! trusted proxies append, and in this spelling alone: another one a proxy passes on as its client wrote it. `Forwarded`
//! (RFC 7239) is never read.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use ipnet::IpNet;

use super::headers::FORWARDED_FOR;
use crate::gateway::connection::peer::{Peer, is_of};
use crate::gateway::wire::{Fields, text};

const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// One element of `X-Forwarded-For`: an address, with a port or without.
fn address_in(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let address = match text.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => IpAddr::V6(inner.parse().ok()?),
            None => text.parse::<SocketAddr>().ok()?.ip(),
        },
    };
    Some(address.to_canonical())
}

/// The address of the client: the peer, or the rightmost untrusted one of `X-Forwarded-For` where the peer is a trusted
/// proxy. `None` = unknown, because that field was malformed where it had to be read.
pub fn client_address(peer: Peer, headers: &Fields, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut client = peer.address;
    if !peer.is_of(trusted) {
        return Some(client);
    }
    for value in headers.all_to_the_letter(&FORWARDED_FOR).rev() {
        for element in text(value)?.rsplit(',') {
            client = address_in(element)?;
            if !is_of(client, trusted) {
                return Some(client);
            }
        }
    }
    Some(client)
}

/// The address of the client of a trusted proxy that only asks for a decision. The peer never is that client: where the
/// proxy says nothing, the address is unknown. `X-Real-IP` counts only where there is no `X-Forwarded-For`, because
/// proxies that write the latter pass the former on as the client sent it.
pub fn client_behind(proxy: Peer, headers: &Fields, trusted: &[IpNet]) -> Option<IpAddr> {
    if headers.all_to_the_letter(&FORWARDED_FOR).next().is_some() {
        return client_address(proxy, headers, trusted);
    }
    address_in(text(headers.single_to_the_letter(&REAL_IP).ok()??)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn address(peer: &str, fields: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("x-forwarded-for", field.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client_address(Peer::at(peer.parse().unwrap()), &Fields::from(&headers), &trusted)
            .map(|found| found.to_string())
    }

    #[test]
    fn a_stranger_cannot_say_where_it_comes_from() {
        assert_eq!(address("203.0.113.9", &["10.0.0.1"]).unwrap(), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_from_the_right() {
        for (fields, found) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["1.2.3.4, 198.51.100.7"], "198.51.100.7"),
            (&["1.2.3.4, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
            (&["1.2.3.4", "198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (&[], "10.0.0.5"),
        ] {
            assert_eq!(address("10.0.0.5", fields).as_deref(), Some(found), "{fields:?}");
        }
        assert_eq!(address("::ffff:10.0.0.5", &["198.51.100.7"]).unwrap(), "198.51.100.7");
    }

    #[test]
    fn a_proxy_that_only_asks_is_never_the_client() {
        let behind = |fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            client_behind(Peer::at("10.0.0.5".parse().unwrap()), &Fields::from(&headers), &trusted)
                .map(|found| found.to_string())
        };
        assert_eq!(behind(&[]), None);
        assert_eq!(behind(&[("x-forwarded-for", "1.2.3.4, 198.51.100.7")]).unwrap(), "198.51.100.7");
        assert_eq!(behind(&[("x-real-ip", "198.51.100.7")]).unwrap(), "198.51.100.7");
        let both = [("x-real-ip", "1.2.3.4"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(behind(&both).unwrap(), "198.51.100.7");
        assert_eq!(behind(&[("x-real-ip", "1.2.3.4"), ("x-forwarded-for", "unknown")]), None);
        assert_eq!(behind(&[("x-real-ip", "1.2.3.4"), ("x-real-ip", "198.51.100.7")]), None);
    }

    #[test]
    fn a_malformed_list_makes_the_address_unknown() {
        for field in ["unknown", "", "198.51.100.7,", "1.2.3", "0x7f.1", "198.51.100.7;x", "_hidden"] {
            assert_eq!(address("10.0.0.5", &[field]), None, "{field}");
        }
        // What stands left of the first untrusted address was written by a stranger and is not looked at.
        assert_eq!(address("10.0.0.5", &["garbage, 198.51.100.7"]).unwrap(), "198.51.100.7");
    }
}
