//! CAP008: SYNs without a valid checksum: captured on the host that sent them, or damaged.
//!
//! RFC 9293 section 3.1; `CHECKSUM_PARTIAL` in include/linux/skbuff.h.

use super::limits::{cannot_be_told, captures};
use super::{Case, Confidence, Exhibit, Rule, Severity, Verdict, number};
use crate::language::{Joint, Text, pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "CAP008", name: "checksum-offload", explanation: pages!("checksum_offload"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for one in captures(case) {
        let frames = &one.capture.frames;
        let (offloaded, wrong) = (frames.checksum_offloaded, frames.checksum_wrong);
        if offloaded.count + wrong.count == 0 {
            continue;
        }
        let syns = frames.flags.syn + frames.flags.syn_ack;
        // All wrong: the file was rewritten. Some wrong among right ones: they will not be received.
        let some = wrong.count > 0 && wrong.count * 2 < syns;
        let confidence = if wrong.count > 0 { Confidence::Medium } else { Confidence::High };
        let mut finding = one.finding(&RULE, Severity::Info, confidence);
        finding.title = match (offloaded.count, wrong.count) {
            (offloaded, 0) => say!(
                "the network card had not filled in the checksum of {syns} of {one}",
                syns = plural(offloaded, "SYN"),
                one = one.name
            ),
            (_, wrong) => say!("a wrong checksum in {syns} of {one}", syns = plural(wrong, "SYN"), one = one.name),
        };
        let mut summary = Vec::new();
        if offloaded.count > 0 {
            summary.push(say!("{offloaded} of {syns} SYNs and SYN-ACKs carry what the kernel leaves for the network card: this capture was taken on the host that sent them (or on the host of its virtual machine or container). That is no fault, and nothing is left out because of it. Big segments that the card cuts (TSO, GRO) appear as one.", offloaded = offloaded.count, syns));
        }
        if wrong.count > 0 {
            summary.push(say!("{wrong} of {syns} have a checksum that is wrong in another way: {some}.", wrong = wrong.count, syns, some = if some { say!("damage on the way, a device that rewrites packets badly, or a checksum that a card fills in some other way; a receiver drops a damaged segment without a word") } else { say!("most likely the file was rewritten or made anonymous afterwards") }));
        }
        finding.summary = Text::joined(Joint::Sentences, summary);
        finding.metric("offloaded", number(offloaded.count));
        finding.metric("wrong", number(wrong.count));
        finding.metric("syns", number(syns));
        let kinds = [
            (offloaded, say!("the first SYN whose checksum is left to the card")),
            (wrong, say!("the first SYN with a wrong checksum")),
        ];
        let shown = kinds.into_iter().filter(|(noted, _)| noted.count > 0);
        finding.exhibit_all(
            shown.map(|(noted, text)| one.exhibit(Some(noted.first), None, text)).collect::<Vec<Exhibit>>(),
        );
        finding.exhibits_total = offloaded.count + wrong.count;
        finding.display_filter = "tcp.flags.syn==1".to_owned();
        let mut blind = Vec::new();
        if offloaded.count > 0 {
            blind.push((
                Text::value("SYN004"),
                say!("whether segments were damaged on the way: the checksums of this host's own are not there"),
            ));
        }
        if wrong.count > 0 {
            blind.push((
                say!("SYN002 to SYN004"),
                say!("whether an unanswered SYN with a wrong checksum was dropped for that"),
            ));
        }
        cannot_be_told(&mut finding, &blind);
        finding.advise_when(say!("somebody shows you \"bad checksum\" in Wireshark"), say!("on the sending host it means nothing; capture on the other end, or switch off offloading while you record: `ethtool -K IFACE tx off`"));
        if wrong.count > 0 {
            finding.advise_when(
                say!("on the receiving host"),
                say!("`nstat -az TcpInCsumErrors TcpInErrs` counts segments that were dropped for their checksum"),
            );
        }
        finding.references =
            vec!["RFC 9293 section 3.1".to_owned(), "Linux include/linux/skbuff.h: CHECKSUM_PARTIAL".to_owned()];
        verdict.found.push(finding);
    }
    verdict
}
