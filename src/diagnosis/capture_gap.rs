//! CAP006: for a while the capture holds no packets at all, far longer than is usual for it.
//!
//! Silence alone is no fault: only connections that go on behind the gap with numbers that have moved on meanwhile
//! prove that packets were missed.

use super::limits::{One, cannot_be_told, captures, ends};
use super::{Case, Confidence, Exhibit, Finding, Rule, Severity, Verdict, number};
use crate::connection::Unseen;
use crate::language::{Text, pages, plural, say};
use crate::segment::Leap;
use crate::time::Span;

pub(super) static RULE: Rule = Rule { code: "CAP006", name: "capture-gap", explanation: pages!("capture_gap"), judge };

/// A shorter gap is seldom worth a word.
const SHORTEST: Span = Span::from_secs(10);
/// How many times as long as the third longest pause of the capture: two may be holes, three are a habit.
const UNUSUAL: i64 = 5;
/// Packets that the gap would hold at the rate of the rest of the capture.
const EXPECTED: i64 = 200;
/// Packets on either side of a gap without which a capture has no rhythm that it could break.
const RHYTHM: u64 = 100;

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    // In an excerpt the gaps are those of what was cut out.
    for one in captures(case).filter(|one| one.capture.frames.recorded.is_none()) {
        for gap in unusual(one) {
            verdict.found.push(finding(case, one, gap));
        }
    }
    verdict
}

/// Gaps that stand out.
fn unusual(one: One<'_>) -> Vec<Leap> {
    let frames = &one.capture.frames;
    let mut spans: Vec<Span> = frames.clock.gaps.iter().map(Leap::span).collect();
    spans.sort_unstable_by(|one, other| other.cmp(one));
    let habit = spans.get(2).copied().unwrap_or(crate::segment::Clock::QUIET).0.saturating_mul(UNUSUAL);
    let all: i64 = spans.iter().map(|span| span.0).fold(0, i64::saturating_add);
    let busy = frames.last_at.since(frames.first_at).0.saturating_sub(all).max(1);
    let packets = i64::try_from(frames.packets).unwrap_or(i64::MAX);
    let expected = |span: Span| i128::from(span.0) * i128::from(packets) / i128::from(busy);
    let rhythm = |gap: &Leap| gap.frame >= RHYTHM && frames.packets.saturating_sub(gap.frame) >= RHYTHM;
    let stands_out = |gap: &&Leap| {
        rhythm(gap) && gap.span() >= SHORTEST && gap.span().0 >= habit && expected(gap.span()) >= i128::from(EXPECTED)
    };
    frames.clock.gaps.iter().filter(stands_out).copied().collect()
}

fn finding(case: &Case<'_>, one: One<'_>, gap: Leap) -> Finding {
    let point = one.capture.point;
    let crosses = |hole: &Unseen<'_>| {
        hole.connection.point() == point && hole.between.0 <= gap.from && hole.between.1 >= gap.until
    };
    let shards = &case.evidence.shards;
    let mut holes: Vec<Unseen<'_>> = shards.iter().flat_map(|shard| shard.unseen()).filter(crosses).collect();
    holes.sort_unstable_by_key(|hole| hole.frame);
    let goes_on: Vec<u64> = case.evidence.workers.map(shards, |_, shard| {
        let across =
            shard.connections().filter(|c| c.point() == point && c.first().1 <= gap.from && c.last().1 >= gap.until);
        across.count() as u64
    });
    let goes_on: u64 = goes_on.into_iter().sum();
    let missed = holes.len() as u64;
    let (severity, confidence) =
        if missed > 0 { (Severity::Warning, Confidence::High) } else { (Severity::Info, Confidence::Low) };
    let mut finding = one.finding(&RULE, severity, confidence);
    finding.title = say!("{one} holds no packet for {span}", one = one.name, span = gap.span());
    finding.summary = say!(
        "From {gap} to {until} nothing was captured, far longer than any other pause. {missed}",
        gap = gap.from,
        until = gap.until,
        missed = match (missed, goes_on) {
            (0, 0) => say!(
                "No connection goes on behind it, so that nobody can tell silence from a recording that stopped, or from a clock that was set forward."
            ),
            (0, goes_on) => say!(
                "{goes_on} behind it where it was: nothing of them was missed, and most likely nothing was sent.",
                goes_on = plural_goes_on(goes_on)
            ),
            (missed, _) => say!(
                "{missed} behind it with later numbers, and the octets between were acknowledged: packets were missed.",
                missed = plural_goes_on(missed)
            ),
        }
    );
    finding.metric("gap_s", gap.span().secs());
    finding.metric("connections_across", number(goes_on));
    finding.metric("connections_missed", number(missed));
    let frame = |frame: u64, at, text: Text| one.exhibit(Some(frame), Some(at), text);
    let mut shown: Vec<Exhibit> = vec![
        frame(gap.frame.saturating_sub(1), gap.from, say!("the last packet before the gap")),
        frame(gap.frame, gap.until, say!("the first packet behind it")),
    ];
    shown.extend(holes.iter().map(|hole| {
        case.exhibit(
            point,
            hole.frame,
            hole.between.1,
            say!(
                "{connection}: {octets} octets further than before the gap",
                connection = ends(hole.connection),
                octets = hole.octets
            ),
        )
    }));
    finding.exhibit_all(shown);
    cannot_be_told(
        &mut finding,
        &[
            (Text::value("SYN001"), say!("closes in the gap may have taught the server: SYNs in the 60 s behind it")),
            (Text::value("CW001 FW001 FW002"), say!("FINs and ACKs that may have been sent in the gap")),
            (Text::value("TW002 TW003"), say!("connections that opened and closed in it")),
        ],
    );
    finding.advise_when(
        say!("a file of a rotated set is missing"),
        say!("hand it over together with the others: `ls -l --time-style=full-iso DIR`"),
    );
    finding.advise_when(
        say!("the host stood still"),
        say!("`journalctl --since 'T1' --until 'T2'` shows a hole as well; a burst follows (STALL001)"),
    );
    finding.references = vec!["tcpdump(8) -C, -W, -G".to_owned()];
    finding
}

fn plural_goes_on(count: u64) -> Text {
    if count == 1 {
        say!("One connection goes on")
    } else {
        say!("{connections} go on", connections = plural(count, "connection"))
    }
}
