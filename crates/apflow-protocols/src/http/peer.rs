//! Who is at the other end of a connection, and behind the proxies that may say so.

use std::net::{IpAddr, SocketAddr};

use apflow_core::webhook::Network;
use axum::http::{Extensions, HeaderMap};

/// The other end of the connection a request came on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    /// The address, as far as those we trust say it.
    pub(super) ip: Option<IpAddr>,
    /// It came from this machine, and nobody passed it on.
    pub(super) local: bool,
}

/// Headers by which somebody says that he passes a request on.
const PASSED_ON: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

/// Addresses in `X-Forwarded-For` that are looked at.
const MOST_HOPS: usize = 32;

/// Where a request came from: the other end of the connection, or, if that is a proxy we trust, the
/// last address in `X-Forwarded-For` that is none.
pub(super) fn client(proxies: &[Network], extensions: &Extensions, headers: &HeaderMap) -> Client {
    let Some(Peer(peer)) = extensions.get::<Peer>().copied() else {
        return Client { ip: None, local: false };
    };
    let trusted = |ip: IpAddr| proxies.iter().any(|proxy| proxy.contains(ip));
    let peer = peer.ip().to_canonical();
    let direct = !PASSED_ON.iter().any(|name| headers.contains_key(*name));
    let mut ip = peer;
    if trusted(peer) {
        let values: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|value| value.to_str().unwrap_or("?"))
            .flat_map(|value| value.split(','))
            .collect();
        for hop in values.iter().rev().take(MOST_HOPS) {
            // What stands left of something unreadable may be made up.
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
            ip = hop.to_canonical();
            if !trusted(ip) {
                break;
            }
        }
    }
    Client { ip: Some(ip), local: direct && peer.is_loopback() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, proxies: &[&str], headers: &[(&'static str, &str)]) -> (String, bool) {
        let proxies: Vec<Network> =
            proxies.iter().map(|text| text.parse().expect("a network")).collect();
        let mut extensions = Extensions::new();
        extensions.insert(Peer(peer.parse().expect("an address")));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        let Client { ip, local } = client(&proxies, &extensions, &map);
        (ip.expect("known").to_string(), local)
    }

    #[test]
    fn only_a_proxy_that_was_named_may_say_who_is_behind_it() {
        let xff = |value| [("x-forwarded-for", value)];
        let ip = |peer: &str, proxies: &[&str], value| from(peer, proxies, &xff(value)).0;
        assert_eq!(ip("9.9.9.9:1", &[], "1.1.1.1"), "9.9.9.9");
        assert_eq!(ip("10.0.0.1:1", &["10.0.0.1"], "1.1.1.1"), "1.1.1.1");
        assert_eq!(ip("10.0.0.1:1", &["10.0.0.0/8"], "7.7.7.7, 1.1.1.1, 10.9.9.9"), "1.1.1.1");
        assert_eq!(ip("10.0.0.1:1", &["10.0.0.0/8"], "7.7.7.7, nonsense, 10.9.9.9"), "10.9.9.9");
        assert_eq!(ip("10.0.0.1:1", &["10.0.0.0/8"], ""), "10.0.0.1");
        assert_eq!(ip("[::ffff:10.0.0.1]:1", &["10.0.0.0/8"], "::ffff:1.1.1.1"), "1.1.1.1");
        let two = [("x-forwarded-for", "7.7.7.7"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(from("10.0.0.1:1", &["10.0.0.1"], &two).0, "1.1.1.1");
    }

    #[test]
    fn what_a_proxy_on_this_machine_passes_on_does_not_come_from_this_machine() {
        assert!(from("127.0.0.1:1", &[], &[]).1);
        assert!(from("[::1]:1", &[], &[]).1);
        assert!(!from("10.0.0.1:1", &[], &[]).1);
        for name in PASSED_ON {
            assert!(!from("127.0.0.1:1", &[], &[(name, "127.0.0.1")]).1, "{name}");
        }
    }
}
