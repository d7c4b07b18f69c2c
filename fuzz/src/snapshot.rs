//! Bytes as what a host says of itself: the first line is the file's name, and so the hint; every parser is behind it.

use lastack::snapshot::{Reader, Sink, SocketRow, Tracked, recognise};

#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn socket(&mut self, _: SocketRow) {
        self.0 += 1;
    }

    fn tracked(&mut self, _: Tracked) {
        self.0 += 1;
    }
}

/// Runs one input; panics where something is wrong.
pub fn run(data: &[u8]) {
    let end = data.iter().position(|octet| *octet == b'\n').unwrap_or(0);
    let (name, text) = data.split_at(end);
    let name = String::from_utf8_lossy(name);
    let _ = recognise(&name, text);
    let read = |cut: usize| {
        let mut count = Count::default();
        let mut reader = Reader::new(0, &name);
        let (front, back) = text.split_at(cut);
        reader.feed(front, &mut count);
        reader.feed(back, &mut count);
        let snapshot = reader.finish(&mut count);
        (count.0, snapshot.parsed, snapshot.skipped_lines())
    };
    // Where blocks are cut must not matter.
    assert_eq!(read(text.len()), read(text.len() / 2));
}
