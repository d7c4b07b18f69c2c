//! Text inputs: whether a file is what a host says of itself, and if so, its facts.
//!
//! The first octets decide, so that a big file of anything else costs one block. A file is read in blocks and
//! never held whole; of endless listings the listening sockets and the first rows are kept, and the counts of all.

use std::io::{self, Read};

use crate::snapshot::{self, Facts, Reader, Sink, SkippedLines, SocketRow, TcpState, Tracked};

/// Octets that decide what a text is.
const HEAD: u64 = 64 * 1024;
/// Octets read at once behind those.
const BLOCK: usize = 256 * 1024;
/// Rows of sockets, and of the connection tracker, that one input keeps.
const ROWS: usize = 100_000;

/// What one text input came to.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// The formats in it, in the order of their first lines.
    pub formats: Vec<&'static str>,
    /// Lines that gave facts.
    pub parsed: u64,
    /// Lines that could not be used, by reason.
    pub skipped: Vec<SkippedLines>,
    /// What it says; moved to its host when evidence is joined.
    pub facts: Facts,
}

/// Reads a whole text; `None` where it is not what a host says of itself. The octets read come with it: all of
/// them, or those that decided.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(number: u32, name: &str, reader: &mut dyn Read) -> io::Result<(Option<Text>, u64)> {
    let mut block = Vec::new();
    (&mut *reader).take(HEAD).read_to_end(&mut block)?;
    let mut bytes = block.len() as u64;
    if snapshot::recognise(name, &block).is_empty() {
        return Ok((None, bytes));
    }
    let mut rows = Rows::default();
    let mut lines = Reader::new(number, name);
    lines.feed(&block, &mut rows);
    block.resize(BLOCK, 0);
    loop {
        match reader.read(&mut block) {
            Ok(0) => break,
            Ok(length) => {
                bytes = bytes.saturating_add(length as u64);
                lines.feed(block.get(..length).unwrap_or(&[]), &mut rows);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut snapshot = lines.finish(&mut rows);
    let formats = snapshot.formats();
    snapshot.facts.append(rows.0);
    let text = Text { formats, parsed: snapshot.parsed, skipped: snapshot.skipped, facts: snapshot.facts };
    Ok((Some(text), bytes))
}

/// The rows that are kept.
#[derive(Default)]
struct Rows(Facts);

impl Sink for Rows {
    fn socket(&mut self, row: SocketRow) {
        if self.0.sockets.len() < ROWS || row.state == Some(TcpState::Listen) {
            self.0.sockets.push(row);
        }
    }

    fn tracked(&mut self, entry: Tracked) {
        if self.0.tracked.len() < ROWS {
            self.0.tracked.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_junk_and_long_listings_keep_their_listeners() {
        let read = |bytes: &[u8]| read(3, "x", &mut &*bytes).unwrap();
        assert!(read(&[0, 159, 146, 150, 7, 0, 1]).0.is_none());
        assert!(read(b"Dear all, the server is slow again.\n").0.is_none());
        let mut listing = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\n".to_owned();
        listing.push_str(&"TIME-WAIT 0 0 192.0.2.10:8080 192.0.2.1:4000\n".repeat(ROWS + 5));
        listing.push_str("LISTEN 3 2 0.0.0.0:8080 0.0.0.0:*\n");
        let (text, bytes) = read(listing.as_bytes());
        let text = text.unwrap();
        assert_eq!((text.formats, text.parsed, bytes), (vec!["ss"], ROWS as u64 + 6, listing.len() as u64));
        assert_eq!((text.facts.sockets.len(), text.facts.sockets[0].source.input), (ROWS + 1, 3));
        assert_eq!(text.facts.listings[0].counts.get(TcpState::TimeWait), ROWS as u64 + 5);
    }
}
