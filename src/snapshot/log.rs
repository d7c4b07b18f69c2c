//! Messages of the kernel and of applications that say why connections fail or why a host stood still.

use super::facts::Source;
use crate::time::{Span, Time};

/// When a message was written, as far as its line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTime {
    /// Since boot.
    SinceBoot(Span),
    /// A time, in UTC.
    At(Time),
    /// A time of the host's own zone, which the line does not name.
    Local(Time),
    /// A day and time of a year that the line does not name: month, day, since midnight.
    Yearless(u8, u8, Span),
    /// Nothing.
    Unknown,
}

/// What a message of the kernel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// A listener's SYN queue is full; cookies are sent. Printed once a listener.
    SynFloodCookies,
    /// A listener's SYN queue is full; requests are dropped. Printed once a listener.
    SynFloodDrop,
    /// More TIME-WAITs than `tcp_max_tw_buckets`; kernels of today only count it.
    TimeWaitOverflow,
    /// The connection tracker's table is full.
    ConntrackFull,
    /// More sockets without a process than `tcp_max_orphans`.
    TooManyOrphans,
    /// Orphans or socket memory are at their limit.
    OutOfSocketMemory,
    /// Socket memory is above `tcp_mem`.
    TcpOutOfMemory,
    /// A peer took back window that it had offered.
    WindowShrunk,
    /// The table of neighbours (ARP) is full.
    NeighbourOverflow,
    /// A CPU ran kernel code for too long.
    SoftLockup,
    /// A CPU took no interrupts for too long.
    HardLockup,
    /// A CPU did not report to RCU in time.
    RcuStall,
    /// A task waited uninterruptibly for too long.
    HungTask,
    /// A timer interrupt took too long.
    TimerSlow,
    /// A sampling interrupt took too long.
    InterruptSlow,
    /// A transmit queue of an interface stood still.
    TransmitTimeout,
    /// A clock source was given up.
    ClocksourceUnstable,
    /// The kernel could not allocate memory.
    SlabAllocation,
    /// A process was killed for its memory.
    OutOfMemory,
    /// An interface lost its link.
    LinkDown,
    /// An interface got its link.
    LinkUp,
    /// An application found no free port (EADDRNOTAVAIL).
    NoFreePort,
    /// An application's port was taken (EADDRINUSE).
    AddressInUse,
    /// An application's connection was refused (ECONNREFUSED).
    ConnectionRefused,
    /// An application's connection timed out (ETIMEDOUT).
    ConnectionTimedOut,
    /// An application's connection was reset (ECONNRESET).
    ConnectionReset,
    /// Messages that the kernel left out, of whatever kind was printed before.
    Suppressed,
}

/// One message that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub time: LogTime,
    /// What it is about.
    pub kind: LogKind,
    /// How many messages it stands for: one, what a rate limit left out, or the rest of a long flood.
    pub count: u64,
    /// The message without its time and host.
    pub text: Box<str>,
    /// Where it was read.
    pub source: Source,
}
