//! Settings that decide about opening, closing and reuse, with what they mean on the host's own kernel.
//!
//! Linux Documentation/networking/ip-sysctl.rst; `tcp_tw_recycle` is gone since 4.12, `tcp_tw_reuse` is 2 by default
//! since 4.19, `somaxconn` 4096 since 5.4.

use super::SETTINGS;
use crate::diagnosis::{Cell, Table};
use crate::evidence::hosts::HostView;

/// One row a setting that is told.
pub(super) fn table(host: &HostView) -> Option<Table> {
    let rows: Vec<Vec<Cell>> = SETTINGS.iter().filter_map(|name| row(host, name)).collect();
    let kernel =
        host.host.kernel().map_or_else(|| "its kernel is not told".to_owned(), |kernel| kernel.release.to_string());
    (!rows.is_empty()).then(|| Table {
        title: format!("Settings and what they mean here ({kernel})"),
        columns: ["Setting", "Value", "Means", "Verdict"].map(str::to_owned).to_vec(),
        rows,
    })
}

fn row(host: &HostView, name: &str) -> Option<Vec<Cell>> {
    let setting = host.host.facts.setting(name)?;
    let (means, verdict) = meaning(host, name, setting.value.trim());
    let verdict = if setting.live { verdict } else { format!("from a file, not from the running kernel; {verdict}") };
    let cells = [name.to_owned(), setting.value.to_string(), means.to_owned(), verdict];
    Some(cells.map(Cell::Text).to_vec())
}

fn meaning(host: &HostView, name: &str, value: &str) -> (&'static str, String) {
    let before = |major, minor| host.host.kernel_before(major, minor);
    let stamps_off = host.host.facts.setting("net.ipv4.tcp_timestamps").is_some_and(|stamps| &*stamps.value == "0");
    let number: u64 = value.parse().unwrap_or(0);
    let fine = "fine".to_owned();
    match name {
        "net.ipv4.tcp_tw_recycle" => (
            "remembers one timestamp for each client address and drops SYNs with older ones",
            match (value, before(4, 12)) {
                ("0", _) => fine,
                (_, Some(false)) => "dead: this kernel has no such setting; remove it".to_owned(),
                _ if stamps_off => "without effect while timestamps are off; set it to 0".to_owned(),
                _ => "set it to 0 now: clients behind NAT lose connections (HOST009)".to_owned(),
            },
        ),
        "net.ipv4.tcp_timestamps" => (
            "RTT measurement, PAWS, and reuse of TIME-WAIT",
            if value == "0" { "switch it on: PAWS and tcp_tw_reuse need it".to_owned() } else { fine },
        ),
        "net.ipv4.tcp_tw_reuse" => (
            "a client takes a port in TIME-WAIT again after a second; nothing on a server",
            match value {
                "1" if stamps_off => "without effect while timestamps are off (HOST007)".to_owned(),
                "1" => "on, for outgoing connections".to_owned(),
                "2" => "the default since 4.19: on loopback only".to_owned(),
                _ if before(4, 19) == Some(true) => "off, the default of this kernel".to_owned(),
                _ => "off".to_owned(),
            },
        ),
        "net.ipv4.tcp_max_tw_buckets" => (
            "so many TIME-WAITs; closes beyond it leave none",
            match super::limits::ports(host) {
                Some((ports, _)) if number > 0 && number < ports => format!(
                    "fewer than the {ports} ports: as a client it gives TIME-WAIT up before ports run out (TW002)"
                ),
                _ => fine,
            },
        ),
        "net.ipv4.tcp_fin_timeout" => (
            "seconds of FIN-WAIT-2 without an owner; not TIME-WAIT, which is 60 s whatever is set",
            if number > 0 && number < 10 { "short: slow peers get RST for their FIN (FW002)".to_owned() } else { fine },
        ),
        "net.ipv4.ip_local_port_range" => (
            "ports of outgoing connections, counted for each destination",
            super::limits::ports(host).map_or_else(String::new, |(ports, _)| {
                format!("{ports} ports: {} closes a second to one destination for ever", ports / 60)
            }),
        ),
        "net.core.somaxconn" => (
            "the longest accept queue that listen() can ask for",
            match (number, before(5, 4)) {
                (..=128, Some(true)) => "128 is the default of this kernel, and short for a busy server".to_owned(),
                (..=128, _) => "short: the default is 4096 since 5.4".to_owned(),
                _ => fine,
            },
        ),
        "net.ipv4.tcp_max_syn_backlog" => ("handshakes under way while SYN cookies are off", fine),
        "net.ipv4.tcp_syncookies" => (
            "answers SYNs without keeping them when a request queue is full",
            if value == "0" { "off: a full request queue drops SYNs (HOST026)".to_owned() } else { fine },
        ),
        _ => ("", fine),
    }
}
