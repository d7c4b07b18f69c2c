//! CAP007: the capture shows packets more than once; copies were paired and are counted once.

use std::collections::BTreeMap;

use super::finding::plural;
use super::limits::{at_point, ends, percent};
use super::{Case, Confidence, Exhibit, Rule, Severity, Verdict, number};
use crate::connection::Copy;
use crate::evidence::pairs::translated;
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "CAP007", name: "duplicated-packets", explanation: include_str!("duplicated_packets.md"), judge };

/// Exhibits of each kind.
const EACH: usize = 10;

fn judge(case: &Case<'_>) -> Verdict {
    let mut points: BTreeMap<u16, [u64; 2]> = BTreeMap::new();
    let mut longest: BTreeMap<u16, Span> = BTreeMap::new();
    for at in case.evidence.shards.iter().flat_map(|shard| shard.copies()) {
        let [same, other] = points.entry(at.point).or_default();
        (*same, *other) = (*same + at.same_hop, *other + at.other_hop);
        let span = longest.entry(at.point).or_default();
        *span = (*span).max(at.longest);
    }
    let nat = translated(case.evidence);
    for point in nat.keys() {
        points.entry(*point).or_default();
    }
    let mut verdict = Verdict::default();
    for (point, [same, other]) in points {
        let (syns, shown) = nat.get(&point).map_or((0, &[][..]), |seen| (seen.count, seen.shown.as_slice()));
        let doubled = same + other;
        let all: u64 = case
            .evidence
            .inputs
            .iter()
            .enumerate()
            .filter_map(|(number, _)| case.evidence.capture(number))
            .filter(|capture| capture.point == point)
            .map(|capture| capture.frames.segments)
            .sum();
        let mut finding = at_point(&RULE, Severity::Info, Confidence::High, point);
        finding.title = match (doubled, syns) {
            (0, syns) => format!("both sides of a translation are in one capture: {} seen twice", plural(syns, "SYN")),
            (doubled, _) => format!(
                "{} of {all} segments ({}) are copies of others and counted once",
                doubled,
                percent(doubled, all)
            ),
        };
        let mut how = Vec::new();
        if same > 0 {
            how.push(format!("{same} with the same TTL: the packet passed two interfaces or mirrored ports that the recording sees (`-i any`, a bridge, a SPAN port)"));
        }
        if other > 0 {
            how.push(format!("{other} with another TTL: both sides of a router"));
        }
        if syns > 0 {
            how.push(format!("{syns} SYNs with the same ISN and timestamp between other sockets, or in a tunnel and outside it: both sides of a NAT, a balancer or a tunnel; these stay two connections, and of unanswered ones only the later is judged"));
        }
        finding.summary = format!(
            "How: {}. A copy has the sender's own marks of the first packet (IPv4 identification, TSval, checksum) and comes sooner than any retransmission; it is counted once and judged once.",
            how.join("; ")
        );
        finding.metric("duplicates", number(doubled));
        finding.metric("segments", number(all));
        finding.metric("same_hop", number(same));
        finding.metric("other_hop", number(other));
        finding.metric("syns_translated", number(syns));
        finding.metric("longest_us", longest.get(&point).map_or(0.0, |span| span.secs() * 1e6).round());
        let mut copies: Vec<Copy<'_>> =
            case.evidence.shards.iter().flat_map(|shard| shard.copies_shown(point)).collect();
        copies.sort_unstable_by_key(|copy| copy.frame);
        let one = |copy: &Copy<'_>| {
            let hops = match copy.hops {
                0 => "the same TTL".to_owned(),
                hops => format!("TTL lower by {hops}"),
            };
            case.exhibit(
                point,
                copy.frame,
                copy.at,
                format!("{}: the same packet again after {}, {hops}", ends(copy.connection), copy.after),
            )
        };
        let mut exhibits: Vec<Exhibit> = copies.iter().take(EACH).map(one).collect();
        exhibits.extend(shown.iter().take(EACH).map(|seen| {
            case.exhibit(
                point,
                seen.frame,
                seen.at,
                format!(
                    "the SYN of {} to {} again as {} to {}",
                    seen.before.0, seen.before.1, seen.after.0, seen.after.1
                ),
            )
        }));
        finding.exhibit_all(exhibits);
        finding.exhibits_total = doubled + syns;
        finding.rule_out(
            "retransmissions",
            "a host gives what it sends again a new IPv4 identification, and waits for a timer or an answer first",
        );
        finding.advise("Nothing for this capture. Record the next one on one interface (`tcpdump -D` lists them); do not clean files with `editcap -d`, which also takes real retransmissions.");
        finding.advise_when(
            "on a NAT",
            "two captures, one a side, in two files: the report then says on which side a packet was lost",
        );
        finding.references =
            vec!["tcpdump(8) -i any".to_owned(), "RFC 6864 section 4.1".to_owned(), "RFC 6298 section 2.4".to_owned()];
        verdict.found.push(finding);
    }
    verdict
}
