//! How many connections one source may have open, so that none takes the places of all.
//!
//! The workers share the count. It is looked at when a connection opens and when it closes, never for a request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::peer::Peer;

/// For each source off loopback, where nothing was asked for; but no more than a [`PART`] of all.
const MOST: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// So many sources it takes to have all connections, however few these are.
const PART: usize = 4;

/// The connections that are open, by where they come from.
pub struct Sources {
    most: usize,
    /// Whether so many were asked for: then it holds for loopback as well.
    is_asked_for: bool,
    /// They bring the connections of many.
    trusted: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, Open>>,
}

struct Open {
    connections: usize,
    /// Whether the log has it that this source wants more. It is said again when all of its connections were closed.
    is_told: bool,
}

/// The source has as many connections as it may.
#[derive(Debug)]
pub struct Full;

/// One of a source's places, for as long as it lives. `None`: a source that is not counted.
#[derive(Debug)]
pub struct Place(Option<(Arc<Sources>, IpAddr)>);

impl Sources {
    /// Of so many `connections` as there really are for all.
    pub fn new(asked_for: Option<NonZeroUsize>, connections: usize, trusted: Vec<IpNet>) -> Self {
        let of_all = MOST.get().min(connections / PART).max(1);
        let (most, is_asked_for) = (asked_for.map_or(of_all, NonZeroUsize::get), asked_for.is_some());
        Self { most, is_asked_for, trusted, open: Mutex::default() }
    }

    /// Takes a place for a connection of this peer.
    ///
    /// # Errors
    /// Where its source has all that it may have.
    pub fn enter(self: &Arc<Self>, peer: Peer) -> Result<Place, Full> {
        if peer.is_of(&self.trusted) || (!self.is_asked_for && peer.address.is_loopback()) {
            return Ok(Place(None));
        }
        let (most, source) = (self.most, source(peer.address));
        let mut open = self.open();
        let of_source = open.entry(source).or_insert(Open { connections: 0, is_told: false });
        if of_source.connections < most {
            of_source.connections += 1;
            return Ok(Place(Some((self.clone(), source))));
        }
        let was_told = std::mem::replace(&mut of_source.is_told, true);
        drop(open);
        if !was_told {
            tracing::warn!(
                %source, most,
                "a source has all the connections it may have and wants more, which are closed; \
                 --connections-per-source allows more, --trusted-proxy names a proxy that brings many clients"
            );
        }
        Err(Full)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((sources, source)) = self.0.take() else { return };
        if let Entry::Occupied(mut of_source) = sources.open().entry(source) {
            match of_source.get().connections {
                0 | 1 => _ = of_source.remove(),
                connections => of_source.get_mut().connections = connections - 1,
            }
        }
    }
}

/// What one customer of a network has: an IPv4 address, or the first half of an IPv6 one (RFC 6177 §2).
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(most: Option<usize>) -> Arc<Sources> {
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        Arc::new(Sources::new(most.map(|most| most.try_into().unwrap()), 1024, trusted))
    }

    fn at(address: &str) -> Peer {
        Peer::at(address.parse().unwrap())
    }

    /// Opens one connection more than it says.
    fn fill(sources: &Arc<Sources>, address: &str, most: usize) -> Vec<Place> {
        let places: Vec<_> = (0..most).map(|_| sources.enter(at(address)).unwrap()).collect();
        assert!(sources.enter(at(address)).is_err(), "{address}");
        places
    }

    #[test]
    fn a_source_has_so_many_places_and_gets_a_freed_one_again() {
        let sources = sources(Some(3));
        let mut places = fill(&sources, "192.0.2.1", 3);
        let _others = fill(&sources, "192.0.2.2", 3);
        places.pop();
        places.push(sources.enter(at("192.0.2.1")).unwrap());
        assert!(sources.enter(at("192.0.2.1")).is_err());
        drop(places);
        assert_eq!(sources.open().len(), 1, "what has no connection is forgotten");
    }

    #[test]
    fn an_address_cannot_hide_in_its_own_network() {
        let sources = sources(None);
        let _six = fill(&sources, "2001:db8::1", 64);
        assert!(sources.enter(at("2001:db8::ffff:0:0:2")).is_err(), "the same /64");
        assert!(sources.enter(at("2001:db8:0:1::1")).is_ok(), "the next /64");
        let _four = fill(&sources, "::ffff:192.0.2.1", 64);
        assert!(sources.enter(at("192.0.2.1")).is_err(), "the same address");
    }

    #[test]
    fn where_there_are_few_connections_no_source_has_them_all() {
        for (connections, most) in [(1024, 64), (256, 64), (255, 63), (58, 14), (4, 1), (1, 1)] {
            let sources = Arc::new(Sources::new(None, connections, Vec::new()));
            let _places = fill(&sources, "192.0.2.1", most);
            assert!(sources.enter(at("192.0.2.2")).is_ok(), "{connections}");
        }
        let asked = Arc::new(Sources::new(NonZeroUsize::new(32), 58, Vec::new()));
        let _places = fill(&asked, "192.0.2.1", 32);
    }

    #[test]
    fn loopback_is_counted_where_asked_for_and_a_trusted_proxy_never() {
        let many = |sources: &Arc<Sources>, address: &str| {
            let places: Vec<_> = (0..100).map(|_| sources.enter(at(address))).collect();
            places.iter().all(Result::is_ok)
        };
        let (unasked, asked) = (sources(None), sources(Some(2)));
        assert!(many(&unasked, "127.0.0.1") && many(&unasked, "::1") && many(&unasked, "10.1.2.3"));
        assert!(many(&asked, "10.1.2.3") && many(&asked, "::ffff:10.1.2.3"));
        let _loopback = fill(&asked, "127.0.0.1", 2);
    }
}
