//! What is packed, read ahead by a thread of its own: whoever unpacks is what takes longest, and copying from the page
//! cache, or waiting for a disk, would be a tenth of its time.

use std::io::{self, BufRead, Read};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Unread;

/// Octets read at once.
const BLOCK: usize = 256 * 1024;
/// Blocks that wait at most.
const WAITING: usize = 4;
/// Blocks that are read as they are asked for: a small file is worth no thread.
const WITHOUT_THREAD: usize = 4;

/// A stream that is read ahead.
pub(super) struct Ahead {
    block: Vec<u8>,
    /// Octets of the block that were taken.
    taken: usize,
    source: Source,
}

/// Where the next block comes from.
enum Source {
    /// The stream itself, of which so many blocks have been read.
    Stream(Unread, usize),
    /// The thread that reads it, which gets its blocks back.
    Thread { blocks: Receiver<io::Result<Vec<u8>>>, spare: Sender<Vec<u8>> },
    /// Nothing comes any more.
    Ended,
}

impl Ahead {
    pub(super) const fn new(stream: Unread) -> Self {
        Self { block: Vec::new(), taken: 0, source: Source::Stream(stream, 0) }
    }

    /// Gets the next block, an empty one at the end.
    fn advance(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        self.taken = 0;
        match &mut self.source {
            Source::Stream(stream, read) if *read < WITHOUT_THREAD => {
                *read += 1;
                self.block = next(stream, block)?;
            }
            Source::Stream(..) => {
                if let Source::Stream(stream, _) = std::mem::replace(&mut self.source, Source::Ended) {
                    self.source = begin(stream)?;
                    return self.advance();
                }
            }
            Source::Thread { blocks, spare } => {
                // A full channel, or a thread that has ended, wants no block back.
                let _ = spare.try_send(block);
                match blocks.recv() {
                    Ok(Ok(block)) if !block.is_empty() => self.block = block,
                    Ok(last) => {
                        self.source = Source::Ended;
                        self.block = last?;
                    }
                    // The thread says how the stream ended; it cannot have ended well without.
                    Err(_) => {
                        self.source = Source::Ended;
                        return Err(io::Error::other("the thread that reads ahead broke off"));
                    }
                }
            }
            Source::Ended => {}
        }
        Ok(())
    }
}

/// Starts the thread.
fn begin(mut stream: Unread) -> io::Result<Source> {
    let (send, blocks) = bounded(WAITING);
    let (spare, returned) = bounded::<Vec<u8>>(WAITING);
    let read = move || {
        loop {
            let read = next(&mut stream, returned.try_recv().unwrap_or_default());
            let last = read.as_ref().map_or(true, Vec::is_empty);
            if send.send(read).is_err() || last {
                return;
            }
        }
    };
    std::thread::Builder::new().name("read".to_owned()).spawn(read)?;
    Ok(Source::Thread { blocks, spare })
}

/// Reads a block, as much as there is at once: of a pipe nobody waits for more.
fn next(stream: &mut Unread, mut block: Vec<u8>) -> io::Result<Vec<u8>> {
    block.resize(BLOCK, 0);
    loop {
        match stream.read(&mut block) {
            Ok(length) => {
                block.truncate(length);
                return Ok(block);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.block.len() {
            self.advance()?;
        }
        Ok(self.block.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, octets: usize) {
        self.taken = self.taken.saturating_add(octets).min(self.block.len());
    }
}

impl Read for Ahead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn gives_what_the_stream_gives() {
        for blocks in [0, 1, 4, 5, 20] {
            for more in [0, 1, 1000] {
                let octets: Vec<u8> = (0..blocks * BLOCK + more).map(|place| (place % 251) as u8).collect();
                let mut read = Vec::new();
                Ahead::new(Box::new(Cursor::new(octets.clone()))).read_to_end(&mut read).unwrap();
                assert!(read == octets, "{blocks} blocks and {more} octets");
            }
        }
    }

    #[test]
    fn tells_how_a_stream_broke_off_behind_what_came_before() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        for blocks in [0, 3, 4, 9] {
            let whole = io::repeat(7).take((blocks * BLOCK) as u64).chain(Broken);
            let mut read = Vec::new();
            let error = Ahead::new(Box::new(whole)).read_to_end(&mut read).unwrap_err();
            assert_eq!((read.len(), error.to_string()), (blocks * BLOCK, "broken".to_owned()));
        }
    }

    #[test]
    fn a_stream_without_end_need_not_be_read_whole() {
        let mut ahead = Ahead::new(Box::new(io::repeat(7)));
        let mut read = vec![0; 8 * BLOCK];
        ahead.read_exact(&mut read).unwrap();
        assert_eq!(read.last(), Some(&7));
    }
}
