//! Signs in a host's own words that it stands still now and then: its kernel's complaints, stolen time, interrupts that
//! all go to one CPU.
//!
//! Linux kernel/watchdog.c (soft lockup), kernel/rcu/tree_stall.h, kernel/time/clocksource.c; mpstat(1), top(1),
//! proc_softirqs(5).

use std::collections::BTreeMap;

use super::Exhibit;
use super::host_limits;
use crate::evidence::hosts::HostView;
use crate::language::{Text, say};
use crate::snapshot::{LogKind, LogLine, LogTime, Sample, Source};
use crate::time::{Span, Time};

/// One sign.
#[derive(Clone, Debug)]
pub(super) struct Sign {
    /// What the host says.
    pub words: Text,
    /// The line that says it.
    pub source: Source,
    /// When, where the line tells.
    pub at: Option<Time>,
    /// It proves by itself that a CPU or the whole host stood still.
    pub proof: bool,
}

/// A hypervisor that takes more than this share of the time is felt, in percent.
const STEAL: f64 = 10.0;
/// One CPU that handles more than this share of what all receive, in percent.
const ONE_CPU: f64 = 80.0;
/// A CPU that spends more than this on softirqs, in percent.
const SOFT: f64 = 50.0;
/// Fewer softirqs say nothing of where they go.
const ENOUGH: f64 = 10_000.0;
/// Messages of one kind that are told.
const MOST: usize = 5;

/// All that a host says.
pub(super) fn signs(view: &HostView) -> Vec<Sign> {
    let facts = &view.host.facts;
    let mut signs = kernel(view, &facts.log);
    signs.extend(shares(&facts.samples));
    signs.extend(one_cpu(&facts.samples));
    signs
}

impl Sign {
    /// As an exhibit.
    pub fn exhibit(&self) -> Exhibit {
        Exhibit { time: self.at, ..host_limits::line(self.source, self.words.clone()) }
    }

    /// Whether it was written at the time of a stall, give or take.
    pub fn near(&self, from: Time, until: Time) -> bool {
        self.at.is_some_and(|at| from.minus(NEAR) <= at && at <= until.plus(NEAR))
    }
}

fn kernel(view: &HostView, log: &[LogLine]) -> Vec<Sign> {
    let mut told: BTreeMap<LogKind, usize> = BTreeMap::new();
    let mut signs = Vec::new();
    for line in log {
        let (what, proof) = match line.kind {
            LogKind::SoftLockup => (say!("a CPU was stuck in the kernel"), true),
            LogKind::HardLockup => (say!("a CPU took no interrupts"), true),
            LogKind::RcuStall => (say!("a CPU did not report in time"), true),
            LogKind::TimerSlow => (say!("a timer interrupt took too long"), false),
            LogKind::ClocksourceUnstable => (say!("the clock source was given up"), false),
            LogKind::TransmitTimeout => (say!("a transmit queue stood still"), false),
            LogKind::HungTask => (say!("a task waited without end"), false),
            _ => continue,
        };
        let count = told.entry(line.kind).or_default();
        *count += 1;
        if *count <= MOST {
            let words = say!("kernel: {text} ({what})", text = line.text.trim(), what);
            signs.push(Sign { words, source: line.source, at: moment(view, line.time), proof });
        }
    }
    signs
}

fn moment(view: &HostView, time: LogTime) -> Option<Time> {
    match time {
        LogTime::At(at) => Some(at),
        LogTime::SinceBoot(span) => {
            let boot = view.moments.iter().find_map(|moment| Some(moment.at?.minus(moment.up?)))?;
            Some(boot.plus(span))
        }
        _ => None,
    }
}

/// Stolen time, and CPUs that do little but softirqs: the worst of each.
fn shares(samples: &[Sample]) -> Vec<Sign> {
    let worst = |names: [&str; 2], least: f64| {
        let named = samples.iter().filter(|sample| names.contains(&&*sample.name) && sample.value > least);
        named.max_by(|one, other| one.value.total_cmp(&other.value))
    };
    let sign = |sample: &Sample, what: Text| Sign {
        words: say!(
            "CPU {subject}: {value} % {what}",
            subject = sample.subject,
            value = format!("{:.1}", sample.value),
            what
        ),
        source: sample.source,
        at: None,
        proof: false,
    };
    let steal = worst(["%steal", "st"], STEAL).map(|sample| sign(sample, say!("of the time stolen by the hypervisor")));
    let soft = worst(["%soft", "si"], SOFT).map(|sample| sign(sample, say!("of the time in softirqs")));
    steal.into_iter().chain(soft).collect()
}

/// Received packets that one of several CPUs handles nearly alone.
fn one_cpu(samples: &[Sample]) -> Option<Sign> {
    let received = || samples.iter().filter(|sample| sample.format == "interrupts" && &*sample.name == "NET_RX");
    let last = received().next_back()?.source;
    let row: Vec<&Sample> = received().filter(|sample| sample.source == last).collect();
    let all: f64 = row.iter().map(|sample| sample.value).sum();
    let most = row.iter().max_by(|one, other| one.value.total_cmp(&other.value))?;
    let share = most.value / all * 100.0;
    (row.len() > 1 && all >= ENOUGH && share > ONE_CPU).then(|| Sign {
        words: say!(
            "{subject} handled {share} % of all NET_RX softirqs of {row} CPUs",
            subject = most.subject,
            share = format!("{share:.0}"),
            row = row.len()
        ),
        source: last,
        at: None,
        proof: false,
    })
}

/// Clocks of two hosts, and the time that a message takes to be written.
const NEAR: Span = Span::from_secs(30);
