//! CAP003: the recording program lost packets: by its own counters, or because the peer acknowledged what is missing.
//!
//! RFC 9293 section 3.4: an acknowledgment says that everything before its number was received.

use super::limits::{RECORD, at_point, cannot_be_told, captures, ends, exhibits};
use super::{Case, Confidence, Exhibit, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "CAP003", name: "capture-dropped-packets", explanation: pages!("capture_dropped_packets"), judge };

/// Connections that miss something below which it may be anything: a stray acknowledgment, an odd stack.
const FEWEST: u64 = 3;

fn judge(case: &Case<'_>) -> Verdict {
    let points = 0..u16::try_from(case.evidence.points.len()).unwrap_or(u16::MAX);
    Verdict { found: points.filter_map(|point| at(case, point)).collect(), not_judged: Vec::new() }
}

fn at(case: &Case<'_>, point: u16) -> Option<super::Finding> {
    let sight = case.sight().at(point);
    let here = captures(case).filter(|one| one.capture.point == point);
    let counted = here.map(|one| one.capture.frames.dropped_total()).fold(0, u64::saturating_add);
    let affected = sight.with_holes.count + sight.tails.count + sight.unseen_answers.count;
    if counted == 0 && affected == 0 {
        return None;
    }
    let sure = counted > 0 || affected >= FEWEST;
    let (severity, confidence) =
        if sure { (Severity::Warning, Confidence::High) } else { (Severity::Info, Confidence::Medium) };
    let mut finding = at_point(&RULE, severity, confidence, point);
    finding.title = if counted > 0 {
        say!("the recording program says that it dropped {packets}", packets = plural(counted, "packet"))
    } else {
        say!("packets that were on the wire are missing in {connections}", connections = plural(affected, "connection"))
    };
    finding.summary = say!(
        "{say} The peer acknowledged {octets} in {holes} that were never captured, and {connections} went on after a SYN-ACK that is not here: these packets passed the capture point unseen. An unanswered SYN whose attempt went on counts as answered.",
        say = if counted > 0 {
            say!("The file's own statistics count {packets}.", packets = plural(counted, "dropped packet"))
        } else {
            say!("The file has no counter of drops, or it stands at 0.")
        },
        octets = plural(sight.octets, "octet"),
        holes = plural(sight.holes, "hole"),
        connections = plural(sight.unseen_answers.count, "connection")
    );
    finding.metric("dropped_counted", number(counted));
    finding.metric("connections", number(affected));
    finding.metric("holes", number(sight.holes));
    finding.metric("octets_unseen", number(sight.octets));
    finding.metric("syn_acks_unseen", number(sight.unseen_answers.count));
    let mut shown: Vec<Exhibit> = Vec::new();
    shown.extend(exhibits(case, point, &sight.unseen_answers, |c| {
        say!("{c}: goes on after a SYN-ACK that was not captured", c = ends(c))
    }));
    shown.extend(exhibits(case, point, &sight.with_holes, |c| {
        say!("{c}: octets before this segment were acknowledged and never captured", c = ends(c))
    }));
    shown.extend(exhibits(case, point, &sight.tails, |c| {
        say!("{c}: more was acknowledged than was captured", c = ends(c))
    }));
    if shown.is_empty() {
        let counting =
            captures(case).filter(|one| one.capture.point == point && one.capture.frames.dropped_total() > 0);
        shown.extend(counting.map(|one| {
            one.exhibit(
                one.capture.frames.packets.checked_sub(1),
                None,
                say!(
                    "statistics of {one}: {dropped_total} dropped",
                    one = one.name,
                    dropped_total = one.capture.frames.dropped_total()
                ),
            )
        }));
    }
    shown.sort_by_key(|exhibit| (exhibit.time, exhibit.frame));
    finding.exhibit_all(shown);
    finding.exhibits_total = finding.exhibits_total.max(affected);
    finding.rule_out(
        say!("loss on the network (SYN004)"),
        say!("what the network loses is sent again, and not acknowledged before that"),
    );
    cannot_be_told(
        &mut finding,
        &[
            (
                Text::value("SYN002 SYN003 SYN004 SYN009"),
                say!("whether a SYN without answer had one: single answers may be missing here"),
            ),
            (Text::value("CW001 FW001 FW002"), say!("whether a FIN or its ACK that is missing was sent")),
            (Text::value("SYN001"), say!("whether a close that was not captured taught the server")),
        ],
    );
    finding.advise(say!("Record less, with a larger buffer, to a fast local disk: `{record}`", record = RECORD));
    finding.advise_when(
        say!("with a mirror port"),
        say!("read the output drops of that port on the switch: nobody else counts them"),
    );
    finding.references =
        vec!["tcpdump(8) -B".to_owned(), "pcap_stats(3PCAP)".to_owned(), "RFC 9293 section 3.4".to_owned()];
    Some(finding)
}
