//! CAP005: the recorder's clock stepped back.

use super::limits::{cannot_be_told, captures};
use super::{Case, Confidence, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, plural, say};
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "CAP005", name: "clock-stepped-back", explanation: pages!("clock_stepped_back"), judge };

/// Receive queues and interfaces that are written in turn stay below this.
const SLIGHT: Span = Span::from_millis(100);
/// Clocks are set by more than this; anything less may still be buffers written in turn.
const SURE: Span = Span::from_secs(1);

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for one in captures(case) {
        let clock = &one.capture.frames.clock;
        let Some(largest) = clock.largest_back.filter(|leap| leap.span() >= SLIGHT) else { continue };
        let sure = largest.span() >= SURE;
        let (severity, confidence) =
            if sure { (Severity::Warning, Confidence::High) } else { (Severity::Info, Confidence::Medium) };
        let mut finding = one.finding(&RULE, severity, confidence);
        finding.title = say!("times in {one} step back by up to {span}", one = one.name, span = largest.span());
        finding.summary = say!(
            "{back} an earlier time than the frame ahead of them by more than 10 ms; the largest step is {span}. The order of the frames is trusted, intervals across a step are not.",
            back = if clock.back.count == 1 {
                say!("One frame has")
            } else {
                say!("{frames} have", frames = plural(clock.back.count, "frame"))
            },
            span = largest.span()
        );
        finding.metric("steps", number(clock.back.count));
        finding.metric("largest_s", largest.span().secs());
        let step = one.exhibit(
            Some(largest.frame),
            Some(largest.until),
            say!("{span} earlier than the frame ahead of it", span = largest.span()),
        );
        let first = one.exhibit(Some(clock.back.first), None, say!("the first step back"));
        let more = (clock.back.first != largest.frame).then_some(first);
        finding.exhibit_all(more.into_iter().chain([step]).collect::<Vec<_>>());
        finding.exhibits_total = clock.back.count;
        cannot_be_told(
            &mut finding,
            &[
                (Text::value("TW001 TW002 TW003"), say!("intervals and ages of TIME-WAIT that cross the step")),
                (Text::value("SYN001"), say!("the 60 s of the per-host check across the step")),
                (Text::value("STALL001"), say!("round-trip times across the step")),
            ],
        );
        finding.advise_when(say!("the clock was set"), say!("let it slew instead of step while you record: `chronyc tracking`; `journalctl -u chronyd -u systemd-timesyncd | grep -i step` shows when"));
        finding.advise_when(
            say!("files were joined"),
            say!("hand them over one by one; do not sort the frames (reordercap)"),
        );
        finding.references = vec!["capinfos(1) -o".to_owned(), "pcap-tstamp(7)".to_owned()];
        verdict.found.push(finding);
    }
    verdict
}
