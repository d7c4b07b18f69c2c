//! Properties with bounded effort, the same cases on every run.

use proptest::test_runner::{Config, RngSeed};

/// So many cases; `PROPTEST_RNG_SEED` asks for others than the usual ones.
pub fn config(cases: u32) -> Config {
    let usual = Config { cases, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    match std::env::var_os("PROPTEST_RNG_SEED") {
        Some(_) => usual,
        None => Config { rng_seed: RngSeed::Fixed(0x1a57_ac4e), ..usual },
    }
}

/// Numbers that follow from a seed (SplitMix64, Steele, Lea and Flood 2014): for inputs too large to be drawn one by one.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
