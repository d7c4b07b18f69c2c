//! Logs of `ping`: iputils (with `-D`, `-O`, `-j`, in several languages), busybox, BSD and macOS, Windows.
//!
//! It follows the outputs of iputils `ping_common.c` and of the others as met. A line that says "no answer
//! yet" is no loss: the same probe may be answered later. Windows sends one probe after the other and
//! numbers none.

mod line;

use std::net::IpAddr;
use std::sync::Arc;

use super::facts::Source;
use super::hint::Hint;
use super::text::{json_value, leading_number};
use super::{Out, Parser, Taken};
use crate::time::{Span, Time};
use line::{Found, Style, address, read_probe};

/// Which program wrote the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PingTool {
    /// Linux iputils; numbers from 1.
    Iputils,
    /// busybox; numbers from 0, and measures in the process.
    Busybox,
    /// BSD and macOS; numbers from 0.
    Bsd,
    /// Windows; no numbers, one probe at a time.
    Windows,
    /// The log has no line that tells.
    Unknown,
}

/// What became of a probe, as one line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeOutcome {
    /// It was answered.
    Reply,
    /// It was answered again.
    Duplicate,
    /// It was not answered when the next one was sent; an answer may follow.
    NoAnswerYet,
    /// It was given up.
    TimedOut,
    /// A router or the host itself refused it.
    Unreachable,
}

/// One line about one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its number, counted on where 16 bits wrap; `None` where the tool prints none.
    pub sequence: Option<i64>,
    /// The round trip; zero where the tool only says that it was below its resolution.
    pub rtt: Option<Span>,
    /// When the line was printed (`-D`).
    pub stamp: Option<Time>,
    /// What became of it.
    pub outcome: ProbeOutcome,
    /// The line, counted from 1.
    pub line: u32,
}

/// One run of `ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingSeries {
    /// What was pinged, as printed.
    pub target: Option<Arc<str>>,
    /// Its address, where the log names it.
    pub address: Option<IpAddr>,
    /// The program.
    pub tool: PingTool,
    /// Its lines, in order.
    pub probes: Vec<Probe>,
    /// Probes sent, as the summary says.
    pub sent: Option<u64>,
    /// Probes answered, as the summary says.
    pub received: Option<u64>,
    /// From the first probe to the end, as the summary of iputils says.
    pub elapsed: Option<Span>,
    /// Its first line.
    pub source: Source,
}

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    header(text).is_some() || read_probe(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Ping { series: None, headed: false, summary_next: false, ended: false })
}

struct Ping {
    series: Option<PingSeries>,
    headed: bool,
    /// The line after `--- … ---` holds the counts.
    summary_next: bool,
    /// The summary was read: a new probe belongs to the next run.
    ended: bool,
}

impl Parser for Ping {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if let Some((target, tool)) = header(text) {
            if self.headed || self.series.is_some() {
                return Taken::Foreign;
            }
            self.headed = true;
            let target = Some(out.names.get(target));
            self.series(source).tool = tool;
            self.series(source).target = target;
            self.series(source).address = address(text);
            return Taken::Part;
        }
        if let Some(found) = read_probe(text) {
            if self.ended {
                return Taken::Foreign;
            }
            self.take(found, text, source, out);
            return Taken::Row;
        }
        self.other(text, source)
    }

    fn end(&mut self, out: &mut Out<'_>) {
        out.facts.pings.extend(self.series.take());
    }
}

impl Ping {
    fn series(&mut self, source: Source) -> &mut PingSeries {
        self.series.get_or_insert_with(|| PingSeries {
            target: None,
            address: None,
            tool: PingTool::Unknown,
            probes: Vec::new(),
            sent: None,
            received: None,
            elapsed: None,
            source,
        })
    }

    fn take(&mut self, found: Found<'_>, text: &str, source: Source, out: &mut Out<'_>) {
        let series = self.series(source);
        match found.style {
            Style::Busybox => series.tool = PingTool::Busybox,
            Style::Windows => series.tool = PingTool::Windows,
            Style::Json => series.tool = PingTool::Iputils,
            Style::Numbered if series.tool == PingTool::Unknown && text.contains("icmp_req=") => {
                series.tool = PingTool::Iputils
            }
            Style::Numbered => {}
        }
        if series.target.is_none() && found.outcome == ProbeOutcome::Reply {
            series.target = found.from.map(|from| out.names.get(from));
            series.address = found.from.and_then(address);
        }
        let last = series.probes.iter().rev().find_map(|probe| probe.sequence);
        let sequence = found.sequence.map(|number| unwrap(number, last));
        series.probes.push(Probe {
            sequence,
            rtt: found.rtt,
            stamp: found.stamp,
            outcome: found.outcome,
            line: source.line,
        });
    }

    /// Lines that are no probe: the summary, and what stands around it.
    fn other(&mut self, text: &str, source: Source) -> Taken {
        let trimmed = text.trim();
        if std::mem::take(&mut self.summary_next) {
            let numbers = counts(trimmed);
            let series = self.series(source);
            series.sent = numbers.first().copied();
            series.received = numbers.get(1).copied();
            series.elapsed = elapsed(trimmed);
            self.ended = true;
            return Taken::Row;
        }
        if trimmed.starts_with("--- ") && trimmed.ends_with(" ---") {
            self.summary_next = true;
            return Taken::Part;
        }
        if let Some((sent, received)) = json_summary(trimmed) {
            let elapsed =
                json_value(trimmed, "time").and_then(leading_number).map(|millis| Span::from_secs_f64(millis / 1000.0));
            let series = self.series(source);
            (series.sent, series.received, series.elapsed) = (Some(sent), Some(received), elapsed);
            self.ended = true;
            return Taken::Row;
        }
        // Windows: `    Packets: Sent = 6, Received = 4, Lost = 2 (33% loss),`.
        if trimmed.contains('%') && trimmed.matches(" = ").count() == 3 {
            let numbers: Vec<u64> =
                trimmed.split(" = ").skip(1).filter_map(|part| counts(part).first().copied()).collect();
            let series = self.series(source);
            series.sent = numbers.first().copied();
            series.received = numbers.get(1).copied();
            self.ended = true;
            return Taken::Row;
        }
        let is_part = trimmed.is_empty()
            || trimmed == "^C"
            || trimmed.starts_with("rtt ")
            || trimmed.starts_with("round-trip ")
            || trimmed.bytes().all(|byte| matches!(byte, b'.' | b' ' | 8))
            || trimmed.starts_with("Ping statistics for ")
            || trimmed.contains("Ping 统计信息")
            || trimmed.contains(" = ") && trimmed.contains("ms")
            || trimmed.ends_with("milli-seconds:")
            || trimmed.ends_with("(以毫秒为单位):")
            || self.ended && trimmed.contains("min/avg/max");
        if is_part {
            return Taken::Part;
        }
        if trimmed.starts_with("ping: ") || trimmed.starts_with("ping6: ") {
            return Taken::Bad("a message of the tool itself");
        }
        Taken::Foreign
    }
}

/// The first line of a run: what is pinged, and by which program.
fn header(text: &str) -> Option<(&str, PingTool)> {
    if let Some(rest) = text.strip_prefix("PING ") {
        let target = rest.split([' ', '(', ':']).next().filter(|target| !target.is_empty());
        // `PING ::1(::1) 56 data bytes` begins with an address that has colons.
        let target = rest.split([' ', '(']).next().filter(|word| word.contains("::")).or(target)?;
        // `PING a (a): 56 data bytes` is busybox or BSD; rows tell them apart.
        let tool = if rest.contains("): ") && rest.contains("data bytes") { PingTool::Bsd } else { PingTool::Iputils };
        let is_header = rest.contains('(') && rest.chars().any(|c| c.is_ascii_digit());
        return is_header.then_some((target, tool));
    }
    if let Some(rest) = text.strip_prefix("PING6(") {
        return Some((rest.split(" --> ").nth(1)?, PingTool::Bsd));
    }
    let rest = text.strip_prefix("Pinging ").or_else(|| text.strip_prefix("正在 Ping "))?;
    Some((rest.split(' ').next()?, PingTool::Windows))
}

fn json_summary(text: &str) -> Option<(u64, u64)> {
    Some((json_value(text, "transmitted")?.parse().ok()?, json_value(text, "received")?.parse().ok()?))
}

/// The whole numbers of a summary, shares of a hundred left out.
fn counts(text: &str) -> Vec<u64> {
    let is_part = |c: char| !(c.is_ascii_digit() || c == '%' || c == '.');
    text.split(is_part).filter_map(|word| word.parse().ok()).collect()
}

/// `time 6164ms`, `耗时 414 毫秒` at the end.
fn elapsed(text: &str) -> Option<Span> {
    let text = text.strip_suffix("ms").or_else(|| text.strip_suffix("毫秒"))?;
    let millis = text.trim_end().rsplit(' ').next()?.parse().ok()?;
    Some(Span::from_millis(millis))
}

/// The number nearest to the last one that has these 16 bits.
fn unwrap(number: u16, last: Option<i64>) -> i64 {
    let Some(last) = last else {
        return i64::from(number);
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let step = number.wrapping_sub(last.rem_euclid(65_536) as u16);
    // Half of the range forwards, half backwards: a late reply has a smaller number.
    last.saturating_add(i64::from(i16::from_ne_bytes(step.to_ne_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::read;

    fn series(text: &str) -> PingSeries {
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!(snapshot.skipped_lines(), 0, "{:?}", snapshot.skipped);
        assert_eq!(snapshot.facts.pings.len(), 1);
        snapshot.facts.pings.into_iter().next().expect("a series")
    }

    #[test]
    fn numbers_go_on_where_sixteen_bits_wrap() {
        let row = |number: u32| format!("64 bytes from 10.9.0.2: icmp_seq={number} ttl=64 time=0.4 ms\n");
        let found = series(&[65_534, 65_535, 1, 0, 2].map(row).concat());
        let numbers: Vec<_> = found.probes.iter().filter_map(|probe| probe.sequence).collect();
        assert_eq!(numbers, [65_534, 65_535, 65_537, 65_536, 65_538], "a late reply goes back");
    }

    #[test]
    fn two_runs_in_one_file_are_two_series() {
        let run = "PING 192.0.2.2 (192.0.2.2) 56(84) bytes of data.\n64 bytes from 192.0.2.2: icmp_seq=1 ttl=64 time=0.4 ms\n\n\
                   --- 192.0.2.2 ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\nrtt min/avg/max/mdev = 0.4/0.4/0.4/0.0 ms\n";
        let snapshot = read(0, "x", format!("{run}\n$ ping 192.0.2.2\n{run}{run}").as_bytes());
        assert_eq!((snapshot.facts.pings.len(), snapshot.skipped_lines()), (3, 0), "{:?}", snapshot.skipped);
        let first = &snapshot.facts.pings[0];
        assert_eq!(
            (first.sent, first.received, first.elapsed, first.target.as_deref()),
            (Some(1), Some(1), Some(Span::ZERO), Some("192.0.2.2"))
        );
        assert_eq!(first.tool, PingTool::Iputils);
    }
}
