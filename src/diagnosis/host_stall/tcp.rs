//! Stalls seen in TCP: what a host owed on several connections came at one moment, after silence.
//!
//! A kernel acknowledges at once, so that answers owed for different times and given together were held together: by
//! the host, or on the way. Timestamps (RFC 7323) tell more: replies stamped when they were released were made then;
//! older stamps were held on the way; a clock that lost just the stall stood still, and with it the host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::Case;
use crate::connection::{Connection, Pause, Side};
use crate::time::{Span, Time};

/// One stall of one host.
#[derive(Clone, Debug)]
pub(super) struct TcpStall {
    pub point: u16,
    pub host: IpAddr,
    /// Who waited; or who answered late, where all of them did to one host.
    pub peers: BTreeSet<IpAddr>,
    /// Several hosts were late towards this one, so that it is suspected itself.
    pub common: bool,
    /// The first thing owed.
    pub since: Time,
    /// The first and the last answer.
    pub release: (Time, Time),
    pub answers: Vec<Answer>,
    pub clock: Clock,
}

/// One late answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub connection: (u16, u64),
    pub host: IpAddr,
    pub peer: IpAddr,
    pub ports: (u16, u16),
    pub frame: u64,
    pub since: Time,
    pub at: Time,
    /// How far its timestamp lies behind the capture's clock since the connection opened, at a millisecond a tick.
    lag: Option<Span>,
}

/// What the timestamps of the answers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Stamped at the release.
    RanOn,
    /// Stamped when they were due: held on the way.
    Queued,
    /// The clock lost the time of the stall.
    StoodStill,
    Unknown,
}

/// Answers this close come together.
const TOGETHER: Span = Span::from_millis(20);
/// Connections that must have waited.
const FEWEST: usize = 3;
/// The longest wait must be at least this.
const LEAST: Span = Span::from_millis(300);

/// All stalls, by point, host and time.
pub(super) fn stalls(case: &Case<'_>) -> Vec<TcpStall> {
    let mut answers: Vec<Answer> = case.evidence.shards.iter().flat_map(|shard| shard.pauses()).map(answer).collect();
    answers.sort_by_key(|answer| (answer.connection.0, answer.at, answer.frame));
    let (mut by_sender, mut by_peer) = (BTreeMap::new(), BTreeMap::new());
    for answer in &answers {
        let point = answer.connection.0;
        by_sender.entry((point, answer.host)).or_insert_with(Vec::new).push(*answer);
        by_peer.entry((point, answer.peer)).or_insert_with(Vec::new).push(*answer);
    }
    let of = |(key, answers): (&(u16, IpAddr), &Vec<Answer>), common: bool| -> Vec<TcpStall> {
        let groups = answers.chunk_by(|one, next| next.at.since(one.at) <= TOGETHER);
        groups.filter_map(|group| stall(*key, group, common)).collect()
    };
    let mut found: Vec<TcpStall> = by_peer.iter().flat_map(|group| of(group, true)).collect();
    for stall in by_sender.iter().flat_map(|group| of(group, false)) {
        // Several hosts late towards one at a moment: that one explains all of them.
        let explained = |other: &TcpStall| {
            other.common
                && other.point == stall.point
                && other.release.0 <= stall.release.1
                && stall.release.0 <= other.release.1
        };
        if !found.iter().any(explained) {
            found.push(stall);
        }
    }
    found.retain(|stall| !answered_meanwhile(&answers, stall));
    refute(case, &mut found);
    found.sort_by_key(|stall| (stall.point, stall.host, stall.release));
    found
}

fn answer(pause: Pause<'_>) -> Answer {
    let connection = pause.connection;
    let (own, peer) = (connection.socket(pause.by), connection.socket(pause.by.other()));
    let (began, handshake) = (connection.first().1, connection.handshake().unwrap_or_default());
    let stamped = match pause.by {
        Side::Client => connection.syn_tsval().map(|tsval| (tsval, began)),
        // The SYN-ACK left within the handshake; on a server's side at its beginning.
        Side::Server => connection.syn_ack_tsval().map(|tsval| (tsval, began.plus(handshake))),
    };
    let lag = pause.tsval.zip(stamped).map(|(now, (then, at))| {
        let ticks = Span::from_millis(i64::from(now.ahead_of(then)));
        Span(pause.at.since(at).0.saturating_sub(ticks.0))
    });
    Answer {
        connection: (connection.point(), connection.first().0),
        host: own.ip,
        peer: peer.ip,
        ports: (own.port, peer.port),
        frame: pause.frame,
        since: pause.since,
        at: pause.at,
        // A SYN-ACK is the first stamp of its side.
        lag: lag.filter(|_| pause.since > began.plus(handshake)),
    }
}

fn stall((point, host): (u16, IpAddr), group: &[Answer], common: bool) -> Option<TcpStall> {
    let (first, last) = (group.first()?, group.last()?);
    let connections: BTreeSet<(u16, u64)> = group.iter().map(|answer| answer.connection).collect();
    let since = group.iter().map(|answer| answer.since).min()?;
    let longest = first.at.since(since);
    let mut owed: Vec<Time> = group.iter().map(|answer| answer.since).collect();
    owed.sort_unstable();
    owed.dedup_by(|later, earlier| later.since(*earlier).0.saturating_mul(20) < longest.0);
    let spread = owed.last()?.since(since);
    let peers: BTreeSet<IpAddr> = group.iter().map(|answer| if common { answer.host } else { answer.peer }).collect();
    let stairs = connections.len() >= FEWEST
        && owed.len() >= FEWEST
        && longest >= LEAST
        && spread.0.saturating_mul(10) >= longest.0.saturating_mul(3)
        && last.at.since(first.at).0.saturating_mul(10) <= longest.0;
    (stairs && (!common || peers.len() > 1)).then(|| TcpStall {
        point,
        host,
        peers,
        common,
        since,
        release: (first.at, last.at),
        clock: clock(group),
        answers: group.to_vec(),
    })
}

/// What nearly all stamps say; ticks of another length than a millisecond say nothing.
fn clock(group: &[Answer]) -> Clock {
    let stamped: Vec<(Span, Span)> =
        group.iter().filter_map(|answer| Some((answer.lag?, answer.at.since(answer.since)))).collect();
    if stamped.len() < FEWEST || stamped.len().saturating_mul(2) < group.len() {
        return Clock::Unknown;
    }
    let longest = stamped.iter().map(|(_, wait)| *wait).max().unwrap_or_default();
    let near = |one: Span, other: Span| one.0.abs_diff(other.0) <= (longest.0 / 5).unsigned_abs();
    let all = |is: &dyn Fn(&(Span, Span)) -> bool| {
        stamped.iter().filter(|one| is(one)).count().saturating_mul(10) >= stamped.len().saturating_mul(9)
    };
    match () {
        () if all(&|(lag, _)| near(*lag, Span::ZERO)) => Clock::RanOn,
        () if all(&|(lag, wait)| near(*lag, *wait)) => Clock::Queued,
        () if all(&|(lag, _)| near(*lag, longest)) => Clock::StoodStill,
        () => Clock::Unknown,
    }
}

/// Whether the host gave another late answer in the middle.
fn answered_meanwhile(answers: &[Answer], stall: &TcpStall) -> bool {
    let inside = |answer: &&Answer| {
        let host = if stall.common { answer.peer } else { answer.host };
        (answer.connection.0, host) == (stall.point, stall.host) && within(stall, answer.at)
    };
    answers.iter().any(|answer| inside(&answer))
}

/// In the middle of a stall, clear of its ends.
fn within(stall: &TcpStall, at: Time) -> bool {
    let edge = Span(stall.release.0.since(stall.since).0 / 10);
    stall.since.plus(edge) < at && at < stall.release.0.minus(TOGETHER)
}

/// Takes away stalls in the middle of which the host is known to have sent something, or, where several hosts were
/// late towards it, to have been sent something.
fn refute(case: &Case<'_>, found: &mut Vec<TcpStall>) {
    if found.is_empty() {
        return;
    }
    let mut refuted: BTreeSet<usize> = BTreeSet::new();
    for connection in case.evidence.shards.iter().flat_map(|shard| shard.connections()) {
        for (place, stall) in found.iter().enumerate().filter(|(_, stall)| stall.point == connection.point()) {
            for side in Side::BOTH.into_iter().filter(|side| connection.socket(*side).ip == stall.host) {
                let sender = if stall.common { side.other() } else { side };
                if sent(connection, sender).into_iter().flatten().any(|at| within(stall, at)) {
                    refuted.insert(place);
                }
            }
        }
    }
    let mut place = 0_usize;
    found.retain(|_| {
        let kept = !refuted.contains(&place);
        place = place.saturating_add(1);
        kept
    });
}

/// Moments at which a side is known to have sent something that nobody repeated by himself.
fn sent(connection: Connection<'_>, side: Side) -> [Option<Time>; 4] {
    let acked = connection.endpoint(side.other()).fin_acked;
    let opened = connection.first().1;
    let established = connection.handshake().map(|took| opened.plus(took));
    let client = |at: Option<Time>| at.filter(|_| side == Side::Client);
    let asked = connection.first_syn().map(|_| opened);
    [connection.endpoint(side).first_fin, acked, client(established), client(asked)]
}
