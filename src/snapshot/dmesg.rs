//! Messages of the kernel: `dmesg` in each of its time formats, `journalctl -k`, `/var/log/messages`.
//!
//! Only messages that say why connections fail or why a host stood still are kept, by the kinds of
//! [`LogKind`]; the others are read and let go. That a message is missing proves nothing: kernels since
//! 2.6 count most of these events without printing them, and limit the rate of the rest.

use super::facts::Source;
use super::hint::Hint;
use super::log::{LogKind, LogLine, LogTime};
use super::{Out, Parser, Taken, clock, uname};
use crate::time::Span;

/// What makes a message one of a kind: words that it has to contain, all of them.
const KINDS: &[(LogKind, &[&str])] = &[
    (LogKind::SynFloodDrop, &["ossible SYN flooding", "Dropping request"]),
    (LogKind::SynFloodCookies, &["ossible SYN flooding"]),
    (LogKind::TimeWaitOverflow, &["time wait bucket table overflow"]),
    (LogKind::ConntrackFull, &["table full", "conntrack"]),
    (LogKind::TooManyOrphans, &["too many orphaned sockets"]),
    (LogKind::TooManyOrphans, &["too many of orphaned sockets"]),
    (LogKind::OutOfSocketMemory, &["Out of socket memory"]),
    (LogKind::TcpOutOfMemory, &["TCP: out of memory"]),
    (LogKind::WindowShrunk, &["unexpectedly shrunk window"]),
    (LogKind::WindowShrunk, &["shrinks window"]),
    (LogKind::NeighbourOverflow, &["neighbor table overflow"]),
    (LogKind::NeighbourOverflow, &["eighbour table overflow"]),
    (LogKind::SoftLockup, &["soft lockup"]),
    (LogKind::HardLockup, &["hard LOCKUP"]),
    (LogKind::RcuStall, &["self-detected stall"]),
    (LogKind::RcuStall, &["detected stalls on CPUs"]),
    (LogKind::HungTask, &["blocked for more than", "seconds"]),
    (LogKind::TimerSlow, &["hrtimer: interrupt took"]),
    (LogKind::InterruptSlow, &["interrupt took too long"]),
    (LogKind::TransmitTimeout, &["NETDEV WATCHDOG"]),
    (LogKind::TransmitTimeout, &["transmit queue", "timed out"]),
    (LogKind::ClocksourceUnstable, &["clocksource", "unstable"]),
    (LogKind::SlabAllocation, &["Unable to allocate memory on node"]),
    (LogKind::SlabAllocation, &["page allocation failure"]),
    (LogKind::OutOfMemory, &["invoked oom-killer"]),
    (LogKind::OutOfMemory, &["Out of memory:"]),
    (LogKind::LinkDown, &["ink is down"]),
    (LogKind::LinkDown, &["NIC Link is Down"]),
    (LogKind::LinkUp, &["ink is up"]),
    (LogKind::LinkUp, &["NIC Link is Up"]),
    (LogKind::Suppressed, &["callbacks suppressed"]),
];

pub(super) fn opens(text: &str, hint: &Hint) -> bool {
    prefix(text).is_some() || kernel_message(text) && hint.mentions("dmesg")
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Dmesg { kept: Vec::new() })
}

/// Messages of one kind that an output keeps; a flood of them says no more, and is counted on the last.
const KEPT_OF_A_KIND: u32 = 1000;

struct Dmesg {
    /// How many messages of each kind were kept, and where the last of them is.
    kept: Vec<(LogKind, u32, usize)>,
}

impl Dmesg {
    fn keep(&mut self, line: LogLine, log: &mut Vec<LogLine>) {
        match self.kept.iter_mut().find(|(kind, ..)| *kind == line.kind) {
            Some((_, kept, last)) if *kept >= KEPT_OF_A_KIND => {
                if let Some(last) = log.get_mut(*last) {
                    last.count = last.count.saturating_add(line.count);
                }
            }
            Some((_, kept, last)) => {
                *kept = kept.saturating_add(1);
                *last = log.len();
                log.push(line);
            }
            None => {
                self.kept.push((line.kind, 1, log.len()));
                log.push(line);
            }
        }
    }
}

impl Parser for Dmesg {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if text.trim().is_empty() || text.starts_with("-- ") && text.contains(" at ") || text.starts_with("-- Boot") {
            return Taken::Part;
        }
        let Some((time, message)) = prefix(text).or_else(|| kernel_message(text).then_some((LogTime::Unknown, text)))
        else {
            // Stack traces and wrapped messages have no time in some formats.
            return if text.starts_with([' ', '\t']) { Taken::Part } else { Taken::Foreign };
        };
        if let Some(kernel) =
            message.contains("Linux version ").then(|| uname::kernel(message, source, out.names)).flatten()
        {
            out.facts.kernels.push(kernel);
        }
        let Some(kind) = kind(message) else {
            return Taken::Row;
        };
        let suppressed = (kind == LogKind::Suppressed).then(|| suppressed(message)).flatten();
        let line = LogLine { time, kind, count: suppressed.unwrap_or(1), text: message.into(), source };
        self.keep(line, &mut out.facts.log);
        Taken::Row
    }
}

fn kind(message: &str) -> Option<LogKind> {
    KINDS.iter().find(|(_, words)| words.iter().all(|word| message.contains(word))).map(|&(kind, _)| kind)
}

/// A message whose time was cut off is known by its kind only.
fn kernel_message(text: &str) -> bool {
    text.is_ascii()
        && kind(text)
            .is_some_and(|kind| kind != LogKind::Suppressed && kind != LogKind::LinkUp && kind != LogKind::LinkDown)
}

/// `net_ratelimit: 482 callbacks suppressed`.
fn suppressed(message: &str) -> Option<u64> {
    let (head, _) = message.split_once(" callbacks suppressed")?;
    head.rsplit([' ', ':']).next()?.parse().ok()
}

/// The time before a message, and the message; `None` where the line does not begin as a log line does.
fn prefix(text: &str) -> Option<(LogTime, &str)> {
    let text = without_facility(text);
    if let Some(rest) = text.strip_prefix('[') {
        let (stamp, message) = rest.split_once(']')?;
        let message = message.strip_prefix(' ').unwrap_or(message);
        let stamp = stamp.trim();
        if is_seconds(stamp) {
            let since = Span::from_secs_f64(stamp.parse().ok()?);
            return Some((LogTime::SinceBoot(since), without_caller(message)));
        }
        // Seconds since the epoch are the stamps of `ping -D`.
        if let Some((at, _)) = clock::date(stamp).filter(|_| clock::epoch(stamp).is_none()) {
            return Some((LogTime::Local(at), message));
        }
        // `dmesg -d` prints the time since the message before.
        return stamp.strip_prefix(['<', '+']).map(|_| (LogTime::Unknown, message));
    }
    iso(text).or_else(|| syslog(text))
}

/// `kern  :info  : ` of `dmesg -x`, `<6>` of `dmesg -r`.
fn without_facility(text: &str) -> &str {
    if let Some((number, rest)) = text.strip_prefix('<').and_then(|rest| rest.split_once('>'))
        && number.len() <= 3
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return rest;
    }
    let mut parts = text.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(facility), Some(level), Some(rest))
            if matches!(facility.trim(), "kern" | "user" | "daemon" | "syslog" | "auth" | "cron")
                && matches!(
                    level.trim(),
                    "emerg" | "alert" | "crit" | "err" | "warn" | "notice" | "info" | "debug"
                ) =>
        {
            rest.trim_start()
        }
        _ => text,
    }
}

/// `[    T312] ` or `[  C1] ` names the caller since 5.1.
fn without_caller(message: &str) -> &str {
    let caller = message.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    caller
        .filter(|(caller, _)| caller.trim().strip_prefix(['T', 'C']).is_some_and(super::text::is_digits))
        .map_or(message, |(_, rest)| rest)
}

/// Seconds with six digits of fraction; an epoch is no time since boot.
fn is_seconds(stamp: &str) -> bool {
    stamp.split_once('.').is_some_and(|(seconds, fraction)| {
        super::text::is_digits(seconds)
            && super::text::is_digits(fraction)
            && fraction.len() == 6
            && clock::epoch(stamp).is_none()
    })
}

/// `2026-11-22T07:22:11,867528+00:00 message` of `dmesg`, and the same with a point, host and tag of a log.
fn iso(text: &str) -> Option<(LogTime, &str)> {
    let (stamp, rest) = text.split_once(' ')?;
    let (at, known) = clock::iso(stamp)?;
    let time = if known { LogTime::At(at) } else { LogTime::Local(at) };
    if stamp.contains(',') {
        return Some((time, rest));
    }
    Some((time, after_tag(rest)?))
}

/// `Aug  4 17:25:37 web01 kernel: message`, `Aug 04 17:25:37.123456 web01 kernel: message`.
fn syslog(text: &str) -> Option<(LogTime, &str)> {
    let (month, rest) = text.split_once(' ')?;
    let month = u8::try_from(clock::month(month)?).ok()?;
    let (day, rest) = rest.trim_start().split_once(' ')?;
    let (time, rest) = rest.split_once(' ')?;
    let day = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    Some((LogTime::Yearless(month, day, clock::time_of_day(time)?), after_tag(rest)?))
}

/// The message behind `host tag: ` or `host tag[pid]: `; the kernel's own stamp is left out as well.
fn after_tag(rest: &str) -> Option<&str> {
    let (_host, rest) = rest.split_once(' ')?;
    let (tag, message) = rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|tag| (tag, "")))?;
    if tag.is_empty() || tag.contains(' ') {
        return None;
    }
    let stamp = message.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    Some(stamp.filter(|(stamp, _)| is_seconds(stamp.trim())).map_or(message, |(_, message)| message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::read;
    use crate::time::Time;

    #[test]
    fn every_form_of_a_time_is_taken_off() {
        let boot = LogTime::SinceBoot(Span(1_319_867_528_000));
        let at = Time::from_parts(1_795_332_131, 0);
        let day = Span::from_secs(7 * 3600 + 22 * 60 + 11);
        for (line, time) in [
            ("[ 1319.867528] TCP: x", boot),
            ("[ 1319.867528] [   T312] TCP: x", boot),
            ("<6>[ 1319.867528] TCP: x", boot),
            ("kern  :info  : [ 1319.867528] TCP: x", boot),
            ("[Sun Nov 22 07:22:11 2026] TCP: x", LogTime::Local(at)),
            ("2026-11-22T07:22:11,000000+00:00 TCP: x", LogTime::At(at)),
            ("2026-11-22T07:22:11.000000+00:00 web01 kernel: TCP: x", LogTime::At(at)),
            ("Nov 22 07:22:11 web01 kernel: TCP: x", LogTime::Yearless(11, 22, day)),
            ("Nov 22 07:22:11 web01 kernel: [ 1319.867528] TCP: x", LogTime::Yearless(11, 22, day)),
        ] {
            assert_eq!(prefix(line), Some((time, "TCP: x")), "{line}");
        }
        assert_eq!(prefix("[1795331741.168737] 64 bytes from 192.0.2.2: icmp_seq=1"), None, "a line of ping");
        assert_eq!(prefix("2026-11-22T07:22:11Z INFO started"), None, "a log of an application");
    }

    #[test]
    fn a_flood_of_messages_is_counted_and_not_kept() {
        let text = "[38775494.392631] nf_conntrack: table full, dropping packet\n".repeat(5000);
        let log = read(0, "x", text.as_bytes()).facts.log;
        assert_eq!(log.len(), 1000);
        assert_eq!(log.iter().map(|line| line.count).sum::<u64>(), 5000);
    }

    #[test]
    fn what_a_rate_limit_left_out_is_counted() {
        let text = "Aug  4 17:25:37 web01 kernel: TCP: time wait bucket table overflow\n\
                    Aug  4 17:25:42 web01 kernel: net_ratelimit: 482 callbacks suppressed\n\
                    Aug  4 17:25:43 web01 systemd[1]: Started something.\n";
        let snapshot = read(0, "x", text.as_bytes());
        let found: Vec<_> = snapshot.facts.log.iter().map(|line| (line.kind, line.count, line.source.line)).collect();
        assert_eq!(found, [(LogKind::TimeWaitOverflow, 1, 1), (LogKind::Suppressed, 482, 2)]);
        assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (3, 0));
    }
}
