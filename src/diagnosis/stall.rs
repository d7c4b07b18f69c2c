//! Stalls in a series of probes, whatever recorded it: the sending times and the round trips are all that counts.
//!
//! A host that does not run its softirqs from T0 to T1 answers everything that came meanwhile at T1. So probe k, sent
//! at s(k), takes T1 - s(k): the round trips fall by just the sending interval, and in order of arrival there is
//! silence, and then a wall. A wall counts if jitter of the kind that the same series shows elsewhere would hardly
//! ever build it. No fixed level of "slow" is needed, so that drifting and jittery paths are judged by themselves.

mod log;
mod look;
mod samples;
mod schedule;
mod wall;

pub use log::probes_of;
pub use schedule::against_schedule;

use self::samples::Samples;
use crate::language::{Said, Text, say};
use crate::time::{Span, Time};

/// One probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it was sent.
    pub sent: Time,
    /// How long its answer took; none if no answer is known.
    pub rtt: Option<Span>,
}

/// How the sending times are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Each was recorded.
    Stamped,
    /// They follow from the numbers and the mean interval.
    Counted,
}

/// What a series of probes shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Probes with an answer.
    pub answered: usize,
    /// Probes without one.
    pub unanswered: usize,
    /// Between two probes: the median.
    pub interval: Span,
    /// What an undisturbed round trip takes: the lower quartile.
    pub base: Span,
    /// From the first probe to the last probe or answer.
    pub watched: Span,
    /// Stalls, in order of time.
    pub stalls: Vec<Stall>,
    /// Everything else that the series looks like.
    pub looks: Vec<Look>,
}

/// A time in which nothing was answered, with the answers that came at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Stall {
    /// Places of the probes that were answered together, in order of sending.
    pub held: Vec<usize>,
    /// When the first and the last of these answers came.
    pub release: (Time, Time),
    /// It began after the last probe that passed was sent, and before the first held one reached the host.
    pub began: (Time, Time),
    /// When it began, as well as can be told.
    pub start: Time,
    /// It lasted at least and at most.
    pub lasted: (Span, Span),
    /// How long it lasted, as well as can be told.
    pub length: Span,
    /// Answered even later than the others.
    pub stragglers: usize,
    /// Sent meanwhile and never answered.
    pub lost: usize,
    /// The last ones sent before the release were lost: what held them was full.
    pub tail_drop: bool,
    /// Change of the round trip by sending time; -1 where all came together.
    pub slope: f64,
}

/// What a series looks like beside stalls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Too few answers to judge.
    TooFew,
    /// The first probes, or the first after a long pause, waited together.
    FirstPacket(Time),
    /// Short holds follow each other without end.
    PeriodicHold {
        /// How long one lasts.
        hold: Span,
    },
    /// Round trips rose and fell over many probes.
    Queue {
        /// When it was longest.
        at: Time,
        /// The longest round trip.
        longest: Span,
    },
    /// A sudden jump, and answers that came down one by one.
    SlowDrain(Time),
    /// Two probes were answered together.
    Weak(Time),
    /// The sender waits for each answer, and some took long.
    Serial,
    /// Nothing was sent for a while, and the round trips were normal.
    SenderGap {
        /// The last probe before it.
        at: Time,
        /// How long it was.
        gap: Span,
    },
    /// Some probes in a row were never answered.
    Outage {
        /// The first of them.
        at: Time,
        /// How many.
        probes: usize,
    },
    /// Round trips differ without a common arrival.
    Jitter,
    /// Single answers were late.
    Outliers(usize),
    /// Every round trip is long.
    SlowPath(Span),
}

/// What a series of probes shows; they may come in any order.
#[must_use]
pub fn read(probes: &[Probe], timing: Timing) -> Reading {
    let samples = Samples::of(probes, timing);
    let mut reading = Reading {
        answered: samples.answered.len(),
        unanswered: samples.lost.len(),
        interval: samples::span(samples.interval),
        base: samples::span(samples.base),
        watched: samples::span(samples.watched()),
        stalls: Vec::new(),
        looks: Vec::new(),
    };
    if samples.answered.len() < FEWEST || samples.interval <= 0.0 {
        reading.looks.push(Look::TooFew);
        return reading;
    }
    let walls = wall::walls(&samples);
    let (stalls, mut looks) = wall::judge(&samples, walls);
    look::add(&samples, &stalls, &mut looks);
    looks.sort();
    reading.stalls = stalls.iter().map(|wall| wall.stall(&samples)).collect();
    reading.looks = looks;
    reading
}

/// A stair of three, with something before and after it.
const FEWEST: usize = 5;

/// The time between stalls, if they keep to one: three at least, each spacing within a fifth of the median.
#[must_use]
pub fn period(releases: &[Time]) -> Option<Span> {
    let mut spacings: Vec<i64> =
        releases.iter().zip(releases.iter().skip(1)).map(|(one, next)| next.since(*one).0).collect();
    spacings.sort_unstable();
    let median = *spacings.get(spacings.len() / 2).filter(|_| spacings.len() >= 2)?;
    let regular = spacings.iter().all(|spacing| spacing.abs_diff(median) < median.unsigned_abs() / 5);
    (regular && median > 0).then_some(Span(median))
}

impl Said for Look {
    fn said(&self) -> Text {
        match self {
            Self::TooFew => say!("too few answers to judge"),
            Self::FirstPacket(at) => {
                say!("first-packet resolution at {at}: address resolution or a new flow made the first probes wait", at)
            }
            Self::PeriodicHold { hold } => {
                say!("periodic hold of about {hold}: Wi-Fi power save or interrupt coalescing, no stall", hold)
            }
            Self::Queue { at, longest } => {
                say!(
                    "queue build-up (bufferbloat) up to {longest} at {at}: times rose and fell over many probes",
                    longest,
                    at
                )
            }
            Self::SlowDrain(at) => {
                say!(
                    "sudden jump at {at} and a slow drain: a stall behind a slow link, or a queue that filled at once",
                    at
                )
            }
            Self::Weak(at) => say!("two probes answered together at {at}: too few to tell a stall from chance", at),
            Self::Serial => {
                say!("the sender waits for each answer before it sends the next, so a stall shows as one late answer")
            }
            Self::SenderGap { at, gap } => {
                say!(
                    "nothing was sent for {gap} after {at}, and times were normal: ping itself or its host stood still",
                    gap,
                    at
                )
            }
            Self::Outage { at, probes } => {
                say!("outage from {at}: {probes} probes in a row never answered", at, probes)
            }
            Self::Jitter => say!("jitter: times differ without a common arrival"),
            Self::Outliers(1) => say!("one late answer by itself"),
            Self::Outliers(count) => say!("{count} late answers by themselves", count),
            Self::SlowPath(base) => say!("slow path: every round trip takes about {base}", base),
        }
    }
}
