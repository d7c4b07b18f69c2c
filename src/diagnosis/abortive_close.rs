//! RST001: connections ended by RST: who did it, when, and whether data was lost.
//!
//! RFC 9293 section 3.10.4 (abort) and 3.6.1 (a close with data unread may send RST, RFC 1122 section 4.2.2.13).

use super::finding::plural;
use super::group::{Group, Show, groups};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::{Close, Connection, Side, Who};

pub(super) static RULE: Rule =
    Rule { code: "RST001", name: "abortive-close", explanation: include_str!("abortive_close.md"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let aborted = groups(case, |connection| {
        let reset = matches!(connection.close(), Close::Reset | Close::FinReset);
        (reset && carried_data(connection)).then_some(())
    });
    Verdict { found: aborted.iter().map(|group| finding(case, group)).collect(), not_judged: Vec::new() }
}

/// A connection without any data that is reset is a health check or a scan, no loss.
fn carried_data(connection: Connection<'_>) -> bool {
    Side::BOTH.into_iter().any(|side| connection.endpoint(side).bytes > 0)
}

fn finding(case: &Case<'_>, group: &Group<'_, ()>) -> Finding {
    let (client, server, total) = (group.client, group.server, group.total());
    let by = |who: Who| group.count(|connection, ()| connection.reset_by() == who);
    let after_fin = group.count(|connection, ()| connection.close() == Close::FinReset);
    let mut finding = group.finding(&RULE, Severity::Info, Confidence::High);
    finding.title = format!("{} between {client} and {server} ended by RST", plural(total, "connection"));
    finding.summary = format!(
        "{} by the client, {} by the server; {after_fin} after a FIN had been sent. A RST throws away data that was not read or not sent yet, and leaves no TIME-WAIT.",
        by(Who::Client),
        by(Who::Server),
    );
    finding.metric("connections", number(total));
    finding.metric("by_client", number(by(Who::Client)));
    finding.metric("by_server", number(by(Who::Server)));
    finding.metric("after_fin", number(after_fin));
    finding.exhibit_all(group.exhibits(case, Show::Last, |connection, ()| {
        format!(
            "{} to {}, history {}: reset by the {}",
            connection.client(),
            connection.server(),
            connection.history(),
            connection.reset_by().name()
        )
    }));
    finding.advise("Look at the end that sent the RST: SO_LINGER 0, close() with unread data, an exit without close, or a time-out of a proxy.");
    finding.references = ["RFC 9293 section 3.10.4", "RFC 1122 section 4.2.2.13"].map(str::to_owned).to_vec();
    finding
}
