//! SYN001: SYNs dropped by the per-host timestamp check of `tcp_tw_recycle`, usually behind SNAT.
//!
//! The kernel's rule is replayed (see `replay`) for each pair of hosts. It holds where SYNs that it drops went
//! unanswered, none of them was answered, and being behind and being unanswered go together beyond chance.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::plural;
use super::replay::{Prediction, Replay, Tally, WithoutTimestamps, replay};
use super::{Case, Cell, Confidence, Exhibit, Finding, NotJudged, Rule, Severity, Subject, Table, Verdict, number};
use crate::connection::Socket;
use crate::evidence::clocks::Clocks;
use crate::evidence::pairs::{HostPair, SynSeen};

pub(super) static RULE: Rule =
    Rule { code: "SYN001", name: "per-host-paws-drop", explanation: include_str!("per_host_paws_drop.md"), judge };

/// Dropped SYNs below which nothing is said: fewer may be chance.
const FEWEST: u64 = 3;
/// A chance of independence above which nothing is said.
const CHANCE: f64 = 1e-3;

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for pair in case.pairs() {
        match weigh(case, pair) {
            Weighed::Holds(held) => verdict.found.extend(held.findings(case, pair)),
            Weighed::CannotTell(because) => verdict.not_judged.push(cannot_tell(pair, because)),
            Weighed::No => {}
        }
    }
    verdict
}

enum Weighed {
    Holds(Box<Held>),
    CannotTell(String),
    No,
}

/// What is known once the rule holds for a pair of hosts.
struct Held {
    replay: Replay,
    tally: Tally,
    chance: f64,
    clocks: Clocks,
}

fn weigh(case: &Case<'_>, pair: &HostPair) -> Weighed {
    let start =
        case.evidence.points.get(usize::from(pair.point)).map_or(crate::time::Time::MIN, |point| point.first_at);
    let replay = replay(pair, start);
    let tally = replay.tally(pair, |_| true);
    if tally.dropped == 0 {
        return undecided(&tally);
    }
    if tally.contradictions > 0 {
        return Weighed::No;
    }
    if tally.dropped < FEWEST {
        return Weighed::CannotTell(format!(
            "{} that the check would drop went unanswered: too few to tell from chance",
            plural(tally.dropped, "SYN")
        ));
    }
    let chance = independence(&tally);
    if chance > CHANCE {
        return Weighed::CannotTell(format!(
            "{} that the check would drop went unanswered, but so did {} that it lets through, and {} were answered: no proof that timestamps matter (chance {chance:.2})",
            plural(tally.dropped, "SYN"),
            tally.unexplained,
            tally.passed,
        ));
    }
    Weighed::Holds(Box::new(Held { clocks: pair.clocks(), replay, tally, chance }))
}

/// SYNs in the first minute that only a close before the capture could explain, and nothing else to go by.
fn undecided(tally: &Tally) -> Weighed {
    if tally.undecided >= FEWEST && tally.unexplained == 0 {
        let because = format!(
            "{} went unanswered in the first 60 s: a close before the capture began may have taught the server a higher timestamp",
            plural(tally.undecided, "SYN"),
        );
        return Weighed::CannotTell(because);
    }
    Weighed::No
}

/// The chance that being behind and being unanswered are independent (Fisher's exact test, one-sided).
fn independence(tally: &Tally) -> f64 {
    let table = [tally.dropped, tally.contradictions, tally.unexplained, tally.passed];
    statrs::stats_tests::fishers_exact(&table, statrs::stats_tests::Alternative::Greater).unwrap_or(1.0)
}

/// Unanswered SYN segments by cause, as far as this rule can say.
pub(super) fn causes(case: &Case<'_>) -> BTreeMap<String, u64> {
    let mut causes = BTreeMap::new();
    for pair in case.pairs() {
        let unanswered = pair.syns.iter().filter(|syn| syn.unanswered()).count() as u64;
        let (dropped, undecided) = match weigh(case, pair) {
            Weighed::Holds(held) => (held.tally.dropped, held.tally.undecided),
            _ => (0, 0),
        };
        let rest = unanswered.saturating_sub(dropped).saturating_sub(undecided);
        for (cause, count) in [(RULE.code, dropped), ("undecided", undecided), ("unexplained", rest)] {
            if count > 0 {
                *causes.entry(cause.to_owned()).or_insert(0) += count;
            }
        }
    }
    causes
}

fn cannot_tell(pair: &HostPair, because: String) -> NotJudged {
    NotJudged {
        rule: RULE.code,
        because: format!("{} to {}: {because}", pair.client, pair.server),
        record_next: format!(
            "on the server for at least 3 minutes: tcpdump -i any -s 96 -w server.pcap 'tcp and host {}'; before and after: nstat -az TcpExtPAWSPassive TcpExtListenDrops, sysctl net.ipv4.tcp_tw_recycle",
            pair.client
        ),
    }
}

impl Held {
    /// One finding for each server port whose SYNs were dropped.
    fn findings(&self, case: &Case<'_>, pair: &HostPair) -> Vec<Finding> {
        let mut ports: Vec<u16> = self.dropped(pair).map(|syn| syn.server_port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.into_iter().map(|port| self.finding(case, pair, port)).collect()
    }

    fn dropped<'a>(&'a self, pair: &'a HostPair) -> impl Iterator<Item = &'a SynSeen> {
        let predicted = pair.syns.iter().zip(&self.replay.predictions);
        predicted.filter(|(syn, prediction)| **prediction == Prediction::Drop && syn.unanswered()).map(|(syn, _)| syn)
    }

    fn finding(&self, case: &Case<'_>, pair: &HostPair, port: u16) -> Finding {
        let tally = self.replay.tally(pair, |syn| syn.server_port == port);
        let failed = pair.attempts(|syn| syn.server_port == port && syn.unanswered() && syn.attempt_failed()) as u64;
        let server = Socket { ip: pair.server, port };
        let subject =
            Subject { client_ip: Some(pair.client), server_ip: Some(pair.server), server_port: Some(port), host: None };
        let mut finding = RULE.finding(Severity::Critical, self.confidence(), subject, Some(pair.point));
        finding.title = format!(
            "{server} drops SYNs of {} by the per-host timestamp check: {} unanswered, {} failed",
            pair.client,
            plural(tally.dropped, "SYN"),
            plural(failed, "attempt"),
        );
        finding.summary = self.summary(&tally, failed);
        for (name, count) in [
            ("syns_dropped", tally.dropped),
            ("syns_either", 0),
            ("attempts_failed", failed),
            ("syns_answered", tally.answered),
            ("contradictions", tally.contradictions),
            ("unexplained", tally.unexplained),
            ("undecided", tally.undecided),
            ("clocks", self.clocks.clocks.len() as u64),
        ] {
            finding.metric(name, number(count));
        }
        finding.metric("chance_of_independence", self.chance);
        finding.exhibit_all(self.exhibits(case, pair, port));
        finding.tables.extend(self.clock_table(case, pair));
        self.rule_out(&mut finding);
        advise(&mut finding, pair);
        finding.display_filter.push_str(" && tcp.flags.syn==1");
        finding.references = REFERENCES.iter().map(|reference| (*reference).to_owned()).collect();
        finding
    }

    /// High only where nothing contradicts, nothing is left over, and chance is out of the question.
    fn confidence(&self) -> Confidence {
        let certain = self.chance < 1e-6 && self.tally.unexplained == 0;
        if certain { Confidence::High } else { Confidence::Medium }
    }

    fn summary(&self, tally: &Tally, failed: u64) -> String {
        let clocks = match (self.clocks.random, self.clocks.clocks.len()) {
            (true, _) => {
                "Each connection has a timestamp offset of its own, so that one host alone runs into the check."
                    .to_owned()
            }
            (false, 0) => "No client clock could be told apart.".to_owned(),
            (false, 1) => "All timestamps lie on one client clock.".to_owned(),
            (false, count) => {
                format!("{count} client clocks share this address: the ones that are behind the highest lose.")
            }
        };
        let older = match self.replay.without_timestamps {
            WithoutTimestamps::Dropped => "",
            WithoutTimestamps::Passes => " SYNs without timestamps pass, as on kernels up to 3.16.",
        };
        format!(
            "After the server had closed a connection of this address, SYNs whose timestamp lies behind the remembered one got no answer for 60 s: {} dropped, {} failed. All {} that the rule lets pass were answered, and no SYN that it drops was. {clocks}{older} This is what net.ipv4.tcp_tw_recycle=1 does.",
            plural(tally.dropped, "SYN"),
            plural(failed, "attempt"),
            tally.passed,
        )
    }

    fn exhibits(&self, case: &Case<'_>, pair: &HostPair, port: u16) -> Vec<Exhibit> {
        let mut exhibits = Vec::new();
        for syn in self.dropped(pair).filter(|syn| syn.server_port == port) {
            let remembered = self.replay.remembered.iter().rev().find(|remembered| remembered.from <= syn.at);
            let Some(remembered) = remembered else { continue };
            let age = syn.at.since(remembered.from);
            let text = match syn.tsval {
                Some(tsval) => format!(
                    "SYN from port {} unanswered: TSval {tsval} is {} ticks behind {}, learnt {age} before",
                    syn.client_port,
                    remembered.tsval.ahead_of(tsval),
                    remembered.tsval,
                ),
                None => format!(
                    "SYN from port {} unanswered: no timestamps, while {} learnt {age} before counts",
                    syn.client_port, remembered.tsval
                ),
            };
            exhibits.push(case.exhibit(pair.point, syn.frame, syn.at, text));
        }
        exhibits
    }

    /// One row a clock: rate, how far behind the highest, attempts, failures.
    fn clock_table(&self, case: &Case<'_>, pair: &HostPair) -> Option<Table> {
        let start = pair.syns.iter().find(|syn| syn.tsval.is_some())?.at;
        let end = case.evidence.end_of(pair.point);
        let length = end.since(start);
        let highest = self.clocks.clocks.first()?;
        let rows = self.clocks.clocks.iter().enumerate().map(|(place, clock)| {
            let of_clock = |wanted: bool| {
                let syns = pair.syns.iter().zip(&self.clocks.of);
                let of_clock =
                    syns.filter(|(syn, of)| of.map(usize::from) == Some(place) && (!wanted || syn.attempt_failed()));
                of_clock.map(|(syn, _)| syn.attempt()).collect::<BTreeSet<u64>>().len() as u64
            };
            let behind = f64::from(highest.at(length).ahead_of(clock.at(length))) / f64::from(clock.hertz);
            vec![
                Cell::Text(letter(place)),
                Cell::Count(u64::from(clock.hertz)),
                Cell::Number((behind * 10.0).round() / 10.0),
                Cell::Count(of_clock(false)),
                Cell::Count(of_clock(true)),
            ]
        });
        Some(Table {
            title: "Client clocks behind this address, the highest first".to_owned(),
            columns: ["clock", "rate (Hz)", "behind the highest at the end (s of its own ticks)", "attempts", "failed"]
                .map(str::to_owned)
                .to_vec(),
            rows: rows.collect(),
        })
    }

    fn rule_out(&self, finding: &mut Finding) {
        let passed = self.tally.passed;
        finding.rule_out(
            "random loss (SYN004)",
            format!(
                "none of the {} SYNs that the check would drop was answered, while {passed} others were: chance {:.1e}",
                self.tally.dropped, self.chance
            ),
        );
        if self.tally.unexplained == 0 {
            finding.rule_out(
                "full listen queue (SYN002)",
                format!("all {passed} SYNs ahead of the remembered value were answered, at the same time"),
            );
        }
        finding.rule_out("connection refused (SYN005)", "no RST answered these SYNs".to_owned());
    }
}

/// A letter for a clock: A is the highest.
fn letter(place: usize) -> String {
    u8::try_from(place)
        .ok()
        .filter(|place| *place < 26)
        .map_or_else(|| place.to_string(), |place| char::from(b'A' + place).to_string())
}

const REFERENCES: [&str; 3] = [
    "Linux 3.17 to 4.11, net/ipv4/tcp_input.c: tcp_conn_request(); net/ipv4/tcp_metrics.c: tcp_peer_is_proven()",
    "Linux up to 3.16, net/ipv4/tcp_ipv4.c: tcp_v4_conn_request()",
    "RFC 7323 appendix B.2",
];

fn advise(finding: &mut Finding, pair: &HostPair) {
    finding.advise_when("on the server, kernel before 4.12", "sysctl -w net.ipv4.tcp_tw_recycle=0 (and in sysctl.conf); it takes effect at once and costs nothing but TIME-WAIT sockets");
    finding.advise_when(
        "to confirm on the live server",
        "nstat -az TcpExtPAWSPassive: it must grow by one with each dropped SYN; TcpExtTWKilled must grow as well",
    );
    finding.advise_when(
        "kernel 4.12 or later",
        format!(
            "tcp_tw_recycle does not exist there: look for a middlebox in front of {} that checks timestamps",
            pair.server
        ),
    );
    finding.advise("Do not switch off timestamps on the server only to get rid of this, and do not lower tcp_max_tw_buckets or tcp_fin_timeout: neither is the cause.");
}
