//! One server address may hide several kernels (a load balancer): each remembers what its own closes taught it.
//!
//! They are told apart by the timestamp line of their SYN-ACKs. Each kernel's memory is replayed by
//! itself; an answer is held against the kernel that gave it, and an unanswered SYN is only predicted to be
//! dropped where every kernel would have dropped it.

use hashbrown::HashSet;

use crate::connection::SynFate;
use crate::diagnosis::replay::{
    Prediction, Remembered, Replay, Tally, WithoutTimestamps, contradicts, replay as replay_one,
};
use crate::evidence::Evidence;
use crate::evidence::clocks::{Tick, tell_apart};
use crate::evidence::groups::Place;
use crate::evidence::pairs::{HostPair, SynSeen};
use crate::time::Time;

/// The rule replayed for every kernel behind the server's address.
#[derive(Debug)]
pub struct Replays {
    /// What they say together of each SYN, in order.
    pub predictions: Vec<Prediction>,
    /// What was remembered, and when; of all kernels.
    pub remembered: Vec<Remembered>,
    /// Which kernels the answers to SYNs without timestamps fit.
    pub without_timestamps: WithoutTimestamps,
    /// Kernels told apart, at least 1.
    pub kernels: usize,
}

/// Replays the rule over a pair of hosts.
pub(crate) fn replay(evidence: &Evidence, pair: &HostPair) -> Replays {
    let start = evidence.points.get(usize::from(pair.point)).map_or(Time::MIN, |point| point.first_at);
    let one = replay_one(pair, start);
    // Only answers that contradict one kernel's memory can be another kernel's.
    let contradicted = pair.syns.iter().zip(&one.predictions).any(|(syn, prediction)| contradicts(syn, *prediction));
    let kernels = if contradicted { kernels_of(evidence, pair) } else { Vec::new() };
    let count = kernels.iter().flatten().max().map_or(1, |highest| usize::from(*highest) + 1);
    if count == 1 {
        let Replay { predictions, remembered, without_timestamps } = one;
        return Replays { predictions, remembered, without_timestamps, kernels: 1 };
    }
    let replays: Vec<Replay> = (0..count).map(|kernel| replay_one(&of_kernel(pair, &kernels, kernel), start)).collect();
    let predictions = pair.syns.iter().enumerate().map(|(place, _)| {
        let all: Vec<Prediction> = replays.iter().filter_map(|replay| replay.predictions.get(place).copied()).collect();
        match kernels.get(place).copied().flatten() {
            Some(kernel) => all.get(usize::from(kernel)).copied().unwrap_or(Prediction::Edge),
            None => together(&all),
        }
    });
    Replays {
        predictions: predictions.collect(),
        remembered: replays.iter().flat_map(|replay| replay.remembered.iter().copied()).collect(),
        without_timestamps: replays.first().map_or(WithoutTimestamps::Dropped, |replay| replay.without_timestamps),
        kernels: count,
    }
}

/// Answers that tell kernels apart.
const ENOUGH: usize = 4096;

/// What several kernels say of a SYN that none of them answered.
fn together(all: &[Prediction]) -> Prediction {
    match all {
        all if all.iter().all(|prediction| *prediction == Prediction::Drop) => Prediction::Drop,
        all if all.iter().all(|prediction| *prediction == Prediction::Pass) => Prediction::Pass,
        _ => Prediction::Edge,
    }
}

/// The kernel that answered each SYN, where several can be told apart; empty where they cannot.
fn kernels_of(evidence: &Evidence, pair: &HostPair) -> Vec<Option<u8>> {
    let answered = || pair.syns.iter().enumerate().filter(|(_, syn)| syn.fate == SynFate::SynAck);
    let answers = |step: usize| {
        let some: Vec<(usize, &SynSeen)> = answered().step_by(step).collect();
        let places: Vec<Place> = some.iter().map(|(_, syn)| syn.connection).collect();
        let ticks = some.iter().zip(evidence.picked(&places)).filter_map(|((place, syn), (_, connection))| {
            let tsval = connection.syn_ack_tsval()?;
            Some((*place, Tick { at: syn.at, tsval, attempt: syn.attempt() }))
        });
        ticks.collect::<Vec<(usize, Tick)>>()
    };
    // Of many answers a few thousand tell whether there is more than one kernel; mostly there is not.
    let some: Vec<Tick> = answers(answered().count() / ENOUGH + 1).into_iter().map(|(_, tick)| tick).collect();
    if tell_apart(&some).clocks.len() < 2 {
        return Vec::new();
    }
    let answers = answers(1);
    let mut kernels = vec![None; pair.syns.len()];
    let clocks = tell_apart(&answers.iter().map(|(_, tick)| *tick).collect::<Vec<_>>());
    for ((place, _), clock) in answers.iter().zip(&clocks.of) {
        if let (Some(kernel), Some(clock)) = (kernels.get_mut(*place), clock) {
            *kernel = Some(*clock);
        }
    }
    kernels
}

/// The pair as one kernel saw it: only its own closes teach it.
fn of_kernel(pair: &HostPair, kernels: &[Option<u8>], kernel: usize) -> HostPair {
    let own: HashSet<(u16, u32)> = pair
        .syns
        .iter()
        .zip(kernels)
        .filter(|(_, of)| of.map(usize::from) == Some(kernel))
        .map(|(syn, _)| syn.connection)
        .collect();
    let mut of_kernel = pair.clone();
    of_kernel.taught.retain(|taught| own.contains(&taught.connection));
    of_kernel
}

impl Replays {
    /// Compares predictions with answers, for all SYNs of the pair.
    pub(crate) fn tally(&self, pair: &HostPair) -> Tally {
        Tally::of(pair.syns.iter().zip(self.predictions.iter().copied()))
    }

    /// What was remembered at a moment.
    pub(crate) fn remembered_at(&self, at: Time) -> Option<Remembered> {
        self.remembered.iter().rev().find(|remembered| remembered.from <= at).copied()
    }
}
