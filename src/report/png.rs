//! The charts as PNG files in `charts/`.

use std::io;

use super::{Material, Output};

/// Writes one file a chart.
///
/// # Errors
/// If a chart cannot be drawn or written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    for (entry, chart) in &material.charts {
        let png = material.zone.shown_while(|| chart.png()).map_err(io::Error::other)?;
        output.file(&format!("charts/{}.png", entry.name), &mut |file| file.write_all(&png))?;
    }
    Ok(())
}
