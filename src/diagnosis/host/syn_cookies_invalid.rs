//! HOST028: ACKs came with cookies that the host never sent.
//!
//! Linux net/ipv4/syncookies.c, `cookie_v4_check()`: SyncookiesFailed.

use super::super::claims::{Claims, ask_again, each_host};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST028", name: "syn-cookies-invalid", explanation: pages!("syn_cookies_invalid"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const FEW: u64 = 1000;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let failed = host.counted("TcpExtSyncookiesFailed").filter(|failed| failed.amount > FEW)?;
    let valid = host.counted("TcpExtSyncookiesRecv").map_or(0, |valid| valid.amount);
    if failed.amount <= valid {
        return None;
    }
    let title = say!("ACKs with invalid SYN cookies: {failed}", failed);
    let summary = say!(
        "{amount} ACKs met a listener that had sent cookies lately, and their numbers are no cookies of it, against {valid} valid ones: ACK scans or floods, or ACKs so late that the cookie had expired.",
        amount = failed.amount,
        valid
    );
    let mut finding = host.finding(failed.by_share(Severity::Warning), Confidence::Medium, title, summary);
    finding.metric("cookies_failed", number(failed.amount));
    finding.metric("cookies_returned", number(valid));
    finding.exhibit_all(failed.exhibits());
    finding.advise(say!(
        "Look at the sources of the ACKs in a capture; filter them in front of the host if they are no clients."
    ));
    ask_again(&mut finding, &failed);
    finding.refer(&["Linux net/ipv4/syncookies.c: cookie_v4_check()", "RFC 4987 section 3.6"]);
    Some(finding)
}
