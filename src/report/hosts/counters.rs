//! Counters that moved between the first moment and the last, with what they count.

use super::MEANINGS;
use crate::diagnosis::{Cell, Table};
use crate::evidence::hosts::HostView;
use crate::language::{Text, say, words};

/// One row a counter that moved; of a single moment those that are not zero.
pub(super) fn table(host: &HostView) -> Option<Table> {
    let rows: Vec<Vec<Cell>> = MEANINGS.iter().filter_map(|(counter, meaning)| row(host, counter, meaning)).collect();
    (!rows.is_empty()).then(|| Table {
        title: say!("Counters that moved"),
        columns: words!("Counter", "First", "Last", "More", "A second", "It counts").map(Text::of).to_vec(),
        rows,
    })
}

fn row(host: &HostView, counter: &str, meaning: &'static str) -> Option<Vec<Cell>> {
    let name = Cell::Text(Text::value(counter.trim_start_matches("TcpExt")));
    if let Some(moved) = host.delta(counter) {
        let apart = moved.between.map(|(first, last)| last.since(first).secs()).filter(|apart| *apart > 0.0);
        #[allow(clippy::cast_precision_loss)]
        let rate = apart.map(|apart| moved.delta as f64 / apart);
        let rate =
            rate.map_or_else(|| Cell::Text(Text::default()), |rate| Cell::Number((rate * 100.0).round() / 100.0));
        let numbers = [Cell::Count(moved.first), Cell::Count(moved.last), Cell::Count(moved.delta), rate];
        let row = std::iter::once(name).chain(numbers).chain([Cell::Text(Text::of(meaning))]);
        return (moved.delta > 0).then(|| row.collect());
    }
    let (value, _) = host.counter(counter).filter(|(value, _)| *value > 0)?;
    let empty = || Cell::Text(Text::default());
    let since = Cell::Text(say!(
        "{meaning}; a total, and no second moment tells whether it grows",
        meaning = Text::of(meaning)
    ));
    Some(vec![name, empty(), Cell::Count(value), empty(), empty(), since])
}
