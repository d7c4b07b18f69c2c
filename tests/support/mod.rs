//! What the integration tests share; each test binary takes the part it needs.
#![allow(dead_code, unused_imports)] // A test binary that uses one helper still compiles them all.

pub mod analysis;
pub mod capture_file;
pub mod expected;
pub mod flow;
pub mod frames;
pub mod program;
pub mod property;
