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
//! The program is these stages in a row, and so is a program of your own:
//!
//! ```
//! use lastack::diagnosis::{Case, Thresholds, run_all};
//! use lastack::evidence::Evidence;
//! use lastack::{ingest, input};
//!
//! let (sources, _missing) = input::expand(&["fixtures/captures/a_recycle_on_snat.pcap".into()]);
//! let reading = ingest::read(&sources, 2, &|_octets| {})?;
//! let evidence = Evidence::new(reading.inputs, reading.parts);
//! let thresholds = Thresholds::default();
//! let verdict = run_all(&Case::new(&evidence, &thresholds));
//!
//! let worst = &verdict.found[0];
//! assert_eq!(worst.rule, "SYN001"); // the per-host timestamp check of tcp_tw_recycle
//! assert!(!worst.exhibits.is_empty()); // no exhibit, no finding
//! # Ok::<(), lastack::ingest::NoThreads>(())
//! ```
#![warn(missing_docs)]
// Input must never make the program panic, and only `cli` writes to the terminal.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]
// The order of a hash table must not reach a report.
#![warn(clippy::iter_over_hash_type)]

pub mod capture;
pub mod cli;
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
