//! One host at one moment, as its snapshot files together describe it.
//!
//! The caller decides which files belong together (one folder, one archive); this type answers what
//! rules and the join with a capture ask.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::facts::{Facts, KernelVersion};
use super::socket::{Host as Address, SocketRow};
use super::state::TcpState;
use crate::time::{Span, Time};

/// Everything that the files of one host say.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// What they say, in the order in which they were given.
    pub facts: Facts,
}

impl Host {
    /// Adds what another file of the same host says.
    pub fn add(&mut self, facts: Facts) {
        self.facts.append(facts);
    }

    /// The host's own name, where one is told.
    #[must_use]
    pub fn name(&self) -> Option<Arc<str>> {
        self.facts.kernels.iter().find_map(|kernel| kernel.host.clone())
    }

    /// The kernel that it runs, as told last: a log may begin with an older boot.
    #[must_use]
    pub fn kernel(&self) -> Option<&KernelVersion> {
        self.facts.kernels.last()
    }

    /// Whether the kernel is older than `major.minor`; `None` where it is not told.
    ///
    /// Vendors keep old numbers and take newer code: the answer is about the number.
    #[must_use]
    pub fn kernel_before(&self, major: u32, minor: u32) -> Option<bool> {
        let (own_major, own_minor, _) = self.kernel()?.numbers;
        Some((own_major, own_minor) < (major, minor))
    }

    /// The moment that its files were made: the first time told with its zone, else the first told.
    #[must_use]
    pub fn moment(&self) -> Option<Time> {
        let moments = &self.facts.moments;
        moments.iter().find(|moment| moment.zone_known).or_else(|| moments.first()).map(|moment| moment.at)
    }

    /// How long it has been up.
    #[must_use]
    pub fn uptime(&self) -> Option<Span> {
        self.facts.uptimes.first().map(|uptime| uptime.up)
    }

    /// Its own addresses: those of its interfaces and the local ends of its connections, loopback left out.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        let told = self.facts.addresses.iter().map(|own| own.address);
        let used = self.facts.sockets.iter().filter_map(|row| row.local.host.ip());
        told.chain(used).filter(|address| !address.is_loopback()).collect()
    }

    /// Its listening sockets on `port` at `address` or at any address.
    pub fn listeners(&self, address: IpAddr, port: u16) -> impl Iterator<Item = &SocketRow> {
        self.facts.sockets.iter().filter(move |row| {
            row.state == Some(TcpState::Listen)
                && row.local.port.number() == Some(port)
                && (row.local.host == Address::Any || row.local.host.ip() == Some(address))
        })
    }
}
