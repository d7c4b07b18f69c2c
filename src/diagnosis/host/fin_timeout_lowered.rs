//! HOST012: `tcp_fin_timeout` is lowered, which does not shorten TIME-WAIT.
//!
//! Linux include/net/tcp.h: `TCP_TIMEWAIT_LEN` is 60 s, fixed; `tcp_fin_timeout` bounds FIN-WAIT-2 of orphans (ip-sysctl.rst).

use super::super::claims::{Claims, each_host, setting_line};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST012", name: "fin-timeout-lowered", explanation: pages!("fin_timeout_lowered"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const NAME: &str = "net.ipv4.tcp_fin_timeout";
/// The default in seconds.
const DEFAULT: u64 = 60;
/// Fewer TIME-WAITs are no reason to change anything.
const MANY: u64 = 1000;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let setting = host.live(NAME).or_else(|| host.wanted(NAME))?;
    let seconds = setting.value.trim().parse::<u64>().ok().filter(|seconds| *seconds < DEFAULT)?;
    let held = host.limits().most_time_waits().filter(|(count, _)| *count >= MANY);
    // Settings that people change for the same reason.
    let beside = ["net.ipv4.tcp_tw_recycle", "net.ipv4.tcp_tw_reuse"];
    let company =
        beside.iter().find_map(|name| host.wanted(name).or_else(|| host.live(name).filter(|told| &*told.value == "1")));
    if held.is_none() && company.is_none() {
        return None;
    }
    let title = say!("tcp_fin_timeout = {seconds} does not shorten TIME-WAIT", seconds);
    let count = held.map_or_else(Text::default, |(count, _)| say!(" {count} TIME-WAITs are held all the same.", count));
    let summary = say!(
        "The setting bounds FIN-WAIT-2 of sockets that no process owns any more. TIME-WAIT lasts 60 s on Linux, fixed when the kernel is built.{count} With a few seconds, peers that close late get RST for their FIN (FW002).",
        count
    );
    let mut finding = host.finding(Severity::Info, Confidence::High, title, summary);
    finding.metric("tcp_fin_timeout", number(seconds));
    let mut exhibits = vec![setting_line(setting)];
    exhibits.extend(company.map(setting_line));
    exhibits.extend(held.map(|(count, source)| line(source, say!("{count} TIME-WAITs", count))));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Set it back to 60 unless orphans in FIN-WAIT-2 are the problem (ss -tan state fin-wait-2)."));
    finding.refer(&[
        "Linux Documentation/networking/ip-sysctl.rst: tcp_fin_timeout",
        "Linux include/net/tcp.h: TCP_TIMEWAIT_LEN",
    ]);
    Some(finding)
}
