//! `/proc/net/stat/nf_conntrack`: counters of the connection tracker, one line a CPU, in hexadecimal.
//!
//! `entries` repeats the total of the table in every line: it must not be summed.

use std::sync::Arc;

use crate::snapshot::facts::{Sample, Source};
use crate::snapshot::hint::Hint;
use crate::snapshot::{Out, Parser, Taken};

pub(in crate::snapshot) fn opens(text: &str, _hint: &Hint) -> bool {
    text.starts_with("entries ") && text.contains("insert_failed")
}

pub(in crate::snapshot) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Reading { names: Vec::new(), rows: 0 })
}

struct Reading {
    names: Vec<Arc<str>>,
    rows: u32,
}

impl Parser for Reading {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if opens(text, &Hint::default()) {
            if !self.names.is_empty() {
                return Taken::Foreign;
            }
            self.names = text.split_ascii_whitespace().map(|name| out.names.get(name)).collect();
            return Taken::Part;
        }
        let values: Option<Vec<u32>> =
            text.split_ascii_whitespace().map(|word| u32::from_str_radix(word, 16).ok()).collect();
        let Some(values) = values.filter(|values| !values.is_empty()) else {
            return if text.trim().is_empty() { Taken::Part } else { Taken::Foreign };
        };
        if values.len() != self.names.len() {
            return Taken::Bad("as many values as names were expected");
        }
        let subject = out.names.get(&format!("cpu{}", self.rows));
        self.rows = self.rows.saturating_add(1);
        for (name, value) in self.names.iter().zip(values) {
            let (subject, name) = (subject.clone(), name.clone());
            out.facts.samples.push(Sample {
                format: "proc_net",
                subject,
                name,
                value: f64::from(value),
                time_of_day: None,
                source,
            });
        }
        Taken::Row
    }
}
