//! Segments become connections: a passive state machine for each socket pair, and what follows from it.
//!
//! `tracker` fills compact records with what was seen; `view` derives from a record how the connection opened
//! and closed, who held TIME-WAIT and CLOSE-WAIT and for how long. Incarnations are told apart by ISN.
//!
//! RFC 9293 sections 3.3, 3.5, 3.6 and 3.10.7; Linux holds TIME-WAIT for 60 s (`TCP_TIMEWAIT_LEN`,
//! include/net/tcp.h), whatever 2MSL would be.

use serde::{Deserialize, Serialize};

mod copies;
mod history;
mod holes;
mod late;
mod outcome;
mod pause;
mod record;
mod records;
mod syn;
mod table;
mod tracker;
mod view;

pub use copies::{CopiesAt, Copy};
pub use history::{Event, History};
pub use holes::Unseen;
pub use late::{Late, LateAnswer, LateKind, Reset, ResetCause};
pub use outcome::{Close, Opened, ReuseOutcome, Who};
pub use pause::{Pause, PauseEvent};
pub use record::Record;
pub use syn::SynFate;
pub use tracker::{Tracked, Tracker};
pub use view::{Connection, Endpoint, Learnt, Socket, Syn};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The sender of the first SYN; where none was captured, the end that is not a known listener, else the
    /// one with the higher port.
    Client,
    /// The other end.
    Server,
}

impl Side {
    /// Both, the client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The other end.
    #[inline]
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    #[inline]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}
