//! `/proc/net/snmp` and `/proc/net/netstat`: pairs of lines, names and values.
//!
//! Values are matched to names by their place in the pair at hand (`net/ipv4/proc.c`): every kernel
//! series has other columns, so nothing is assumed of them.

use crate::snapshot::facts::{Counter, CounterGroup, Since, Source};
use crate::snapshot::hint::Hint;
use crate::snapshot::{Out, Parser, Taken};

pub(in crate::snapshot) fn opens(text: &str, _hint: &Hint) -> bool {
    names_line(text).is_some()
}

pub(in crate::snapshot) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Counters { names: None, groups: Vec::new() })
}

struct Counters {
    /// The group and the names that the next line gives values for.
    names: Option<(String, Vec<String>)>,
    groups: Vec<String>,
}

impl Parser for Counters {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if let Some((group, names)) = self.names.take() {
            return match text.strip_prefix(group.as_str()).and_then(|rest| rest.strip_prefix(':')) {
                Some(values) => pair(&group, &names, values, source, out),
                None => Taken::Foreign,
            };
        }
        let Some((group, names)) = names_line(text) else {
            return if text.is_empty() { Taken::Part } else { Taken::Foreign };
        };
        if self.groups.iter().any(|known| known == group) {
            return Taken::Foreign;
        }
        self.groups.push(group.to_owned());
        self.names = Some((group.to_owned(), names.map(str::to_owned).collect()));
        out.facts.counter_groups.push(CounterGroup {
            name: out.names.get(group),
            omits_zeros: false,
            names_all: true,
            since: Since::Boot,
            source,
        });
        Taken::Part
    }
}

/// Names that the kernel gives limits by, not counters; some of them are negative.
const LIMITS: [&str; 6] = ["RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "Forwarding", "DefaultTTL"];

fn pair(group: &str, names: &[String], values: &str, source: Source, out: &mut Out<'_>) -> Taken {
    let values: Vec<&str> = values.split_ascii_whitespace().collect();
    if values.len() != names.len() {
        return Taken::Bad("as many values as names were expected");
    }
    for (name, value) in names.iter().zip(values) {
        if let Ok(value) = value.parse() {
            let name = out.names.get(&format!("{group}{name}"));
            out.facts.counters.push(Counter { name, value, since: Since::Boot, source });
        } else if !LIMITS.contains(&name.as_str()) {
            return Taken::Bad("a value that is no number");
        }
    }
    Taken::Row
}

/// `TcpExt: SyncookiesSent SyncookiesRecv …`: a known group, and words that all begin with a letter.
fn names_line(text: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let (group, rest) = text.split_once(": ")?;
    let known = ["Ip", "Icmp", "IcmpMsg", "Tcp", "Udp", "UdpLite", "TcpExt", "IpExt", "MPTcpExt"].contains(&group);
    let words = || rest.split_ascii_whitespace();
    // `IcmpMsg:` may be empty, and a phrase of `netstat -s` is never behind its group's name.
    let named =
        words().all(|word| word.starts_with(|c: char| c.is_ascii_uppercase() || c == 'a')) && words().count() > 1;
    (known && (named || group == "IcmpMsg")).then(|| (group, words()))
}

#[cfg(test)]
mod tests {
    use crate::snapshot::read;

    #[test]
    fn values_go_by_name_and_limits_are_no_counters() {
        let text = "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens\nTcp: 1 200 120000 -1 0 142\n\
                    TcpExt: SyncookiesSent TWKilled PAWSPassive PAWSActive\nTcpExt: 0 0 5 1\n";
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!((snapshot.formats(), snapshot.parsed, snapshot.skipped_lines()), (vec!["proc_net"], 2, 0));
        let value = |name: &str| snapshot.facts.counter(name).map(|(value, source)| (value, source.line));
        assert_eq!(value("TcpPassiveOpens"), Some((142, 2)));
        assert_eq!(value("TcpExtPAWSPassive"), Some((5, 4)));
        assert_eq!(value("TcpExtPAWSEstab"), None, "this kernel does not have it");
    }

    #[test]
    fn a_pair_that_does_not_match_is_counted() {
        let snapshot = read(0, "x", b"TcpExt: SyncookiesSent TWKilled PAWSPassive\nTcpExt: 0 0\n");
        assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (0, 1));
    }
}
