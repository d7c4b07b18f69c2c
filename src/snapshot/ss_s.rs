//! The totals of `ss -s`.
//!
//! It follows `print_summary` of iproute2 (`misc/ss.c`); versions before 4.18 print `timewait 8/0` and
//! `synrecv`, of which the first number counts.

use super::facts::{SocketSummary, Source};
use super::hint::Hint;
use super::text::leading_number;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    text.strip_prefix("Total: ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        || text.starts_with("TCP: ") && text.contains("(estab ")
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(SsS { seen_total: false, seen_tcp: false })
}

struct SsS {
    seen_total: bool,
    seen_tcp: bool,
}

impl Parser for SsS {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if text.starts_with("Total: ") {
            if self.seen_total {
                return Taken::Foreign;
            }
            self.seen_total = true;
            return Taken::Part;
        }
        if let Some(rest) = text.strip_prefix("TCP: ").filter(|rest| rest.contains("(estab ")) {
            if self.seen_tcp {
                return Taken::Foreign;
            }
            self.seen_tcp = true;
            out.facts.summaries.push(SocketSummary { moment: out.moment, ..summary(rest, source) });
            return Taken::Row;
        }
        match text.split_ascii_whitespace().next() {
            None | Some("Transport" | "*" | "RAW" | "UDP" | "TCP" | "INET" | "FRAG") => Taken::Part,
            _ => Taken::Foreign,
        }
    }
}

fn summary(text: &str, source: Source) -> SocketSummary {
    let mut found = SocketSummary { source, ..SocketSummary::default() };
    let (total, inner) = text.split_once('(').unwrap_or((text, ""));
    found.tcp = total.trim().parse().ok();
    for item in inner.split([',', ')']) {
        let mut words = item.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next().and_then(leading_number)) else {
            continue;
        };
        // Counts of sockets are whole numbers far below what a float holds exactly.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let value = Some(value as u64);
        match name {
            "estab" => found.established = value,
            "closed" => found.closed = value,
            "orphaned" => found.orphaned = value,
            "synrecv" => found.syn_received = value,
            "timewait" => found.time_wait = value,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::snapshot::read;

    #[test]
    fn old_and_new_totals_agree() {
        let old =
            "Total: 22 (kernel 209)\nTCP:   50 (estab 14, closed 30, orphaned 2, synrecv 0, timewait 8/0), ports 0\n";
        let new = "Total: 23\nTCP:   50 (estab 14, closed 30, orphaned 2, timewait 8)\n";
        let read = |text: &str| read(0, "x", text.as_bytes()).facts.summaries.remove(0);
        let (old, new) = (read(old), read(new));
        assert_eq!(
            (old.tcp, old.established, old.closed, old.orphaned, old.time_wait),
            (Some(50), Some(14), Some(30), Some(2), Some(8))
        );
        assert_eq!(
            (new.tcp, new.established, new.closed, new.orphaned, new.time_wait),
            (Some(50), Some(14), Some(30), Some(2), Some(8))
        );
        assert_eq!((old.syn_received, new.syn_received), (Some(0), None));
    }

    #[test]
    fn the_time_between_two_outputs_is_kept() {
        let text = "### 1795333402.5 c1\nTotal: 0\nTCP:   4 (estab 0, closed 4, orphaned 0, timewait 0)\n\n\
                    ### 1795333403.5 c1\nTotal: 0\nTCP:   5 (estab 0, closed 4, orphaned 0, timewait 1)\n";
        let snapshot = read(0, "x", text.as_bytes());
        let times: Vec<_> =
            snapshot.facts.summaries.iter().map(|one| one.moment.expect("a time").0 / 1_000_000_000).collect();
        assert_eq!(times, [1_795_333_402, 1_795_333_403]);
        assert_eq!(snapshot.sections.len(), 2);
    }
}
