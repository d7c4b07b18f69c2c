//! Tables as CSV, RFC 4180: a header line, fields quoted only where they must be.

use super::connections::{COLUMNS, Row};

/// The header line of the connection table.
#[must_use]
pub fn header() -> String {
    COLUMNS.map(|(name, _)| name).join(",") + "\n"
}

/// Appends one row of the connection table.
pub fn row(row: &Row<'_>, out: &mut String) {
    let mut separator = "";
    for (_, cell) in COLUMNS {
        out.push_str(separator);
        cell(row, out);
        separator = ",";
    }
    out.push('\n');
}
