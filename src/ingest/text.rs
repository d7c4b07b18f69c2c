//! Text inputs: whether a file is what a host says of itself, and if so, its facts.
//!
//! The first octets decide, so that a big file of anything else costs one block. A file is read in blocks and
//! never held whole; of endless listings the listening sockets and the first rows are kept, and the counts of all.
//! Behind the rows that are kept, blocks of a listing are folded side by side; blocks end at fixed places, and what
//! they give is added in their order, so that the number of threads does not show.

use std::io::{self, Read};

use rayon::prelude::*;

use crate::snapshot::{self, Facts, Reader, Sink, SkippedLines, SocketRow, TcpState, Tracked};

/// Octets that decide what a text is.
const HEAD: u64 = 64 * 1024;
/// Octets read at once behind those.
const BLOCK: usize = 256 * 1024;
/// Octets of a block of a long listing.
const LONG_BLOCK: u64 = 1 << 20;
/// Blocks of a long listing that each thread folds before the next ones are read.
const BLOCKS_A_THREAD: usize = 4;
/// Rows of sockets, and of the connection tracker, that one input keeps.
const ROWS: usize = 65_536;

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
pub(super) fn read(
    number: u32,
    name: &str,
    reader: &mut (dyn Read + Send),
    pool: &rayon::ThreadPool,
) -> io::Result<(Option<Text>, u64)> {
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
    let mut long = LongListing::default();
    loop {
        if rows.0.sockets.len() >= ROWS && lines.folder().is_some() {
            bytes = bytes.saturating_add(long.read(reader, pool, &mut lines, &mut rows)?);
        }
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

/// Blocks of a long listing: those that are folded, and those that are read meanwhile.
#[derive(Default)]
struct LongListing {
    current: Window,
    next: Window,
    /// The line that the last block cut.
    rest: Vec<u8>,
}

/// Blocks of whole lines.
#[derive(Default)]
struct Window {
    blocks: Vec<Vec<u8>>,
    filled: usize,
    /// Octets read.
    bytes: u64,
    /// Nothing comes after it.
    ended: bool,
}

impl Window {
    /// Reads as many blocks as there are; each ends with a line, and what is left goes before the next.
    fn fill(&mut self, rest: &mut Vec<u8>, reader: &mut (dyn Read + Send)) -> io::Result<()> {
        (self.filled, self.bytes) = (0, 0);
        for block in &mut self.blocks {
            block.clear();
            block.append(rest);
            let length = (&mut *reader).take(LONG_BLOCK).read_to_end(block)? as u64;
            self.bytes = self.bytes.saturating_add(length);
            self.filled = self.filled.saturating_add(1);
            let end = memchr::memrchr(b'\n', block).map_or(0, |at| at.saturating_add(1));
            *rest = block.split_off(end);
            self.ended = length < LONG_BLOCK;
            if self.ended {
                break;
            }
        }
        Ok(())
    }

    fn blocks(&self) -> &[Vec<u8>] {
        self.blocks.get(..self.filled).unwrap_or_default()
    }
}

impl LongListing {
    /// Reads on while rows can be folded, or to the end; gives the octets read.
    fn read(
        &mut self,
        reader: &mut (dyn Read + Send),
        pool: &rayon::ThreadPool,
        lines: &mut Reader,
        rows: &mut Rows,
    ) -> io::Result<u64> {
        let blocks = BLOCKS_A_THREAD.saturating_mul(pool.current_num_threads());
        self.current.blocks.resize(blocks, Vec::new());
        self.next.blocks.resize(blocks, Vec::new());
        let Self { current, next, rest } = self;
        current.fill(rest, reader)?;
        let mut bytes = current.bytes;
        loop {
            let Some(folder) = lines.folder() else {
                current.blocks().iter().for_each(|block| lines.feed(block, rows));
                break;
            };
            let folder = if rows.is_full() { folder.with_rare_states() } else { folder };
            let read = || if current.ended { Ok(()) } else { next.fill(rest, reader) };
            let fold = || current.blocks().par_iter().map(|block| folder.fold(block)).collect::<Vec<_>>();
            let (read, folded) = pool.install(|| rayon::join(read, fold));
            let mut same = true;
            for (folded, block) in folded.into_iter().zip(current.blocks()) {
                if same {
                    same = lines.take(folded, block, rows);
                } else {
                    lines.feed(block, rows);
                }
            }
            read?;
            if current.ended {
                break;
            }
            bytes = bytes.saturating_add(next.bytes);
            std::mem::swap(current, next);
        }
        lines.feed(&std::mem::take(rest), rows);
        Ok(bytes)
    }
}

/// The rows that are kept.
#[derive(Default)]
struct Rows(Facts);

impl Rows {
    /// Whether no more rows are kept but those of listening sockets.
    fn is_full(&self) -> bool {
        self.0.sockets.len() >= ROWS.saturating_mul(2)
    }
}

impl Sink for Rows {
    fn socket(&mut self, row: SocketRow) {
        // Rows that come by the million are counted; the few others are the ones that rules look at one by one.
        let common =
            matches!(row.state, Some(TcpState::Established | TcpState::TimeWait | TcpState::SynReceived) | None);
        let room = if common { ROWS } else { ROWS.saturating_mul(2) };
        if self.0.sockets.len() < room || row.state == Some(TcpState::Listen) {
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
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let read = |bytes: &[u8]| read(3, "x", &mut &*bytes, &pool).unwrap();
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
