//! The table that finds a socket pair's record: open addressing over one 64-bit word a place.
//!
//! The hot path feeds segments in runs; for each run the words and then the records are read once ahead, so
//! that their cache misses overlap. With a million connections alive that halves the time of tracking.

use std::hint::black_box;

/// Places are found by the lower bits of a 32-bit hash; the whole hash is kept beside the index, so that
/// a record is looked at only where it is very likely the one.
#[derive(Debug)]
pub(super) struct Table {
    /// The hash in the upper half, the index in the lower; [`FREE`] where empty.
    words: Vec<u64>,
    taken: usize,
}

const SMALLEST: usize = 64;
/// Not zero: pages that are written when the table is made need no second page fault once a record comes.
const FREE: u64 = u64::MAX;
/// The index in a free word: there are never so many records.
const NONE: u32 = u32::MAX;

impl Table {
    pub(super) fn new() -> Self {
        Self { words: vec![FREE; SMALLEST], taken: 0 }
    }

    /// The record with this hash to which `same` says something: the place of its word, its index, and what was said.
    #[inline]
    pub(super) fn find<T>(&self, hash: u32, mut same: impl FnMut(u32) -> Option<T>) -> Option<(usize, u32, T)> {
        let mask = self.words.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            match self.words.get(place).copied().map(unpack) {
                Some((_, NONE)) | None => return None,
                Some((tag, index)) => {
                    if tag == hash
                        && let Some(said) = same(index)
                    {
                        return Some((place, index, said));
                    }
                    place = (place + 1) & mask;
                }
            }
        }
    }

    /// Adds a record that is not there yet.
    pub(super) fn insert(&mut self, hash: u32, index: u32) {
        // At most five eighths are taken, so that most words stand at their first place; half would take too much memory.
        if (self.taken + 1) * 8 > self.words.len() * 5 {
            self.grow();
        }
        self.taken += 1;
        self.put(pack(hash, index));
    }

    /// Lets the word at `place` name another record of the same socket pair.
    pub(super) fn replace(&mut self, place: usize, hash: u32, index: u32) {
        if let Some(word) = self.words.get_mut(place) {
            *word = pack(hash, index);
        }
    }

    /// Fetches the words at the first places of some hashes. Nothing is asked of them: a branch guessed wrong would keep
    /// the others from being on their way, too.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn fetch(&self, hashes: impl Iterator<Item = u32>) {
        let mask = self.words.len() - 1;
        let words = hashes.map(|hash| self.words.get(hash as usize & mask).map_or(0, |word| *word as u32));
        touch(words.fold(0, |sum, word| sum ^ word));
    }

    /// The index in the word at a hash's first place, where it is that hash's own; `u32::MAX` where another's record
    /// would be fetched in vain.
    #[inline]
    pub(super) fn peek(&self, hash: u32) -> u32 {
        let word = self.words.get(hash as usize & (self.words.len() - 1)).copied().unwrap_or(FREE);
        let (tag, index) = unpack(word);
        if tag == hash { index } else { NONE }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.words);
        self.words = vec![FREE; old.len() * 2];
        old.into_iter().filter(|word| *word != FREE).for_each(|word| self.put(word));
    }

    fn put(&mut self, word: u64) {
        let mask = self.words.len() - 1;
        let mut place = unpack(word).0 as usize & mask;
        loop {
            match self.words.get_mut(place) {
                Some(free) if *free == FREE => {
                    *free = word;
                    return;
                }
                Some(_) => place = (place + 1) & mask,
                None => return,
            }
        }
    }
}

/// Makes the processor fetch what `sum` was computed from, without using it.
#[inline]
pub(super) fn touch(sum: u32) {
    black_box(sum);
}

#[inline]
const fn pack(hash: u32, index: u32) -> u64 {
    (hash as u64) << 32 | index as u64
}

#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_among_equal_hashes() {
        let mut table = Table::new();
        for index in 0..1000 {
            table.insert(index % 7, index);
        }
        for index in 0..1000 {
            let same = |found| (found == index).then_some('a');
            assert_eq!(table.find(index % 7, same).map(|(_, index, said)| (index, said)), Some((index, 'a')));
        }
        assert_eq!(table.find(3, |_| None::<()>), None);
        assert_eq!(table.find(8, |_| Some(())), None);
    }
}
