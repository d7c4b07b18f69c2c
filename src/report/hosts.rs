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
use crate::language::{Speak, Text, say, words};

/// Counters that tell of connections opened, dropped and ended, and what they count (Linux
/// Documentation/networking/snmp_counter.rst).
const MEANINGS: [(&str, &str); 24] = [
    ("TcpActiveOpens", words!("connections it opened")),
    ("TcpPassiveOpens", words!("connections that others opened")),
    ("TcpAttemptFails", words!("attempts that failed, on either side")),
    ("TcpEstabResets", words!("open connections that were reset")),
    ("TcpRetransSegs", words!("segments sent again")),
    ("TcpOutRsts", words!("RSTs sent")),
    ("TcpExtPAWSPassive", words!("SYNs dropped by the per-host timestamp check of tcp_tw_recycle")),
    ("TcpExtPAWSActive", words!("answers to its SYNs with a wrong timestamp")),
    ("TcpExtPAWSEstab", words!("segments with old timestamps (before 6.16 those into TIME-WAIT as well)")),
    ("TcpExtPAWSTimewait", words!("segments with old timestamps into TIME-WAIT")),
    ("TcpExtListenOverflows", words!("SYNs and final ACKs that met a full accept queue")),
    ("TcpExtListenDrops", words!("all that listeners dropped")),
    ("TcpExtTCPReqQFullDrop", words!("SYNs that met a full request queue")),
    ("TcpExtTCPReqQFullDoCookies", words!("SYNs that met a full request queue and were answered by cookie")),
    ("TcpExtSyncookiesSent", words!("SYN cookies sent")),
    ("TcpExtSyncookiesFailed", words!("ACKs whose cookie was invalid")),
    ("TcpExtTW", words!("TIME-WAITs that ended by their timer")),
    ("TcpExtTWRecycled", words!("TIME-WAITs that a new connection took early (tcp_tw_reuse)")),
    ("TcpExtTWKilled", words!("TIME-WAITs that ended by the short timer of tcp_tw_recycle")),
    ("TcpExtTCPTimeWaitOverflow", words!("closes that left no TIME-WAIT because the table was full")),
    ("TcpExtTCPAbortOnMemory", words!("connections aborted for lack of memory")),
    ("TcpExtTCPSynRetrans", words!("SYNs and SYN-ACKs sent again")),
    ("TcpExtTCPTimeouts", words!("retransmission timers that ran out")),
    ("TcpExtTCPBacklogDrop", words!("segments dropped while the owner held the socket")),
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
    all.map(|(place, one)| host(case, one, case.joins().get(place), findings)).collect()
}

/// Sentences that more than one table ends with.
mod verdict {
    use crate::language::words;

    pub(super) const FINE: &str = words!("fine");
    pub(super) const BAD_QUEUE: &str = words!("the accept queue is full: the application accepts too slowly (SYN002)");
    pub(super) const BAD_CLOSE_WAIT: &str =
        words!("the application does not close (CW001): look for a missing close()");
    pub(super) const MANY_TIME_WAIT: &str = words!("harmless: TIME-WAITs of a listening port use no port up (HOST006)");
    pub(super) const PORTS_GONE: &str = words!("ports are gone: connect() fails; keep connections open (TW003)");
    pub(super) const PORTS_NEAR: &str = words!("ports run out with a little more rate (TW003)");
}

fn host(case: &Case<'_>, host: &HostView, join: Option<&Join>, findings: &[Finding]) -> Value {
    let evidence = case.evidence;
    let tables = [
        Some(verdicts(evidence, host, findings)),
        states::table(host),
        limits::table(host),
        counters::table(host),
        settings::table(host),
    ];
    let mut tables: Vec<Table> = tables.into_iter().flatten().collect();
    tables.speak(case.language);
    let addresses: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
    json!({
        "name": host.name,
        "kernel": host.host.kernel().map(|kernel| &*kernel.release),
        "addresses": addresses,
        "moments": host.moments.iter().map(moment).collect::<Vec<_>>(),
        "inputs": host.inputs().map(id).collect::<Vec<_>>(),
        "counters": counters(host),
        "settings": settings(host),
        "joined": join.filter(|_| !evidence.points.is_empty()).map(|join| joined(join).spoken(case.language)),
        "tables": tables,
    })
}

/// How the host and the captures belong together, and whether they agree, in sentences.
fn joined(join: &Join) -> Text {
    let mut text = match join.matched {
        Matched::Pairs(pairs) => {
            say!("The captures show {pairs} of the {rows} connections that it lists.", pairs, rows = join.rows)
        }
        Matched::Address => say!("The captures show its address, and none of the connections that it lists."),
        Matched::Ports(pairs) => say!(
            "Its addresses are not in the captures, but {pairs} of its {rows} pairs of ports are: a NAT may lie between; take it for a hint.",
            pairs,
            rows = join.rows
        ),
        Matched::No => {
            return say!(
                "Nothing shows that it is an end of the captures: what it counts and what they show need not agree."
            );
        }
    };
    match join.apart {
        Some(apart) if join.is_contemporary() == Some(false) => {
            text.add(say!("Its files were made {apart} away from the captures: not of the same time, so that counts need not agree.", apart));
        }
        Some(_) => text.add(say!("By its clock its files were made while they were recorded.")),
        None => text.add(say!("When its files were made is not told.")),
    }
    match join.time_waits {
        (0, 0) => {}
        (own, 0) => text.add(say!("{own} of its TIME-WAITs are closes that the captures show, and it closed first in all of them: both agree.", own)),
        (own, other) => text.add(say!("Of its TIME-WAITs the captures show {own} that it closed first and {other} that its peer closed first: there the two disagree, and something between them closes or answers for one of them.", own, other)),
    }
    let agreeing = join.close_waits.iter().filter(|held| held.agrees).count();
    if !join.close_waits.is_empty() {
        text.add(say!("Of {close_waits} CLOSE-WAITs that the captures show as well, {agreeing} have the peer's FIN there and none of its own until then.", close_waits = join.close_waits.len(), agreeing));
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
        // A cell is plain text: the marks of commands would be read as a part of them.
        let cells = [finding.id.as_str(), finding.title.as_str(), first].map(|text| Text::value(text.replace('`', "")));
        std::iter::once(Text::of(severity_word(finding.severity))).chain(cells).map(Cell::Text).collect()
    };
    let mut rows: Vec<Vec<Cell>> = findings.iter().filter(about).map(row).collect();
    if rows.is_empty() {
        let cells = [
            Text::of(verdict::FINE),
            Text::value("–"),
            say!("no rule found anything wrong in what this host says of itself"),
            Text::default(),
        ];
        rows.push(cells.map(Cell::Text).to_vec());
    }
    let columns = words!("How bad", "Finding", "What is wrong", "What to do first").map(Text::of).to_vec();
    Table { title: say!("Verdicts"), columns, rows }
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
