//! One finding as a section of the page: its numbers, pictures, tables and proof, and how to see the packets.

use std::borrow::Cow;

use super::chart::Chart;
use super::notes;
use super::table::{Column, DataTable};
use super::verdict::whom;
use crate::diagnosis::{Cell, Exhibit, Finding, Table};
use crate::language::Language;
use crate::report::model::{Input, Report};
use crate::report::text::{count, metric, moment, number, shell};
use crate::report::words::{as_count, base_name, place, since};

/// Exhibits that are always seen; the ones after them are folded up.
const OPEN_EXHIBITS: usize = 5;
/// Rows of a finding's own table on the page; `report.json` has all of them.
const TABLE_ROWS: usize = 500;

/// How much of a finding the page says; `report.json` has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All that the report lists.
    Whole,
    /// Its first exhibits, and the first rows of its tables.
    Brief,
}

impl Extent {
    const fn exhibits(self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Brief => 3,
        }
    }

    const fn rows(self) -> usize {
        match self {
            Self::Whole => TABLE_ROWS,
            Self::Brief => 20,
        }
    }

    /// About how many bytes of a page it takes: its words, and the marks around them.
    pub fn bytes(self, finding: &Finding) -> usize {
        let exhibits =
            finding.exhibits.iter().take(self.exhibits()).map(|exhibit| exhibit.text.len().saturating_add(220));
        let advice = finding.advice.iter().map(|advice| {
            advice.text.len().saturating_add(advice.when.as_ref().map_or(0, |when| when.len())).saturating_add(60)
        });
        let ruled_out =
            finding.ruled_out.iter().map(|item| item.cause.len().saturating_add(item.because.len()).saturating_add(40));
        let cells = finding.tables.iter().flat_map(|table| table.rows.iter().take(self.rows()));
        let cells = cells.flatten().map(|cell| match cell {
            Cell::Text(text) => text.len().saturating_add(6),
            Cell::Count(_) | Cell::Number(_) => 14,
        });
        let words = [
            finding.title.len().saturating_mul(3),
            finding.summary.len(),
            finding.display_filter.len().saturating_mul(3),
            3000,
        ];
        exhibits.chain(advice).chain(ruled_out).chain(cells).chain(words).fold(0, usize::saturating_add)
    }
}

/// A finding with what the page derives from it.
pub(super) struct FindingView<'a> {
    pub finding: &'a Finding,
    /// The section's `id`, so that a ticket can link to it.
    pub anchor: String,
    pub whom: String,
    pub since: String,
    pub metrics: Vec<Metric>,
    pub charts: Vec<Chart<'a>>,
    /// The connection that the first exhibits quote, packet by packet.
    pub ladders: Vec<Chart<'a>>,
    pub tables: Vec<DataTable<'a>>,
    pub exhibits: Vec<Row<'a>>,
    pub more_exhibits: Vec<Row<'a>>,
    /// Exhibits that `report.json` lists and this page does not.
    pub left_out: usize,
    /// Exhibits that the report does not list.
    pub unlisted: u64,
    /// `tshark` with the display filter, where there is one.
    pub tshark: Option<String>,
    /// This program's own way to all packets that prove it, where packets do.
    pub evidence: Option<String>,
}

/// A number with its name in words.
pub(super) struct Metric {
    pub name: &'static str,
    pub label: String,
    pub value: String,
    pub unit: &'static str,
}

/// An exhibit with the name of its input.
pub(super) struct Row<'a> {
    pub exhibit: &'a Exhibit,
    pub input: &'a str,
    pub place: String,
    pub time: String,
}

impl<'a> FindingView<'a> {
    pub fn new(report: &'a Report, finding: &'a Finding, index: usize, extent: Extent, charts: Vec<Chart<'a>>) -> Self {
        let mut exhibits: Vec<_> =
            finding.exhibits.iter().take(extent.exhibits()).map(|exhibit| Row::new(report, exhibit)).collect();
        let left_out = finding.exhibits.len().saturating_sub(exhibits.len());
        let (ladders, charts) = charts.into_iter().partition(|chart| chart.entry.name.ends_with("-ladder"));
        // One more is not worth folding.
        let keep = if exhibits.len() <= OPEN_EXHIBITS.saturating_add(1) { exhibits.len() } else { OPEN_EXHIBITS };
        let more_exhibits = exhibits.split_off(keep);
        let tables = finding.tables.iter().enumerate();
        Self {
            anchor: anchor(&finding.id),
            whom: whom(finding, report.language),
            since: since(report, finding),
            metrics: finding.metrics.iter().map(|(name, value)| Metric::new(name, *value, report.language)).collect(),
            charts,
            ladders,
            left_out,
            tables: tables
                .map(|(nth, table)| small_table(table, format!("f{index}t{nth}"), extent.rows(), report.language))
                .collect(),
            exhibits,
            more_exhibits,
            unlisted: finding.exhibits_total.saturating_sub(as_count(finding.exhibits.len())),
            tshark: tshark(report, finding),
            evidence: finding.exhibits.iter().any(|exhibit| exhibit.frame.is_some()).then(|| evidence(&finding.id)),
            finding,
        }
    }
}

impl Metric {
    pub fn new(name: &'static str, value: f64, language: Language) -> Self {
        let (label, unit) = metric(name);
        // Names of metrics are keys; only English makes words of them.
        let label = if language == Language::En { label } else { name.to_owned() };
        let unit = language.say(unit);
        Self { name, label, value: number(value), unit }
    }
}

impl<'a> Row<'a> {
    fn new(report: &'a Report, exhibit: &'a Exhibit) -> Self {
        let input = report.inputs.iter().find(|input| input.id == exhibit.input);
        Self {
            exhibit,
            input: input.map_or("", |input| base_name(&input.name)),
            place: place(exhibit, report.language),
            time: exhibit.time.map(moment).unwrap_or_default(),
        }
    }
}

/// An `id` that is also a fragment of an address.
pub(super) fn anchor(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect()
}

fn small_table(table: &Table, id: String, most: usize, language: Language) -> DataTable<'_> {
    let rows = table.rows.iter().take(most).map(|row| row.iter().map(cell).collect());
    let columns = table.columns.iter().map(|name| Column::new(name)).collect();
    let mut shown = DataTable::with_columns(id.into(), &table.title, columns, rows.collect());
    if let left @ 1.. = table.rows.len().saturating_sub(most) {
        shown.note = notes::more_rows(as_count(left), language);
    }
    shown
}

fn cell(cell: &Cell) -> Cow<'_, str> {
    match cell {
        Cell::Count(value) => Cow::Owned(count(*value)),
        Cell::Number(value) => Cow::Owned(number(*value)),
        Cell::Text(text) => Cow::Borrowed(text),
    }
}

/// The command that lists the packets; with the file's name where the finding was seen in one plain file.
fn tshark(report: &Report, finding: &Finding) -> Option<String> {
    if finding.display_filter.is_empty() {
        return None;
    }
    let file = file(report, finding).map_or(Cow::Borrowed("FILE"), |input| shell(&input.name));
    Some(format!("tshark -r {file} -Y {}", quoted(&finding.display_filter)))
}

/// Filters are always quoted, so that they are seen as one word.
fn quoted(filter: &str) -> String {
    format!("'{}'", filter.replace('\'', "'\\''"))
}

fn file<'a>(report: &'a Report, finding: &Finding) -> Option<&'a Input> {
    let point = report.points.iter().find(|point| Some(&point.id) == finding.point.as_ref())?;
    let [only] = point.inputs.as_slice() else { return None };
    // Members of archives are no files, nor is standard input.
    report.inputs.iter().find(|input| input.id == *only && !input.name.contains('!') && input.name != "-")
}

fn evidence(id: &str) -> String {
    format!("lastack evidence report.json --finding {} -o {}.pcapng", shell(id), anchor(id))
}
