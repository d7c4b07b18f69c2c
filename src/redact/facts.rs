//! What hosts say of themselves, redacted: addresses, hosts, processes and free text. Every kind of fact is named, so that
//! a new one does not compile before somebody has thought of it.

use std::sync::Arc;

use super::Redactor;
use crate::snapshot::{Endpoint, Facts, HostName, LogKind};

/// Programs whose names are kept: rules look for them, and they tell nothing of anybody.
const TOOLS: [&str; 6] = ["netstat", "ss", "lsof", "slabtop", "ping", "tcpdump"];
/// What stands where words were left out.
const REDACTED: &str = "(redacted)";

impl Redactor {
    pub(super) fn facts(&self, facts: &mut Facts) {
        let Facts {
            counters: _,
            counter_groups: _,
            settings,
            listings,
            sockets,
            summaries: _,
            sockstats: _,
            slabs,
            memory: _,
            kernels,
            moments: _,
            uptimes: _,
            log,
            remembered,
            pings,
            rules,
            softnet: _,
            tracked,
            tracked_tables: _,
            samples,
            addresses,
            gateways,
        } = facts;
        for setting in settings.iter_mut().filter(|setting| !is_plain(&setting.name, &setting.value)) {
            setting.value = REDACTED.into();
        }
        listings.iter_mut().for_each(|listing| listing.census.map_addresses(&|ip| self.ip(ip)));
        for row in sockets {
            self.endpoint(&mut row.local);
            self.endpoint(&mut row.remote);
            if let Some(process) = &mut row.process {
                process.name = process.name.as_deref().map(|name| self.process(name));
            }
        }
        // Caches of a control group have its name in brackets.
        for slab in slabs {
            if let Some((cache, _)) = slab.name.split_once('(') {
                slab.name = cache.into();
            }
        }
        for kernel in kernels {
            kernel.host = kernel.host.as_deref().map(|name| self.name("host", name).into());
        }
        log.iter_mut().for_each(|line| line.text = words(line.kind).into());
        remembered.iter_mut().for_each(|stamp| stamp.address = self.ip(stamp.address));
        for ping in pings {
            ping.target = ping.target.as_deref().map(|target| self.host_or_address(target));
            ping.address = ping.address.map(|ip| self.ip(ip));
        }
        for rule in rules {
            rule.text = REDACTED.into();
            for name in [&mut rule.chain, &mut rule.target].into_iter().chain(&mut rule.table) {
                if !name.chars().all(|c| c.is_ascii_uppercase()) {
                    *name = self.name("chain", name).into();
                }
            }
        }
        for entry in tracked {
            for end in [&mut entry.from, &mut entry.to, &mut entry.reply_from, &mut entry.reply_to] {
                self.endpoint(end);
            }
        }
        for sample in samples.iter_mut().filter(|sample| matches!(sample.format, "top" | "ps")) {
            sample.subject = self.process(&sample.subject);
        }
        addresses.iter_mut().for_each(|own| own.address = self.ip(own.address));
        gateways.iter_mut().for_each(|gateway| gateway.address = self.ip(gateway.address));
    }

    fn endpoint(&self, end: &mut Endpoint) {
        match &mut end.host {
            HostName::Any => {}
            HostName::Ip(ip) => *ip = self.ip(*ip),
            HostName::Name(name) => *name = self.host_or_address(name),
        }
    }

    fn host_or_address(&self, text: &str) -> Arc<str> {
        match text.parse() {
            Ok(ip) => self.ip(ip).to_string().into(),
            Err(_) => self.name("host", text).into(),
        }
    }

    /// The program alone is kept of tools that rules look for.
    fn process(&self, text: &str) -> Arc<str> {
        let known = text.split([' ', '/', '[', ']', '|']).find_map(|word| TOOLS.iter().find(|tool| **tool == word));
        match known {
            Some(tool) if !text.contains("grep") => (*tool).into(),
            _ => self.name("process", text).into(),
        }
    }
}

/// Numbers, and words of the kernel's own: algorithms, queueing disciplines.
fn is_plain(name: &str, value: &str) -> bool {
    let numbers = value.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '\t' | '-'));
    numbers || name.starts_with("net.ipv4.tcp_") || name == "net.core.default_qdisc"
}

/// What a message says, without its own words.
fn words(kind: LogKind) -> String {
    format!("{REDACTED} {kind:?}")
}
