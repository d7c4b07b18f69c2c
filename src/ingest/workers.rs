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

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Does both, side by side.
    pub fn join<A: Send, B: Send>(&self, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
        match &self.0 {
            Some(pool) => pool.install(|| rayon::join(one, other)),
            None => (one(), other()),
        }
    }

    /// Does one on the run's threads, and the other meanwhile on the thread that calls, which may hold what no other can.
    pub fn beside<A: Default + Send, B>(&self, one: impl FnOnce() -> A + Send, own: impl FnOnce() -> B) -> (A, B) {
        match &self.0 {
            Some(pool) if pool.current_num_threads() > 1 => {
                let mut done = A::default();
                let own = pool.in_place_scope(|scope| {
                    scope.spawn(|_| done = one());
                    own()
                });
                (done, own)
            }
            _ => (one(), own()),
        }
    }

    /// Sorts by a key that no two items share, or whose sharers are alike.
    pub fn sort_by_key<I: Send, K: Ord>(&self, items: &mut [I], key: impl Fn(&I) -> K + Sync) {
        match &self.0 {
            Some(pool) => pool.install(|| items.par_sort_unstable_by_key(&key)),
            None => items.sort_unstable_by_key(key),
        }
    }

    /// Sorts by a number, and what shares it by the `rest`: few items by one thread, many by all, which takes no memory.
    pub fn sort_by_keys<I: Copy + Send, K: Ord + radsort::Key, R: Ord>(
        &self,
        items: &mut Vec<I>,
        key: impl Fn(&I) -> K + Sync,
        rest: impl Fn(&I) -> R + Sync,
    ) {
        if items.len() >= FOR_ALL_THREADS {
            return self.sort_by_key(items, |item| (key(item), rest(item)));
        }
        // Keys are sorted, and each item is moved once, when its place is known.
        let mut order: Vec<(K, u32)> = items.iter().map(&key).zip(0..).collect();
        sort_by_number(&mut order, |(key, _)| *key);
        let mut sorted = Vec::with_capacity(items.len());
        sorted.extend(order.iter().filter_map(|(_, place)| items.get(*place as usize).copied()));
        if order.windows(2).any(|pair| matches!(pair, [(one, _), (next, _)] if one == next)) {
            for same in sorted.chunk_by_mut(|one, next| key(one) == key(next)).filter(|same| same.len() > 1) {
                same.sort_by_key(&rest);
            }
        }
        *items = sorted;
    }

    /// Sorts by a number that no two items share: few items by one thread, many by all, which takes no memory.
    pub fn sort_by_number<I: Send, K: Ord + radsort::Key>(&self, items: &mut [I], key: impl Fn(&I) -> K + Sync) {
        if items.len() < FOR_ALL_THREADS { sort_by_number(items, key) } else { self.sort_by_key(items, key) }
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

/// Sorts by a number; what shares one stays in its order. Digit by digit, which does half as much as comparing does, and
/// takes as much memory again as the items.
fn sort_by_number<I, K: Ord + radsort::Key>(items: &mut [I], key: impl Fn(&I) -> K) {
    /// Fewer are sorted before the digits of one are counted.
    const FEW: usize = 256;
    if items.len() < FEW {
        items.sort_by_key(key);
    } else if !items.is_sorted_by_key(&key) {
        radsort::sort_by_key(items, key);
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
