//! `lastack` reads packet captures and system snapshots that somebody else recorded, and says why TCP
//! connections failed to open, close or be reused, with the packets that prove it.
//!
//! Data flows one way, one module a stage, and imports point to the left only:
//!
//! ```text
//! input ─► capture ─► segment ─► connection ─► evidence ─► diagnosis ─► report ─► cli
//! paths    packets    TCP        incarnations  merged,     findings     json,     exit
//!                     segments   and closes    joined                   html, …   status
//!          └───────── ingest: on all cores ───┘
//!          snapshot: text to facts of hosts ──┘
//! ```
//!
//! [`analyze`] goes the whole way in one call:
//!
//! ```
//! let captures = ["fixtures/captures/a_recycle_on_snat.pcap"];
//! let analysis = lastack::analyze(captures, &lastack::Options::default())?;
//!
//! let worst = &analysis.report.findings[0];
//! assert_eq!(worst.rule, "SYN001"); // the per-host timestamp check of tcp_tw_recycle
//! assert!(!worst.exhibits.is_empty()); // no exhibit, no finding
//! # Ok::<(), lastack::ingest::NoThreads>(())
//! ```
//!
//! [`analysis`] is these stages in a row, and so is a program of your own that wants more than the report.
#![warn(missing_docs)]
// Input must never make the program panic, and only `cli` writes to the terminal.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]
// The order of a hash table must not reach a report.
#![warn(clippy::iter_over_hash_type)]

pub mod analysis;
pub mod capture;
pub mod cli;
#[cfg(feature = "columns")]
pub mod columns;
pub mod connection;
pub mod diagnosis;
pub mod error;
pub mod evidence;
pub mod ingest;
pub mod input;
pub mod language;
pub mod redact;
pub mod report;
pub mod segment;
pub mod snapshot;
pub mod time;

pub use analysis::{Analysis, Options, analyze};
