//! The charts as PNG files in `charts/`.

use std::io;

use super::{Material, Output};

/// Writes one file a chart; charts are drawn and packed side by side, as many as there are threads.
///
/// # Errors
/// If a chart cannot be drawn or written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let workers = &material.evidence.workers;
    let drawn = workers.map(&material.charts, |_, (_, chart)| material.zone.shown_while(|| chart.png()));
    for ((entry, _), png) in material.charts.iter().zip(drawn) {
        let png = png.map_err(io::Error::other)?;
        output.file(&format!("charts/{}.png", entry.name), &mut |file| file.write_all(&png))?;
    }
    Ok(())
}
