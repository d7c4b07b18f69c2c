//! Load of the host and of its processes: `top -b`.
//!
//! It follows top(1) of procps: a summary, then rows of twelve columns. Labels are translated, numbers and
//! their order are not.

use super::facts::{Sample, Source, Uptime};
use super::hint::Hint;
use super::text::{is_digits, leading_number};
use super::{Out, Parser, Taken, clock, uptime};
use crate::time::Span;

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    text.starts_with("top - ") && text.contains("load average")
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Top { opened: false, at: None, in_rows: false })
}

struct Top {
    opened: bool,
    at: Option<Span>,
    in_rows: bool,
}

impl Parser for Top {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if opens(text, &Hint::default()) {
            if std::mem::replace(&mut self.opened, true) {
                return Taken::Foreign;
            }
            self.at = text.split_ascii_whitespace().nth(2).and_then(clock::time_of_day);
            out.facts.uptimes.extend(uptime::sentence(text).map(|up| Uptime { up, source }));
            return Taken::Row;
        }
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Taken::Part;
        }
        if self.in_rows {
            return self.process(trimmed, source, out);
        }
        if trimmed.contains(" USER ") && trimmed.contains("%CPU") {
            self.in_rows = true;
            return Taken::Part;
        }
        match trimmed.split_once(':') {
            Some((label, shares)) if label.contains("Cpu") => self.cpu(label, shares, source, out),
            Some((label, _)) if label.len() < 32 => Taken::Part,
            _ => Taken::Foreign,
        }
    }
}

impl Top {
    /// `%Cpu(s): 25.0 us, 50.0 sy, …`, before procps 3.3 `Cpu(s):  1.0%us,  0.5%sy, …`.
    fn cpu(&self, label: &str, shares: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let subject = label.trim().trim_start_matches('%');
        let subject = out.names.get(if subject == "Cpu(s)" { "all" } else { subject.trim() });
        for share in shares.split(',') {
            let share = share.trim();
            let Some(value) = leading_number(share) else {
                return Taken::Bad("a share of time that is no number");
            };
            let name = share.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '%' | ' '));
            let (subject, name) = (subject.clone(), out.names.get(name));
            out.facts.samples.push(Sample { format: "top", subject, name, value, time_of_day: self.at, source });
        }
        Taken::Row
    }

    /// `31538 root      20   0 1187216   1.1g 978540 R  58.8   4.8   0:58.54 bench`.
    fn process(&self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let pid = words.first().filter(|word| is_digits(word));
        let share = words.get(8).and_then(|word| word.replace(',', ".").parse::<f64>().ok());
        let (Some(pid), Some(value), Some(command)) = (pid, share, words.get(11..).filter(|rest| !rest.is_empty()))
        else {
            return Taken::Foreign;
        };
        let (subject, name) = (out.names.get(&format!("{}[{pid}]", command.join(" "))), out.names.get("%CPU"));
        out.facts.samples.push(Sample { format: "top", subject, name, value, time_of_day: self.at, source });
        Taken::Row
    }
}
