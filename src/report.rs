//! Findings become reports: one format a file, one chart a file. Nothing here opens a file: an [`Output`] does.

mod build;
pub mod chart;
mod closing;
pub mod connections;
pub mod csv;
pub mod gate;
mod github;
mod hosts;
pub mod html;
pub mod index;
pub mod json;
mod jsonl;
mod junit;
mod markdown;
pub mod model;
mod page;
#[cfg(feature = "columns")]
pub mod parquet;
pub mod past;
mod pictures;
mod pings;
mod png;
mod sarif;
pub mod syns;
pub mod table;
mod text;
mod words;
mod zone;

use std::io::{self, Write};

pub use self::text::visible;
pub use self::zone::{Zone, ZoneError};

use self::chart::Chart;
use self::model::{ChartEntry, Report};
use crate::diagnosis::{Case, Verdict};
use crate::evidence::Evidence;
use crate::ingest::{Row, Wanted};

/// Everything that a format may render.
#[derive(Debug)]
pub struct Material<'a> {
    /// For tables that are too long for the report value.
    pub evidence: &'a Evidence,
    /// The report.
    pub report: Report,
    /// Its charts.
    pub charts: Vec<(ChartEntry, Chart)>,
    /// The zone that formats for people show times in.
    pub zone: Zone,
}

/// Where a format's files go.
pub trait Output {
    /// Makes one file and lets `write` fill it.
    ///
    /// # Errors
    /// If it cannot be made or filled.
    fn file(&mut self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()>;
}

/// A way to show a report.
#[derive(Debug)]
pub struct Format {
    /// As `--format` names it.
    pub name: &'static str,
    /// Whether it shows charts.
    pub charts: bool,
    /// Whether it looks at the evidence, and not only at what the report says of it.
    pub evidence: bool,
    /// Writes its files.
    pub render: fn(&Material<'_>, &mut dyn Output) -> io::Result<()>,
}

/// All formats.
pub static FORMATS: [Format; 9] = [
    Format { name: "html", charts: true, evidence: true, render: page::html },
    Format { name: "png", charts: true, evidence: true, render: png::render },
    Format { name: "json", charts: false, evidence: false, render: json::render },
    Format { name: "md", charts: false, evidence: false, render: page::markdown },
    Format { name: "csv", charts: false, evidence: true, render: csv::render },
    Format { name: "jsonl", charts: false, evidence: false, render: jsonl::render },
    Format { name: "junit", charts: false, evidence: false, render: junit::render },
    Format { name: "sarif", charts: false, evidence: false, render: sarif::render },
    Format { name: "github", charts: false, evidence: false, render: github::render },
];

impl<'a> Material<'a> {
    /// Builds the report; with `charts`, what its pictures show as well.
    #[must_use]
    pub fn new(case: &Case<'a>, verdict: Verdict, charts: bool) -> Self {
        Self::with_packets(case, verdict, charts, &|_| Vec::new())
    }

    /// As [`Material::new`], with single connections drawn packet by packet; `again` reads the segments of those wanted.
    #[must_use]
    pub fn with_packets(
        case: &Case<'a>,
        verdict: Verdict,
        charts: bool,
        again: &(dyn Fn(&[Wanted]) -> Vec<Vec<Row>> + Sync),
    ) -> Self {
        let mut report = build::build(case, verdict);
        if !charts {
            return Self::without(case, report);
        }
        let exemplars = pictures::ladders::exemplars(case, &report.findings);
        let wanted: Vec<Wanted> = exemplars.iter().map(|exemplar| exemplar.wanted.clone()).collect();
        let (mut charts, rows) = case.evidence.workers.join(|| pictures::draw(case, &report), || again(&wanted));
        charts.extend(pictures::ladders::draw(case.evidence, &report, &exemplars, &rows));
        report.charts = charts.iter().map(|(entry, _)| entry.clone()).collect();
        Self { evidence: case.evidence, report, charts, zone: Zone::default() }
    }

    fn without(case: &Case<'a>, report: Report) -> Self {
        Self { evidence: case.evidence, report, charts: Vec::new(), zone: Zone::default() }
    }
}
