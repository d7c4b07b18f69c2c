//! How many of its ports a host holds towards one destination, as its own listing of sockets tells.
//!
//! Linux counts ports for each (own address, peer address, peer port): `__inet_check_established()` in
//! net/ipv4/inet_hashtables.c. Sockets on a listening port cannot be many here: each needs a port of its own.

use super::host_limits::Limits;
use crate::evidence::hosts::{HostView, Listed};
use crate::snapshot::{Destination, Held, SocketRow, Source};

/// The ports held towards one destination.
#[derive(Clone, Debug)]
pub(super) struct PortsHeld<'a> {
    pub to: Destination,
    /// Sockets whose own port lies in the range.
    pub used: u64,
    pub time_wait: u64,
    /// Ports that the host has, and where it says so.
    pub limit: Option<(u64, Source)>,
    /// The listing that shows it.
    pub source: Source,
    /// The first of the rows, where it was kept.
    pub row: Option<&'a SocketRow>,
}

/// The range of Linux where nobody changed it: 32768 to 60999.
pub(super) const DEFAULT_PORTS: u64 = 28_232;

impl PortsHeld<'_> {
    /// The share of its ports in percent, by the range that the host tells, else by the default.
    pub fn percent(&self) -> u64 {
        let limit = self.limit.map_or(DEFAULT_PORTS, |(limit, _)| limit);
        self.used.saturating_mul(100).checked_div(limit).unwrap_or(0)
    }

    /// Where it leads to, as people write it.
    pub fn destination(&self) -> String {
        std::net::SocketAddr::new(self.to.remote, self.to.port).to_string()
    }
}

/// The destination with most ports held, over all moments of a host.
pub(super) fn fullest(host: &HostView) -> Option<PortsHeld<'_>> {
    let limits = Limits::of_host(host);
    let held = host.listings().into_iter().filter_map(|listed| {
        let (to, held) = listed.destinations().into_iter().next()?;
        Some(PortsHeld {
            to,
            used: inside(&listed, to, held, limits.ports().map(|(range, _)| range)),
            time_wait: held.time_wait.into(),
            limit: limits.port_count(),
            source: listed.source(),
            row: rows(&listed, to).next(),
        })
    });
    held.max_by_key(|held| held.used)
}

fn rows<'a>(listed: &Listed<'a>, to: Destination) -> impl Iterator<Item = &'a SocketRow> {
    listed.rows().filter(move |row| {
        row.local.host.ip() == Some(to.local)
            && row.remote.host.ip() == Some(to.remote)
            && row.remote.port.number() == Some(to.port)
    })
}

/// Sockets with a port of the range; a listener's, or one that bind() chose, uses none of it up.
fn inside(listed: &Listed<'_>, to: Destination, held: Held, range: Option<(u16, u16)>) -> u64 {
    let Some((lowest, highest)) = range else { return held.sockets.into() };
    if held.lowest >= lowest && held.highest <= highest {
        return held.sockets.into();
    }
    let ports = rows(listed, to).filter_map(|row| row.local.port.number());
    ports.filter(|port| (lowest..=highest).contains(port)).count() as u64
}
