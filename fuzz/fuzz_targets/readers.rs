//! `src/readers.rs` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lastack_fuzz::readers::run(data));
