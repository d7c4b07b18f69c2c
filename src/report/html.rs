//! The report as one HTML page: for the engineer who attaches it, the team that reads it, the manager who prints it.
//!
//! The page fetches nothing, says all it says without scripts, and escapes every word that it did not write itself:
//! the template escapes markup, and characters without a picture are written out over the whole finished page, so that
//! no field can be forgotten. Only the charts enter as markup, after `inline` has looked at them.
//! Structure and names follow HTML (WHATWG) and WCAG 2.2.

mod chart;
mod finding;
mod hosts;
mod notes;
mod script;
mod table;
mod timeline;
mod totals;
mod verdict;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use askama::Template;

use self::chart::Chart;
use self::finding::{Extent, FindingView};
use self::hosts::HostPart;
use self::table::DataTable;
pub use self::table::{ConnectionTable, PAGE_COLUMNS, PAGE_ROWS};
use self::timeline::Timeline;
use self::totals::Bars;
use self::verdict::Verdict;
use super::model::{ChartEntry, Report};
use super::{text, words};
use crate::language::Language;

/// Findings that stand open on the page; the ones after them are there, folded up.
const OPEN_FINDINGS: usize = 12;

/// Bytes of charts on one page; a page that is attached to a ticket stays below 5 MB.
const CHART_BYTES: usize = 1_000_000;
/// Bytes of findings on one page, as far as they depend on how much each of them says.
const FINDING_BYTES: usize = 1_600_000;
/// Findings with all that they say; the ones after them keep their first exhibits.
const WHOLE_FINDINGS: usize = 40;
/// Findings in the list at the top and in the timeline.
const LISTED_FINDINGS: usize = 1000;

/// The page for `report`.
///
/// `charts` are the pictures with their inline SVG, in the order they are to be shown; those that belong to no finding
/// of the report are shown with the whole, and those that the page has no room for are only named. `connections` are rows of the connection table, in its order.
///
/// # Errors
/// Only if the template cannot be written, which writing to memory never causes.
pub fn render(
    report: &Report,
    charts: &[(ChartEntry, String)],
    connections: &ConnectionTable,
) -> Result<String, askama::Error> {
    let page = Page::new(report, charts, connections).render()?;
    Ok(match text::visible(&page) {
        Cow::Borrowed(_) => page,
        Cow::Owned(shown) => shown,
    })
}

/// What the template needs, in the order of the page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    style: &'static str,
    script: Cow<'static, str>,
    language: Language,
    report: &'a Report,
    verdict: Verdict<'a>,
    open: Vec<FindingView<'a>>,
    folded: Vec<FindingView<'a>>,
    /// Findings that the page tells; of the ones after them it has the titles, up to those listed.
    told: usize,
    listed: usize,
    seen: Vec<(&'static str, String)>,
    bars: Vec<Bars>,
    charts: Vec<Chart<'a>>,
    hosts: Vec<HostPart<'a>>,
    tables: Vec<DataTable<'a>>,
    timeline: Option<Timeline<'a>>,
    limits: DataTable<'a>,
    inputs: DataTable<'a>,
}

impl<'a> Page<'a> {
    fn new(report: &'a Report, charts: &'a [(ChartEntry, String)], connections: &'a ConnectionTable) -> Self {
        let mut of_finding: BTreeMap<&str, Vec<Chart<'a>>> = BTreeMap::new();
        let mut of_whole = Vec::new();
        let mut room = CHART_BYTES;
        for (entry, svg) in charts {
            // A picture that is too big leaves its room to the ones after it.
            let left = room.checked_sub(svg.len());
            let svg = if left.is_some() { svg } else { "" };
            room = left.unwrap_or(room);
            let known = entry.finding.as_deref().filter(|id| report.findings.iter().any(|finding| finding.id == *id));
            match known {
                Some(id) => of_finding.entry(id).or_default().push(Chart::new(entry, svg)),
                None => of_whole.push(Chart::new(entry, svg)),
            }
        }
        let mut room = FINDING_BYTES;
        let views = report.findings.iter().enumerate().map_while(|(index, finding)| {
            let extent = if index < WHOLE_FINDINGS { Extent::Whole } else { Extent::Brief };
            room = room.checked_sub(extent.bytes(finding)).or((index < OPEN_FINDINGS).then_some(0))?;
            let charts = of_finding.remove(finding.id.as_str()).unwrap_or_default();
            Some(FindingView::new(report, finding, index, extent, charts))
        });
        let mut open: Vec<_> = views.collect();
        let told = open.len();
        let folded = open.split_off(open.len().min(OPEN_FINDINGS));
        Self {
            style: include_str!("style.css"),
            script: script::of(report.language),
            language: report.language,
            report,
            verdict: Verdict::new(report),
            open,
            folded,
            seen: totals::seen(report),
            bars: totals::bars(report),
            charts: of_whole,
            hosts: hosts::parts(report),
            tables: table::all(report, connections),
            timeline: Timeline::new(report, told),
            told,
            listed: report.findings.len().min(LISTED_FINDINGS),
            limits: table::limits(report),
            inputs: table::inputs(report),
        }
    }

    /// Words of the page in its language.
    fn say(&self, english: &'static str) -> &'static str {
        self.language.say(english)
    }

    /// Every table of the page, for the rules that set columns of numbers to the right.
    fn every_table(&self) -> impl Iterator<Item = &DataTable<'a>> {
        let findings = self.open.iter().chain(&self.folded);
        let of_hosts = self.hosts.iter().flat_map(|host| &host.tables);
        findings
            .flat_map(|finding| &finding.tables)
            .chain(of_hosts)
            .chain(&self.tables)
            .chain([&self.limits, &self.inputs])
    }
}
