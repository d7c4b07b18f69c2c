//! How much may be unpacked from how little: what keeps a few kilobytes from becoming terabytes.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Octets that may be unpacked whatever they were packed into.
const FREE: u64 = 64 << 20;
/// Captures shrink to a fifth, floods of equal packets to a fiftieth; deflate alone can reach a thousandth.
const MOST_RATIO: u64 = 500;

/// Octets read of one file or stream, and octets unpacked from them, by all layers together.
#[derive(Debug)]
pub(super) struct Budget {
    /// What can be read at most; parts of an archive that overlap are not read for more.
    size: u64,
    read: AtomicU64,
    made: AtomicU64,
}

impl Budget {
    /// For something of a known size.
    pub(super) fn of(size: u64) -> Arc<Self> {
        Arc::new(Self { size, read: AtomicU64::new(0), made: AtomicU64::new(0) })
    }

    /// For a stream that ends when it ends.
    pub(super) fn endless() -> Arc<Self> {
        Self::of(u64::MAX)
    }

    /// Counts octets that were read.
    pub(super) fn count(&self, length: usize) {
        self.read.fetch_add(length as u64, Ordering::Relaxed);
    }

    /// Takes `length` octets that were unpacked.
    fn take(&self, length: usize) -> io::Result<()> {
        let made = self.made.fetch_add(length as u64, Ordering::Relaxed).saturating_add(length as u64);
        let read = self.read.load(Ordering::Relaxed).min(self.size);
        if made <= FREE.saturating_add(read.saturating_mul(MOST_RATIO)) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{made} bytes came of {read}, more than {MOST_RATIO} to one: a decompression bomb is not read on; \
             if it is none, unpack it and give what comes of it"
        )))
    }
}

/// Tells how many octets of a file or pipe have been read for what came of them, unpacked or not. The default knows
/// nothing, and says 0.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Option<Arc<Budget>>);

impl Gauge {
    pub(super) fn of(budget: &Arc<Budget>) -> Self {
        Self(Some(Arc::clone(budget)))
    }

    /// Octets read so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.0.as_ref().map_or(0, |budget| budget.read.load(Ordering::Relaxed).min(budget.size))
    }
}

/// Counts what is read; of what is read ahead, what is taken: how much may come of it must not depend on how fast a thread
/// or a disk is.
pub(super) struct Counted<R> {
    inner: R,
    budget: Arc<Budget>,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R, budget: Arc<Budget>) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.budget.count(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, octets: usize) {
        self.budget.count(octets);
        self.inner.consume(octets);
    }
}

impl<R: io::Seek> io::Seek for Counted<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Counts what comes of unpacking, and ends it where that is too much.
pub(super) struct Limited<R> {
    inner: R,
    budget: Arc<Budget>,
}

impl<R> Limited<R> {
    pub(super) fn new(inner: R, budget: Arc<Budget>) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.budget.take(length)?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_unread_is_not_counted() {
        let budget = Budget::endless();
        let mut counted = Counted::new(io::BufReader::new(io::repeat(1)), Arc::clone(&budget));
        assert!(counted.fill_buf().unwrap().len() > 100);
        counted.consume(30);
        counted.read_exact(&mut [0; 12]).unwrap();
        assert_eq!(Gauge::of(&budget).octets(), 42);
    }

    #[test]
    fn what_grows_without_measure_is_ended_and_the_rest_is_not() {
        let budget = Budget::of(1000);
        let mut small = Counted::new(io::repeat(1).take(1000), Arc::clone(&budget));
        io::copy(&mut small, &mut io::sink()).unwrap();
        let allowed = FREE + 1000 * MOST_RATIO;
        let mut fits = Limited::new(io::repeat(0).take(allowed), Arc::clone(&budget));
        assert_eq!(io::copy(&mut fits, &mut io::sink()).unwrap(), allowed);
        let mut more = Limited::new(io::repeat(0).take(1), budget);
        let error = io::copy(&mut more, &mut io::sink()).unwrap_err().to_string();
        assert!(error.contains("more than 500 to one"), "{error}");
    }
}
