//! What the server's own counters and settings say of a case that the capture shows.
//!
//! The counters are those of Linux `net/ipv4/proc.c`; what moves them stands in `tcp_conn_request()` (PAWSPassive,
//! TCPReqQFullDrop, ListenOverflows) and `tcp_v4_syn_recv_sock()` (ListenOverflows again, for final ACKs).

use super::weigh::{Cause, Service};
use super::{Case, Confidence, Exhibit, Finding, KernelVersion, number};
use crate::evidence::hosts::{Delta, HostView};
use crate::language::{Joint, Text, plural, say, words};
use crate::snapshot::Source;
use crate::time::Span;

/// Clocks of host and capture may differ by this much before coverage is doubted.
const SLACK: Span = Span::from_secs(5);

/// The host of a finding's server, beside what the capture shows of that server.
pub(super) struct HostFacts<'a> {
    pub host: &'a HostView,
    /// Unanswered SYNs of all clients to all ports of the server at the capture point, by what explains them.
    seen: Seen,
    /// Whether the snapshots lie around all of them; where clocks are not told, they are taken to.
    spans: bool,
}

/// Unanswered SYNs of all clients, since counters count for all.
#[derive(Clone, Copy, Default)]
struct Seen {
    dropped: u64,
    either: u64,
    undecided: u64,
    all: u64,
}

/// What the host's counter says of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// It says the same.
    Agrees,
    /// It says something else.
    Disagrees,
    /// It cannot tell.
    Open,
}

impl Agreement {
    /// How sure a finding is with it.
    pub fn confidence(self, alone: Confidence) -> Confidence {
        match self {
            Self::Agrees => Confidence::High,
            Self::Disagrees => alone.min(Confidence::Medium),
            Self::Open => alone,
        }
    }
}

/// Why the timestamp check cannot be the cause, by what the host says.
pub(super) struct Excluded {
    pub because: Text,
}

impl<'a> HostFacts<'a> {
    /// What is known of the server of a service; `None` where no host given is it.
    pub fn of(case: &Case<'a>, service: &Service) -> Option<Self> {
        let host = case.evidence.host_of(service.server)?;
        let mut seen = Seen::default();
        let mut between = None;
        let same = |other: &&Service| {
            other.point == service.point
                && case.evidence.host_of(other.server).is_some_and(|other| std::ptr::eq(other, host))
        };
        for other in case.services().iter().filter(same) {
            seen.dropped += other.of(Cause::PawsDrop).count() as u64;
            seen.either += other.either();
            seen.undecided += other.of(Cause::Undecided).count() as u64;
            seen.all += other.unanswered.len() as u64;
            for syn in other.unanswered.iter().map(|unanswered| &unanswered.syn) {
                let (from, until) = between.unwrap_or((syn.at, syn.at));
                between = Some((syn.at.min(from), syn.at.max(until)));
            }
        }
        let told: Vec<_> = host.moments.iter().filter_map(|moment| moment.at).collect();
        let spans = match (told.first(), told.last(), between) {
            (Some(first), Some(last), Some((from, until))) if host.moments.iter().all(|moment| moment.at.is_some()) => {
                *first <= from.plus(SLACK) && last.plus(SLACK) >= until
            }
            _ => true,
        };
        Some(Self { host, seen, spans })
    }

    /// A kernel, setting or listing of the host that excludes `tcp_tw_recycle`.
    pub fn excludes_recycle(&self, gone_since: KernelVersion) -> Option<Excluded> {
        let facts = &self.host.host.facts;
        let name = &self.host.name;
        if let Some(kernel) = self.host.host.kernel() {
            let since = (u32::from(gone_since.0), u32::from(gone_since.1));
            if (kernel.numbers.0, kernel.numbers.1) >= since {
                let because = say!("runs Linux {release}, which has no tcp_tw_recycle", release = kernel.release);
                return Some(excluded(name, because, kernel.source));
            }
        }
        let live = || facts.settings.iter().filter(|setting| setting.live);
        let recycle: Vec<_> = live().filter(|setting| &*setting.name == RECYCLE).collect();
        if let Some(off) = recycle.first().filter(|_| recycle.iter().all(|setting| &*setting.value == "0")) {
            return Some(excluded(name, say!("says `net.ipv4.tcp_tw_recycle = 0`"), off.source));
        }
        if recycle.is_empty() {
            // Its neighbours of a whole listing are there, and it is not.
            let neighbour = |wanted: &str| live().find(|setting| &*setting.name == wanted);
            let whole = neighbour("net.ipv4.tcp_tw_reuse").filter(|reuse| {
                let there = |wanted: &str| neighbour(wanted).is_some_and(|s| s.source.input == reuse.source.input);
                ["net.ipv4.tcp_timestamps", "net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_fin_timeout"]
                    .into_iter()
                    .all(there)
            });
            if let Some(reuse) = whole {
                return Some(excluded(
                    name,
                    say!("lists its settings, and tcp_tw_recycle is not among them"),
                    reuse.source,
                ));
            }
        }
        if let Some(passive) = self.host.delta(PAWS_PASSIVE).filter(|passive| passive.delta == 0)
            && self.seen.dropped == 0
            && self.spans
        {
            let because =
                say!("counted no PAWSPassive while these SYNs went unanswered, and a second cause explains them all");
            return Some(excluded(name, because, passive.sources.1));
        }
        let lacking = self.host.lacks_counter("TcpExt", PAWS_PASSIVE)?;
        Some(excluded(name, say!("lists every TcpExt counter, and PAWSPassive is not among them"), lacking))
    }

    /// Whether the kernel that the host names has `tcp_tw_recycle`.
    pub fn has_old_kernel(&self, gone_since: KernelVersion) -> bool {
        self.host.host.kernel_before(gone_since.0.into(), gone_since.1.into()) == Some(true)
    }

    /// Holds PAWSPassive against the SYNs that the check drops.
    pub fn weigh_paws(&self, case: &Case<'_>, finding: &mut Finding) -> Agreement {
        let agreement = self.weigh_passive(finding);
        self.weigh_memory(case, finding);
        agreement
    }

    /// Holds the timestamp that the host remembers of the client (`ip tcp_metrics`) against those that it sent.
    fn weigh_memory(&self, case: &Case<'_>, finding: &mut Finding) {
        let Some(client) = finding.subject.client_ip else { return };
        let remembered = self.host.host.facts.remembered.iter().filter(|stamp| stamp.address == client);
        let Some((stamp, (value, _))) = remembered.filter_map(|stamp| Some((stamp, stamp.tw_ts?))).next_back() else {
            return;
        };
        let connections = case.evidence.shards.iter().flat_map(|shard| shard.connections());
        let of_client = connections.filter(|connection| connection.client().ip == client);
        let taught =
            of_client.flat_map(|connection| connection.learnt()).flatten().any(|learnt| learnt.tsval.0 == value);
        let text = if taught {
            say!(" which a close in the capture taught it")
        } else {
            say!(" which no close in the capture taught it: it comes from one that was not captured")
        };
        finding.summary.add(say!("The host remembers TSval {value} of {client},{text}.", value, client, text));
        put_first(finding, vec![line(stamp.source, say!("{client} tw_ts {value}", client, value))]);
    }

    fn weigh_passive(&self, finding: &mut Finding) -> Agreement {
        let Some(passive) = self.host.delta(PAWS_PASSIVE) else { return self.weigh_paws_total(finding) };
        let Seen { dropped, either, undecided, .. } = self.seen;
        finding.metric("paws_passive", number(passive.delta));
        let most = dropped + either;
        let range =
            if either == 0 { Text::value(dropped.to_string()) } else { say!("{dropped} to {most}", dropped, most) };
        let grew = say!(
            "The host's own counter ({host}): PAWSPassive grew by {delta}",
            host = self.host.name,
            delta = passive.delta
        );
        let (agreement, text) = if (dropped..=most).contains(&passive.delta) {
            (
                Agreement::Agrees,
                say!("{grew}, as the capture says ({range}).", grew, range).then(self.rest(passive.delta)),
            )
        } else if passive.delta > most && passive.delta <= most + undecided {
            let text = say!(
                "{grew}, as the capture says ({range}, and up to {undecided} more that it leaves undecided).",
                grew,
                range,
                undecided
            );
            (Agreement::Agrees, text)
        } else if !self.spans {
            (
                Agreement::Open,
                say!(
                    "{grew}, and the capture shows {range}: the snapshots do not lie around all of these SYNs, so that the two need not agree.",
                    grew,
                    range
                ),
            )
        } else {
            let why = if passive.delta > most {
                say!(
                    "the capture does not show all SYNs of the host, or the check drops more than was attributed to it"
                )
            } else {
                say!("something in front of the host drops the others, or the snapshots are of another host or time")
            };
            (
                Agreement::Disagrees,
                say!("{grew}, but the capture shows {range}: the two disagree; {why}.", grew, range, why),
            )
        };
        finding.summary.add(text);
        let mut exhibits = counter_exhibits("PAWSPassive", &passive);
        exhibits.extend(self.recycle_setting());
        if let Some(killed) = self.host.delta(TW_KILLED).filter(|killed| killed.delta > 0)
            && !ends_orphans_early(self.host)
        {
            finding.summary.add(say!("TWKilled grew by {delta}: TIME-WAITs ended within 4 s, as only tcp_tw_recycle lets them (3.5 RTO instead of 60 s).", delta = killed.delta));
            exhibits.extend(counter_exhibits("TWKilled", &killed).pop());
        }
        put_first(finding, exhibits);
        agreement
    }

    /// Where one snapshot alone tells the counter: since the host came up.
    fn weigh_paws_total(&self, finding: &mut Finding) -> Agreement {
        let Some((total, source)) = self.host.counter(PAWS_PASSIVE) else { return Agreement::Open };
        finding.summary.add(say!("The host ({host}) has counted PAWSPassive {total} since it came up; a second snapshot would tell how many of those are these.", host = self.host.name, total));
        let mut exhibits = vec![line(source, say!("PAWSPassive {total} since the host came up", total))];
        exhibits.extend(self.recycle_setting());
        put_first(finding, exhibits);
        Agreement::Open
    }

    fn recycle_setting(&self) -> Option<Exhibit> {
        let on = self.host.host.facts.settings.iter().find(|s| s.live && &*s.name == RECYCLE && &*s.value != "0")?;
        Some(line(on.source, Text::value(format!("{RECYCLE} = {}", on.value))))
    }

    /// Which counters hold the unanswered SYNs that PAWSPassive does not.
    fn rest(&self, passive: u64) -> Text {
        let grown = |counter: &str| self.host.delta(counter).map_or(0, |delta| delta.delta);
        let (requests, accepts) = (grown(REQ_Q_FULL_DROP), grown(LISTEN_OVERFLOWS));
        let both = requests.saturating_add(accepts);
        let Some(left) = self.seen.all.checked_sub(passive).filter(|left| *left > 0 && both > 0) else {
            return Text::default();
        };
        if left == requests {
            let also = match accepts {
                0 => Text::default(),
                accepts => say!("; ListenOverflows {accepts} counts final ACKs of handshakes, not these SYNs", accepts),
            };
            say!(
                "The other {left} of the {syns} met a full request queue: TCPReqQFullDrop grew by exactly {requests}{also}.",
                left,
                syns = plural(self.seen.all, "unanswered SYN"),
                requests,
                also
            )
        } else if (requests..=both).contains(&left) {
            say!(
                "The other {left} of the {syns} met a full queue: TCPReqQFullDrop grew by {requests}, and ListenOverflows by {accepts}, which counts final ACKs of handshakes as well.",
                left,
                syns = plural(self.seen.all, "unanswered SYN"),
                requests,
                accepts
            )
        } else {
            say!(
                "Of the other {left} unanswered SYNs, TCPReqQFullDrop ({requests}) and ListenOverflows ({accepts}) explain only a part, or count what the capture does not show.",
                left,
                requests,
                accepts
            )
        }
    }

    /// Holds the counters of full listen queues against the SYNs that met one.
    pub fn weigh_queues(&self, finding: &mut Finding, service: &Service) -> Agreement {
        let mut exhibits = Vec::new();
        let mut grown = Vec::new();
        let mut counted: Option<u64> = None;
        for (counter, metric, what) in QUEUE_COUNTERS {
            let Some(delta) = self.host.delta(counter) else { continue };
            finding.metric(metric, number(delta.delta));
            let short = counter.trim_start_matches("TcpExt");
            grown.push(say!("{short} {delta} ({what})", short, delta = delta.delta, what = Text::of(what)));
            if counter != LISTEN_DROPS {
                let sum = counted.get_or_insert(0);
                *sum = sum.saturating_add(delta.delta);
            }
            if delta.delta > 0 {
                exhibits.extend(counter_exhibits(short, &delta));
            }
        }
        let mut rows: Vec<Exhibit> = Vec::new();
        for (row, waiting, limit) in self.host.full_queues(service.server) {
            let text = say!(
                "LISTEN on port {port}: {waiting} for accept, and the queue holds {limit}",
                port = service.server.port,
                waiting =
                    if waiting == 1 { say!("1 connection waits") } else { say!("{waiting} connections wait", waiting) },
                limit
            );
            rows.push(line(row.source, text));
        }
        let full = !rows.is_empty();
        if !grown.is_empty() {
            finding.summary.add(say!(
                "The host's own counters ({host}) grew: {grown}.",
                host = self.host.name,
                grown = Text::joined(Joint::Commas, grown)
            ));
        }
        if full {
            finding.summary.add(say!("A listing of its sockets shows the accept queue full."));
        }
        let agreement = match counted {
            Some(0) if self.spans && !full => {
                finding.summary.add(say!("None of them moved while these SYNs went unanswered: host and capture disagree; something in front of the host drops the SYNs, or the snapshots are of another host or time."));
                Agreement::Disagrees
            }
            Some(0) => Agreement::Open,
            Some(_) => Agreement::Agrees,
            None if full => Agreement::Agrees,
            None => Agreement::Open,
        };
        if let Some(passive) = self.host.delta(PAWS_PASSIVE).filter(|passive| passive.delta > 0) {
            finding.metric("paws_passive", number(passive.delta));
            finding.summary.add(
                say!("PAWSPassive grew by {delta} as well.", delta = passive.delta).then(self.rest(passive.delta)),
            );
        }
        rows.append(&mut exhibits);
        put_first(finding, rows);
        agreement
    }
}

const RECYCLE: &str = "net.ipv4.tcp_tw_recycle";
/// TIME-WAITs whose timer was 4 s or less: `tw_kill` in `__inet_twsk_schedule()`, net/ipv4/inet_timewait_sock.c.
pub(super) const TW_KILLED: &str = "TcpExtTWKilled";

/// Whether FIN-WAIT-2 without an owner ends so soon that TWKilled counts it, too.
pub(super) fn ends_orphans_early(host: &HostView) -> bool {
    let mut told = host.host.facts.settings.iter().filter(|s| s.live && &*s.name == "net.ipv4.tcp_fin_timeout");
    told.any(|s| s.value.trim().parse::<u64>().is_ok_and(|seconds| seconds <= 4))
}
const PAWS_PASSIVE: &str = "TcpExtPAWSPassive";
const LISTEN_OVERFLOWS: &str = "TcpExtListenOverflows";
const LISTEN_DROPS: &str = "TcpExtListenDrops";
const REQ_Q_FULL_DROP: &str = "TcpExtTCPReqQFullDrop";

/// Counters of full queues: name, metric, and what they count.
const QUEUE_COUNTERS: [(&str, &str, &str); 3] = [
    (LISTEN_OVERFLOWS, "listen_overflows", words!("SYNs and final ACKs that met a full accept queue")),
    (REQ_Q_FULL_DROP, "req_q_full_drop", words!("SYNs that met a full request queue")),
    (LISTEN_DROPS, "listen_drops", words!("all that listeners dropped, PAWSPassive included")),
];

fn excluded(host: &str, because: Text, source: Source) -> Excluded {
    Excluded {
        because: say!(
            "the host itself ({host}) {because} (i{input}, line {line})",
            host,
            because,
            input = u64::from(source.input) + 1,
            line = source.line
        ),
    }
}

/// A line of a snapshot as an exhibit.
fn line(source: Source, text: Text) -> Exhibit {
    Exhibit {
        input: format!("i{}", u64::from(source.input) + 1),
        frame: None,
        line: Some(u64::from(source.line)),
        time: None,
        text,
    }
}

/// The lines of the first value and the last.
fn counter_exhibits(counter: &str, delta: &Delta) -> Vec<Exhibit> {
    vec![
        line(delta.sources.0, say!("{counter} {delta} at first", counter, delta = delta.first)),
        line(
            delta.sources.1,
            say!("{counter} {delta} at last: {delta_2} more", counter, delta = delta.last, delta_2 = delta.delta),
        ),
    ]
}

/// Lines of the host come first: they are few, and packets are many.
fn put_first(finding: &mut Finding, mut exhibits: Vec<Exhibit>) {
    finding.exhibits_total += exhibits.len() as u64;
    exhibits.append(&mut finding.exhibits);
    exhibits.truncate(super::EXHIBITS_SHOWN);
    finding.exhibits = exhibits;
}
