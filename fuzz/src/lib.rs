//! What is fuzzed, a function a target: libFuzzer calls it from `fuzz_targets/`, and `tests/fuzzed.rs` with every input
//! that once went wrong.

pub mod analysis;
pub mod decoder;
pub mod inputs;
pub mod readers;
pub mod snapshot;
pub mod tracker;
