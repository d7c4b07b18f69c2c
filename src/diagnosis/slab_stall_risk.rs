//! STALL002: reading the statistics of the slab allocator stops this kernel.
//!
//! Linux mm/slab.c and mm/slub.c, `get_slabinfo()`: up to 4.8 SLAB walks all slabs of a cache with interrupts off for each
//! reader of /proc/slabinfo (commit 07a63c41fa1f of 4.9 ended that; 4.9 still walks the partial and the free ones); SLUB
//! walks its partial slabs with interrupts off, at most 10,000 of them since 6.10 (commit 1c5610f451be).

use super::claims::{Claims, claims};
use super::lacking::{self, Lack};
use super::{Case, Confidence, Exhibit, Finding, Rule, Severity, Subject, Verdict, host_limits, host_signs, number};
use crate::evidence::hosts::HostView;
use crate::language::{Joint, Text, pages, plural, say};
use crate::snapshot::{Memory, Sample, Slab, Source};

pub(super) static RULE: Rule =
    Rule { code: "STALL002", name: "slab-stall-risk", explanation: pages!("slab_stall_risk"), judge };

/// A walk over so many directory entries, or slabs, is felt.
const DENTRIES: u64 = 10_000_000;
const SLABS: u64 = 1_000_000;
/// Slabs of more than this share of all memory, in percent.
const SHARE: u64 = 25;

/// What reads slab statistics: its command, or a part of it.
const READERS: [&str; 6] = ["slabtop", "slabinfo", "vmstat -m", "collectl", "telegraf", "cadvisor"];

/// The allocator, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allocator {
    Slab,
    Slub,
    Unknown,
}

/// What is big, and why that matters.
struct Big {
    dentries: Option<(u64, u64, Source)>,
    largest: Option<(String, u64, Source)>,
    /// Percent of all memory.
    share: Option<(u64, Source)>,
    /// Objects that are allocated and not in use: what lies in partial slabs.
    unused: u64,
}

fn judge(case: &Case<'_>) -> Verdict {
    let hosts = case.evidence.hosts.iter().enumerate();
    let found = hosts.filter_map(|(place, view)| finding(case, place, view)).collect();
    Verdict { found, not_judged: lacking::not_judged(&RULE, claims(case, &RULE), lack) }
}

/// Much memory in slabs, and nothing that says in which: /proc/slabinfo is for root alone.
fn lack(host: &Claims<'_>) -> Option<Lack> {
    let facts = &host.host.host.facts;
    let big = Big::of(&facts.slabs, &facts.memory);
    let (share, _) = big.share.filter(|(share, _)| *share > SHARE && big.largest.is_none())?;
    let because = say!("slabs take {share} % of its memory, and its caches are not listed", share);
    Some(Lack { because, record: say!("as root: cat /proc/slabinfo; ps aux; uname -r") })
}

fn finding(case: &Case<'_>, place: usize, view: &HostView) -> Option<Finding> {
    let facts = &view.host.facts;
    let big = Big::of(&facts.slabs, &facts.memory);
    if !big.is_risk() {
        return None;
    }
    let (allocator, allocator_line) = allocator(&facts.slabs);
    let kernel = view.host.kernel();
    let version = kernel.map(|kernel| (kernel.numbers.0, kernel.numbers.1));
    let readers = readers(&facts.samples);
    let signs = host_signs::signs(view);
    let stalled = stalls(case, place, view);
    let stood_still = stalled > 0 || signs.iter().any(|sign| sign.proof);
    let (walk, mut severity, confidence) = walk(allocator, version);
    if severity == Severity::Warning
        && confidence == Confidence::High
        && (stood_still || !readers.is_empty())
        && allocator == Allocator::Slab
    {
        severity = Severity::Critical;
    }
    if severity == Severity::Info && !stood_still {
        // A new kernel walks little, and nothing shows a stall.
        return None;
    }
    let subject = Subject { host: Some(view.name.clone()), ..Subject::default() };
    let mut finding = RULE.finding(severity, confidence, subject, None);
    let what = big.words();
    finding.title = say!("Reading slab statistics can stop {view}: {what}", view = view.name, what);
    finding.summary = say!("{view} holds {what}. {walk}", view = view.name, what, walk);
    match readers.as_slice() {
        [] => finding.summary.add(say!("No process that reads slab statistics is in the lists given.")),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { Text::default() } else { say!(" and {rest} more", rest = rest.len()) };
            finding.summary.add(say!("{first}{more} reads them.", first = first.0, more));
        }
    }
    if stalled > 0 {
        finding.summary.add(say!("Pings of this host show {stalls} (STALL001).", stalls = plural(stalled, "stall")));
    }
    let mut exhibits = big.exhibits();
    exhibits.extend(allocator_line.map(|source| host_limits::line(source, allocator.words())));
    exhibits.extend(
        kernel.map(|kernel| host_limits::line(kernel.source, say!("Linux {release}", release = kernel.release))),
    );
    exhibits.extend(
        readers.iter().map(|(name, source)| host_limits::line(*source, say!("{name} reads slab statistics", name))),
    );
    exhibits.extend(signs.iter().map(host_signs::Sign::exhibit));
    if let Some((negative, source)) = negative(view) {
        exhibits.push(host_limits::line(
            source,
            say!("{negative} negative dentries: names that were looked up and do not exist", negative),
        ));
        finding.metric("negative_dentries", number(negative));
    }
    finding.exhibit_all(exhibits);
    finding.metric("dentries", number(big.dentries.as_ref().map_or(0, |dentries| dentries.0)));
    finding.metric("readers", number(readers.len() as u64));
    if let Some((_, slabs, _)) = &big.largest {
        finding.metric("largest_slabs", number(*slabs));
    }
    if let Some((share, _)) = big.share {
        finding.metric("slab_percent_of_memory", number(share));
    }
    finding.metric("unused_objects", number(big.unused));
    advise(&mut finding, allocator);
    finding.references =
        ["mm/slab.c, mm/slub.c: get_slabinfo()", "commits 07a63c41fa1f (4.9), 1c5610f451be (6.10)", "slabinfo(5)"]
            .map(str::to_owned)
            .to_vec();
    Some(finding)
}

/// What a reader makes the kernel do, how bad that is, and how surely it is known.
fn walk(allocator: Allocator, version: Option<(u32, u32)>) -> (Text, Severity, Confidence) {
    let told = |text: Text, severity, confidence| (text, severity, confidence);
    match (allocator, version) {
        (Allocator::Slab, Some(version)) if version <= (4, 8) => told(
            say!(
                "Its allocator is SLAB of a kernel before 4.9: for every reader it walks all slabs of each cache with interrupts off, and nothing is received meanwhile."
            ),
            Severity::Warning,
            Confidence::High,
        ),
        (Allocator::Slab, Some((4, 9))) => told(
            say!(
                "Its allocator is SLAB of Linux 4.9: for every reader it still walks the partial and the free slabs of each cache with interrupts off; vendors' kernels of that number may walk all."
            ),
            Severity::Warning,
            Confidence::Medium,
        ),
        (Allocator::Slab, Some(_)) => told(
            say!(
                "Its allocator is SLAB of a kernel after 4.9, which counts without walking; vendors' kernels may have kept the old walk."
            ),
            Severity::Info,
            Confidence::Low,
        ),
        (Allocator::Slub, Some(version)) if version >= (6, 10) => told(
            say!(
                "Its allocator is SLUB of 6.10 or later: a reader makes it walk at most 10,000 partial slabs of a cache."
            ),
            Severity::Info,
            Confidence::Low,
        ),
        (Allocator::Slub, _) => told(
            say!(
                "Its allocator is SLUB, before 6.10 as far as is known: for every reader it walks the partial slabs of each cache with interrupts off; how many are partial, /proc/slabinfo does not say."
            ),
            Severity::Warning,
            Confidence::Medium,
        ),
        (_, version) => {
            let kernel = version.map_or_else(
                || say!("an unknown kernel"),
                |(major, minor)| say!("Linux {major}.{minor}", major, minor),
            );
            let text = say!(
                "The allocator cannot be told from what was given ({kernel}): SLAB before 4.9 walks all slabs of each cache with interrupts off for every reader, SLUB before 6.10 the partial ones, later kernels hardly any. The tunables in /proc/slabinfo and `uname -r` tell.",
                kernel
            );
            (text, Severity::Warning, Confidence::Low)
        }
    }
}

/// The tunables are zero in SLUB; one cache of SLAB has none of zero.
fn allocator(slabs: &[Slab]) -> (Allocator, Option<Source>) {
    let told = |tunable: bool| slabs.iter().find(|slab| slab.tunable == Some(tunable)).map(|slab| slab.source);
    match (told(true), told(false)) {
        (Some(source), _) => (Allocator::Slab, Some(source)),
        (None, Some(source)) => (Allocator::Slub, Some(source)),
        _ => (Allocator::Unknown, None),
    }
}

impl Allocator {
    fn words(self) -> Text {
        match self {
            Self::Slab => say!("the tunables are set: the allocator is SLAB"),
            Self::Slub => say!("all tunables are zero: the allocator is SLUB"),
            Self::Unknown => say!("the allocator is not told"),
        }
    }
}

impl Big {
    fn of(slabs: &[Slab], memory: &[Memory]) -> Self {
        let dentry = slabs.iter().rev().find(|slab| matches!(&*slab.name, "dentry" | "dentry_cache"));
        let largest = slabs.iter().filter_map(|slab| Some((slab.slabs?, slab))).max_by_key(|(count, _)| *count);
        let line = |name: &str| memory.iter().rev().find(|line| &*line.name == name);
        let share = || {
            let total = line("MemTotal")?.kib;
            let (kept, freed) = (line("SUnreclaim"), line("SReclaimable"));
            let source = kept.or(freed)?.source;
            let slab = kept.map_or(0, |line| line.kib).saturating_add(freed.map_or(0, |line| line.kib));
            Some((slab.saturating_mul(100).checked_div(total)?, source))
        };
        Self {
            dentries: dentry.map(|slab| (slab.objects, slab.active_objects, slab.source)),
            largest: largest.map(|(count, slab)| (slab.name.to_string(), count, slab.source)),
            share: share(),
            unused: slabs
                .iter()
                .map(|slab| slab.objects.saturating_sub(slab.active_objects))
                .fold(0, u64::saturating_add),
        }
    }

    fn is_risk(&self) -> bool {
        let many = self.dentries.is_some_and(|(objects, ..)| objects > DENTRIES);
        // Memory alone is no walk: the caches must be listed, too.
        let heavy = self.share.is_some_and(|(share, _)| share > SHARE) && self.largest.is_some();
        many || heavy || self.largest.as_ref().is_some_and(|(_, slabs, _)| *slabs > SLABS)
    }

    fn words(&self) -> Text {
        let dentries = self.dentries.filter(|(objects, ..)| *objects > DENTRIES);
        let dentries = dentries.map(|(objects, ..)| say!("{objects} dentries", objects));
        let slabs = self.largest.as_ref().filter(|(_, slabs, _)| *slabs > SLABS);
        let slabs = slabs.map(|(name, slabs, _)| say!("{slabs} slabs of {name}", slabs, name));
        let share = self
            .share
            .filter(|(share, _)| *share > SHARE)
            .map(|(share, _)| say!("slabs in {share} % of its memory", share));
        Text::joined(Joint::Commas, [dentries, slabs, share].into_iter().flatten())
    }

    fn exhibits(&self) -> Vec<Exhibit> {
        let dentries = self.dentries.map(|(objects, active, source)| {
            host_limits::line(source, say!("dentry: {objects} objects, {active} in use", objects, active))
        });
        let largest = self.largest.as_ref();
        let largest = largest.map(|(name, slabs, source)| {
            host_limits::line(*source, say!("{name}: {slabs} slabs, the most of all caches", name, slabs))
        });
        let share = self
            .share
            .map(|(share, source)| host_limits::line(source, say!("slabs take {share} % of all memory", share)));
        [dentries, largest, share].into_iter().flatten().collect()
    }
}

/// Processes that read slab statistics, each once.
fn readers(samples: &[Sample]) -> Vec<(String, Source)> {
    let mut readers: Vec<(String, Source)> = Vec::new();
    for sample in samples.iter().filter(|sample| matches!(sample.format, "top" | "ps")) {
        let reads = READERS.iter().any(|reader| sample.subject.contains(reader));
        // The search for them is none.
        if reads && !sample.subject.contains("grep") && !readers.iter().any(|(name, _)| **name == *sample.subject) {
            readers.push((sample.subject.to_string(), sample.source));
        }
    }
    readers
}

/// Names that do not exist: the fifth number of `fs.dentry-state` since 4.20, zero before.
fn negative(view: &HostView) -> Option<(u64, Source)> {
    let setting = view.host.facts.setting("fs.dentry-state").filter(|setting| setting.live)?;
    let count = setting.value.split_whitespace().nth(4)?.parse().ok()?;
    (count > 0).then_some((count, setting.source))
}

/// Stalls of pings from or to the host.
fn stalls(case: &Case<'_>, place: usize, view: &HostView) -> u64 {
    let own = view.addresses();
    let captured = case.stalls().iter().filter(|pair| own.contains(&pair.client) || own.contains(&pair.server));
    let logged = case
        .ping_logs()
        .iter()
        .filter(|log| log.host == place || log.address.is_some_and(|address| own.contains(&address)));
    let most = captured.map(|pair| pair.holds.len()).chain(logged.map(|log| log.holds.len())).max();
    most.unwrap_or(0) as u64
}

fn advise(finding: &mut Finding, allocator: Allocator) {
    finding.advise(say!("Stop what reads /proc/slabinfo: slabtop, `vmstat -m`, and monitoring agents with a slab plugin (lsof /proc/slabinfo, or an audit watch on it, names them)."));
    finding.advise(say!("Find who fills the cache: many dentries are mostly names that do not exist (bcc's dcsnoop, or perf trace on failed opens), and fix that program."));
    finding.advise_when(say!("the cache must be emptied at once"), say!("echo 2 > /proc/sys/vm/drop_caches frees dentries and inodes; that walks them, too, and can take as long as the stall: do it in a quiet hour, and limit what grows (vm.vfs_cache_pressure, memory cgroups)."));
    if allocator != Allocator::Slub {
        finding
            .advise_when(say!("the kernel may be changed"), say!("4.10 and later count slabs without walking them."));
    }
}
