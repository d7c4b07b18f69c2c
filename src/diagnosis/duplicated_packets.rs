//! CAP007: the capture shows packets more than once; copies were paired and are counted once.

use std::collections::BTreeMap;

use super::limits::{at_point, ends, percent};
use super::{Case, Confidence, Exhibit, Rule, Severity, Verdict, number};
use crate::connection::Copy;
use crate::language::{Joint, Text, pages, plural, say};
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "CAP007", name: "duplicated-packets", explanation: pages!("duplicated_packets"), judge };

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
    let nat = case.translated();
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
            (0, syns) => {
                say!("both sides of a translation are in one capture: {syns} seen twice", syns = plural(syns, "SYN"))
            }
            (doubled, _) => say!(
                "{doubled} of {all} segments ({all_2}) are copies of others and counted once",
                doubled,
                all,
                all_2 = percent(doubled, all)
            ),
        };
        let mut how = Vec::new();
        if same > 0 {
            how.push(say!("{same} with the same TTL: the packet passed two interfaces or mirrored ports that the recording sees (`-i any`, a bridge, a SPAN port)", same));
        }
        if other > 0 {
            how.push(say!("{other} with another TTL: both sides of a router", other));
        }
        if syns > 0 {
            how.push(say!("{syns} SYNs with the same ISN and timestamp between other sockets, or in a tunnel and outside it: both sides of a NAT, a balancer or a tunnel; these stay two connections, and of unanswered ones only the later is judged", syns));
        }
        finding.summary = say!(
            "How: {how}. A copy has the sender's own marks of the first packet (IPv4 identification, TSval, checksum) and comes sooner than any retransmission; it is counted once and judged once.",
            how = Text::joined(Joint::Semicolons, how)
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
                0 => say!("the same TTL"),
                hops => say!("TTL lower by {hops}", hops),
            };
            case.exhibit(
                point,
                copy.frame,
                copy.at,
                say!(
                    "{connection}: the same packet again after {after}, {hops}",
                    connection = ends(copy.connection),
                    after = copy.after,
                    hops
                ),
            )
        };
        let mut exhibits: Vec<Exhibit> = copies.iter().take(EACH).map(one).collect();
        exhibits.extend(shown.iter().take(EACH).map(|seen| {
            case.exhibit(
                point,
                seen.frame,
                seen.at,
                say!(
                    "the SYN of {before} to {before_2} again as {after} to {after_2}",
                    before = seen.before.0,
                    before_2 = seen.before.1,
                    after = seen.after.0,
                    after_2 = seen.after.1
                ),
            )
        }));
        finding.exhibit_all(exhibits);
        finding.exhibits_total = doubled + syns;
        finding.rule_out(
            say!("retransmissions"),
            say!(
                "a host gives what it sends again a new IPv4 identification, and waits for a timer or an answer first"
            ),
        );
        finding.advise(say!("Nothing for this capture. Record the next one on one interface (`tcpdump -D` lists them); do not clean files with `editcap -d`, which also takes real retransmissions."));
        finding.advise_when(
            say!("on a NAT"),
            say!("two captures, one a side, in two files: the report then says on which side a packet was lost"),
        );
        finding.references =
            vec!["tcpdump(8) -i any".to_owned(), "RFC 6864 section 4.1".to_owned(), "RFC 6298 section 2.4".to_owned()];
        verdict.found.push(finding);
    }
    verdict
}
