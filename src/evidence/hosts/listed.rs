//! One listing of sockets for each moment of a host: the most telling of all that were made then.
//!
//! People save `ss -tan`, `ss -tanp`, `netstat -ant` and `/proc/net/tcp` side by side; each lists the same sockets,
//! and a sum over all of them would be wrong. `/proc/net/tcp` and `tcp6` are two halves of one listing.

use super::HostView;
use crate::snapshot::{Census, Destination, Held, SocketListing, SocketRow, Source, StateCounts, TcpState};
use crate::time::Time;

/// The sockets of a host at one moment.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    host: &'a HostView,
    /// The listing, or its halves.
    parts: Vec<&'a SocketListing>,
    /// The place of its moment.
    pub moment: usize,
    /// When it was made, where that is told.
    pub at: Option<Time>,
}

impl HostView {
    /// The best listing of each moment, in time order.
    #[must_use]
    pub fn listings(&self) -> Vec<Listed<'_>> {
        let mut best: Vec<Listed<'_>> = Vec::new();
        for listing in &self.host.facts.listings {
            let Some(moment) = self.moment_of(listing.source) else { continue };
            let at = listing.moment.or_else(|| self.moments.get(moment)?.at);
            let same = |other: &&mut Listed<'_>| other.moment == moment && (listing.moment.is_none() || other.at == at);
            match best.iter_mut().find(same) {
                None => best.push(Listed { host: self, parts: vec![listing], moment, at }),
                Some(known) if known.is_other_half(listing) => known.parts.push(listing),
                Some(known) if worth(&[listing]) > worth(&known.parts) => known.parts = vec![listing],
                Some(_) => {}
            }
        }
        best.sort_by_key(|listed| (listed.moment, listed.at));
        best
    }
}

/// How much listings tell: all states before some, owners before none, limits of queues before none, more before fewer.
fn worth(parts: &[&SocketListing]) -> (bool, bool, bool, u64) {
    let all = parts.iter().all(|part| part.all_states == Some(true));
    let owners = parts.iter().any(|part| part.owners);
    let limits = parts.iter().any(|part| part.format == "ss");
    (all, owners, limits, parts.iter().map(|part| part.counts.total()).sum())
}

impl<'a> Listed<'a> {
    /// Whether another file holds the other address family of the same listing.
    fn is_other_half(&self, listing: &SocketListing) -> bool {
        let [half] = self.parts.as_slice() else { return false };
        let families = |part: &SocketListing| {
            let six = |row: &&SocketRow| row.local.host.ip().is_some_and(|ip| ip.is_ipv6());
            self.host.rows_of(part).any(|row| six(&row))
        };
        half.format == "proc_net"
            && listing.format == "proc_net"
            && half.source.input != listing.source.input
            && families(half) != families(listing)
    }

    /// Sockets in `state`; `None` where the listing may have left them out.
    #[must_use]
    pub fn count(&self, state: TcpState) -> Option<u64> {
        self.parts.iter().filter_map(|part| part.count(state)).reduce(u64::saturating_add)
    }

    /// Every state that was listed.
    #[must_use]
    pub fn states(&self) -> StateCounts {
        let mut sum = StateCounts::default();
        self.parts.iter().for_each(|part| sum.merge(&part.counts));
        sum
    }

    /// Whether owners were printed, so that a socket without one has none.
    #[must_use]
    pub fn tells_owners(&self) -> bool {
        self.parts.iter().any(|part| part.owners)
    }

    /// Own ports with the states of their sockets, by port.
    #[must_use]
    pub fn ports(&self) -> Vec<(u16, StateCounts)> {
        let mut sums = std::collections::BTreeMap::<u16, StateCounts>::new();
        for (port, counts) in self.censuses().flat_map(Census::ports) {
            sums.entry(port).or_default().merge(counts);
        }
        sums.into_iter().collect()
    }

    /// Destinations with the own ports that lead there, most first.
    #[must_use]
    pub fn destinations(&self) -> Vec<(Destination, Held)> {
        let mut all: Vec<_> = self.censuses().flat_map(Census::destinations).collect();
        all.sort_by_key(|(to, held)| (std::cmp::Reverse(held.sockets), *to));
        all
    }

    /// Its rows; of a very long listing those that were kept.
    pub fn rows(&self) -> impl Iterator<Item = &'a SocketRow> + use<'a> {
        let host = self.host;
        self.parts.clone().into_iter().flat_map(move |part| host.rows_of(part))
    }

    /// Its rows in `state`.
    pub fn in_state(&self, state: TcpState) -> impl Iterator<Item = &'a SocketRow> + use<'a> {
        self.rows().filter(move |row| row.state == Some(state))
    }

    /// Ports that it listens on, rising, each once.
    #[must_use]
    pub fn listening_ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = self.in_state(TcpState::Listen).filter_map(|row| row.local.port.number()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Its first line.
    #[must_use]
    pub fn source(&self) -> Source {
        self.parts.first().map(|part| part.source).unwrap_or_default()
    }

    /// The tool that made it.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.parts.first().map_or("", |part| part.format)
    }

    fn censuses(&self) -> impl Iterator<Item = &'a Census> {
        self.parts.clone().into_iter().map(|part| &part.census)
    }
}

impl HostView {
    /// The rows of one listing: those of its input between its first line and its last.
    fn rows_of<'a>(&'a self, listing: &SocketListing) -> impl Iterator<Item = &'a SocketRow> + use<'a> {
        let (input, lines) = (listing.source.input, listing.source.line..=listing.last_line);
        self.host.facts.sockets.iter().filter(move |row| row.source.input == input && lines.contains(&row.source.line))
    }
}
