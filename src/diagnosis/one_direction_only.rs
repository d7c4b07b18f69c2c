//! CAP004: only one direction was captured: answers cannot be seen.

use super::limits::{RECORD, at_point, cannot_be_told, ends, exhibits, percent};
use super::{Case, Cell, Confidence, NotJudged, Rule, Severity, Table, Verdict, number};
use crate::connection::Side;
use crate::language::{Text, pages, plural, say, words};

pub(super) static RULE: Rule =
    Rule { code: "CAP004", name: "one-direction-only", explanation: pages!("one_direction_only"), judge };

/// Server sockets in the table.
const ROWS: usize = 20;

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for point in 0..u16::try_from(case.evidence.points.len()).unwrap_or(u16::MAX) {
        let sight = case.sight().at(point);
        if sight.one_way.count == 0 {
            continue;
        }
        // A few are what the start and the end of any capture cut; more are the way it was recorded.
        let many = sight.one_way.count * 10 >= sight.connections;
        let severity = if many { Severity::Warning } else { Severity::Info };
        let mut finding = at_point(&RULE, severity, Confidence::High, point);
        let [no_server, no_client] =
            sight.one_way_of.values().fold([0, 0], |[s, c], [server, client]| [s + server, c + client]);
        finding.title = say!(
            "only one direction of {connections} was captured",
            connections = plural(sight.one_way.count, "connection")
        );
        finding.summary = say!(
            "In {one_way} of {connections} connections ({connections_2}) one end acknowledges or continues what the capture does not show: the packets of the server are missing in {no_server}, those of the client in {no_client}. Whether anybody answered cannot be seen there, and SYNs to such servers are not judged.",
            one_way = sight.one_way.count,
            connections = sight.connections,
            connections_2 = percent(sight.one_way.count, sight.connections),
            no_server,
            no_client
        );
        finding.metric("connections", number(sight.one_way.count));
        finding.metric("connections_total", number(sight.connections));
        finding.metric("server_unseen", number(no_server));
        finding.metric("client_unseen", number(no_client));
        let mut rows: Vec<_> = sight.one_way_of.iter().collect();
        rows.sort_by_key(|(socket, [server, client])| (std::cmp::Reverse(server + client), **socket));
        finding.tables.push(Table {
            title: say!("Connections of which one direction is missing"),
            columns: words!("server", "server's packets missing", "client's packets missing").map(Text::of).to_vec(),
            rows: rows
                .iter()
                .take(ROWS)
                .map(|(socket, [server, client])| {
                    vec![Cell::Text(Text::value(socket.to_string())), Cell::Count(*server), Cell::Count(*client)]
                })
                .collect(),
        });
        let missing = |side| if side == Some(Side::Server) { say!("the server's") } else { say!("the client's") };
        finding.exhibit_all(exhibits(case, point, &sight.one_way, |c| {
            say!(
                "{c}: not one of {missing_direction} packets is here",
                c = ends(c),
                missing_direction = missing(c.missing_direction())
            )
        }));
        finding.exhibits_total = sight.one_way.count;
        finding.rule_out(
            say!("nobody answered (SYN003, SYN004)"),
            say!("without an answer the other end would not go on"),
        );
        cannot_be_told(
            &mut finding,
            &[
                (say!("SYN001 to SYN006, SYN008, SYN009"), say!("whether and how SYNs were answered")),
                (Text::value("FW001 FW002 CW001"), say!("whether the missing end acknowledged or closed")),
                (Text::value("RST001"), say!("resets by the missing end")),
                (say!("TW001 to TW003"), say!("who closed first, so who holds TIME-WAIT")),
            ],
        );
        if no_server > 0 && case.evidence.tally.opens.contains_key(&crate::connection::Opened::Unanswered) {
            verdict.not_judged.push(NotJudged {
                rule: "SYN004",
                because: say!("at p{point} the answers of servers are not in the capture: unanswered SYNs of these hosts mean nothing (SYN001 to SYN004 alike)", point = point + 1),
                record_next: say!("both directions: a filter without src or dst, on the interface or paths that carry both"),
            });
        }
        finding.advise(say!("Record both directions, without src or dst in the filter: `{record}`", record = RECORD));
        finding.advise_when(
            say!("with asymmetric routing, a bond or two mirror ports"),
            say!("record every path at once and hand over all files together"),
        );
        finding.references = vec!["pcap-filter(7)".to_owned(), "RFC 9293 section 3.4".to_owned()];
        verdict.found.push(finding);
    }
    verdict
}
