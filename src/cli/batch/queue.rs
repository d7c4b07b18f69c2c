//! Cases side by side, as many as memory allows.
//!
//! A case is reckoned with what a capture takes at most, 150 MiB, and its octets once more: a connection takes 220 bytes,
//! and its packets in a capture seldom fewer. One that is larger than all memory runs alone. The largest begin, so that
//! none of them is left over for the end.

use std::sync::{Condvar, Mutex, PoisonError};

use super::cases::Case;

/// Memory that a capture takes beside its connections.
const LEAST: u64 = 150 << 20;

/// What is going on.
#[derive(Default)]
struct Desk<T> {
    /// Places of cases that wait, the largest first.
    waiting: Vec<usize>,
    /// Memory reckoned for the cases at work.
    taken: u64,
    done: Vec<(usize, T)>,
}

/// Does the work for all that wait, at most `jobs` at a time within `memory`; what it gave comes with its place.
pub(super) fn run<T: Send>(
    cases: &[Case],
    waiting: &[usize],
    jobs: usize,
    memory: u64,
    work: &(dyn Fn(usize) -> T + Sync),
) -> Vec<(usize, T)> {
    let mut waiting = waiting.to_vec();
    let bytes = |place: usize| cases.get(place).map_or(0, |case| case.bytes);
    waiting.sort_by_key(|place| (std::cmp::Reverse(bytes(*place)), *place));
    let desk = Mutex::new(Desk { waiting, taken: 0, done: Vec::new() });
    let room = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let mut at_desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    let free = memory.saturating_sub(at_desk.taken);
                    let alone = at_desk.taken == 0;
                    let fits = |place: &usize| alone || reckoned(bytes(*place)) <= free;
                    if at_desk.waiting.is_empty() {
                        return;
                    }
                    let Some(next) = at_desk.waiting.iter().position(fits) else {
                        at_desk = room.wait(at_desk).unwrap_or_else(PoisonError::into_inner);
                        continue;
                    };
                    let place = at_desk.waiting.remove(next);
                    at_desk.taken = at_desk.taken.saturating_add(reckoned(bytes(place)));
                    drop(at_desk);
                    let gave = work(place);
                    at_desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
                    at_desk.taken = at_desk.taken.saturating_sub(reckoned(bytes(place)));
                    at_desk.done.push((place, gave));
                    room.notify_all();
                }
            });
        }
    });
    desk.into_inner().unwrap_or_else(PoisonError::into_inner).done
}

const fn reckoned(bytes: u64) -> u64 {
    bytes.saturating_add(LEAST)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn cases(bytes: &[u64]) -> Vec<Case> {
        let case = |bytes: &u64| Case {
            name: String::new(),
            folder: String::new(),
            inputs: Vec::new(),
            named: false,
            bytes: *bytes,
            files: Vec::new(),
        };
        bytes.iter().map(case).collect()
    }

    #[test]
    fn memory_is_never_taken_twice() {
        let cases = cases(&[10 << 20, 500 << 20, 0, 900 << 20, 40 << 20, 3 << 30, 1]);
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let all: Vec<usize> = (0..cases.len()).collect();
        let mut done = run(&cases, &all, 4, 1 << 30, &|place| {
            let mine = reckoned(cases[place].bytes);
            let total = now.fetch_add(mine, Ordering::SeqCst) + mine;
            if mine <= 1 << 30 {
                most.fetch_max(total, Ordering::SeqCst);
            } else {
                assert_eq!(total, mine, "it is larger than all memory, and runs alone");
            }
            std::thread::yield_now();
            now.fetch_sub(mine, Ordering::SeqCst);
            place
        });
        done.sort_unstable();
        assert_eq!(done, all.iter().map(|place| (*place, *place)).collect::<Vec<_>>());
        assert!(most.into_inner() <= 1 << 30);
    }

    #[test]
    fn the_largest_begins() {
        let cases = cases(&[1, 3, 2]);
        let order = Mutex::new(Vec::new());
        run(&cases, &[0, 1, 2], 1, 0, &|place| order.lock().unwrap().push(place));
        assert_eq!(order.into_inner().unwrap(), [1, 2, 0]);
    }
}
