//! HOST011: a configuration file sets `tcp_tw_recycle` for a kernel that has none.
//!
//! The setting is gone since Linux 4.12 (4396e46187ca).

use super::super::claims::{Claims, each_host, setting_line};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST011", name: "tw-recycle-setting-dead", explanation: pages!("tw_recycle_setting_dead"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

fn host(host: &Claims<'_>) -> Option<Finding> {
    let wanted = host.wanted("net.ipv4.tcp_tw_recycle")?;
    let kernel = host.kernel().filter(|_| host.kernel_before(4, 12) == Some(false))?;
    if host.live("net.ipv4.tcp_tw_recycle").is_some() {
        return None;
    }
    let title = say!("tcp_tw_recycle in the configuration does nothing on Linux {release}", release = kernel.release);
    let summary = say!(
        "The setting was removed in Linux 4.12. `sysctl -p` complains about the key and goes on; no SYN is dropped and no TIME-WAIT ends earlier because of it."
    );
    let mut finding = host.finding(Severity::Info, Confidence::High, title, summary);
    finding.metric("tcp_tw_recycle", wanted.value.trim().parse().unwrap_or(0.0));
    finding.exhibit_all(vec![
        setting_line(wanted),
        line(kernel.source, say!("Linux {release}", release = kernel.release)),
    ]);
    finding.advise(say!(
        "Remove the line: it does nothing here, and does harm where the file is copied to an older kernel."
    ));
    finding.rule_out(say!("the per-host timestamp check (SYN001)"), say!("this kernel has none"));
    finding.refer(&["commit 4396e46187ca (4.12)"]);
    Some(finding)
}
