//! CAP001: the capture ends in the middle of a record, or goes over into bytes that are no records.

use super::limits::{cannot_be_told, captures};
use super::{Case, Confidence, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(super) static RULE: Rule =
    Rule { code: "CAP001", name: "truncated-capture", explanation: pages!("truncated_capture"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for one in captures(case) {
        let Some(why) = &one.capture.truncated else { continue };
        let frames = &one.capture.frames;
        let mut finding = one.finding(&RULE, Severity::Warning, Confidence::High);
        finding.title = say!("{one} is not whole: {why}", one = one.name, why);
        finding.summary = say!(
            "Reading ended early: {why}. All {packets} packets before that were analysed, nothing behind it was. What had not closed or been answered by then may have been a moment later.",
            why,
            packets = frames.packets
        );
        finding.metric("packets", number(frames.packets));
        finding.metric("bytes", number(one.capture.bytes));
        let last = frames.packets.checked_sub(1);
        finding.exhibit_all(vec![one.exhibit(last, last.map(|_| frames.ends_at[1]), say!("the last whole packet"))]);
        cannot_be_told(
            &mut finding,
            &[
                (
                    Text::value("CW001 FW001 FW002"),
                    say!("whether connections that are open at the end were closed later"),
                ),
                (say!("SYN001 to SYN004"), say!("whether SYNs near the end were answered")),
                (say!("TW001 to TW003"), say!("reuses and populations after the end")),
            ],
        );
        finding.advise(say!("Copy the original again after the recording has ended (Ctrl-C or plain kill flush; kill -9 does not), and compare sizes."));
        finding.advise_when(say!("for the next time"), say!("tcpdump -U writes each packet at once, -C and -W limit the files: `tcpdump -i IFACE -nn -s 160 -U -C 100 -W 20 -w ring.pcap 'tcp and host ADDRESS'`"));
        finding.references = vec!["tcpdump(8) -U, -C, -W".to_owned(), "mergecap(1)".to_owned()];
        verdict.found.push(finding);
    }
    verdict
}
