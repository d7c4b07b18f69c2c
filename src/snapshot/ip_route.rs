//! Routes of the host: `ip route`, `ip -6 route`, `ip route get`, `ip route show table all`.
//!
//! It follows `ip/iproute.c` of iproute2. Two things of them serve: the address that a route prefers (`src`) is the
//! host's own, and the default route names the gateway.

use std::net::IpAddr;
use std::sync::Arc;

use super::facts::{Gateway, OwnAddress, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    // The next hops of a default may stand on lines of their own.
    let multipath = |route: &Route<'_>| route.default && text.split_ascii_whitespace().any(|word| word == "proto");
    Route::of(text).is_some_and(|route| route.dev.is_some() || route.via.is_some() || route.typed || multipath(&route))
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Routes { default: false })
}

struct Routes {
    /// The route before is a default with a next hop on each of the lines that follow.
    default: bool,
}

impl Parser for Routes {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with("cache") {
            return Taken::Part;
        }
        if let Some(hop) = trimmed.strip_prefix("nexthop ") {
            if self.default {
                let via = hop.split_ascii_whitespace().skip_while(|word| *word != "via").nth(1);
                out.facts.gateways.extend(via.and_then(address).map(|address| Gateway { address, source }));
            }
            return Taken::Row;
        }
        let Some(route) = Route::of(text) else { return Taken::Foreign };
        self.default = route.default;
        if route.default {
            out.facts.gateways.extend(route.via.map(|address| Gateway { address, source }));
        }
        if let (Some(address), Some(dev)) = (route.src.filter(|own| !own.is_loopback()), route.dev) {
            let interface: Arc<str> = out.names.get(dev);
            if !out.facts.addresses.iter().any(|own| own.address == address && own.source.input == source.input) {
                out.facts.addresses.push(OwnAddress { address, interface, source });
            }
        }
        Taken::Row
    }
}

/// What is read of one route.
struct Route<'a> {
    default: bool,
    /// Its kind is written before its destination: `blackhole`, `local`.
    typed: bool,
    via: Option<IpAddr>,
    dev: Option<&'a str>,
    src: Option<IpAddr>,
}

impl<'a> Route<'a> {
    fn of(text: &'a str) -> Option<Self> {
        const KINDS: [&str; 10] = [
            "unicast",
            "local",
            "broadcast",
            "anycast",
            "multicast",
            "throw",
            "unreachable",
            "prohibit",
            "blackhole",
            "nat",
        ];
        let mut words = text.split_ascii_whitespace().peekable();
        let typed = words.next_if(|word| KINDS.contains(word)).is_some();
        let destination = words.next()?;
        let default = destination == "default";
        if !default {
            let (network, length) = destination.split_once('/').unwrap_or((destination, "0"));
            (network.parse::<IpAddr>().is_ok() && length.parse::<u8>().is_ok()).then_some(())?;
        }
        let mut route = Self { default, typed, via: None, dev: None, src: None };
        let mut known = false;
        while let Some(word) = words.next() {
            match word {
                "via" => {
                    let next = words.next_if(|word| !matches!(*word, "inet" | "inet6"));
                    route.via = next.or_else(|| words.nth(1)).and_then(address);
                }
                "dev" => route.dev = words.next(),
                "src" => route.src = words.next().and_then(address),
                "proto" | "scope" | "metric" | "table" | "pref" | "mtu" | "advmss" | "uid" | "from" | "nhid"
                | "rtt" | "cwnd" | "initcwnd" | "hoplimit" | "expires" | "error" => {
                    words.next()?;
                }
                "onlink" | "linkdown" | "dead" | "cache" | "offload" | "trap" | "rt_offload" | "lock" => {}
                // A neighbour (`ip neigh`), not a route.
                "lladdr" | "REACHABLE" | "STALE" | "DELAY" | "PROBE" | "FAILED" | "INCOMPLETE" | "PERMANENT" => {
                    return None;
                }
                // Whatever a later version adds; a line without any of these words is no route.
                _ => continue,
            }
            known = true;
        }
        (known || typed || default).then_some(route)
    }
}

fn address(word: &str) -> Option<IpAddr> {
    Some(word.parse::<IpAddr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn gateways_and_preferred_addresses_are_read() {
        let text = "default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.10 metric 100\n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.10\nblackhole 203.0.113.0/24\n";
        let facts = read(0, "routes", text.as_bytes()).facts;
        assert_eq!(facts.gateways.iter().map(|one| one.address.to_string()).collect::<Vec<_>>(), ["192.0.2.1"]);
        assert_eq!(facts.addresses.iter().map(|one| one.address.to_string()).collect::<Vec<_>>(), ["192.0.2.10"]);
    }

    #[test]
    fn each_next_hop_of_a_default_is_a_gateway() {
        let text = "default proto static metric 20\n\tnexthop via 192.0.2.1 dev eth0 weight 1\n\tnexthop via 192.0.2.2 dev eth1 weight 1\n";
        assert_eq!(read(0, "routes", text.as_bytes()).facts.gateways.len(), 2);
    }

    #[test]
    fn what_a_host_remembers_of_its_peers_is_no_route() {
        let text = "192.0.2.1 age 0.5sec cwnd 10 rtt 8426us rttvar 5833us source 192.0.2.10\n";
        assert_eq!(read(0, "x", text.as_bytes()).formats(), ["tcp_metrics"]);
    }
}
