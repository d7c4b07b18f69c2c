//! Evidence becomes findings: one rule a file, with its explanation; each answers found, not found, or not judged.
//!
//! Rules see `Evidence` and nothing else. The registry below is their order in lists; findings are ordered by how
//! bad they are.

mod abortive_close;
mod accept_queue_overflow;
mod capture_dropped_packets;
mod capture_gap;
mod capture_inside_nat;
mod checksum_offload;
mod claims;
mod clock_stepped_back;
mod close_wait_leak;
mod connection_refused;
mod cut_headers;
mod destination_unreachable;
mod duplicated_packets;
pub mod ephemeral_ports_exhausting;
mod fin_unanswered;
mod fin_wait_2_held;
mod finding;
mod fingerprint;
mod group;
mod host;
mod host_facts;
mod host_limits;
mod host_ports;
mod host_signs;
pub(crate) mod host_stall;
mod lacking;
mod late_segments;
mod limits;
mod mid_stream;
pub mod occupancy;
mod old_duplicate;
mod one_direction_only;
mod part;
mod per_host_paws_drop;
mod port_usage;
pub mod replay;
mod reused_within_2msl;
mod scan;
mod slab_stall_risk;
pub mod stall;
mod syn_filtered;
mod syn_flood_or_scan;
mod syn_into_time_wait;
mod syn_lost;
mod synack_lost;
mod time_wait_assassination;
pub mod time_wait_pressure;
mod truncated_capture;
mod weigh;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;

pub use finding::{
    Advice, Cell, Confidence, Exhibit, Finding, NotJudged, RuledOut, Selector, Severity, Subject, Table, letter,
};

use self::host_stall::{LogStalls, PairStalls};
use self::occupancy::Occupancy;
use self::scan::Suspects;
use self::time_wait_pressure::Population;
use self::weigh::Service;
pub use self::weigh::kernels::Replays;
use crate::connection::Connection;
use crate::evidence::Evidence;
use crate::evidence::echoes::{self, EchoSeries};
use crate::evidence::hosts::HostView;
use crate::evidence::joins::{self, Join};
use crate::evidence::links::{self, Links};
use crate::evidence::pairs::{HostPair, PairIndex, Translated, Which, translated};
use crate::evidence::sight::Sight;
use crate::language::{Language, Pages, Speak, Text, pages};
use crate::time::{Span, Time};

/// A piece of knowledge.
#[derive(Debug)]
pub struct Rule {
    /// Never used again for anything else.
    pub code: &'static str,
    /// Says what is wrong.
    pub name: &'static str,
    /// Markdown with fixed headings; `lastack explain` prints it.
    pub explanation: Pages,
    /// Weighs the evidence.
    pub judge: fn(&Case<'_>) -> Verdict,
}

/// What a rule says: found, not judged with the reason, or (neither) not found. It may find one subject's case
/// and be unable to judge another's.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Cases found.
    pub found: Vec<Finding>,
    /// Cases that cannot be judged.
    pub not_judged: Vec<NotJudged>,
}

/// What the engineer knows and sets.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// Maximum segment lifetime.
    pub msl: Span,
    /// Kernels by address, as `--kernel` says.
    pub kernels: Vec<(IpAddr, KernelVersion)>,
}

/// Major and minor version of a Linux kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion(pub u16, pub u16);

impl Thresholds {
    /// The kernel that the engineer named for an address.
    #[must_use]
    pub fn kernel(&self, address: IpAddr) -> Option<KernelVersion> {
        self.kernels.iter().find(|(ip, _)| *ip == address).map(|(_, version)| *version)
    }
}

crate::language::values!(KernelVersion);

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { msl: Span::from_secs(30), kernels: Vec::new() }
    }
}

/// The evidence of one run, and what several rules derive from it.
#[derive(Debug)]
pub struct Case<'a> {
    /// All that a rule may look at.
    pub evidence: &'a Evidence,
    /// What the engineer set.
    pub thresholds: &'a Thresholds,
    /// What its findings are written in.
    pub language: Language,
    services: OnceLock<Vec<Service>>,
    suspects: OnceLock<Suspects>,
    translated: OnceLock<BTreeMap<u16, Translated>>,
    links: OnceLock<Links>,
    index: OnceLock<PairIndex>,
    occupancy: OnceLock<Occupancy>,
    sight: OnceLock<Sight>,
    echoes: OnceLock<Vec<EchoSeries>>,
    stalls: OnceLock<Vec<PairStalls>>,
    logs: OnceLock<Vec<LogStalls>>,
    addresses: OnceLock<BTreeMap<IpAddr, usize>>,
    joins: OnceLock<Vec<Join>>,
}

/// All rules, in the order of lists.
pub static RULES: &[&Rule] = &[
    &per_host_paws_drop::RULE,
    &accept_queue_overflow::RULE,
    &syn_filtered::RULE,
    &syn_lost::RULE,
    &connection_refused::RULE,
    &destination_unreachable::RULE,
    &syn_flood_or_scan::RULE,
    &syn_into_time_wait::RULE,
    &synack_lost::RULE,
    &reused_within_2msl::RULE,
    &time_wait_pressure::RULE,
    &ephemeral_ports_exhausting::RULE,
    &old_duplicate::RULE,
    &time_wait_assassination::RULE,
    &close_wait_leak::RULE,
    &fin_unanswered::RULE,
    &fin_wait_2_held::RULE,
    &abortive_close::RULE,
    &host_stall::RULE,
    &slab_stall_risk::RULE,
    &host::time_wait_harmless::RULE,
    &host::tw_reuse_without_timestamps::RULE,
    &host::tw_reuse_off::RULE,
    &host::tw_recycle_on::RULE,
    &host::tw_recycle_drops::RULE,
    &host::tw_recycle_setting_dead::RULE,
    &host::fin_timeout_lowered::RULE,
    &host::time_wait_paws_drops::RULE,
    &host::paws_estab_drops::RULE,
    &host::paws_active_drops::RULE,
    &host::orphans_near_limit::RULE,
    &host::syn_sent_pile::RULE,
    &host::listen_drops_other::RULE,
    &host::syn_queue_full::RULE,
    &host::syn_cookies_in_use::RULE,
    &host::syn_cookies_invalid::RULE,
    &host::embryonic_resets::RULE,
    &host::syn_retransmits::RULE,
    &host::attempts_fail::RULE,
    &host::resets_sent::RULE,
    &host::application_aborts::RULE,
    &host::tcp_memory_pressure::RULE,
    &host::socket_backlog_drops::RULE,
    &host::conntrack_near_full::RULE,
    &host::conntrack_full::RULE,
    &host::conntrack_time_wait_share::RULE,
    &host::conntrack_unreplied::RULE,
    &host::softnet_drops::RULE,
    &host::softnet_squeezed::RULE,
    &host::softirq_on_one_cpu::RULE,
    &host::cpu_steal::RULE,
    &host::netstat_cost::RULE,
    &host::interface_errors::RULE,
    &host::time_wait_memory::RULE,
    &truncated_capture::RULE,
    &cut_headers::RULE,
    &capture_dropped_packets::RULE,
    &one_direction_only::RULE,
    &clock_stepped_back::RULE,
    &capture_gap::RULE,
    &duplicated_packets::RULE,
    &checksum_offload::RULE,
    &capture_inside_nat::RULE,
    &mid_stream::RULE,
];

/// Topics that `lastack explain` knows beside the rules.
pub static TOPICS: [(&str, Pages); 10] = [
    ("time-wait", pages!("diagnosis/topics/time-wait")),
    ("close-wait", pages!("diagnosis/topics/close-wait")),
    ("2msl", pages!("diagnosis/topics/2msl")),
    ("paws", pages!("diagnosis/topics/paws")),
    ("tw-recycle", pages!("diagnosis/topics/tw-recycle")),
    ("tw-reuse", pages!("diagnosis/topics/tw-reuse")),
    ("snat", pages!("diagnosis/topics/snat")),
    ("listen-queue", pages!("diagnosis/topics/listen-queue")),
    ("ephemeral-ports", pages!("diagnosis/topics/ephemeral-ports")),
    ("host-stall", pages!("diagnosis/topics/host-stall")),
];

/// Exhibits that a finding shows; it says how many there are.
pub const EXHIBITS_SHOWN: usize = 20;

impl<'a> Case<'a> {
    /// Prepares the evidence for the rules.
    #[must_use]
    pub fn new(evidence: &'a Evidence, thresholds: &'a Thresholds) -> Self {
        Self {
            evidence,
            thresholds,
            language: Language::default(),
            services: OnceLock::new(),
            suspects: OnceLock::new(),
            translated: OnceLock::new(),
            links: OnceLock::new(),
            index: OnceLock::new(),
            occupancy: OnceLock::new(),
            sight: OnceLock::new(),
            echoes: OnceLock::new(),
            stalls: OnceLock::new(),
            logs: OnceLock::new(),
            addresses: OnceLock::new(),
            joins: OnceLock::new(),
        }
    }

    /// The same, with findings in another language.
    #[must_use]
    pub fn in_language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// Capture points on one way, and where SYNs were lost between them.
    pub fn links(&self) -> &Links {
        self.links.get_or_init(|| links::find(self.evidence))
    }

    /// Pairs of hosts with unanswered SYNs.
    pub fn pairs(&self) -> &PairIndex {
        self.index.get_or_init(|| PairIndex::new(self.evidence, Which::Unanswered, &self.links().copies))
    }

    /// Echo requests and replies, paired.
    pub fn echoes(&self) -> &[EchoSeries] {
        self.echoes.get_or_init(|| echoes::series(self.evidence))
    }

    /// Pairs of addresses that ping each other, and their stalls.
    pub(crate) fn stalls(&self) -> &[PairStalls] {
        self.stalls.get_or_init(|| host_stall::pairs(self.echoes()))
    }

    /// Logs of ping by host and target, and their stalls.
    pub(crate) fn ping_logs(&self) -> &[LogStalls] {
        self.logs.get_or_init(|| host_stall::logs(self))
    }

    /// The timestamp check replayed over one pair of hosts.
    #[must_use]
    pub fn replay(&self, pair: &HostPair) -> Replays {
        weigh::kernels::replay(self.evidence, pair)
    }

    /// Ports and TIME-WAITs held over time.
    pub fn occupancy(&self) -> &Occupancy {
        self.occupancy.get_or_init(|| Occupancy::of(self))
    }

    /// What the capture could see of its connections.
    pub fn sight(&self) -> &Sight {
        self.sight.get_or_init(|| Sight::of(self.evidence))
    }

    /// The TIME-WAITs of each host over time, most first.
    pub fn populations(&self) -> &[Population] {
        &self.occupancy().populations
    }

    /// Every host beside the captures, in the order of the hosts.
    pub fn joins(&self) -> &[Join] {
        self.joins.get_or_init(|| joins::join(self.evidence))
    }

    /// The host with an address, where one of the hosts given is it.
    fn host_at(&self, address: IpAddr) -> Option<&'a HostView> {
        let hosts = &self.evidence.hosts;
        let addresses = self.addresses.get_or_init(|| {
            let own = |(place, host): (usize, &HostView)| host.addresses().into_iter().map(move |ip| (ip, place));
            // Of two hosts with one address the first counts.
            hosts.iter().enumerate().rev().flat_map(own).collect()
        });
        hosts.get(*addresses.get(&address)?)
    }

    /// How long TIME-WAIT is taken to last.
    #[must_use]
    pub fn two_msl(&self) -> Span {
        Span(self.thresholds.msl.0.saturating_mul(2))
    }

    /// The first and the last packet's time at a capture point.
    #[must_use]
    pub fn span_of(&self, point: u16) -> (Time, Time) {
        let found = self.evidence.points.get(usize::from(point));
        found.map_or((Time::MAX, Time::MIN), |point| (point.first_at, point.last_at))
    }

    /// The connection of a shard with an index.
    #[must_use]
    pub fn connection(&self, place: (u16, u32)) -> Option<Connection<'a>> {
        self.evidence.connection(place)
    }

    /// Unanswered SYN segments by the cause they are attributed to.
    #[must_use]
    pub fn syn_causes(&self) -> BTreeMap<String, u64> {
        weigh::causes(self.services())
    }

    /// Capture point and frame (from 0) of every unanswered SYN, and its cause's name.
    pub fn unanswered(&self) -> impl Iterator<Item = ((u16, u64), &'static str)> {
        let services = self.services().iter();
        services.flat_map(|service| service.unanswered.iter().map(|u| ((service.point, u.syn.frame), u.cause.name())))
    }

    /// Every unanswered SYN weighed, by client address and server socket.
    fn services(&self) -> &[Service] {
        self.services.get_or_init(|| weigh::weigh_all(self))
    }

    /// Who scans or floods.
    fn suspects(&self) -> &Suspects {
        self.suspects.get_or_init(|| scan::suspects(self))
    }

    /// SYNs that are shown on both sides of a translation, by capture point.
    fn translated(&self) -> &BTreeMap<u16, Translated> {
        self.translated.get_or_init(|| translated(self.evidence))
    }

    /// Makes what takes long, and what no other thread can help with beside it. Neither side asks for what the other
    /// one makes: a thread that waits for another helps nobody.
    fn prepare(&self) {
        let alone = || {
            self.suspects();
            self.stalls();
            self.translated();
        };
        let by_all = || {
            self.services();
            self.occupancy();
        };
        self.evidence.workers.join(by_all, alone);
    }

    /// A packet as an exhibit; its frame is counted from 0 at its capture point.
    #[must_use]
    pub fn exhibit(&self, point: u16, frame: u64, at: Time, text: Text) -> Exhibit {
        let (input, frame) = self.evidence.locate(point, frame);
        Exhibit { input: format!("i{}", input + 1), frame: Some(frame), line: None, time: Some(at), text }
    }
}

/// Runs every rule once and orders what they found: worst first, surest first.
#[must_use]
pub fn run_all(case: &Case<'_>) -> Verdict {
    case.prepare();
    let mut all = Verdict::default();
    for rule in RULES {
        let verdict = (rule.judge)(case);
        all.found.extend(verdict.found);
        all.not_judged.extend(verdict.not_judged);
    }
    all.not_judged.extend(part::not_judged(case));
    // Rules give their findings in a fixed order, and the sort is stable.
    all.found.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.confidence)));
    let mut numbers: Vec<(&str, usize)> = Vec::new();
    for finding in &mut all.found {
        let number = match numbers.iter_mut().find(|(code, _)| *code == finding.rule) {
            Some((_, number)) => {
                *number += 1;
                *number
            }
            None => {
                numbers.push((finding.rule, 1));
                1
            }
        };
        finding.id = format!("{}-{number}", finding.rule);
        finding.fingerprint = fingerprint::of(case.evidence, finding);
    }
    all.speak(case.language);
    all
}

impl Speak for Verdict {
    fn speak(&mut self, language: Language) {
        self.found.speak(language);
        self.not_judged.speak(language);
    }
}

impl Rule {
    /// The sentence under the title of its explanation.
    #[must_use]
    pub fn says(&self, language: Language) -> String {
        let lines = self.explanation.spoken(language).lines();
        let paragraph = lines.skip(1).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
        paragraph.collect::<Vec<_>>().join(" ")
    }

    /// A finding of this rule about `subject` at a capture point, to be filled in.
    #[must_use]
    pub fn finding(&self, severity: Severity, confidence: Confidence, subject: Subject, point: Option<u16>) -> Finding {
        Finding {
            id: String::new(),
            rule: self.code,
            name: self.name,
            severity,
            confidence,
            title: Text::default(),
            summary: Text::default(),
            point: point.map(|point| format!("p{}", point + 1)),
            first_time: None,
            last_time: None,
            // Given when all findings are there.
            fingerprint: String::new(),
            selector: Selector { subject: subject.clone(), from: None, until: None },
            display_filter: subject.display_filter(),
            subject,
            metrics: BTreeMap::new(),
            tables: Vec::new(),
            exhibits: Vec::new(),
            exhibits_total: 0,
            ruled_out: Vec::new(),
            advice: Vec::new(),
            references: Vec::new(),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}
