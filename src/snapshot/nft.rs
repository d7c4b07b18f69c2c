//! Rules of `nft list ruleset` (nft(8)).

use std::sync::Arc;

use super::facts::{Rule, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    table(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Nft { table: None, chain: None, depth: 0 })
}

struct Nft {
    table: Option<Arc<str>>,
    chain: Option<Arc<str>>,
    /// Braces that are open before the line.
    depth: usize,
}

impl Parser for Nft {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let trimmed = text.trim();
        if self.depth == 0 {
            let Some(name) = table(trimmed) else {
                return if trimmed.is_empty() { Taken::Part } else { Taken::Foreign };
            };
            self.table = Some(out.names.get(name));
        }
        let before = self.depth;
        let opened = trimmed.matches('{').count();
        self.depth = before.saturating_add(opened).saturating_sub(trimmed.matches('}').count());
        if before == 1 {
            self.chain = trimmed.strip_prefix("chain ").map(|rest| out.names.get(rest.trim_end_matches(['{', ' '])));
            return Taken::Part;
        }
        let Some(chain) = self.chain.clone().filter(|_| before == 2 && self.depth == 2 && !trimmed.is_empty()) else {
            return Taken::Part;
        };
        if let Some((_, policy)) =
            trimmed.strip_prefix("type ").map(|rest| rest.split_once("policy ").unwrap_or((rest, "accept")))
        {
            let target = policy.trim_end_matches([';', ' ']);
            let rule =
                Rule { drops: target == "drop", target: out.names.get(target), ..self.rule(chain, trimmed, source) };
            out.facts.rules.push(rule);
            return Taken::Row;
        }
        let words: Vec<&str> = trimmed.split_ascii_whitespace().collect();
        let verdict = words.iter().rev().find(|word| {
            matches!(**word, "drop" | "accept" | "reject" | "return" | "queue" | "masquerade" | "continue")
                || **word == "jump"
                || **word == "goto"
        });
        let target = verdict.copied().unwrap_or("");
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at.checked_add(1)?)?.parse().ok()
        };
        let rule = Rule {
            target: out.names.get(target),
            drops: matches!(target, "drop" | "reject"),
            matches_syn: trimmed.contains("flags syn") || trimmed.contains("flags & ") && trimmed.contains("== syn"),
            packets: after("packets"),
            bytes: after("bytes"),
            ..self.rule(chain, trimmed, source)
        };
        out.facts.rules.push(rule);
        Taken::Row
    }
}

impl Nft {
    fn rule(&self, chain: Arc<str>, text: &str, source: Source) -> Rule {
        Rule {
            table: self.table.clone(),
            chain,
            target: Arc::from(""),
            drops: false,
            matches_syn: false,
            packets: None,
            bytes: None,
            text: text.into(),
            source,
        }
    }
}

/// `table ip nl_drop {`.
fn table(text: &str) -> Option<&str> {
    let name = text.trim_end().strip_prefix("table ")?.strip_suffix(" {")?;
    let family = name.split(' ').next()?;
    matches!(family, "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev").then_some(name)
}

#[cfg(test)]
mod tests {
    use crate::snapshot::read;

    #[test]
    fn a_dropping_rule_is_read_with_its_counters() {
        let text = "table ip nl_drop {\n\tset s {\n\t\ttype ipv4_addr\n\t}\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\
                    \t\ttcp dport 80 tcp flags syn / syn,ack numgen random mod 100 < 20 counter packets 90 bytes 5400 drop\n\t}\n}\n";
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (2, 0));
        let rule = snapshot.facts.rules.last().expect("a rule");
        assert_eq!((rule.drops, rule.matches_syn, rule.packets, &*rule.chain), (true, true, Some(90), "input"));
        assert_eq!(rule.table.as_deref(), Some("ip nl_drop"));
        assert!(!snapshot.facts.rules[0].drops, "the policy accepts");
    }
}
