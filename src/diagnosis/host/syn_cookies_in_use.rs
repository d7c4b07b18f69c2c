//! HOST027: a request queue overflows and SYN cookies answer: a flood, or load.
//!
//! The kernel's documentation: cookies "MUST NOT be used to help highly loaded servers" (ip-sysctl.rst, tcp_syncookies).

use super::super::claims::{Claims, ask_again, each_host, percent};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::LogKind;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST027", name: "syn-cookies-in-use", explanation: pages!("syn_cookies_in_use"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const PER_S: f64 = 1.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let sent = host.moved("TcpExtSyncookiesSent").or_else(|| host.moved("TcpExtTCPReqQFullDoCookies"))?;
    // Without cookies the queue drops, which HOST026 tells; the kernel counts both.
    if host.live("net.ipv4.tcp_syncookies").is_some_and(|setting| &*setting.value == "0") {
        return None;
    }
    let returned = host.counted("TcpExtSyncookiesRecv").map_or(0, |returned| returned.amount);
    let share = percent(returned, sent.amount).unwrap_or(0.0);
    let title = say!("SYN cookies are sent: {sent}", sent);
    let which = if share < 20.0 {
        say!("few came back: the SYNs never meant to connect, as in a flood")
    } else if share > 70.0 {
        say!("most came back: honest clients, and a queue that is too short for them")
    } else {
        say!("some came back: honest clients among others")
    };
    let summary = say!(
        "A listener's request queue is full, so that it answers SYNs without keeping them. {returned} of {amount} cookies returned; {which}. A connection opened by cookie has no window scaling or SACK unless both ends use timestamps.",
        returned,
        amount = sent.amount,
        which
    );
    let mut finding = host.finding(sent.by_rate(PER_S, Severity::Warning), Confidence::Medium, title, summary);
    finding.metric("cookies_sent", number(sent.amount));
    finding.metric("cookies_returned", number(returned));
    let mut exhibits = sent.exhibits();
    exhibits.extend(host.moved("TcpExtSyncookiesRecv").into_iter().flat_map(|counted| counted.exhibits()));
    exhibits.extend(
        host.logged(LogKind::SynFloodCookies)
            .into_iter()
            .map(|logged| line(logged.source, Text::value(logged.text.to_string()))),
    );
    finding.exhibit_all(exhibits);
    finding.advise_when(say!("if clients are honest"), say!("raise the listener's backlog and net.core.somaxconn"));
    finding.advise_when(say!("if it is a flood"), say!("leave cookies on, and filter in front of the host"));
    ask_again(&mut finding, &sent);
    finding.refer(&["Linux Documentation/networking/ip-sysctl.rst: tcp_syncookies", "RFC 4987 section 3.6"]);
    Some(finding)
}
