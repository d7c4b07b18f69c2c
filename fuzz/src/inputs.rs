//! Bytes as an input: recognised, unpacked, archives walked through.

use std::io::{Read, copy, sink};

use lastack::input::{Members, Opened, Origin, Source};

struct All;

impl Members for All {
    fn member(&mut self, _: String, _: Vec<u8>, reader: &mut dyn Read) -> bool {
        // More tells nothing new, and a bomb that is within its bounds takes its time.
        let _ = copy(&mut reader.take(1 << 20), &mut sink());
        true
    }

    fn broken(&mut self, _: String, _: String) {}
}

/// Runs one input; panics where something is wrong.
pub fn run(data: &[u8]) {
    let source = Source { name: "x".to_owned(), origin: Origin::Memory(data.into()), named: true };
    match source.open() {
        Ok(Opened::Archive(archive)) => archive.walk("x", &mut All),
        Ok(Opened::Stream { reader, .. }) => {
            let _ = copy(&mut reader.take(1 << 20), &mut sink());
        }
        Ok(Opened::Plain { .. }) | Err(_) => {}
    }
}
