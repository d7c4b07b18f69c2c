//! Bytes as the whole program has them: read, tracked, joined, judged and written as `report.json` and as a table.

use std::io::{self, Write, sink};

use lastack::diagnosis::{Case, Thresholds, run_all};
use lastack::evidence::Evidence;
use lastack::ingest;
use lastack::input::{Origin, Source};
use lastack::report::table::write_csv;
use lastack::report::{Material, Output, connections, json};

struct Nowhere;

impl Output for Nowhere {
    fn file(&mut self, _: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        write(&mut sink())
    }
}

/// Runs one input; panics where something is wrong.
pub fn run(data: &[u8]) {
    let source = Source { name: "x".to_owned(), origin: Origin::Memory(data.into()), named: true };
    let Ok(reading) = ingest::read(&[source], 1, &|_| {}) else { return };
    let evidence = Evidence::new(reading.inputs, reading.parts);
    let thresholds = Thresholds::default();
    let case = Case::new(&evidence, &thresholds);
    let material = Material::new(&case, run_all(&case), true);
    json::render(&material, &mut Nowhere).expect("nothing is written anywhere");
    let rows = connections::rows(&evidence);
    write_csv(&connections::columns(), rows, &evidence.workers, &mut sink()).expect("nothing is written anywhere");
}
