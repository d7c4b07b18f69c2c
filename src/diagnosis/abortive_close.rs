//! RST001: connections ended by RST: who did it, when, why, and whether data was lost.
//!
//! RFC 9293 section 3.10.4 (abort) and 3.6.1 (a close with data unread may send RST, RFC 1122 section 4.2.2.13).
//! What made the sender reset is told from the shape of the RST (see `connection::late`).

use hashbrown::HashMap;

use super::finding::Exhibits;
use super::group::{Group, groups};
use super::{Case, Cell, Confidence, Finding, Rule, Severity, Table, Verdict, number};
use crate::connection::{Close, Connection, Reset, ResetCause, Side, Who};
use crate::language::{Joint, Text, pages, plural, say, words};

pub(super) static RULE: Rule =
    Rule { code: "RST001", name: "abortive-close", explanation: pages!("abortive_close"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let aborted = groups(case, |connection| {
        let reset = matches!(connection.close(), Close::Reset | Close::FinReset);
        (reset && carried_data(connection)).then_some(())
    });
    if aborted.is_empty() {
        return Verdict::default();
    }
    let mut resets: Resets<'_> = HashMap::new();
    for reset in case.evidence.shards.iter().flat_map(|shard| shard.resets()) {
        resets.entry((reset.connection.point(), reset.connection.first().0)).or_insert(reset);
    }
    Verdict { found: aborted.iter().map(|group| finding(case, group, &resets)).collect(), not_judged: Vec::new() }
}

/// The RST that ended a connection, by capture point and first frame of that.
type Resets<'a> = HashMap<(u16, u64), Reset<'a>>;

/// A connection without any data that is reset is a health check or a scan, no loss.
fn carried_data(connection: Connection<'_>) -> bool {
    Side::BOTH.into_iter().any(|side| connection.endpoint(side).bytes > 0)
}

fn finding(case: &Case<'_>, group: &Group<'_, ()>, resets: &Resets<'_>) -> Finding {
    let (client, server, total) = (group.client, group.server, group.total());
    let of = |connection: &Connection<'_>| resets.get(&(connection.point(), connection.first().0));
    let by = |who: Who| group.count(|connection, ()| connection.reset_by() == who);
    let after_fin = group.count(|connection, ()| connection.close() == Close::FinReset);
    let lossy = group.count(|connection, ()| of(connection).is_some_and(loses));
    let lost: u64 = group.picked.iter().filter_map(|(connection, ())| of(connection)).map(|reset| reset.lost).sum();
    let causes: Vec<(ResetCause, u64)> = ResetCause::ALL
        .into_iter()
        .map(|cause| (cause, group.count(|connection, ()| of(connection).is_some_and(|reset| reset.cause == cause))))
        .filter(|(_, count)| *count > 0)
        .collect();
    let mut finding = group.finding(&RULE, Severity::Info, Confidence::High);
    finding.title = say!(
        "{connections} between {client} and {server} ended by RST",
        connections = plural(total, "connection"),
        client,
        server
    );
    let why: Vec<Text> =
        causes.iter().map(|(cause, count)| say!("{count}: {cause}", count, cause = Text::of(cause.words()))).collect();
    finding.summary = say!(
        "{by} by the client, {by_2} by the server; {after_fin} after a FIN had been sent. By the shape of the RST and what went before: {why}. {lossy} lost data that was not acknowledged or came after the close. A RST throws away data that was not read or not sent yet, and leaves no TIME-WAIT.",
        by = by(Who::Client),
        by_2 = by(Who::Server),
        after_fin,
        why = if why.is_empty() { say!("not told") } else { Text::joined(Joint::Semicolons, why) },
        lossy
    );
    finding.metric("connections", number(total));
    finding.metric("by_client", number(by(Who::Client)));
    finding.metric("by_server", number(by(Who::Server)));
    finding.metric("after_fin", number(after_fin));
    finding.metric("with_data_lost", number(lossy));
    finding.metric("octets_unacknowledged", number(lost));
    for (cause, count) in &causes {
        finding.metric(cause.name(), number(*count));
    }
    finding.tables.push(table(group, &causes, of));
    let last = |connection: &Connection<'_>| of(connection).map_or(connection.last(), |reset| (reset.frame, reset.at));
    let exhibit = |(connection, ()): &(Connection<'_>, ())| {
        let (frame, at) = last(connection);
        let text = say!(
            "{client} to {server}, history {history}: reset by the {reset_by}{words}",
            client = connection.client(),
            server = connection.server(),
            history = connection.history(),
            reset_by = Text::of(connection.reset_by().name()),
            words = of(connection)
                .map(|reset| say!(
                    " {idle} after the packet before: {words}",
                    idle = reset.idle,
                    words = Text::of(reset.cause.words())
                ))
                .unwrap_or_default()
        );
        case.exhibit(group.point, frame, at, text)
    };
    finding.exhibit_all(Exhibits::of(group.picked.iter(), |(connection, ())| last(connection).1, exhibit));
    advise(&mut finding, &causes);
    finding.references = ["RFC 9293 sections 3.5.2 and 3.10.4", "RFC 1122 section 4.2.2.13", "RFC 2525 section 2.17"]
        .map(str::to_owned)
        .to_vec();
    finding
}

/// Whether data was on its way or came too late.
fn loses(reset: &Reset<'_>) -> bool {
    reset.lost > 0 || matches!(reset.cause, ResetCause::UnreadData | ResetCause::DataAfterClose)
}

fn table<'a>(
    group: &Group<'_, ()>,
    causes: &[(ResetCause, u64)],
    of: impl Fn(&Connection<'_>) -> Option<&'a Reset<'a>>,
) -> Table {
    let row = |(cause, count): &(ResetCause, u64)| {
        let with = |which: &dyn Fn(&Reset<'_>) -> bool| {
            group.count(|connection, ()| of(connection).is_some_and(|reset| reset.cause == *cause && which(reset)))
        };
        vec![
            Cell::Text(Text::of(cause.words())),
            Cell::Count(*count),
            Cell::Count(with(&|reset| reset.by == Side::Client)),
            Cell::Count(with(&|reset| reset.by == Side::Server)),
            Cell::Count(with(&loses)),
        ]
    };
    Table {
        title: say!("Why they were reset"),
        columns: words!("cause", "connections", "by the client", "by the server", "data lost").map(Text::of).to_vec(),
        rows: causes.iter().map(row).collect(),
    }
}

fn advise(finding: &mut Finding, causes: &[(ResetCause, u64)]) {
    for (cause, _) in causes {
        finding.advise(match cause {
            ResetCause::LingerZero => say!("SO_LINGER 0, or close() with data unread: if it is meant to avoid TIME-WAIT, it throws data and protection away; nstat TcpExtTCPAbortOnData and TCPAbortOnClose tell the two apart."),
            ResetCause::UnreadData => say!("The application closed with data unread: let it read to the end of file, or shutdown(SHUT_WR) first."),
            ResetCause::DataAfterClose => say!("One end closed while the other still sent: agree on who ends the conversation, or read until end of file before close()."),
            ResetCause::FinAfterClose => say!("The peer closed after the closer's FIN-WAIT-2 had ended: see tcp_fin_timeout (FW002) and the TIME-WAIT limit (TW002)."),
            ResetCause::KeepAlive => say!("The peer of a keep-alive vanished or was cut off: look at the path, and at what went on there before."),
            ResetCause::ZeroWindow => say!("The reader stopped reading: find out why its application hangs."),
            ResetCause::Middlebox => say!("A firewall, NAT or balancer sent the RST: look at its idle time-out and keep connections alive below that; record at both ends to prove it."),
            ResetCause::NoSocket => say!("The sender had no such connection: it was restarted, moved to another host, or had ended it unseen; after long idle times look at time-outs on the way."),
        });
    }
    finding.advise_when(say!("to confirm"), say!("nstat -az TcpOutRsts TcpExtTCPAbortOnData TcpExtTCPAbortOnClose TcpExtTCPAbortOnTimeout on the end that sent it"));
}
