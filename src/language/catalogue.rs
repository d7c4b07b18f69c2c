//! The Chinese sentences by their English ones: files that a translator edits, one an area.
//!
//! An English line, its Chinese line, an empty line; lines that begin with `#` name the source file. Placeholders in
//! braces are those of the English line, in any order. A count with its noun is `{count} SYN`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Every file of the catalogue.
const CHINESE: [&str; 3] =
    [include_str!("zh/diagnosis.txt"), include_str!("zh/hosts.txt"), include_str!("zh/report.txt")];

/// All Chinese templates by English template.
pub(super) fn chinese() -> &'static BTreeMap<&'static str, &'static str> {
    static PARSED: OnceLock<BTreeMap<&str, &str>> = OnceLock::new();
    PARSED.get_or_init(|| CHINESE.into_iter().flat_map(entries).collect())
}

/// The first two lines of every block; one without a partner is left out, and the test says so.
fn entries(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.split("\n\n").filter_map(|block| {
        let mut lines = block.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        Some((lines.next()?, lines.next()?))
    })
}
