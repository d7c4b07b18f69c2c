//! Findings become reports: one format a file, one chart a file.

pub mod connections;
pub mod csv;
