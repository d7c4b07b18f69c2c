//! The threads of a run, lent to whoever walks all shards.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

/// The run's thread pool; without one, work is done in turn.
#[derive(Default)]
pub struct Workers(pub(super) Option<Arc<rayon::ThreadPool>>);

impl Workers {
    /// Applies `work` to every item, side by side; the results stand in the items' order.
    pub fn map<'i, I: Sync, T: Send>(&self, items: &'i [I], work: impl Fn(usize, &'i I) -> T + Sync) -> Vec<T> {
        match &self.0 {
            Some(pool) => pool.install(|| {
                let items = items.par_iter().with_max_len(most(items.len()));
                items.enumerate().map(|(place, item)| work(place, item)).collect()
            }),
            None => items.iter().enumerate().map(|(place, item)| work(place, item)).collect(),
        }
    }

    /// Does both, side by side.
    pub fn join<A: Send, B: Send>(&self, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
        match &self.0 {
            Some(pool) => pool.install(|| rayon::join(one, other)),
            None => (one(), other()),
        }
    }

    /// Sorts by a key that no two items share, or whose sharers are alike.
    pub fn sort_by_key<I: Send, K: Ord>(&self, items: &mut [I], key: impl Fn(&I) -> K + Sync) {
        match &self.0 {
            Some(pool) => pool.install(|| items.par_sort_unstable_by_key(&key)),
            None => items.sort_unstable_by_key(key),
        }
    }

    /// Sorts by a key, and what shares it by the `rest`: few items by one thread, many by all, which takes no memory.
    pub fn sort_by_keys<I: Copy + Send, K: Ord + Copy, R: Ord>(
        &self,
        items: &mut Vec<I>,
        key: impl Fn(&I) -> K + Sync,
        rest: impl Fn(&I) -> R + Sync,
    ) {
        if items.len() >= FOR_ALL_THREADS {
            return self.sort_by_key(items, |item| (key(item), rest(item)));
        }
        // Keys are sorted, and each item is moved once, when its place is known. Items that are in order piece by
        // piece, as those of several shards are, are joined by this sort.
        let mut order: Vec<(K, u32)> = items.iter().map(&key).zip(0..).collect();
        order.sort_by_key(|(key, _)| *key);
        let mut sorted = Vec::with_capacity(items.len());
        sorted.extend(order.iter().filter_map(|(_, place)| items.get(*place as usize).copied()));
        for same in sorted.chunk_by_mut(|one, next| key(one) == key(next)).filter(|same| same.len() > 1) {
            same.sort_by_key(&rest);
        }
        *items = sorted;
    }

    /// The same for items in no order at all.
    pub fn sort_mixed<I: Send, K: Ord>(&self, items: &mut [I], key: impl Fn(&I) -> K + Sync) {
        if items.len() < FOR_ALL_THREADS { items.sort_unstable_by_key(key) } else { self.sort_by_key(items, key) }
    }

    /// Applies `work` to every item, side by side, changing it.
    pub fn each<I: Send>(&self, items: &mut [I], work: impl Fn(&mut I) + Sync) {
        match &self.0 {
            Some(pool) => pool.install(|| {
                let most = most(items.len());
                items.par_iter_mut().with_max_len(most).for_each(&work);
            }),
            None => items.iter_mut().for_each(work),
        }
    }
}

/// Items that one thread takes at a time: few enough that none has nothing to do while another has much.
fn most(items: usize) -> usize {
    (items / 256).max(1)
}

/// Items that are worth all threads.
pub const FOR_ALL_THREADS: usize = 1 << 16;

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}
