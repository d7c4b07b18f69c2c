//! Packet scripts: a capture written as text, one segment a line, in the spirit of packetdrill and of what tcpdump prints.
//!
//! A script is compiled into the bytes of a classic pcap file (Ethernet; IPv4 and IPv6; TCP and ICMP) with right lengths
//! and checksums, so that a test runs the whole way from bytes to findings and a reviewer still reads packets.
//!
//! ```text
//! clock A hz=1000 start=900000
//! 0.0     203.0.113.9:1025 > 192.0.2.80:80     S    ts=A
//! +0.001  192.0.2.80:80 > 203.0.113.9:1025     S.   ts=5000
//! +0.001  203.0.113.9:1025 > 192.0.2.80:80     .
//! +0.001  203.0.113.9:1025 > 192.0.2.80:80     P.   len=100
//! +0.1    192.0.2.80:80 > 203.0.113.9:1025     F.              # the server closes first
//! 1.0     192.0.2.1 > 203.0.113.9              icmp unreachable host of 4
//! ```
//!
//! # A packet
//! `TIME SRC:PORT > DST:PORT FLAGS [key…]`. TIME is in seconds, or `+` seconds after the line above. IPv6 addresses stand in
//! brackets. FLAGS are tcpdump's letters (`S`, `S.`, `.`, `P.`, `F.`, `FP.`, `R`, `R.`). Packets are sorted by time.
//!
//! | key | what it sets | without it |
//! |---|---|---|
//! | `seq=` `ack=` | sequence numbers; `+5` and `-5` count from what would stand there without the key (on a `S` or `S.`: from that side's SND.NXT) | as a real connection numbers them; a new SYN takes an ISN from its line and turn |
//! | `len=` | bytes of data | 0; `P` needs it |
//! | `ts=` | TSval: a number, a clock (`A`), or for this segment alone a clock with ticks (`A-2`) | that side's clock runs on (a number at 1000 Hz); a new SYN or SYN-ACK has none |
//! | `ecr=` | TSecr | the last TSval that arrived and passed PAWS; 0 on a SYN |
//! | `nots` | no timestamps on this segment | |
//! | `win=` `ttl=` `vlan=` | window field, TTL or hop limit, one 802.1Q tag | Linux's windows, 64, no tag |
//! | `mss=` `wscale=` `sack` | options of a SYN or SYN-ACK | Linux's: MSS 1460, SACK permitted, window scale 7 |
//! | `opts=bare` | no options but those the line names | |
//! | `again` | a retransmission: number and length of that side's last segment with these flags | |
//! | `lost` | captured, but never arrives: the other side's numbers do not know of it | |
//! | `hidden` | arrives, but is not captured | |
//! | `copy` | the packet is captured twice, 10 µs apart, the second with TTL - 1 | |
//! | `inside=ADDRESS` | on a SYN: captured on a NAT, which shows every packet of this connection on both sides, 10 µs apart; inside, the sender has this address | |
//!
//! A segment without SYN from a side that has not answered the last SYN carries the numbers of the incarnation before: so a
//! plain `.` is the challenge ACK of RFC 9293 section 3.10.7.4. A `R` takes its number from the last ACK that arrived, a `R.`
//! that refuses a SYN has number 0.
//!
//! `SRC > DST icmp …` is `unreachable net|host|protocol|port|admin [of N]`, `time-exceeded [of N]`, or
//! `echo-request|echo-reply id=1 seq=2 [len=56]`. It quotes packet N of the capture; with `of -3` the
//! third last one that DST sent, and without `of` the last.
//!
//! # Directives
//! - `clock NAME hz=1000 start=900000`: a timestamp clock; `start` is its value at time 0. With `start=per-connection` each
//!   socket pair has its own offset, always the same one.
//! - `repeat N every S [ports+K] [only 1 4-6 | except 1 4-6]` … `end`: the block N times, S seconds apart. Turns count from 1;
//!   in each, the higher port of a line moves on by K. A port or address that ends in `+` moves on by 1 instead.
//! - `capture from T`: what is sent before T is not captured. `gap T1 T2`: nor is what is sent between these.
//! - `resolution ns`: a nanosecond file.
//! - `#` starts a comment; `# expect: CODE…` and `# not: CODE…` name the rules that must and must not fire.

mod conversation;
mod script;
mod side;
mod wire;
mod words;

use std::fmt;

use conversation::Player;
use script::Script;
pub use wire::internet_checksum;

/// The first packet's time zero: 2026-01-01T00:00:00Z, in seconds since the epoch.
pub const EPOCH_S: u64 = 1_767_225_600;

/// Why a script does not compile, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowError {
    /// Line of the script, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl FlowError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for FlowError {}

/// One captured packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Nanoseconds since the script's time zero.
    pub at: u64,
    /// Line of the script, counted from 1.
    pub line: usize,
    /// The Ethernet frame.
    pub bytes: Vec<u8>,
}

/// A compiled script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The packets in order of time.
    pub packets: Vec<Packet>,
    nanoseconds: bool,
}

impl Flow {
    /// Compiles a script.
    ///
    /// # Errors
    /// The first line that cannot be read or played.
    pub fn compile(text: &str) -> Result<Self, FlowError> {
        let script = Script::parse(text)?;
        let nanoseconds = script.nanoseconds;
        let packets = Player::new(&script).play()?;
        Ok(Self { packets, nanoseconds })
    }

    /// The bytes of a classic pcap file, little-endian, link type Ethernet.
    pub fn pcap(&self) -> Vec<u8> {
        wire::pcap(&self.packets, EPOCH_S, self.nanoseconds)
    }
}

/// Compiles a script straight into the bytes of a capture file.
///
/// # Errors
/// The first line that cannot be read or played.
pub fn pcap(text: &str) -> Result<Vec<u8>, FlowError> {
    Flow::compile(text).map(|flow| flow.pcap())
}

/// What the comments of a script say of the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Codes after `# expect:`; these rules must fire.
    pub fires: Vec<String>,
    /// Codes after `# not:`; these must not.
    pub silent: Vec<String>,
}

/// Reads the `# expect:` and `# not:` lines of a script.
pub fn expectation(text: &str) -> Expectation {
    let codes = |mark: &str| {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(mark));
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    Expectation { fires: codes("# expect:"), silent: codes("# not:") }
}
