//! The pictures of a report: plain data in, PNG or SVG out.
//!
//! Every chart is a file below this one: it turns its data into a scene, a list of shapes (`scene`). One piece of code
//! (`paint`) draws scenes on any backend of `plotters`, so a PNG and an SVG show the same. Charts know nothing of
//! captures: whoever has the facts fills their data. The same data gives the same bytes.

use std::error::Error;
use std::io;

use crate::language::{Text, say};

mod attempts;
mod axis;
mod closes;
mod closes_over_time;
mod colour;
mod echo_times;
mod font;
mod frame;
mod ladder;
mod metrics;
mod paint;
mod png;
mod population;
mod ports_held;
mod reuse_intervals;
mod scene;
mod steps;
mod svg;
mod syn_timestamps;
mod thin;

pub use attempts::{AttemptMark, Attempts};
pub use closes::{CloseCount, Closes};
pub use closes_over_time::ClosesOverTime;
pub use echo_times::{EchoAxis, EchoMark, EchoTimes};
pub use ladder::{Arrow, Ladder, LadderRow};
pub use population::{Limit, Population, PopulationLine};
pub use ports_held::{Forecast, PortsHeld};
pub use reuse_intervals::{Reuse, ReuseIntervals, ReuseOutcome};
pub use syn_timestamps::{Remembered, SynFate, SynMark, SynTimestamps};

/// One picture of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// The stem of its file name.
    pub name: String,
    /// What it shows, as a headline; it is drawn in English, for whose letters the font is.
    pub title: Text,
    /// One sentence below the title, such as the addresses it is about; may be empty.
    pub note: String,
    /// What is drawn.
    pub picture: Picture,
}

/// The data of one picture; what it looks like is told in the file of each.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// The timestamps of SYNs against the value the server remembers.
    SynTimestamps(SynTimestamps),
    /// How soon socket pairs were used again.
    ReuseIntervals(ReuseIntervals),
    /// How connections ended.
    Closes(Closes),
    /// When connections closed, by kind.
    ClosesOverTime(ClosesOverTime),
    /// Sockets in TIME-WAIT over time.
    Population(Population),
    /// Ephemeral ports in use over time.
    PortsHeld(PortsHeld),
    /// Round-trip times of echo requests.
    EchoTimes(EchoTimes),
    /// Attempts to connect over time, and why some failed.
    Attempts(Attempts),
    /// The segments of one connection, one after the other.
    Ladder(Ladder),
}

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The embedded font is damaged.
    #[error("the embedded font cannot be read")]
    Font,
    /// The drawing library failed.
    #[error("drawing failed")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
    /// The picture could not be compressed.
    #[error("the PNG could not be written")]
    Encode(#[source] io::Error),
}

impl Chart {
    /// The picture as a PNG of 2000 pixels width on white.
    ///
    /// # Errors
    /// When the drawing library or the compressor fails.
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        paint::png(&self.scene())
    }

    /// The picture as an SVG document of 1000 pixels width with a transparent background.
    ///
    /// Its root has the class `lastack-chart`; text is in the colour of that element, which a page may set.
    ///
    /// # Errors
    /// When the drawing library fails.
    pub fn svg(&self) -> Result<String, DrawError> {
        paint::svg(&self.scene(), &self.title, &self.alt())
    }

    /// The picture in words, for readers who cannot see it.
    #[must_use]
    pub fn alt(&self) -> Text {
        let said = match &self.picture {
            Picture::SynTimestamps(data) => data.describe(),
            Picture::ReuseIntervals(data) => data.describe(),
            Picture::Closes(data) => data.describe(),
            Picture::ClosesOverTime(data) => data.describe(),
            Picture::Population(data) => data.describe(),
            Picture::PortsHeld(data) => data.describe(),
            Picture::EchoTimes(data) => data.describe(),
            Picture::Attempts(data) => data.describe(),
            Picture::Ladder(data) => data.describe(),
        };
        say!("{title}: {said}", title = &self.title, said)
    }

    fn scene(&self) -> scene::Scene {
        let head = frame::Head { title: &self.title, note: &self.note };
        match &self.picture {
            Picture::SynTimestamps(data) => data.scene(head),
            Picture::ReuseIntervals(data) => data.scene(head),
            Picture::Closes(data) => data.scene(head),
            Picture::ClosesOverTime(data) => data.scene(head),
            Picture::Population(data) => data.scene(head),
            Picture::PortsHeld(data) => data.scene(head),
            Picture::EchoTimes(data) => data.scene(head),
            Picture::Attempts(data) => data.scene(head),
            Picture::Ladder(data) => data.scene(head),
        }
    }
}

#[cfg(test)]
pub(crate) mod check {
    //! What every chart is held to.

    use super::*;

    /// A chart with some title around the picture.
    pub fn chart(name: &str, picture: Picture) -> Chart {
        let note = "198.51.100.7 → 192.0.2.80:443 at point p1".to_owned();
        Chart { name: name.to_owned(), title: Text::value(format!("A test of {name}")), note, picture }
    }

    /// Draws the picture twice in both formats and checks what holds for all; returns the SVG.
    ///
    /// With `CHART_DIR` set, the files are left there to be looked at.
    #[track_caller]
    pub fn draws(name: &str, picture: Picture, expected: &[&str]) -> String {
        let chart = chart(name, picture);
        scene::check::tidy(&chart.scene());
        let (png, svg) = (chart.png().unwrap(), chart.svg().unwrap());
        if let Some(folder) = std::env::var_os("CHART_DIR") {
            let folder = std::path::PathBuf::from(folder);
            std::fs::write(folder.join(format!("{name}.png")), &png).unwrap();
            std::fs::write(folder.join(format!("{name}.svg")), &svg).unwrap();
        }
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert!(png == chart.png().unwrap() && svg == chart.svg().unwrap(), "the bytes differ");
        assert!(svg.len() < 300_000, "{} bytes of SVG", svg.len());
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>"));
        assert_eq!(svg.matches("http").count(), 1, "only the name space may look like an address");
        for label in expected {
            assert!(svg.contains(&svg::escaped(label)), "{label:?} is missing");
        }
        svg
    }
}
