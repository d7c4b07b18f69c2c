//! What hosts said of themselves, as `report.json` lists it: who, when, what moved, what is set.

use serde_json::{Map, Value, json};

use crate::evidence::Evidence;
use crate::evidence::hosts::{HostMoment, HostView};

/// Counters that tell of connections opened, dropped and ended.
const COUNTERS: [&str; 24] = [
    "TcpActiveOpens",
    "TcpPassiveOpens",
    "TcpAttemptFails",
    "TcpEstabResets",
    "TcpRetransSegs",
    "TcpOutRsts",
    "TcpExtPAWSPassive",
    "TcpExtPAWSActive",
    "TcpExtPAWSEstab",
    "TcpExtPAWSTimewait",
    "TcpExtListenOverflows",
    "TcpExtListenDrops",
    "TcpExtTCPReqQFullDrop",
    "TcpExtTCPReqQFullDoCookies",
    "TcpExtSyncookiesSent",
    "TcpExtSyncookiesFailed",
    "TcpExtTW",
    "TcpExtTWRecycled",
    "TcpExtTWKilled",
    "TcpExtTCPTimeWaitOverflow",
    "TcpExtTCPAbortOnMemory",
    "TcpExtTCPSynRetrans",
    "TcpExtTCPTimeouts",
    "TcpExtTCPBacklogDrop",
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
pub(super) fn hosts(evidence: &Evidence) -> Vec<Value> {
    evidence.hosts.iter().map(host).collect()
}

fn host(host: &HostView) -> Value {
    let addresses: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
    json!({
        "name": host.name,
        "kernel": host.host.kernel().map(|kernel| &*kernel.release),
        "addresses": addresses,
        "moments": host.moments.iter().map(moment).collect::<Vec<_>>(),
        "inputs": host.inputs().map(id).collect::<Vec<_>>(),
        "counters": counters(host),
        "settings": settings(host),
    })
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
    COUNTERS.iter().filter_map(|counter| Some(((*counter).to_owned(), one(counter)?))).collect()
}

fn settings(host: &HostView) -> Map<String, Value> {
    let one = |name: &str| host.host.facts.setting(name).map(|setting| Value::from(&*setting.value));
    SETTINGS.iter().filter_map(|name| Some(((*name).to_owned(), one(name)?))).collect()
}

fn id(input: usize) -> String {
    format!("i{}", input.saturating_add(1))
}
