//! TW004: a segment of an earlier incarnation arrived late, in TIME-WAIT or in the middle of a new connection.
//!
//! RFC 9293 sections 3.4.3 and 3.6.1 (what TIME-WAIT protects from), RFC 7323 section 5.3 (PAWS). A FIN that is
//! repeated because its ACK was lost is no old duplicate; neither are keep-alives and plain retransmissions.

use super::finding::Exhibits;
use super::late_segments::{Groups, age, finding as blank, groups, sender};
use super::{Case, Cell, Confidence, Finding, Rule, Severity, Table, Verdict, number};
use crate::connection::{Late, LateAnswer, LateKind};
use crate::language::{Text, pages, plural, say, words};

pub(super) static RULE: Rule =
    Rule { code: "TW004", name: "old-duplicate", explanation: pages!("old_duplicate"), judge };

/// What a late segment could do to the connection it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// It met TIME-WAIT, or nothing: no connection was there to be harmed.
    NoConnection,
    /// Its sequence number lies outside the window (RFC 9293 section 3.10.7.4).
    OutsideWindow,
    /// Its number lies inside, but its timestamp is older (PAWS).
    OldTimestamp,
    /// Nothing kept it out.
    Possible,
}

fn judge(case: &Case<'_>) -> Verdict {
    let late = groups(case, |late| late.of_earlier || matches!(late.kind, LateKind::Data | LateKind::Syn));
    Verdict { found: findings(case, &late), not_judged: Vec::new() }
}

fn findings(case: &Case<'_>, late: &Groups<'_>) -> Vec<Finding> {
    late.iter().map(|(key, late)| finding(case, key, late)).collect()
}

fn finding(case: &Case<'_>, key: &(u16, std::net::IpAddr, crate::connection::Socket), late: &[Late<'_>]) -> Finding {
    let (_, client, server) = *key;
    let total = late.len() as u64;
    let count = |which: &dyn Fn(&Late<'_>) -> bool| late.iter().filter(|late| which(late)).count() as u64;
    let harmful = count(&|late| harm(late) == Harm::Possible);
    let into_new = count(&|late| late.of_earlier);
    let drew = |answer: LateAnswer| count(&|late| late.answer.0 == answer);
    let severity = if harmful > 0 { Severity::Warning } else { Severity::Info };
    let mut finding = blank(&RULE, key, severity, Confidence::High);
    finding.title = say!(
        "{segments} between {client} and {server} came late",
        segments = plural(total, "old segment"),
        client,
        server
    );
    finding.summary = say!(
        "{into_new_2} came after the last ACK of their connection, {into_new} into the pair's next one. They drew {drew} ACKs and {drew_2} RSTs. {say}",
        into_new_2 = total.saturating_sub(into_new),
        into_new,
        drew = drew(LateAnswer::Ack),
        drew_2 = drew(LateAnswer::Rst),
        say = if harmful > 0 {
            say!(
                "{harmful} could have been taken as data of the new connection: neither sequence number nor timestamp kept them out.",
                harmful
            )
        } else {
            say!(
                "None could harm the connection it met: sequence numbers or timestamps kept them out. This is the traffic that TIME-WAIT stands against."
            )
        }
    );
    finding.metric("segments", number(total));
    finding.metric("into_new_connection", number(into_new));
    finding.metric("possible_harm", number(harmful));
    finding.metric("inside_window", number(count(&|late| late.of_earlier && late.inside)));
    finding.metric("drew_ack", number(drew(LateAnswer::Ack)));
    finding.metric("drew_rst", number(drew(LateAnswer::Rst)));
    finding.tables.push(table(late));
    let exhibit = |late: &Late<'_>| {
        let text = say!(
            "{words} of the {late}, port {port}, sequence number {seq}{tsval}: {late_2}",
            words = Text::of(late.kind.words()),
            late = sender(late),
            port = late.connection.client().port,
            seq = late.seq,
            tsval = late.tsval.map(|tsval| say!(", TSval {tsval}", tsval)).unwrap_or_default(),
            late_2 = verdict(late)
        );
        case.exhibit(key.0, late.frame, late.at, text)
    };
    finding.exhibit_all(Exhibits::of(late.iter(), |late| late.at, exhibit));
    finding.rule_out(
        say!("a FIN repeated because its ACK was lost"),
        say!("these are data, SYNs or segments with numbers of an earlier incarnation"),
    );
    finding
        .advise(say!("Few of them: nothing. Many: capture at both ends and find the device that holds packets back."));
    finding.advise(say!("Keep net.ipv4.tcp_timestamps=1 and do not shorten TIME-WAIT: both keep such segments out."));
    finding.references = ["RFC 9293 sections 3.4.3 and 3.6.1", "RFC 7323 section 5.3"].map(str::to_owned).to_vec();
    finding
}

/// Whether the segment could have harmed what it met.
fn harm(late: &Late<'_>) -> Harm {
    if !late.of_earlier {
        return Harm::NoConnection;
    }
    let opened_with = match late.by {
        crate::connection::Side::Client => late.connection.syn_tsval(),
        crate::connection::Side::Server => late.connection.syn_ack_tsval(),
    };
    match (late.inside, late.tsval, opened_with) {
        (false, _, _) => Harm::OutsideWindow,
        (true, Some(old), Some(new)) if old.ahead_of(new) < 0 => Harm::OldTimestamp,
        _ => Harm::Possible,
    }
}

fn verdict(late: &Late<'_>) -> Text {
    let met = match harm(late) {
        Harm::NoConnection => match age(late) {
            Some(age) => say!("{age} after TIME-WAIT began", age),
            None => say!("after the last ACK"),
        },
        Harm::OutsideWindow => say!("in the next connection, outside its window"),
        Harm::OldTimestamp => say!("in the next connection, refused by its timestamp"),
        Harm::Possible => say!("in the next connection, and nothing kept it out"),
    };
    say!("{met}; it drew {words}", met, words = Text::of(late.answer.0.words()))
}

fn table(late: &[Late<'_>]) -> Table {
    let row = |late: &Late<'_>| {
        vec![
            Cell::Text(Text::value(late.at.to_string())),
            Cell::Text(Text::of(late.kind.words())),
            Cell::Text(sender(late)),
            Cell::Count(u64::from(late.connection.client().port)),
            Cell::Count(u64::from(late.payload)),
            Cell::Text(verdict(late)),
        ]
    };
    Table {
        title: say!("Late segments"),
        columns: words!("time", "segment", "from", "client port", "octets", "what it met and drew")
            .map(Text::of)
            .to_vec(),
        rows: late.iter().take(super::EXHIBITS_SHOWN).map(row).collect(),
    }
}
