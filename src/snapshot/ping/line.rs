//! One line of a ping log: what it says of one probe, in the words of every tool and language.

use std::net::IpAddr;

use super::ProbeOutcome;
use crate::snapshot::clock;
use crate::snapshot::text::{json_value, leading_number};
use crate::time::{Span, Time};

/// The first address of a line: `web01 (192.0.2.2)`, `Pinging web01 [192.0.2.2] with …`.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let words = text.split([' ', '(', ')', '[', ']', ',']);
    words.filter_map(|word| word.trim_end_matches(':').split('%').next()?.parse().ok()).next()
}

/// How a line about a probe is written.
pub(super) enum Style {
    Numbered,
    Busybox,
    Json,
    Windows,
}

/// A line about a probe.
pub(super) struct Found<'a> {
    pub(super) style: Style,
    pub(super) sequence: Option<u16>,
    pub(super) rtt: Option<Span>,
    pub(super) stamp: Option<Time>,
    pub(super) outcome: ProbeOutcome,
    pub(super) from: Option<&'a str>,
}

pub(super) fn read_probe(text: &str) -> Option<Found<'_>> {
    let (stamp, body) = stamped(text.trim_end());
    if body.starts_with('{') {
        return json(body, stamp);
    }
    numbered(body, stamp).or_else(|| windows(body, stamp))
}

/// `[1795331741.168737] …` of `-D`; also a date and time with a fraction that a filter put before the line.
fn stamped(text: &str) -> (Option<Time>, &str) {
    if let Some((stamp, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("] "))
        && let Some((at, _)) = clock::date(stamp)
    {
        return (Some(at), rest);
    }
    // A stamp of whole seconds is too coarse to tell when a reply came.
    let end = text.find(" bytes from ").and_then(|end| text.get(..end)?.rfind(' ')).unwrap_or(0);
    match (text.get(..end), text.get(end..)) {
        (Some(prefix), Some(rest)) if end > 0 && prefix.contains('.') => {
            (clock::date(prefix.trim_end_matches(':')).map(|(at, _)| at), rest.trim_start())
        }
        (_, Some(rest)) => (None, rest.trim_start()),
        _ => (None, text),
    }
}

/// `64 bytes from A: icmp_seq=1 ttl=64 time=0.421 ms`, `no answer yet for icmp_seq=21`, `Request timeout for icmp_seq 6`,
/// `From A icmp_seq=1 Destination Host Unreachable`, and the same in other languages.
fn numbered<'a>(body: &'a str, stamp: Option<Time>) -> Option<Found<'a>> {
    let (style, at, key) = ["icmp_seq=", "icmp_req=", "icmp_seq "]
        .iter()
        .find_map(|key| Some((Style::Numbered, body.find(key)?, *key)))
        .or_else(|| Some((Style::Busybox, body.find(" seq=")?, " seq=")))?;
    let rest = body.get(at.checked_add(key.len())?..)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at_checked(digits)?;
    let sequence = Some(number.parse().ok()?);
    let head = body.get(..at)?;
    let answered = ["ttl=", "hlim="].iter().any(|key| rest.contains(key)) || rest.contains(" time=");
    let outcome = if answered {
        if rest.contains("(DUP!)") { ProbeOutcome::Duplicate } else { ProbeOutcome::Reply }
    } else if head.starts_with("From ") || rest.contains("nreachable") || rest.contains("exceeded") {
        ProbeOutcome::Unreachable
    } else if key == "icmp_seq " {
        ProbeOutcome::TimedOut
    } else {
        ProbeOutcome::NoAnswerYet
    };
    if answered && !head.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rtt = if answered { time(rest) } else { None };
    let from = head.split_once(" from ").map(|(_, from)| from.trim_end().trim_end_matches([':', ',']));
    Some(Found { style, sequence, rtt, stamp, outcome, from })
}

/// The last `name=number` that is no counter: `time=0.421 ms`, `时间=0.011 毫秒`, `Zeit=0,028 ms`, `time<1 ms`.
fn time(rest: &str) -> Option<Span> {
    let word = rest.split_whitespace().find(|word| {
        let key = word.split(['=', '<']).next().unwrap_or_default();
        word.contains(['=', '<']) && !matches!(key, "ttl" | "hlim" | "TTL" | "bytes" | "字节")
    })?;
    if word.contains('<') {
        return Some(Span::ZERO);
    }
    let value = leading_number(&word.split('=').nth(1)?.replace(',', "."))?;
    Some(Span::from_secs_f64(value / 1000.0))
}

/// `Reply from A: bytes=32 time=833ms TTL=64`, `Request timed out.`, and the same in Chinese.
fn windows<'a>(body: &'a str, stamp: Option<Time>) -> Option<Found<'a>> {
    let found = |rtt, outcome, from| Some(Found { style: Style::Windows, sequence: None, rtt, stamp, outcome, from });
    match body.trim() {
        "Request timed out." | "请求超时。" | "要求等候逾時。" => {
            return found(None, ProbeOutcome::TimedOut, None);
        }
        "General failure." | "一般故障。" | "PING: transmit failed. General failure." => {
            return found(None, ProbeOutcome::Unreachable, None);
        }
        "Destination host unreachable." | "无法访问目标主机。" => {
            return found(None, ProbeOutcome::Unreachable, None);
        }
        _ => {}
    }
    let (from, rest) = match body.strip_prefix("Reply from ") {
        Some(rest) => rest.split_once(": ")?,
        None => body.strip_prefix("来自 ")?.split_once(" 的回复: ")?,
    };
    match time(rest).filter(|_| rest.contains("ms")) {
        Some(rtt) => found(Some(rtt), ProbeOutcome::Reply, Some(from)),
        None => found(None, ProbeOutcome::Unreachable, Some(from)),
    }
}

/// `{"bytes": 64, "host": "127.0.0.1", "seq": 1, "ttl": 64, "time": "0.028"}`.
fn json<'a>(body: &'a str, stamp: Option<Time>) -> Option<Found<'a>> {
    let sequence = json_value(body, "seq")?.parse().ok();
    let rtt = json_value(body, "time").and_then(leading_number).map(|millis| Span::from_secs_f64(millis / 1000.0));
    let from = json_value(body, "host");
    let outcome = if rtt.is_some() { ProbeOutcome::Reply } else { ProbeOutcome::NoAnswerYet };
    Some(Found { style: Style::Json, sequence, rtt, stamp, outcome, from })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_every_tool_give_number_and_time() {
        for (line, sequence, micros) in [
            ("64 bytes from 192.0.2.2: icmp_seq=1 ttl=64 time=0.421 ms", Some(1), 421),
            ("64 bytes from web01 (192.0.2.2): icmp_seq=1 ttl=64 time=815 ms", Some(1), 815_000),
            ("64 bytes from 10.9.0.2: icmp_req=1 ttl=64 time=0.512 ms", Some(1), 512),
            ("64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 时间=0.011 毫秒", Some(1), 11),
            ("64 Bytes von 127.0.0.1: icmp_seq=1 ttl=64 Zeit=0,028 ms", Some(1), 28),
            ("64 bytes from 127.0.0.1: seq=0 ttl=64 time=0.021 ms", Some(0), 21),
            ("16 bytes from ::1, icmp_seq=0 hlim=64 time=0.101 ms", Some(0), 101),
            ("Reply from 10.9.0.2: bytes=32 time=833ms TTL=64", None, 833_000),
            ("Reply from ::1: time<1ms", None, 0),
            ("来自 10.9.0.2 的回复: 字节=32 时间=833ms TTL=64", None, 833_000),
            ("{\"bytes\": 64, \"host\": \"127.0.0.1\", \"seq\": 1, \"ttl\": 64, \"time\": \"0.028\"}", Some(1), 28),
        ] {
            let found = read_probe(line).expect(line);
            assert_eq!(
                (found.sequence.map(i64::from), found.rtt.map(|rtt| rtt.0 / 1000)),
                (sequence, Some(micros)),
                "{line}"
            );
            assert_eq!(found.outcome, ProbeOutcome::Reply, "{line}");
        }
    }

    #[test]
    fn what_is_no_reply_is_told_apart() {
        for (line, outcome) in [
            ("no answer yet for icmp_seq=21", ProbeOutcome::NoAnswerYet),
            ("icmp_seq=21 未响应", ProbeOutcome::NoAnswerYet),
            ("Request timeout for icmp_seq 6", ProbeOutcome::TimedOut),
            ("From 10.9.0.1 icmp_seq=1 Destination Host Unreachable", ProbeOutcome::Unreachable),
            ("64 bytes from 10.9.0.2: icmp_seq=1 ttl=64 time=0.5 ms (DUP!)", ProbeOutcome::Duplicate),
            ("Request timed out.", ProbeOutcome::TimedOut),
            ("Reply from 10.9.0.1: Destination host unreachable.", ProbeOutcome::Unreachable),
        ] {
            assert_eq!(read_probe(line).expect(line).outcome, outcome, "{line}");
        }
    }
}
