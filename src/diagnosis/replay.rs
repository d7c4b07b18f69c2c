//! The per-host timestamp check of `net.ipv4.tcp_tw_recycle`, replayed over a capture.
//!
//! What the kernel remembered of each client address is learnt from the server's own closes; every SYN is
//! then predicted, and the prediction compared with what came back.
//!
//! Linux 3.17 to 4.11: `tcp_conn_request()` in net/ipv4/tcp_input.c, `tcp_peer_is_proven()` and
//! `tcp_remember_stamp()` in net/ipv4/tcp_metrics.c; up to 3.16: `tcp_v4_conn_request()` in
//! net/ipv4/tcp_ipv4.c. The idea is RFC 7323 appendix B.2. Removed in 4.12.

use crate::connection::SynFate;
use crate::evidence::pairs::{HostPair, SynSeen, Taught};
use crate::segment::TsVal;
use crate::time::{Span, Time};

/// `TCP_PAWS_MSL` (include/net/tcp.h): how long a remembered value counts. It does not follow `--msl`.
pub const PAWS_MSL: Span = Span::from_secs(60);
/// `TCP_PAWS_WINDOW` (include/net/tcp.h): ticks that a SYN may be behind.
pub const PAWS_WINDOW: i32 = 1;
/// The kernel compares whole seconds, so that ages from 59 to 61 s are undecided.
const EDGE: Span = Span::from_secs(1);
/// A TIME-WAIT of the same socket pair answers itself and bypasses the check; it may live this long.
const TIME_WAIT_MAY_LIVE: Span = Span::from_secs(68);

/// What the rule says of one SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// It is let through.
    Pass,
    /// It is dropped.
    Drop,
    /// The age of the remembered value is too close to 60 s to tell.
    Edge,
    /// Let through by what the capture shows; but a close before the capture began would explain a drop.
    Hidden,
}

/// What kernels do with a SYN without the Timestamps option while a remembered value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutTimestamps {
    /// Up to 3.16: never checked.
    Passes,
    /// Since 3.17: dropped (`!timestamps` in `tcp_peer_is_proven()`).
    Dropped,
}

/// A remembered value and while it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The TSval.
    pub tsval: TsVal,
    /// When it was taken.
    pub from: Time,
    /// When it was replaced, or stopped to count.
    pub until: Time,
}

/// The rule applied to all SYNs of one pair of hosts.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What it says of each SYN, in their order.
    pub predictions: Vec<Prediction>,
    /// What was remembered, and when.
    pub remembered: Vec<Remembered>,
    /// Which kernels the answers to SYNs without timestamps fit.
    pub without_timestamps: WithoutTimestamps,
}

/// What the comparison of predictions and answers comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Predicted to be dropped, and unanswered.
    pub dropped: u64,
    /// Predicted to be dropped, yet answered by a SYN-ACK outside the exceptions: one refutes.
    pub contradictions: u64,
    /// Predicted to pass, yet unanswered: a second cause.
    pub unexplained: u64,
    /// Unanswered, and the rule cannot say.
    pub undecided: u64,
    /// Answered by a SYN-ACK, as predicted.
    pub passed: u64,
    /// Answered by a SYN-ACK, altogether.
    pub answered: u64,
}

impl Tally {
    /// Compares predictions with answers.
    #[must_use]
    pub fn of<'a>(syns: impl Iterator<Item = (&'a SynSeen, Prediction)>) -> Self {
        let mut tally = Self::default();
        for (syn, prediction) in syns {
            let answered = syn.fate == SynFate::SynAck;
            tally.answered += u64::from(answered);
            tally.passed += u64::from(answered && prediction == Prediction::Pass);
            tally.contradictions += u64::from(contradicts(syn, prediction));
            if syn.unanswered() {
                match prediction {
                    Prediction::Drop => tally.dropped += 1,
                    Prediction::Pass => tally.unexplained += 1,
                    Prediction::Edge | Prediction::Hidden => tally.undecided += 1,
                }
            }
        }
        tally
    }
}

/// Replays the rule over one pair of hosts; `start` is the first packet of the capture point.
#[must_use]
pub fn replay(pair: &HostPair, start: Time) -> Replay {
    let checked = run(pair, start, WithoutTimestamps::Dropped);
    // One answered SYN without timestamps that would have been dropped tells the older kernels apart.
    let older = pair
        .syns
        .iter()
        .zip(&checked.predictions)
        .any(|(syn, prediction)| syn.tsval.is_none() && contradicts(syn, *prediction));
    if older { run(pair, start, WithoutTimestamps::Passes) } else { checked }
}

/// An answered SYN that the rule would have dropped, unless a TIME-WAIT of its own socket pair took it first
/// (`tcp_timewait_state_process()` hands it to the listener with an ISN, and `isn != 0` skips the check).
#[must_use]
pub fn contradicts(syn: &SynSeen, prediction: Prediction) -> bool {
    let over_time_wait = syn.time_wait_age().is_some_and(|age| age < TIME_WAIT_MAY_LIVE);
    prediction == Prediction::Drop && syn.fate == SynFate::SynAck && !over_time_wait
}

fn run(pair: &HostPair, start: Time, without: WithoutTimestamps) -> Replay {
    let mut memory = Memory::default();
    let mut before_capture = BeforeCapture { start, answered: Circle::default() };
    let mut lessons = pair.taught.iter().peekable();
    let mut predictions = Vec::with_capacity(pair.syns.len());
    for syn in &pair.syns {
        while let Some(lesson) = lessons.next_if(|lesson| lesson.at <= syn.at) {
            memory.learn(lesson);
        }
        let prediction = match memory.check(syn, without) {
            Prediction::Pass if syn.unanswered() && before_capture.may_explain(syn) => Prediction::Hidden,
            other => other,
        };
        before_capture.note(syn);
        predictions.push(prediction);
    }
    lessons.for_each(|lesson| memory.learn(lesson));
    Replay { predictions, remembered: memory.ended(), without_timestamps: without }
}

/// The remembered value of one client address.
#[derive(Debug, Default)]
struct Memory {
    now: Option<(TsVal, Time)>,
    past: Vec<Remembered>,
}

impl Memory {
    /// `tcp_remember_stamp()`: inside 60 s the stored value only moves forward.
    fn learn(&mut self, lesson: &Taught) {
        let replaces =
            self.now.is_none_or(|(tsval, at)| tsval.ahead_of(lesson.tsval) <= 0 || lesson.at.since(at) > PAWS_MSL);
        if replaces {
            self.end(lesson.at);
            self.now = Some((lesson.tsval, lesson.at));
        }
    }

    /// `tcp_peer_is_proven()`, called with `paws_check`.
    fn check(&self, syn: &SynSeen, without: WithoutTimestamps) -> Prediction {
        let Some((remembered, at)) = self.now else { return Prediction::Pass };
        let behind = match syn.tsval {
            Some(tsval) => remembered.ahead_of(tsval) > PAWS_WINDOW,
            None => without == WithoutTimestamps::Dropped,
        };
        let age = syn.at.since(at);
        match behind {
            true if age < Span(PAWS_MSL.0 - EDGE.0) => Prediction::Drop,
            true if age < Span(PAWS_MSL.0 + EDGE.0) => Prediction::Edge,
            _ => Prediction::Pass,
        }
    }

    fn end(&mut self, at: Time) {
        if let Some((tsval, from)) = self.now.take() {
            self.past.push(Remembered { tsval, from, until: at.min(from.plus(PAWS_MSL)) });
        }
    }

    fn ended(mut self) -> Vec<Remembered> {
        self.end(Time::MAX);
        self.past
    }
}

/// A value that a close before the capture may have taught: it counts for at most 60 s, and must fit every
/// answer so far.
struct BeforeCapture {
    start: Time,
    answered: Circle,
}

impl BeforeCapture {
    fn note(&mut self, syn: &SynSeen) {
        let counts = syn.at.since(self.start) < Span(PAWS_MSL.0 + EDGE.0);
        if let (true, SynFate::SynAck, Some(tsval)) = (counts, syn.fate, syn.tsval) {
            self.answered.add(tsval);
        }
    }

    /// Whether some value would have dropped this SYN and let through all that were answered before it: the
    /// least that drops it lies two ticks ahead of it, and drops everything at or behind it, too.
    fn may_explain(&self, syn: &SynSeen) -> bool {
        let in_time = syn.at.since(self.start) < Span(PAWS_MSL.0 + EDGE.0);
        in_time && syn.tsval.is_none_or(|tsval| !self.answered.reaches_back_from(tsval))
    }
}

/// Values on the circle of 2^32, as the least and the greatest in each of 256 arcs: whether one lies in a half circle
/// is told in the same short time for ten values and for a million.
struct Circle([Option<(u32, u32)>; 256]);

impl Default for Circle {
    fn default() -> Self {
        Self([None; 256])
    }
}

impl Circle {
    fn add(&mut self, value: TsVal) {
        if let Some(arc) = self.0.get_mut((value.0 >> 24) as usize) {
            *arc = Some(arc.map_or((value.0, value.0), |(least, most)| (least.min(value.0), most.max(value.0))));
        }
    }

    /// Whether one is not ahead of `value`: it lies in the half circle that ends there.
    fn reaches_back_from(&self, value: TsVal) -> bool {
        let (low, high) = (value.0.wrapping_sub(1 << 31), value.0);
        let arc = |place: u32| self.0.get((place % 256) as usize).copied().flatten();
        let first = low >> 24;
        arc(first).is_some_and(|(_, most)| most >= low)
            || arc(high >> 24).is_some_and(|(least, _)| least <= high)
            || (first + 1..first + 128).any(|between| arc(between).is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_circle_answers_as_its_values_would(values in prop::collection::vec(any::<u32>(), 0..6), near in any::<u8>(), asked in any::<u32>()) {
            let mut circle = Circle::default();
            values.iter().for_each(|value| circle.add(TsVal(*value)));
            let edges = values.iter().flat_map(|v| [v.wrapping_add(u32::from(near)), v.wrapping_add(1 << 31), v.wrapping_sub(1)]);
            for asked in edges.chain([asked]).map(TsVal) {
                let expected = values.iter().any(|value| TsVal(*value).ahead_of(asked) <= 0);
                prop_assert_eq!(circle.reaches_back_from(asked), expected, "{:?} from {:?}", values, asked);
            }
        }
    }
}
