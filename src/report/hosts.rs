//! What hosts said of themselves, as `report.json` lists it: who, when, what moved, what is set.

mod counters;
mod limits;
mod settings;
mod states;

use serde_json::{Map, Value, json};

use super::words::severity_word;
use crate::diagnosis::{Case, Cell, Finding, Table};
use crate::evidence::Evidence;
use crate::evidence::hosts::{HostMoment, HostView};
use crate::evidence::joins::{Join, Matched};

/// Counters that tell of connections opened, dropped and ended, and what they count (Linux
/// Documentation/networking/snmp_counter.rst).
const MEANINGS: [(&str, &str); 24] = [
    ("TcpActiveOpens", "connections it opened"),
    ("TcpPassiveOpens", "connections that others opened"),
    ("TcpAttemptFails", "attempts that failed, on either side"),
    ("TcpEstabResets", "open connections that were reset"),
    ("TcpRetransSegs", "segments sent again"),
    ("TcpOutRsts", "RSTs sent"),
    ("TcpExtPAWSPassive", "SYNs dropped by the per-host timestamp check of tcp_tw_recycle"),
    ("TcpExtPAWSActive", "answers to its SYNs with a wrong timestamp"),
    ("TcpExtPAWSEstab", "segments with old timestamps (before 6.16 those into TIME-WAIT as well)"),
    ("TcpExtPAWSTimewait", "segments with old timestamps into TIME-WAIT"),
    ("TcpExtListenOverflows", "SYNs and final ACKs that met a full accept queue"),
    ("TcpExtListenDrops", "all that listeners dropped"),
    ("TcpExtTCPReqQFullDrop", "SYNs that met a full request queue"),
    ("TcpExtTCPReqQFullDoCookies", "SYNs that met a full request queue and were answered by cookie"),
    ("TcpExtSyncookiesSent", "SYN cookies sent"),
    ("TcpExtSyncookiesFailed", "ACKs whose cookie was invalid"),
    ("TcpExtTW", "TIME-WAITs that ended by their timer"),
    ("TcpExtTWRecycled", "TIME-WAITs that a new connection took early (tcp_tw_reuse)"),
    ("TcpExtTWKilled", "TIME-WAITs that ended by the short timer of tcp_tw_recycle"),
    ("TcpExtTCPTimeWaitOverflow", "closes that left no TIME-WAIT because the table was full"),
    ("TcpExtTCPAbortOnMemory", "connections aborted for lack of memory"),
    ("TcpExtTCPSynRetrans", "SYNs and SYN-ACKs sent again"),
    ("TcpExtTCPTimeouts", "retransmission timers that ran out"),
    ("TcpExtTCPBacklogDrop", "segments dropped while the owner held the socket"),
];

/// Settings that decide about opening, closing and reuse.
const SETTINGS: [&str; 9] = [
    "net.ipv4.tcp_tw_recycle",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.ip_local_port_range",
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
];

/// One entry a host.
pub(super) fn hosts(case: &Case<'_>, findings: &[Finding]) -> Vec<Value> {
    let evidence = case.evidence;
    let all = evidence.hosts.iter().enumerate();
    all.map(|(place, one)| host(evidence, one, case.joins().get(place), findings)).collect()
}

/// Sentences that more than one table ends with.
mod verdict {
    pub(super) const FINE: &str = "fine";
    pub(super) const BAD_QUEUE: &str = "the accept queue is full: the application accepts too slowly (SYN002)";
    pub(super) const BAD_CLOSE_WAIT: &str = "the application does not close (CW001): look for a missing close()";
    pub(super) const MANY_TIME_WAIT: &str = "harmless: TIME-WAITs of a listening port use no port up (HOST006)";
    pub(super) const PORTS_GONE: &str = "ports are gone: connect() fails; keep connections open (TW003)";
    pub(super) const PORTS_NEAR: &str = "ports run out with a little more rate (TW003)";
}

fn host(evidence: &Evidence, host: &HostView, join: Option<&Join>, findings: &[Finding]) -> Value {
    let tables = [
        Some(verdicts(evidence, host, findings)),
        states::table(host),
        limits::table(host),
        counters::table(host),
        settings::table(host),
    ];
    let addresses: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
    json!({
        "name": host.name,
        "kernel": host.host.kernel().map(|kernel| &*kernel.release),
        "addresses": addresses,
        "moments": host.moments.iter().map(moment).collect::<Vec<_>>(),
        "inputs": host.inputs().map(id).collect::<Vec<_>>(),
        "counters": counters(host),
        "settings": settings(host),
        "joined": join.filter(|_| !evidence.points.is_empty()).map(joined),
        "tables": tables.into_iter().flatten().collect::<Vec<Table>>(),
    })
}

/// How the host and the captures belong together, and whether they agree, in sentences.
fn joined(join: &Join) -> String {
    let mut text = match join.matched {
        Matched::Pairs(pairs) => {
            format!("The captures show {pairs} of the {} connections that it lists.", join.rows)
        }
        Matched::Address => "The captures show its address, and none of the connections that it lists.".to_owned(),
        Matched::Ports(pairs) => format!(
            "Its addresses are not in the captures, but {pairs} of its {} pairs of ports are: a NAT may lie between; take it for a hint.",
            join.rows
        ),
        Matched::No => {
            return "Nothing shows that it is an end of the captures: what it counts and what they show need not agree."
                .to_owned();
        }
    };
    match join.apart {
        Some(apart) if join.is_contemporary() == Some(false) => {
            text.push_str(&format!(" Its files were made {apart} away from the captures: not of the same time, so that counts need not agree."));
        }
        Some(_) => text.push_str(" By its clock its files were made while they were recorded."),
        None => text.push_str(" When its files were made is not told."),
    }
    match join.time_waits {
        (0, 0) => {}
        (own, 0) => text.push_str(&format!(" {own} of its TIME-WAITs are closes that the captures show, and it closed first in all of them: both agree.")),
        (own, other) => text.push_str(&format!(" Of its TIME-WAITs the captures show {own} that it closed first and {other} that its peer closed first: there the two disagree, and something between them closes or answers for one of them.")),
    }
    let agreeing = join.close_waits.iter().filter(|held| held.agrees).count();
    if !join.close_waits.is_empty() {
        text.push_str(&format!(" Of {} CLOSE-WAITs that the captures show as well, {agreeing} have the peer's FIN there and none of its own until then.", join.close_waits.len()));
    }
    text
}

/// What was found about the host, worst first, as the report orders it.
fn verdicts(evidence: &Evidence, host: &HostView, findings: &[Finding]) -> Table {
    let addresses = host.addresses();
    let about = |finding: &&Finding| {
        let subject = &finding.subject;
        subject.host.as_ref() == Some(&host.name)
            || subject.client_ip.is_some_and(|ip| addresses.contains(&ip))
            || subject.server_ip.zip(subject.server_port).map_or_else(
                || subject.server_ip.is_some_and(|ip| addresses.contains(&ip)),
                |(ip, port)| {
                    let server = crate::connection::Socket { ip, port };
                    evidence.host_of(server).is_some_and(|other| std::ptr::eq(other, host))
                },
            )
    };
    let row = |finding: &Finding| {
        let first = finding.advice.first().map_or("", |advice| advice.text.as_str());
        let cells = [severity_word(finding.severity), finding.id.as_str(), finding.title.as_str(), first];
        // A cell is plain text: the marks of commands would be read as a part of them.
        cells.map(|text| Cell::Text(text.replace('`', ""))).to_vec()
    };
    let mut rows: Vec<Vec<Cell>> = findings.iter().filter(about).map(row).collect();
    if rows.is_empty() {
        let cells = ["fine", "–", "no rule found anything wrong in what this host says of itself", ""];
        rows.push(cells.map(|text| Cell::Text(text.to_owned())).to_vec());
    }
    let columns = ["How bad", "Finding", "What is wrong", "What to do first"].map(str::to_owned).to_vec();
    Table { title: "Verdicts".to_owned(), columns, rows }
}

/// `part` of `whole` in percent.
#[allow(clippy::cast_precision_loss)]
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

fn moment(moment: &HostMoment) -> Value {
    json!({
        "folder": moment.folder,
        "time": moment.at.map(crate::time::Time::rfc3339),
        "uptime_s": moment.up.map(crate::time::Span::secs),
    })
}

/// Counters that moved; of a single moment those that are not zero.
fn counters(host: &HostView) -> Map<String, Value> {
    let one = |counter: &str| match host.delta(counter) {
        Some(moved) => {
            (moved.delta > 0).then(|| json!({"first": moved.first, "last": moved.last, "delta": moved.delta}))
        }
        None => host.counter(counter).filter(|(value, _)| *value > 0).map(|(value, _)| json!({"last": value})),
    };
    MEANINGS.iter().filter_map(|(counter, _)| Some(((*counter).to_owned(), one(counter)?))).collect()
}

fn settings(host: &HostView) -> Map<String, Value> {
    let one = |name: &str| host.host.facts.setting(name).map(|setting| Value::from(&*setting.value));
    SETTINGS.iter().filter_map(|name| Some(((*name).to_owned(), one(name)?))).collect()
}

fn id(input: usize) -> String {
    format!("i{}", input.saturating_add(1))
}
