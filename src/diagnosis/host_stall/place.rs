//! Where packets were held: before or behind the capture point, and what other pings and other points say of it.
//!
//! One capture tells only on which side of it. A ping of a third host in the same seconds, or the same probes seen at
//! a second point, tell more.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::Case;
use super::hold::{PairStalls, Way};
use crate::evidence::echoes::EchoProbe;
use crate::time::{Span, Time};

/// Where the stalls of a pair happened.
pub(super) struct Placed {
    /// Sentences.
    pub verdict: String,
    /// Other pings or another point say which host it was, or between which points.
    pub settled: bool,
}

/// What the pings of a third host, or another point, say.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Clue {
    /// The pair's first address and a third one ran on.
    Clean { common: IpAddr, third: IpAddr },
    /// They stalled as well.
    Stalled { common: IpAddr, third: IpAddr },
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
}

pub(super) fn place(case: &Case<'_>, pair: &PairStalls, all: &[PairStalls]) -> Placed {
    let mut verdict = side(pair);
    let clues = clues(case, pair, all);
    for clue in &clues {
        verdict.push_str(&clue.words(case, pair));
    }
    if clues.is_empty() {
        verdict.push_str(" One capture cannot tell which host it was.");
    }
    Placed { verdict, settled: !clues.is_empty() }
}

/// What the capture point itself shows.
fn side(pair: &PairStalls) -> String {
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
        format!("Requests of {client} passed the capture point evenly and the replies came together: held behind the point, by {server} or on the way to it; if this was captured on {client}, by {client} itself as well.")
    });
    let requests = senders(Way::Requests).into_iter().map(|(client, _)| {
        format!("Requests of {client} came together and kept their schedule: held before the capture point, by {client} or on the way from it; if this was captured on the pinged host, by that host itself as well.")
    });
    replies.chain(requests).collect::<Vec<_>>().join(" ")
}

fn clues(case: &Case<'_>, pair: &PairStalls, all: &[PairStalls]) -> Vec<Clue> {
    let mut clues: Vec<Clue> = Vec::new();
    for other in all {
        if other.point == pair.point {
            clues.extend(third(case, pair, other));
        } else if super::unordered(other.client, other.server) == super::unordered(pair.client, pair.server) {
            clues.extend(elsewhere(case, pair, other).map(|what| Clue::Elsewhere { point: other.point, what }));
        }
    }
    clues.sort();
    clues.dedup();
    clues
}

/// What the pings between one of the two and a third host say, if they ran through most of the stalls.
fn third(case: &Case<'_>, pair: &PairStalls, other: &PairStalls) -> Option<Clue> {
    let mine = [pair.client, pair.server];
    let theirs = [other.client, other.server];
    let common = mine.into_iter().find(|address| theirs.contains(address))?;
    let third = theirs.into_iter().find(|address| !mine.contains(address))?;
    let (mut clean, mut stalled) = (0_usize, 0_usize);
    for hold in &pair.holds {
        let until = hold.release.0;
        if other.holds.iter().any(|theirs| theirs.meets(hold.start, until)) {
            stalled += 1;
        } else if ran_on(case, other, hold.start, until) {
            clean += 1;
        }
    }
    let half = |count: usize| count.saturating_mul(2) > pair.holds.len();
    match (half(clean), half(stalled)) {
        (true, _) => Some(Clue::Clean { common, third }),
        (_, true) => Some(Clue::Stalled { common, third }),
        _ => None,
    }
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

impl Clue {
    fn words(&self, case: &Case<'_>, pair: &PairStalls) -> String {
        let (client, server) = (pair.client, pair.server);
        match self {
            Self::Clean { common, third } => {
                let suspect = if *common == client { server } else { client };
                format!(
                    " Pings between {common} and {third} ran on meanwhile: not {common}, so {suspect} or its part of the way."
                )
            }
            Self::Stalled { common, third } => {
                format!(
                    " Pings between {common} and {third} stalled at the same moments: {common}, or a host or link that both share."
                )
            }
            Self::Elsewhere { point, what } => {
                let name = case.evidence.points.get(usize::from(*point)).and_then(|point| point.inputs.first());
                let there = name.map_or_else(
                    || format!("p{}", point.saturating_add(1)),
                    |input| format!("p{} (i{})", point.saturating_add(1), input.saturating_add(1)),
                );
                match what {
                    Elsewhere::Prompt => format!(
                        " At {there} the same requests came evenly and were answered at once: the replies were held between the two points, or by {client} where it captured itself."
                    ),
                    Elsewhere::Bunched => {
                        format!(" At {there} the same requests came together: they were held before that point.")
                    }
                    Elsewhere::Even => format!(
                        " At {there} the same requests went by evenly: they were held between the two points, on the way to {server}, or by {server} where it captured itself."
                    ),
                    Elsewhere::Late { nearer: true } => format!(
                        " At {there}, nearer to {server}, the same replies were late as well: held there or behind it, so by {server} or close to it."
                    ),
                    Elsewhere::Late { nearer: false } => format!(
                        " At {there}, nearer to {client}, the same replies were late as well: held behind both points, on the side of {server}."
                    ),
                }
            }
        }
    }
}
