//! Interrupts by CPU: `/proc/interrupts` and `/proc/softirqs` (proc_interrupts(5)).

use std::sync::Arc;

use super::facts::{Sample, Source};
use super::hint::Hint;
use super::text::is_digits;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    is_columns(text)
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Interrupts { cpus: Vec::new() })
}

struct Interrupts {
    cpus: Vec<Arc<str>>,
}

impl Parser for Interrupts {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if is_columns(text) {
            if !self.cpus.is_empty() {
                return Taken::Foreign;
            }
            self.cpus = text.split_ascii_whitespace().map(|name| out.names.get(name)).collect();
            return Taken::Part;
        }
        let Some((name, rest)) = text.trim_start().split_once(':') else {
            return if text.trim().is_empty() { Taken::Part } else { Taken::Foreign };
        };
        if name.is_empty() || name.contains(' ') {
            return Taken::Foreign;
        }
        let mut words = rest.split_ascii_whitespace().peekable();
        let mut values = Vec::new();
        while values.len() < self.cpus.len() {
            let Some(value) = words.next_if(|word| is_digits(word)).and_then(|word| word.parse::<f64>().ok()) else {
                break;
            };
            values.push(value);
        }
        if values.is_empty() {
            return Taken::Foreign;
        }
        // A numbered line is named by its device, the last word: `30  virtio0-input.0`.
        let device = words.last().filter(|_| is_digits(name));
        let name = match device {
            Some(device) => out.names.get(&format!("{name} {device}")),
            None => out.names.get(name),
        };
        for (cpu, value) in self.cpus.iter().zip(values) {
            let (subject, name) = (cpu.clone(), name.clone());
            out.facts.samples.push(Sample { format: "interrupts", subject, name, value, time_of_day: None, source });
        }
        Taken::Row
    }
}

/// A line of `CPU0 CPU1 …` and nothing else.
fn is_columns(text: &str) -> bool {
    text.starts_with([' ', '\t'])
        && text.split_ascii_whitespace().next() == Some("CPU0")
        && text.split_ascii_whitespace().all(|word| word.strip_prefix("CPU").is_some_and(is_digits))
}
