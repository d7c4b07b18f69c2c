//! What the integration tests share; each test binary takes the part it needs.
#![allow(dead_code)] // A test binary that uses one helper still compiles them all.

pub mod flow;
