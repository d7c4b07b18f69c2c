//! Settings that decide about opening, closing and reuse, with what they mean on the host's own kernel.
//!
//! Linux Documentation/networking/ip-sysctl.rst; `tcp_tw_recycle` is gone since 4.12, `tcp_tw_reuse` is 2 by default
//! since 4.19, `somaxconn` 4096 since 5.4.

use super::SETTINGS;
use crate::diagnosis::{Cell, Table};
use crate::evidence::hosts::HostView;
use crate::language::{Text, say, words};

/// One row a setting that is told.
pub(super) fn table(host: &HostView) -> Option<Table> {
    let rows: Vec<Vec<Cell>> = SETTINGS.iter().filter_map(|name| row(host, name)).collect();
    let kernel =
        host.host.kernel().map_or_else(|| say!("its kernel is not told"), |kernel| Text::value(&*kernel.release));
    (!rows.is_empty()).then(|| Table {
        title: say!("Settings and what they mean here ({kernel})", kernel),
        columns: words!("Setting", "Value", "Means", "Verdict").map(Text::of).to_vec(),
        rows,
    })
}

fn row(host: &HostView, name: &str) -> Option<Vec<Cell>> {
    let setting = host.host.facts.setting(name)?;
    let (means, verdict) = meaning(host, name, setting.value.trim());
    let verdict =
        if setting.live { verdict } else { say!("from a file, not from the running kernel; {verdict}", verdict) };
    let cells = [Text::value(name), Text::value(&*setting.value), means, verdict];
    Some(cells.map(Cell::Text).to_vec())
}

fn meaning(host: &HostView, name: &str, value: &str) -> (Text, Text) {
    let before = |major, minor| host.host.kernel_before(major, minor);
    let stamps_off = host.host.facts.setting("net.ipv4.tcp_timestamps").is_some_and(|stamps| &*stamps.value == "0");
    let number: u64 = value.parse().unwrap_or(0);
    let fine = say!("fine");
    match name {
        "net.ipv4.tcp_tw_recycle" => (
            say!("remembers one timestamp for each client address and drops SYNs with older ones"),
            match (value, before(4, 12)) {
                ("0", _) => fine,
                (_, Some(false)) => say!("dead: this kernel has no such setting; remove it"),
                _ if stamps_off => say!("without effect while timestamps are off; set it to 0"),
                _ => say!("set it to 0 now: clients behind NAT lose connections (HOST009)"),
            },
        ),
        "net.ipv4.tcp_timestamps" => (
            say!("RTT measurement, PAWS, and reuse of TIME-WAIT"),
            if value == "0" { say!("switch it on: PAWS and tcp_tw_reuse need it") } else { fine },
        ),
        "net.ipv4.tcp_tw_reuse" => (
            say!("a client takes a port in TIME-WAIT again after a second; nothing on a server"),
            match value {
                "1" if stamps_off => say!("without effect while timestamps are off (HOST007)"),
                "1" => say!("on, for outgoing connections"),
                "2" => say!("the default since 4.19: on loopback only"),
                _ if before(4, 19) == Some(true) => say!("off, the default of this kernel"),
                _ => say!("off"),
            },
        ),
        "net.ipv4.tcp_max_tw_buckets" => (
            say!("so many TIME-WAITs; closes beyond it leave none"),
            match super::limits::ports(host) {
                Some((ports, _)) if number > 0 && number < ports => say!(
                    "fewer than the {ports} ports: as a client it gives TIME-WAIT up before ports run out (TW002)",
                    ports
                ),
                _ => fine,
            },
        ),
        "net.ipv4.tcp_fin_timeout" => (
            say!("seconds of FIN-WAIT-2 without an owner; not TIME-WAIT, which is 60 s whatever is set"),
            if number > 0 && number < 10 { say!("short: slow peers get RST for their FIN (FW002)") } else { fine },
        ),
        "net.ipv4.ip_local_port_range" => (
            say!("ports of outgoing connections, counted for each destination"),
            super::limits::ports(host).map_or_else(Text::default, |(ports, _)| {
                say!(
                    "{ports} ports: {ports_2} closes a second to one destination for ever",
                    ports,
                    ports_2 = ports / 60
                )
            }),
        ),
        "net.core.somaxconn" => (
            say!("the longest accept queue that listen() can ask for"),
            match (number, before(5, 4)) {
                (..=128, Some(true)) => say!("128 is the default of this kernel, and short for a busy server"),
                (..=128, _) => say!("short: the default is 4096 since 5.4"),
                _ => fine,
            },
        ),
        "net.ipv4.tcp_max_syn_backlog" => (say!("handshakes under way while SYN cookies are off"), fine),
        "net.ipv4.tcp_syncookies" => (
            say!("answers SYNs without keeping them when a request queue is full"),
            if value == "0" { say!("off: a full request queue drops SYNs (HOST026)") } else { fine },
        ),
        _ => (Text::default(), fine),
    }
}
