//! CAP002: the snap length cut TCP headers or options off.
//!
//! RFC 9293 section 3.1: a header takes 20 to 60 octets; with Ethernet and IPv4 in front of it, 94 show all of it.

use super::limits::{One, cannot_be_told, captures, percent};
use super::{Case, Confidence, Exhibit, Finding, NotJudged, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, plural, say};
use crate::segment::Noted;

pub(super) static RULE: Rule = Rule { code: "CAP002", name: "cut-headers", explanation: pages!("cut_headers"), judge };

/// The reason by which the decoder counts frames without a whole TCP header.
const CUT: &str = crate::segment::HEADERS_CUT;

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for one in captures(case) {
        let frames = &one.capture.frames;
        let headers = frames.skips.iter().find(|(reason, ..)| *reason == CUT);
        let headers = headers.map_or(Noted::default(), |(_, count, first)| Noted { count, first });
        if headers.count + frames.syn_options_cut.count + frames.options_cut.count == 0 {
            continue;
        }
        verdict.found.push(finding(one, headers));
        if frames.syn_options_cut.count > 0
            && case.evidence.tally.opens.contains_key(&crate::connection::Opened::Unanswered)
        {
            verdict.not_judged.push(NotJudged {
                rule: "SYN001",
                because: say!("{syns} of {one} had their options cut off by the snap length: whether they carry timestamps is unknown", syns = plural(frames.syn_options_cut.count, "SYN"), one = one.name),
                record_next: say!("whole headers: tcpdump -s 160, or -s 256 within tunnels"),
            });
        }
    }
    verdict
}

fn finding(one: One<'_>, headers: Noted) -> Finding {
    let frames = &one.capture.frames;
    let (syns, others) = (frames.syn_options_cut, frames.options_cut);
    let severity =
        if syns.count > 0 || headers.count * 100 > frames.packets { Severity::Warning } else { Severity::Info };
    let mut finding = one.finding(&RULE, severity, Confidence::High);
    finding.title = say!(
        "the snap length of {one} cut {headers} off",
        one = one.name,
        headers = match (headers.count, syns.count) {
            (0, 0) => say!("the options of {segments}", segments = plural(others.count, "segment")),
            (0, syns) => say!("the options of {syns}", syns = plural(syns, "SYN")),
            (headers, _) => say!("the headers of {packets}", packets = plural(headers, "packet")),
        }
    );
    finding.summary = say!(
        "{segments} have lost options, {syns} of them SYNs; of {packets} ({packets_2}) the TCP header itself is missing. Ports, numbers and flags that are there count; a missing option is not taken for one that was not sent.",
        segments = plural(syns.count + others.count, "segment"),
        syns = syns.count,
        packets = plural(headers.count, "packet"),
        packets_2 = percent(headers.count, frames.packets)
    );
    finding.metric("syns_cut", number(syns.count));
    finding.metric("options_cut", number(syns.count + others.count));
    finding.metric("headers_cut", number(headers.count));
    let kinds = [
        (syns, say!("the first SYN without its options")),
        (others, say!("the first other segment without its options")),
        (headers, say!("the first packet without a whole header")),
    ];
    let shown = kinds.into_iter().filter(|(noted, _)| noted.count > 0);
    finding
        .exhibit_all(shown.map(|(noted, text)| one.exhibit(Some(noted.first), None, text)).collect::<Vec<Exhibit>>());
    finding.exhibits_total = syns.count + others.count + headers.count;
    cannot_be_told(
        &mut finding,
        &[
            (Text::value("SYN001"), say!("whether a SYN carries timestamps, and which")),
            (Text::value("TW001 SYN008"), say!("whether a timestamp let a socket pair be used again (RFC 6191)")),
            (Text::value("TW004"), say!("whether a late segment is old by its timestamp")),
        ],
    );
    finding.advise(say!("Record again with `-s 160` (`-s 256` within tunnels): all headers, no data."));
    finding.references =
        vec!["tcpdump(8) -s".to_owned(), "RFC 9293 section 3.1".to_owned(), "RFC 7323 section 3.2".to_owned()];
    finding
}
