//! Where packets were held: before or behind the capture point, and what other pings and other points say of it.
//!
//! One capture tells only on which side of it, one log nothing. A ping of a third host in the same seconds, the
//! reverse ping, or the same probes seen at a second point tell more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::Case;
use super::hold::{Hold, PairStalls, Way};
use super::logs::LogStalls;
use crate::evidence::echoes::EchoProbe;
use crate::language::{Joint, Text, say};
use crate::time::{Span, Time};

/// Where the stalls of a pair happened.
pub(super) struct Placed {
    /// Sentences.
    pub verdict: Text,
    /// Other pings or another point say which host it was, or between which points.
    pub settled: bool,
}

/// Pings between two hosts, whatever recorded them.
#[derive(Clone, Copy)]
pub(super) enum Pings<'a> {
    Captured(&'a PairStalls),
    Logged(&'a LogStalls),
}

/// One of the two hosts.
struct End {
    name: Text,
    addresses: BTreeSet<IpAddr>,
    /// The place of the host whose files tell it.
    host: Option<usize>,
}

/// What the pings of a third host, or another point, say.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Clue {
    /// Pings between one of the two and a third host ran on.
    Clean { common: Text, suspect: Text, third: Text },
    /// They stalled as well.
    Stalled { common: Text, third: Text },
    /// Pings the other way ran on.
    ReverseClean { by: Text },
    /// They stalled as well.
    ReverseStalled { by: Text },
    /// Pings between two other hosts stalled as well,
    /// or the same two by addresses of the other family.
    Others { one: Text, other: Text, kin: bool },
    /// The same probes at another point.
    Elsewhere { point: u16, what: Elsewhere },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Elsewhere {
    /// Requests came evenly, replies went at once.
    Prompt,
    /// Requests came together and were answered at once.
    Bunched,
    /// Requests came evenly, and were late at this point only.
    Even,
    /// Replies were late there as well; whether that point is nearer to the server.
    Late { nearer: bool },
    /// What a log shows was late there as well.
    Seen,
}

pub(super) fn place(case: &Case<'_>, pings: Pings<'_>) -> Placed {
    let mut verdict = match pings {
        Pings::Captured(pair) => side(pair),
        Pings::Logged(log) => say!(
            "A log shows one side only: {ends} itself, {target} or something between them held the replies.",
            ends = pings.ends().0.name,
            target = log.target
        ),
    };
    let clues = clues(case, pings);
    for clue in &clues {
        verdict.add(clue.words(case, pings));
    }
    let settled = clues.iter().any(Clue::settles);
    if !settled {
        verdict.add(match pings {
            Pings::Captured(_) => say!("One capture cannot tell which host it was."),
            Pings::Logged(_) => say!("Which of them it was cannot be told from this."),
        });
    }
    Placed { verdict, settled }
}

/// What the capture point itself shows.
fn side(pair: &PairStalls) -> Text {
    // The series may run both ways; each stall says of its own senders.
    let senders = |way: Way| {
        let shows = |witness: &&super::hold::Witness| witness.way == way;
        let mut of: Vec<(IpAddr, IpAddr)> = pair
            .holds
            .iter()
            .flat_map(|hold| hold.witnesses.iter().filter(shows).map(|w| (w.client, w.server)))
            .collect();
        of.sort_unstable();
        of.dedup();
        of
    };
    let replies = senders(Way::Replies).into_iter().map(|(client, server)| {
        say!("Requests of {client} passed the capture point evenly and the replies came together: held behind the point, by {server} or on the way to it; if this was captured on {client}, by {client} itself as well.", client, server)
    });
    let requests = senders(Way::Requests).into_iter().map(|(client, _)| {
        say!("Requests of {client} came together and kept their schedule: held before the capture point, by {client} or on the way from it; if this was captured on the pinged host, by that host itself as well.", client)
    });
    Text::joined(Joint::Sentences, replies.chain(requests))
}

fn clues(case: &Case<'_>, pings: Pings<'_>) -> Vec<Clue> {
    let mut clues: Vec<Clue> = Vec::new();
    for other in case.stalls() {
        match pings {
            Pings::Captured(pair) if other.point == pair.point => {
                clues.extend(third(case, pings, Pings::Captured(other)));
            }
            Pings::Captured(pair) => {
                if super::unordered(other.client, other.server) == super::unordered(pair.client, pair.server) {
                    let what = elsewhere(case, pair, other);
                    clues.extend(what.map(|what| Clue::Elsewhere { point: other.point, what }));
                }
            }
            Pings::Logged(log) if log.is_of(other) => {
                let what = at_point(case, log, other);
                clues.extend(what.map(|what| Clue::Elsewhere { point: other.point, what }));
            }
            Pings::Logged(_) => clues.extend(third(case, pings, Pings::Captured(other))),
        }
    }
    for other in case.ping_logs().iter().filter(|log| log.dated && log.watched > Span::ZERO) {
        let same = match pings {
            Pings::Captured(pair) => other.is_of(pair),
            Pings::Logged(log) => !log.dated || std::ptr::eq(log, other),
        };
        if !same {
            clues.extend(third(case, pings, Pings::Logged(other)));
        }
    }
    clues.sort();
    clues.dedup();
    clues
}

impl Pings<'_> {
    /// Who asks and who answers.
    fn ends(&self) -> (End, End) {
        let one = |ip: IpAddr| End { name: Text::value(ip.to_string()), addresses: BTreeSet::from([ip]), host: None };
        match self {
            Self::Captured(pair) => (one(pair.client), one(pair.server)),
            Self::Logged(log) => {
                let mut senders = log.senders.iter();
                let name = match (senders.next(), senders.next()) {
                    (Some(only), None) => Text::value(only.to_string()),
                    _ => say!("the host that wrote {inputs}", inputs = log.inputs()),
                };
                let sender = End { name, addresses: log.senders.clone(), host: Some(log.host) };
                let addresses = log.address.into_iter().collect();
                (sender, End { name: log.target.clone(), addresses, host: None })
            }
        }
    }

    fn holds(&self) -> &[Hold] {
        match self {
            Self::Captured(pair) => &pair.holds,
            Self::Logged(log) => &log.holds,
        }
    }

    fn ran_on(&self, case: &Case<'_>, from: Time, until: Time) -> bool {
        match self {
            Self::Captured(pair) => ran_on(case, pair, from, until),
            Self::Logged(log) => log.ran_on(from, until),
        }
    }
}

impl End {
    /// Whether addresses tell it from another host: an IPv4 and an IPv6 address may be of one.
    fn is_comparable(&self, other: &Self) -> bool {
        let families = |end: &Self| -> BTreeSet<bool> { end.addresses.iter().map(IpAddr::is_ipv4).collect() };
        families(self).is_empty() || families(other).is_empty() || families(self) == families(other)
    }

    fn is(&self, other: &Self) -> bool {
        let shared = self.addresses.iter().any(|address| other.addresses.contains(address));
        shared || self.host.is_some() && self.host == other.host
    }
}

/// What other pings say, if they ran through most of the stalls.
fn third(case: &Case<'_>, pings: Pings<'_>, other: Pings<'_>) -> Option<Clue> {
    let (mut clean, mut stalled) = (0_usize, 0_usize);
    for hold in pings.holds() {
        let until = hold.release.0;
        if other.holds().iter().any(|theirs| theirs.meets(hold.start, until)) {
            stalled += 1;
        } else if other.ran_on(case, hold.start, until) {
            clean += 1;
        }
    }
    let most = |count: usize| count.saturating_mul(2) > pings.holds().len();
    let clean = match (most(clean), most(stalled)) {
        (true, _) => true,
        (_, true) => false,
        _ => return None,
    };
    let (mine, theirs) = (pings.ends(), other.ends());
    if mine.0.is(&theirs.1) && mine.1.is(&theirs.0) {
        let by = theirs.0.name;
        return Some(if clean { Clue::ReverseClean { by } } else { Clue::ReverseStalled { by } });
    }
    let (common, suspect, third) = match () {
        // Two hosts that ping the same one, or one that pings two, or a chain of both.
        () if mine.0.is(&theirs.0) && mine.1.is(&theirs.1) => return None,
        () if mine.0.is(&theirs.0) => (mine.0, mine.1, theirs.1),
        () if mine.0.is(&theirs.1) => (mine.0, mine.1, theirs.0),
        () if mine.1.is(&theirs.0) => (mine.1, mine.0, theirs.1),
        () if mine.1.is(&theirs.1) => (mine.1, mine.0, theirs.0),
        () => {
            let kin = !theirs.1.is_comparable(&mine.1);
            let (one, other) = (theirs.0.name, theirs.1.name);
            return (!clean).then_some(Clue::Others { one, other, kin });
        }
    };
    if !clean && !third.is_comparable(&suspect) {
        return Some(Clue::Others { one: common.name, other: third.name, kin: true });
    }
    let (common, suspect, third) = (common.name, suspect.name, third.name);
    Some(if clean { Clue::Clean { common, suspect, third } } else { Clue::Stalled { common, third } })
}

/// At least two probes were sent and answered well before the release.
fn ran_on(case: &Case<'_>, pair: &PairStalls, from: Time, until: Time) -> bool {
    let answered = |probe: &&EchoProbe| {
        let sent = probe.request.0;
        let left = Span(until.since(sent).0 / 2);
        sent >= from && sent < until && probe.rtt().is_some_and(|rtt| rtt < left)
    };
    pair.of(case).flat_map(|series| &series.probes).filter(answered).take(2).count() == 2
}

/// How a log's stalls look at a point that shows its probes.
fn at_point(case: &Case<'_>, log: &LogStalls, pair: &PairStalls) -> Option<Elsewhere> {
    let seen = log.holds.iter().filter(|hold| pair.holds.iter().any(|theirs| theirs.meets(hold.start, hold.release.0)));
    let seen = seen.count().saturating_mul(2);
    let prompt = log.holds.iter().filter(|hold| ran_on(case, pair, hold.start, hold.release.0)).count();
    match (seen > log.holds.len(), prompt.saturating_mul(2) > log.holds.len()) {
        (true, _) => Some(Elsewhere::Seen),
        (_, true) => Some(Elsewhere::Prompt),
        _ => None,
    }
}

/// How the held probes fared at another point.
fn elsewhere(case: &Case<'_>, pair: &PairStalls, other: &PairStalls) -> Option<Elsewhere> {
    let mut seen: BTreeMap<Elsewhere, usize> = BTreeMap::new();
    for (hold, witness) in pair.holds.iter().flat_map(|hold| hold.witnesses.iter().map(move |witness| (hold, witness)))
    {
        let Some(theirs) = other.of(case).find(|series| witness.is_of(series)) else { continue };
        let together = other.holds.iter().flat_map(|hold| &hold.witnesses);
        let together: Vec<&EchoProbe> =
            together.filter(|w| w.way == Way::Requests && w.is_of(theirs)).flat_map(|w| &w.probes).collect();
        for probe in &witness.probes {
            let Some(there) = theirs.probes.iter().find(|seen| same(seen, probe)) else { continue };
            // The first held probes waited longest; half of what is left to the release is late.
            let left = hold.release.1.since(probe.request.0).max(Span(hold.length.0 / 2));
            let late = there.rtt().is_none_or(|rtt| rtt.0.saturating_mul(2) > left.0);
            let what = match (witness.way, together.iter().any(|held| same(held, probe))) {
                (_, true) => Elsewhere::Bunched,
                (Way::Requests, false) => Elsewhere::Even,
                (Way::Replies, false) if late => Elsewhere::Late { nearer: there.rtt() < probe.rtt() },
                (Way::Replies, false) => Elsewhere::Prompt,
            };
            *seen.entry(what).or_default() += 1;
        }
    }
    seen.into_iter().max_by_key(|(_, count)| *count).map(|(what, _)| what)
}

fn same(one: &EchoProbe, other: &EchoProbe) -> bool {
    (one.sequence, one.fingerprint) == (other.sequence, other.fingerprint)
}

/// A third host, and that it is the gateway of the one that pings it where that one's routes say so.
fn or_gateway(case: &Case<'_>, common: &Text, third: &Text) -> Text {
    let (own, address) = (common.parse::<IpAddr>().ok(), third.parse::<IpAddr>().ok());
    let is_gateway = address.is_some_and(|address| {
        let mut hosts = case.evidence.hosts.iter().filter(|host| own.is_none_or(|own| host.addresses().contains(&own)));
        hosts.any(|host| host.host.facts.gateways.iter().any(|gateway| gateway.address == address))
    });
    if is_gateway { say!("its gateway {third}", third) } else { third.clone() }
}

impl Clue {
    /// Whether it says which host it was, or between which points.
    fn settles(&self) -> bool {
        !matches!(
            self,
            Self::ReverseStalled { .. } | Self::Others { .. } | Self::Elsewhere { what: Elsewhere::Seen, .. }
        )
    }

    fn words(&self, case: &Case<'_>, pings: Pings<'_>) -> Text {
        let (client, server) = pings.ends();
        let (client, server) = (client.name, server.name);
        match self {
            Self::Clean { common, suspect, third } => say!(
                "Pings between {common} and {third} ran on meanwhile: not {common}, so {suspect} or its part of the way.",
                common,
                third = or_gateway(case, common, third),
                suspect
            ),
            Self::Stalled { common, third } => say!(
                "Pings between {common} and {third} stalled at the same moments: {common}, or a host or link that both share.",
                common,
                third = or_gateway(case, common, third)
            ),
            Self::ReverseClean { by } => say!(
                "The pings of {by} the other way ran on meanwhile: neither host stood still as a whole; the probes were held on their way.",
                by
            ),
            Self::ReverseStalled { by } => {
                say!(
                    "The pings of {by} the other way stalled as well, as they do whichever of the two stands still.",
                    by
                )
            }
            Self::Others { one, other, kin: true } => say!(
                "Pings between {one} and {other} stalled at the same moments: the same hosts by other addresses, or hosts that share something with them.",
                one,
                other
            ),
            Self::Others { one, other, kin: false } => say!(
                "Pings between {one} and {other} stalled at the same moments: look for what all of them share, a hypervisor, a switch or a link.",
                one,
                other
            ),
            Self::Elsewhere { point, what } => {
                let name = case.evidence.points.get(usize::from(*point)).and_then(|point| point.inputs.first());
                let there = name.map_or_else(
                    || format!("p{}", point.saturating_add(1)),
                    |input| format!("p{} (i{})", point.saturating_add(1), input.saturating_add(1)),
                );
                match what {
                    Elsewhere::Prompt => say!(
                        "At {there} the same requests came evenly and were answered at once: the replies were held between {both}, or by {client} {itself}.",
                        there,
                        both = if matches!(pings, Pings::Logged(_)) {
                            say!("there and the log")
                        } else {
                            say!("the two points")
                        },
                        client,
                        itself = if matches!(pings, Pings::Logged(_)) {
                            say!("itself")
                        } else {
                            say!("where it captured itself")
                        }
                    ),
                    Elsewhere::Seen => say!("At {there} the same replies were late as well.", there),
                    Elsewhere::Bunched => {
                        say!("At {there} the same requests came together: they were held before that point.", there)
                    }
                    Elsewhere::Even => say!(
                        "At {there} the same requests went by evenly: they were held between the two points, on the way to {server}, or by {server} where it captured itself.",
                        there,
                        server
                    ),
                    Elsewhere::Late { nearer: true } => say!(
                        "At {there}, nearer to {server}, the same replies were late as well: held there or behind it, so by {server} or close to it.",
                        there,
                        server
                    ),
                    Elsewhere::Late { nearer: false } => say!(
                        "At {there}, nearer to {client}, the same replies were late as well: held behind both points, on the side of {server}.",
                        there,
                        client,
                        server
                    ),
                }
            }
        }
    }
}
