//! Stalls of one pair of addresses: what several echo series show at the same moments, as one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::Case;
use super::super::stall::{self, Look, Probe, Stall, Timing};
use super::unordered;
use crate::evidence::echoes::{EchoProbe, EchoSeries, Stray};
use crate::language::{Text, say};
use crate::snapshot::Source;
use crate::time::{Span, Time};

/// All echo series between two addresses at a capture point, and the stalls that they show.
#[derive(Debug)]
pub(crate) struct PairStalls {
    pub point: u16,
    /// Who sent most of the requests.
    pub client: IpAddr,
    pub server: IpAddr,
    /// Places of its series among all.
    pub series: Vec<usize>,
    /// In order of release.
    pub holds: Vec<Hold>,
    /// What else the series look like.
    pub looks: Vec<Look>,
    /// The longest time that a series watched.
    pub watched: Span,
}

/// What was held, as the capture point sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Requests passed evenly, and their replies came together: held behind the point.
    Replies,
    /// Requests came together: held before the point.
    Requests,
}

/// One stall.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    /// As well as can be told.
    pub start: Time,
    pub length: Span,
    /// At least and at most.
    pub lasted: (Span, Span),
    /// The first and the last packet of the burst.
    pub release: (Time, Time),
    pub held: usize,
    pub stragglers: usize,
    pub lost: usize,
    pub tail_drop: bool,
    pub slope: f64,
    /// How many series show it.
    pub series: usize,
    /// What shows it: sender of the requests, way, and the probes that were held.
    pub witnesses: Vec<Witness>,
    /// Packets that prove it.
    pub proof: Vec<Proof>,
}

/// One series' view of a stall.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    pub client: IpAddr,
    pub server: IpAddr,
    pub id: u16,
    pub way: Way,
    pub probes: Vec<EchoProbe>,
}

/// A packet or a line that proves something.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub place: Place,
    /// Where the moment is known.
    pub at: Option<Time>,
    pub text: Text,
}

/// Where a proof stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A frame, from 0 at the capture point.
    Frame(u64),
    /// A line of a log.
    Line(Source),
}

impl PairStalls {
    /// Its series.
    pub fn of<'a>(&'a self, case: &'a Case<'_>) -> impl Iterator<Item = &'a EchoSeries> {
        self.series.iter().filter_map(|place| case.echoes().get(*place))
    }
}

impl PairStalls {
    /// Every request's time at the capture point and its round trip.
    pub fn trips(&self, case: &Case<'_>) -> Vec<(Time, Option<Span>)> {
        self.of(case).flat_map(|series| &series.probes).map(|probe| (probe.request.0, probe.rtt())).collect()
    }

    /// Every probe's time of sending and round trip, for a picture. Where requests were held, both are counted from
    /// the schedule that the requests kept.
    pub fn marks(&self, case: &Case<'_>) -> Vec<(Time, Option<Span>)> {
        let scheduled = self.holds.iter().any(|hold| hold.has(Way::Requests));
        let of = |series: &EchoSeries| -> Vec<(Time, Option<Span>)> {
            if !scheduled && !series.probes.is_empty() {
                return series.probes.iter().map(|probe| (probe.request.0, probe.rtt())).collect();
            }
            let (on_schedule, ordered) = on_schedule(series);
            let whole =
                |(sent, probe): (&Probe, &EchoProbe)| (sent.sent, probe.reply.map(|(at, _)| at.since(sent.sent)));
            on_schedule.iter().zip(&ordered).map(whole).collect()
        };
        self.of(case).flat_map(of).collect()
    }
}

impl Witness {
    /// Whether a series, seen anywhere, is this one.
    pub fn is_of(&self, series: &EchoSeries) -> bool {
        (self.client, self.server, self.id) == (series.client, series.server, series.id)
    }
}

impl Hold {
    /// A stall that one series or log shows, with what proves it.
    pub fn of(stall: &Stall, proof: Vec<Proof>) -> Self {
        Self {
            start: stall.start,
            length: stall.length,
            lasted: stall.lasted,
            release: stall.release,
            held: stall.held.len(),
            stragglers: stall.stragglers,
            lost: stall.lost,
            tail_drop: stall.tail_drop,
            slope: stall.slope,
            series: 1,
            witnesses: Vec::new(),
            proof,
        }
    }

    /// Whether a series shows it that way.
    pub fn has(&self, way: Way) -> bool {
        self.witnesses.iter().any(|witness| witness.way == way)
    }

    /// What was held.
    pub fn words(&self) -> Text {
        match (self.has(Way::Replies), self.has(Way::Requests)) {
            (true, true) => say!("requests and replies"),
            (false, true) => say!("requests"),
            _ => say!("replies"),
        }
    }

    /// Whether the two lie in the same time.
    pub fn meets(&self, from: Time, until: Time) -> bool {
        self.start <= until && from <= self.release.1
    }
}

/// All pairs with echo series, by point and addresses.
pub(crate) fn pairs(all: &[EchoSeries]) -> Vec<PairStalls> {
    let mut grouped: BTreeMap<(u16, (IpAddr, IpAddr)), Vec<usize>> = BTreeMap::new();
    for (place, series) in all.iter().enumerate() {
        grouped.entry((series.point, unordered(series.client, series.server))).or_default().push(place);
    }
    grouped.into_iter().map(|((point, addresses), series)| pair(all, point, addresses, series)).collect()
}

fn pair(all: &[EchoSeries], point: u16, (low, high): (IpAddr, IpAddr), places: Vec<usize>) -> PairStalls {
    let series: Vec<&EchoSeries> = places.iter().filter_map(|place| all.get(*place)).collect();
    let sent = |by: IpAddr| -> usize {
        series
            .iter()
            .filter(|series| series.client == by)
            .map(|series| series.probes.len().max(series.strays.len()))
            .sum()
    };
    let (client, server) = if sent(high) > sent(low) { (high, low) } else { (low, high) };
    let (mut seen, mut looks, mut watched) = (Vec::new(), Vec::new(), Span::ZERO);
    for series in series {
        let (holds, more, time) = read(series);
        seen.extend(holds);
        looks.extend(more);
        watched = watched.max(time);
    }
    looks.sort();
    looks.dedup_by(|one, other| std::mem::discriminant(one) == std::mem::discriminant(other));
    PairStalls { point, client, server, series: places, holds: merged(seen), looks, watched }
}

/// What one series shows.
fn read(series: &EchoSeries) -> (Vec<Hold>, Vec<Look>, Span) {
    let trips: Vec<Probe> =
        series.probes.iter().map(|probe| Probe { sent: probe.request.0, rtt: probe.rtt() }).collect();
    let reading = stall::read(&trips, Timing::Stamped);
    let mut holds: Vec<Hold> =
        reading.stalls.iter().map(|stall| hold(series, stall, Way::Replies, &series.probes)).collect();
    let mut looks = reading.looks;
    let mut watched = reading.watched;
    let (on_schedule, ordered) = on_schedule(series);
    let scheduled = stall::read(&on_schedule, Timing::Stamped);
    // A capture of one direction shows the replies by themselves.
    let one_way = series.probes.is_empty();
    let way = if one_way { Way::Replies } else { Way::Requests };
    holds.extend(scheduled.stalls.iter().map(|stall| hold(series, stall, way, &ordered)));
    if one_way {
        (looks, watched) = (Vec::new(), scheduled.watched);
    }
    looks.retain(|look| *look != Look::TooFew);
    (holds, looks, watched)
}

/// The requests against their schedule; where none were captured, the replies.
fn on_schedule(series: &EchoSeries) -> (Vec<Probe>, Vec<EchoProbe>) {
    let stray = |stray: &Stray| EchoProbe {
        sequence: stray.sequence,
        fingerprint: 0,
        request: stray.reply,
        reply: Some(stray.reply),
    };
    let strays = series.strays.iter().filter(|_| series.probes.is_empty()).map(stray);
    let packets = series.probes.iter().copied().chain(strays);
    by_schedule(packets.map(|probe| (probe.sequence, probe, probe.request.0)))
}

/// Packets in order of time against the schedule of their numbers.
fn by_schedule(packets: impl Iterator<Item = (u16, EchoProbe, Time)>) -> (Vec<Probe>, Vec<EchoProbe>) {
    let mut ordered: Vec<(u16, EchoProbe, Time)> = packets.collect();
    ordered.sort_by_key(|(_, _, at)| *at);
    let (mut number, mut previous) = (0_i64, None::<u16>);
    let numbered = ordered.iter().map(|(sequence, _, at)| {
        let ahead = previous.map_or(1, |previous| i64::from(sequence.wrapping_sub(previous).cast_signed()));
        // The same number again: the program does not count. A lower one: it began again.
        number = number.saturating_add(match ahead {
            0 => 1,
            1.. => ahead,
            _ => 1 << 16,
        });
        previous = Some(*sequence);
        (number, *at)
    });
    let seen: Vec<(i64, Time)> = numbered.collect();
    (stall::against_schedule(&seen), ordered.into_iter().map(|(_, probe, _)| probe).collect())
}

fn hold(series: &EchoSeries, stall: &Stall, way: Way, probes: &[EchoProbe]) -> Hold {
    let held: Vec<EchoProbe> = stall.held.iter().filter_map(|place| probes.get(*place).copied()).collect();
    let proof = proof(series, &held, way, stall.release.0);
    let witness = Witness { client: series.client, server: series.server, id: series.id, way, probes: held };
    Hold { witnesses: vec![witness], ..Hold::of(stall, proof) }
}

/// The first held probe, and the first and the last packet of the burst.
fn proof(series: &EchoSeries, held: &[EchoProbe], way: Way, release: Time) -> Vec<Proof> {
    let (Some(first), Some(last)) = (held.first(), held.last()) else { return Vec::new() };
    let (client, server) = (series.client, series.server);
    let one = |(at, frame): (Time, u64), text: Text| Proof { place: Place::Frame(frame), at: Some(at), text };
    if way == Way::Requests {
        let early = one(
            first.request,
            say!(
                "request {sequence} of {client} to {server}: the first of {held} that came together",
                sequence = first.sequence,
                client,
                server,
                held = held.len()
            ),
        );
        let late = one(
            last.request,
            say!(
                "request {sequence}: the last of them, {request} after the first",
                sequence = last.sequence,
                request = last.request.0.since(first.request.0)
            ),
        );
        return vec![early, late];
    }
    let mut proof = Vec::new();
    if let Some(rtt) = first.rtt().filter(|rtt| *rtt > Span::ZERO) {
        proof.push(one(
            first.request,
            say!("request {sequence} of {client} to {server}: its reply takes {rtt}, the first of {held} that came together", sequence = first.sequence, client, server, rtt, held = held.len()),
        ));
    }
    let mut replies: Vec<(Time, u64, u16)> =
        held.iter().filter_map(|probe| probe.reply.map(|(at, frame)| (at, frame, probe.sequence))).collect();
    replies.sort_unstable();
    if let (Some(early), Some(late)) = (replies.first(), replies.last()) {
        proof.push(one((early.0, early.1), say!("reply {early}: the release", early = early.2)));
        let after = late.0.since(release);
        proof.push(one(
            (late.0, late.1),
            say!("reply {late}: the last of the burst, {after} after the first", late = late.2, after),
        ));
    }
    proof
}

/// Stalls that meet in time are one.
pub(super) fn merged(mut seen: Vec<Hold>) -> Vec<Hold> {
    seen.sort_by_key(|hold| (hold.start, hold.release));
    let mut holds: Vec<Hold> = Vec::new();
    for next in seen {
        match holds.iter_mut().rev().find(|hold| same(hold, &next)) {
            Some(hold) => hold.take(next),
            None => holds.push(next),
        }
    }
    holds.sort_by_key(|hold| hold.release);
    holds
}

/// Whether both tell of one stall: most of the shorter one lies in the longer one.
fn same(one: &Hold, other: &Hold) -> bool {
    let (from, until) = (one.start.max(other.start), one.release.0.min(other.release.0));
    let shorter = one.length.min(other.length);
    until.since(from).0.saturating_mul(2) > shorter.0
}

impl Hold {
    fn take(&mut self, other: Self) {
        // Series that probe at different moments narrow the beginning from both sides.
        let (least, most) = (self.lasted.0.max(other.lasted.0), self.lasted.1.min(other.lasted.1));
        let likely = |hold: &Self| hold.length.0.saturating_sub(hold.lasted.0.0);
        let likely = likely(self).min(likely(&other)).min(most.0.saturating_sub(least.0).max(0) / 2);
        self.lasted = (least, most.max(least));
        self.release = (self.release.0.min(other.release.0), self.release.1.max(other.release.1));
        self.length = Span(least.0.saturating_add(likely));
        self.start = self.release.0.minus(self.length).max(self.start.min(other.start));
        self.held = self.held.saturating_add(other.held);
        self.stragglers = self.stragglers.saturating_add(other.stragglers);
        self.lost = self.lost.saturating_add(other.lost);
        self.tail_drop |= other.tail_drop;
        self.slope = self.slope.min(other.slope);
        self.series = self.series.saturating_add(1);
        self.witnesses.extend(other.witnesses);
        // One series is proof enough; the others are counted.
        if self.proof.is_empty() {
            self.proof = other.proof;
        }
    }
}
