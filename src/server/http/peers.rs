//! Who is at the other end: behind which proxies, and how many places each address holds. It believes no header of a machine that is not trusted.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};

use super::{extract::Peer, layers::Edge};
use crate::server::auth::throttle::Source;

/// Places that are held, by source; who holds none takes no memory.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<Source, usize>>>);

/// A place held; given back when dropped.
pub(super) struct Place {
    places: Places,
    source: Source,
}

impl Places {
    /// A further place for this source, where it holds fewer than `max`.
    pub(super) fn take(&self, source: Source, max: usize) -> Option<Place> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.entry(source).or_default();
        if *held >= max {
            return None;
        }
        *held += 1;
        Some(Place { places: self.clone(), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = held.get(&self.source).map_or(0, |count| count - 1);
        if rest == 0 {
            held.remove(&self.source);
        } else {
            held.insert(self.source, rest);
        }
    }
}

/// Puts the address that a trusted proxy tells in the place of the proxy's own.
pub(super) async fn look_behind_proxies(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let peer = Peer::of(request.extensions());
    let behind = client(peer.0, request.headers(), |hop| edge.trusts(hop));
    if behind != peer.0 {
        request.extensions_mut().insert(Peer(behind));
    }
    next.run(request).await
}

/// The rightmost address of `X-Forwarded-For` that is no trusted proxy; what stands left of it anybody can make up.
fn client(peer: IpAddr, headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    if !trusts(peer) {
        return peer;
    }
    let hops = headers.get_all("x-forwarded-for").iter().rev();
    for hop in hops.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',')) {
        match address(hop.trim()) {
            Some(hop) if trusts(hop) => {}
            Some(hop) => return hop,
            None => return peer,
        }
    }
    peer
}

/// Some proxies write the port, too.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn behind(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.1", "10.0.0.2", "fd00::1"].map(|proxy| proxy.parse().unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, |hop| trusted.contains(&hop)).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_what_it_saw_itself() {
        assert_eq!(behind("192.0.2.9", &["198.51.100.7"]), "192.0.2.9");
        assert_eq!(behind("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(behind("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(behind("10.0.0.1", &["127.0.0.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(behind("10.0.0.1", &["127.0.0.1", "198.51.100.7 , 10.0.0.2"]), "198.51.100.7");
        assert_eq!(behind("10.0.0.1", &["10.0.0.2"]), "10.0.0.1");
        assert_eq!(behind("10.0.0.1", &["198.51.100.7, unknown"]), "10.0.0.1");
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for hop in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711"] {
            assert_eq!(behind("fd00::1", &[hop]), "2001:db8::7");
        }
        assert_eq!(behind("fd00::1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(behind("fd00::1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn places_are_counted_by_source_and_given_back() {
        let places = Places::default();
        let source = |address: &str| Source::from(address.parse::<IpAddr>().unwrap());
        let first = places.take(source("10.0.0.1"), 2);
        let second = places.take(source("10.0.0.1"), 2);
        assert!(first.is_some() && second.is_some() && places.take(source("10.0.0.1"), 2).is_none());
        assert!(places.take(source("10.0.0.2"), 2).is_some());
        drop(first);
        assert!(places.take(source("10.0.0.1"), 2).is_some());
        drop(second);
        assert!(places.0.lock().unwrap().is_empty());
    }
}
