//! What a listing of sockets comes to when its rows are not kept: states by own port, and ports held towards each
//! destination.
//!
//! A server's listing may have millions of rows, each towards another destination. Destinations are counted by the
//! lossy counting of Manku and Motwani ("Approximate Frequency Counts over Data Streams", 2002): where there are
//! too many, the rare ones are forgotten, and what was forgotten of any one of them is known at most.

use std::fmt;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::socket::SocketRow;
use super::state::{StateCounts, TcpState};

/// Destinations that are counted at a time; each takes about 60 bytes.
const DESTINATIONS: usize = 1 << 18;

/// Where connections of one own address lead to: ports are counted for each (`__inet_check_established()`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The own address.
    pub local: IpAddr,
    /// The peer's address.
    pub remote: IpAddr,
    /// The peer's port.
    pub port: u16,
}

/// The own ports that lead to one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Sockets in any state but LISTEN.
    pub sockets: u32,
    /// Those in TIME-WAIT.
    pub time_wait: u32,
    /// The lowest own port.
    pub lowest: u16,
    /// The highest own port.
    pub highest: u16,
}

/// Counts over all rows of one listing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Sockets by own port.
    ports: HashMap<u16, StateCounts>,
    destinations: HashMap<Destination, Held>,
    /// So many sockets of one destination may have been forgotten.
    forgotten: u32,
    /// Ports that it listens on, as far as they were read: their connections lead nowhere, they come.
    listening: PortSet,
}

/// A set of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(Vec<u64>);

impl PortSet {
    fn insert(&mut self, port: u16) {
        self.0.resize(1024, 0);
        if let Some(bits) = self.0.get_mut(usize::from(port >> 6)) {
            *bits |= 1 << (port & 63);
        }
    }

    fn contains(&self, port: u16) -> bool {
        self.0.get(usize::from(port >> 6)).is_some_and(|bits| bits & (1 << (port & 63)) != 0)
    }
}

impl Census {
    /// Replaces the addresses of all destinations, one to one.
    pub fn map_addresses(&mut self, map: &dyn Fn(IpAddr) -> IpAddr) {
        let mapped = |(to, held): (Destination, Held)| {
            (Destination { local: map(to.local), remote: map(to.remote), ..to }, held)
        };
        self.destinations = std::mem::take(&mut self.destinations).into_iter().map(mapped).collect();
    }

    /// A part of a listing whose listeners were read before it.
    pub(super) fn behind(listening: &PortSet) -> Self {
        Self { listening: listening.clone(), ..Self::default() }
    }

    /// The ports that it listens on, as far as they were read.
    pub(super) const fn listening(&self) -> &PortSet {
        &self.listening
    }

    /// Counts one row.
    pub(super) fn add(&mut self, row: &SocketRow) {
        let (Some(state), Some(port)) = (row.state, row.local.port.number()) else { return };
        let ends = row.local.host.ip().zip(row.remote.host.ip()).zip(row.remote.port.number());
        let to = ends.map(|((local, remote), port)| Destination { local, remote, port });
        self.count(state, port, to);
    }

    /// Counts one socket by its state, its own port, and where it leads to.
    pub(super) fn count(&mut self, state: TcpState, port: u16, to: Option<Destination>) {
        self.ports.entry(port).or_default().add(state);
        if state == TcpState::Listen {
            self.listening.insert(port);
        } else if let Some(to) = to.filter(|_| !self.listening.contains(port)) {
            let time_wait = u32::from(state == TcpState::TimeWait);
            self.hold(to, Held { sockets: 1, time_wait, lowest: port, highest: port });
        }
    }

    /// Adds what another part of the same listing holds; parts must come in their order.
    pub(super) fn merge(&mut self, other: Self) {
        // Sums do not depend on the order in which a map gives its entries.
        #[allow(clippy::iter_over_hash_type)]
        for (port, counts) in other.ports {
            self.ports.entry(port).or_default().merge(&counts);
        }
        self.forgotten = self.forgotten.saturating_add(other.forgotten);
        #[allow(clippy::iter_over_hash_type)]
        for (to, held) in other.destinations {
            self.hold_unbounded(to, held);
        }
        self.forget_rare();
    }

    /// Own ports with the states of their sockets, by port.
    #[must_use]
    pub fn ports(&self) -> Vec<(u16, &StateCounts)> {
        let mut ports: Vec<_> = self.ports.iter().map(|(port, counts)| (*port, counts)).collect();
        ports.sort_unstable_by_key(|(port, _)| *port);
        ports
    }

    /// Destinations with the own ports that lead there, most first.
    #[must_use]
    pub fn destinations(&self) -> Vec<(Destination, Held)> {
        let mut all: Vec<_> = self.destinations.iter().map(|(to, held)| (*to, *held)).collect();
        all.sort_unstable_by_key(|(to, held)| (std::cmp::Reverse(held.sockets), *to));
        all
    }

    /// How many sockets of one destination may be missing in its count, because there were too many destinations.
    #[must_use]
    pub const fn missing_at_most(&self) -> u32 {
        self.forgotten
    }

    fn hold(&mut self, to: Destination, held: Held) {
        self.hold_unbounded(to, held);
        self.forget_rare();
    }

    fn hold_unbounded(&mut self, to: Destination, held: Held) {
        let sum = self.destinations.entry(to).or_insert(Held { sockets: 0, time_wait: 0, ..held });
        sum.sockets = sum.sockets.saturating_add(held.sockets);
        sum.time_wait = sum.time_wait.saturating_add(held.time_wait);
        sum.lowest = sum.lowest.min(held.lowest);
        sum.highest = sum.highest.max(held.highest);
    }

    /// Forgets destinations with few sockets until there is room again.
    fn forget_rare(&mut self) {
        if self.destinations.len() <= DESTINATIONS {
            return;
        }
        let mut few = 1;
        loop {
            self.destinations.retain(|_, held| held.sockets > few);
            if self.destinations.len() <= DESTINATIONS / 2 {
                break;
            }
            few = few.saturating_mul(2);
        }
        self.forgotten = self.forgotten.saturating_add(few);
    }
}

/// In order, since a map has none.
impl fmt::Debug for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Census").field(&self.ports()).field(&self.destinations()).field(&self.forgotten).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(number: u32, port: u16) -> Destination {
        let remote = IpAddr::from(number.to_be_bytes());
        Destination { local: IpAddr::from([192, 0, 2, 10]), remote, port }
    }

    #[test]
    fn frequent_destinations_survive_any_number_of_rare_ones() {
        let (mut whole, mut parts) = (Census::default(), Vec::new());
        for part in 0..4_u32 {
            let mut census = Census::default();
            for number in 0..150_000_u32 {
                let port = u16::try_from(32_768 + number % 20_000).unwrap();
                let to = if number % 10 == 0 { to(7, 3306) } else { to(part * 1_000_000 + number, 40_000) };
                census.count(TcpState::TimeWait, port, Some(to));
                whole.count(TcpState::TimeWait, port, Some(to));
            }
            parts.push(census);
        }
        let merged = parts.into_iter().reduce(|mut sum, part| {
            sum.merge(part);
            sum
        });
        for census in [whole, merged.unwrap()] {
            let (first, held) = census.destinations()[0];
            assert_eq!((first.port, held.time_wait, held.lowest), (3306, 60_000, 32_768));
            assert!(census.missing_at_most() > 0 && census.destinations().len() <= DESTINATIONS);
            assert_eq!(census.ports().iter().map(|(_, counts)| counts.total()).sum::<u64>(), 600_000);
        }
    }
}
