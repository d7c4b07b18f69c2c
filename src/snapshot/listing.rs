//! One listing of sockets as a whole: how many it shows in each state, and what it cannot show.
//!
//! `ss` and `netstat` leave states out depending on how they were called: without `-a`, `ss` lists
//! neither LISTEN nor TIME-WAIT (`ss(8)`), and a count of zero would then mean nothing.

use super::census::Census;
use super::facts::Source;
use super::fold::Folded;
use super::socket::SocketRow;
use super::state::{StateCounts, TcpState};
use crate::time::Time;

/// One listing of TCP sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketListing {
    /// The format: the name of its parser.
    pub format: &'static str,
    /// Sockets in each state.
    pub counts: StateCounts,
    /// Its rows by own port and by destination.
    pub census: Census,
    /// Sockets whose state was not printed.
    pub stateless: u64,
    /// Whether every state could have been listed; `None` where neither the call nor the rows tell.
    pub all_states: Option<bool>,
    /// Whether owners were printed for any socket; if not, nothing is known of owners.
    pub owners: bool,
    /// When it was printed, where the file says so.
    pub moment: Option<Time>,
    /// The first line of it.
    pub source: Source,
    /// The last line of it.
    pub last_line: u32,
}

impl SocketListing {
    pub(super) fn new(format: &'static str, source: Source, moment: Option<Time>) -> Self {
        Self {
            format,
            counts: StateCounts::default(),
            census: Census::default(),
            stateless: 0,
            all_states: None,
            owners: false,
            moment,
            source,
            last_line: source.line,
        }
    }

    /// Counts one row.
    pub(super) fn add(&mut self, row: &SocketRow) {
        match row.state {
            Some(state) => self.counts.add(state),
            None => self.stateless = self.stateless.saturating_add(1),
        }
        self.census.add(row);
        self.owners |= row.process.is_some();
        self.last_line = self.last_line.max(row.source.line);
    }

    /// Counts rows that were folded.
    pub(super) fn take(&mut self, folded: Folded, last: Source) {
        self.counts.merge(&folded.counts);
        self.census.merge(folded.census);
        self.last_line = self.last_line.max(last.line);
    }

    /// What the rows show of the call: a listing that has both LISTEN and connections was asked for all.
    pub(super) fn settle(&mut self) {
        let listening = self.counts.get(TcpState::Listen);
        let connected = self.counts.total().saturating_sub(listening);
        if self.all_states.is_none() && listening > 0 && connected > 0 {
            self.all_states = Some(true);
        }
    }

    /// Sockets in `state`; `None` where the listing may have left that state out.
    #[must_use]
    pub fn count(&self, state: TcpState) -> Option<u64> {
        let count = self.counts.get(state);
        (count > 0 || self.all_states == Some(true)).then_some(count)
    }
}
