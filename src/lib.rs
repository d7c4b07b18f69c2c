//! `lastack` reads packet captures and system snapshots that somebody else recorded, and says why TCP
//! connections failed to open, close or be reused, with the packets that prove it.
#![warn(missing_docs)]

pub mod capture;
pub mod cli;
pub mod connection;
pub mod diagnosis;
pub mod error;
pub mod evidence;
pub mod ingest;
pub mod input;
pub mod report;
pub mod segment;
pub mod time;
