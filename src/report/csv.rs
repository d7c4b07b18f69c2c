//! `connections.csv`: the connection table as CSV.

use std::io;

use super::connections::{columns, rows};
use super::table::write_csv;
use super::{Material, Output};

/// Writes `connections.csv`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    output.file("connections.csv", &mut |file| {
        write_csv(&columns(), rows(material.evidence), &material.evidence.workers, file)
    })
}
