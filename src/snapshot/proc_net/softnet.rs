//! `/proc/net/softnet_stat`: what each CPU's packet backlog processed, dropped and left over.
//!
//! It follows `softnet_seq_show` (`net/core/net-procfs.c`): hexadecimal columns, 9 of them at first, 13 with
//! the CPU's number since 5.10, 15 since 6.x. Offline CPUs have no line.

use crate::snapshot::facts::{Softnet, Source};
use crate::snapshot::hint::Hint;
use crate::snapshot::{Out, Parser, Taken};

pub(in crate::snapshot) fn opens(text: &str, _hint: &Hint) -> bool {
    columns(text).is_some()
}

pub(in crate::snapshot) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Reading { rows: 0 })
}

struct Reading {
    rows: u32,
}

impl Parser for Reading {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let Some(columns) = columns(text) else {
            return if text.is_empty() { Taken::Part } else { Taken::Foreign };
        };
        let column = |index: usize| columns.get(index).copied();
        let cpu = column(12).unwrap_or(self.rows);
        self.rows = self.rows.saturating_add(1);
        let (Some(processed), Some(dropped), Some(squeezed)) = (column(0), column(1), column(2)) else {
            return Taken::Foreign;
        };
        out.facts.softnet.push(Softnet { cpu, processed, dropped, squeezed, source });
        Taken::Row
    }
}

/// At least nine words of exactly eight hexadecimal digits.
fn columns(text: &str) -> Option<Vec<u32>> {
    let columns: Option<Vec<u32>> = text
        .split_ascii_whitespace()
        .map(|word| if word.len() == 8 { u32::from_str_radix(word, 16).ok() } else { None })
        .collect();
    columns.filter(|columns| (9..=15).contains(&columns.len()))
}
