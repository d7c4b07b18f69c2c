//! Tables of the page: connections, clients, services, hosts, inputs and limits, and the bars of the totals.
//!
//! They are plain tables in the document's order; the page's script sorts and filters them in place.

use std::borrow::Cow;

use super::notes;
use crate::language::{Joint, Language, Text, say, words};
use crate::report::model::{Input, Report};
use crate::report::text::{count, counted, duration, moment};
use crate::report::words::{as_count, base_name, said};
use crate::report::zone;

/// The most rows of the connection table that a page shows; `connections.csv` has all.
pub const PAGE_ROWS: usize = 10_000;
/// Cells of the connection table take at most so many bytes of a page.
const PAGE_BYTES: usize = 2_800_000;
/// The most facts of hosts that a page shows.
const HOST_ROWS: usize = 2000;

/// A longer cell is a sentence; a socket address of IPv6 has at most 47 letters.
const WIDE: usize = 48;
/// A cell that is no longer never breaks; a time has 27 letters.
const SHORT: usize = 28;

/// The columns of the connection table that people look at; the others are for programs.
pub const PAGE_COLUMNS: [&str; 21] = [
    "conn",
    "point",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "first_frame",
    "first_seen",
    "opened",
    "syn_count",
    "handshake_ms",
    "close",
    "active_closer",
    "time_wait_side",
    "close_wait_s",
    "reset_by",
    "history",
    "client_bytes",
    "server_bytes",
    "reuse_interval_s",
    "reuse_outcome",
];

/// Rows of the connection table for the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTable {
    /// Column names, best those of [`PAGE_COLUMNS`].
    pub columns: Vec<String>,
    /// As many cells a row as there are columns; rows after [`PAGE_ROWS`] are not shown.
    pub rows: Vec<Vec<String>>,
    /// How many rows there are altogether, these included.
    pub total: u64,
}

/// A table that can be sorted and filtered.
pub(super) struct DataTable<'a> {
    /// The `id` of the table.
    pub id: Cow<'a, str>,
    pub title: Cow<'a, str>,
    /// What is not shown, or nothing.
    pub note: String,
    pub columns: Vec<Column<'a>>,
    pub rows: Vec<Vec<Cow<'a, str>>>,
}

/// The head of a column.
pub(super) struct Column<'a> {
    pub name: Cow<'a, str>,
    /// Whether all of its cells are numbers.
    pub numeric: bool,
    /// Letters of its longest cell.
    pub longest: usize,
}

impl<'a> Column<'a> {
    pub fn new(name: &'a str) -> Self {
        Self { name: Cow::Borrowed(name), numeric: false, longest: 0 }
    }
}

impl<'a> DataTable<'a> {
    /// A table of the page's own: its title and its columns are words of the catalogue.
    pub fn new(
        id: &'a str,
        title: &'static str,
        columns: &[&'static str],
        rows: Vec<Vec<Cow<'a, str>>>,
        language: Language,
    ) -> Self {
        let columns = columns.iter().map(|name| Column::new(language.say(name))).collect();
        Self::with_columns(Cow::Borrowed(id), language.say(title), columns, rows)
    }

    pub fn with_columns(
        id: Cow<'a, str>,
        title: &'a str,
        mut columns: Vec<Column<'a>>,
        rows: Vec<Vec<Cow<'a, str>>>,
    ) -> Self {
        for (index, column) in columns.iter_mut().enumerate() {
            let cells = rows.iter().filter_map(|row| row.get(index)).filter(|cell| !cell.is_empty());
            column.numeric = !rows.is_empty() && cells.clone().next().is_some() && cells.clone().all(|c| is_number(c));
            column.longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        }
        Self { id, title: Cow::Borrowed(title), note: String::new(), columns, rows }
    }

    /// A selector for the columns of numbers with their heads, or nothing.
    pub fn numeric_columns(&self) -> String {
        self.selector(":is(td,th)", |column| column.numeric)
    }

    /// A selector for the columns of sentences with their heads, or nothing.
    pub fn wide_columns(&self) -> String {
        self.selector(":is(td,th)", |column| column.longest > WIDE)
    }

    /// A selector for the cells that stay on one line even on paper, or nothing.
    pub fn short_columns(&self) -> String {
        self.selector("tbody :is(td,th)", |column| column.longest <= SHORT)
    }

    fn selector(&self, cells: &str, chosen: impl Fn(&Column<'_>) -> bool) -> String {
        let chosen = self.columns.iter().enumerate().filter(|(_, column)| chosen(column));
        let one = |(index, _): (usize, _)| format!("#{} {cells}:nth-child({})", self.id, index.saturating_add(1));
        chosen.map(one).collect::<Vec<_>>().join(",")
    }

    /// `12 rows`.
    pub fn size(&self, language: Language) -> String {
        counted(as_count(self.rows.len()), "row", language)
    }

    /// Leaves out columns without a word in them and says which.
    fn without_empty_columns(mut self, language: Language) -> Self {
        let empty = |index: usize| self.rows.iter().all(|row| row.get(index).is_none_or(|cell| cell.is_empty()));
        let keep: Vec<bool> = (0..self.columns.len()).map(|index| self.rows.is_empty() || !empty(index)).collect();
        if keep.iter().all(|keep| *keep) {
            return self;
        }
        let is_kept = |index: usize| keep.get(index).copied().unwrap_or(true);
        let gone = self.columns.iter().enumerate().filter(|(index, _)| !is_kept(*index));
        let gone = Text::joined(Joint::Commas, gone.map(|(_, column)| Text::value(column.name.to_string())));
        let left_out = said(language, say!("Columns without any value are left out: {gone}.", gone));
        self.note = format!("{} {left_out}", self.note);
        retain_by_index(&mut self.columns, is_kept);
        for row in &mut self.rows {
            retain_by_index(row, is_kept);
        }
        self
    }
}

fn retain_by_index<T>(list: &mut Vec<T>, keep: impl Fn(usize) -> bool) {
    let mut index = 0_usize;
    list.retain(|_| {
        let kept = keep(index);
        index = index.saturating_add(1);
        kept
    });
}

fn is_number(cell: &str) -> bool {
    cell == "–" || cell.replace(',', "").parse::<f64>().is_ok_and(f64::is_finite)
}

/// The tables of what was seen: those without rows are left out.
pub(super) fn all<'a>(report: &'a Report, connections: &'a ConnectionTable) -> Vec<DataTable<'a>> {
    let mut tables = vec![self::connections(connections, report.language), clients(report), services(report)];
    tables.extend([states(report), populations(report), pings(report), hosts(report)]);
    tables.retain(|table| !table.rows.is_empty());
    tables
}

fn connections(table: &ConnectionTable, language: Language) -> DataTable<'_> {
    let mut bytes = 0_usize;
    let rows: Vec<Vec<Cow<'_, str>>> = table
        .rows
        .iter()
        .take(PAGE_ROWS)
        .take_while(|row| {
            // A cell costs its tag, too.
            bytes = row.iter().fold(bytes, |sum, cell| sum.saturating_add(cell.len()).saturating_add(4));
            bytes <= PAGE_BYTES
        })
        .map(|row| row.iter().map(|cell| readable(cell)).collect())
        .collect();
    let left = table.total.saturating_sub(as_count(rows.len()));
    let columns = table.columns.iter().map(|name| Column::new(name)).collect();
    let mut shown = DataTable::with_columns(Cow::Borrowed("connections"), language.say("Connections"), columns, rows);
    if left > 0 {
        shown.note = notes::first_rows(shown.size(language), left, language);
    }
    shown.without_empty_columns(language)
}

/// A time of the connection table as the page writes times; any other cell as it is.
fn readable(cell: &str) -> Cow<'_, str> {
    let is_time = cell.len() == 30 && cell.ends_with('Z');
    match is_time.then(|| zone::parsed(cell)).flatten() {
        Some(time) => Cow::Owned(moment(time)),
        None => Cow::Borrowed(cell),
    }
}

fn clients(report: &Report) -> DataTable<'_> {
    let rows = report.clients.iter().map(|client| {
        let numbers = [client.attempts, client.attempts_unanswered, client.refused, client.opened, client.clocks];
        row(client.ip.to_string(), &numbers)
    });
    let columns = words!("Address", "Attempts", "Unanswered", "Refused", "Opened", "Clocks behind it");
    DataTable::new("clients", words!("Clients"), &columns, rows.collect(), report.language)
}

fn services(report: &Report) -> DataTable<'_> {
    let rows = report.services.iter().map(|service| {
        let numbers = [
            service.clients,
            service.connections,
            service.attempts,
            service.attempts_unanswered,
            service.refused,
            service.client_closes,
            service.server_closes,
            service.resets,
        ];
        row(std::net::SocketAddr::new(service.ip, service.port).to_string(), &numbers)
    });
    let columns = words!(
        "Server socket",
        "Clients",
        "Connections",
        "Attempts",
        "Unanswered",
        "Refused",
        "Client closed first",
        "Server closed first",
        "Ended by RST",
    );
    DataTable::new("services", words!("Services"), &columns, rows.collect(), report.language)
}

/// How long the states of a close last, a row a service and state.
fn states(report: &Report) -> DataTable<'_> {
    let mut rows = Vec::new();
    for service in &report.services {
        for state in &service.states {
            let socket = std::net::SocketAddr::new(service.ip, service.port).to_string();
            let times = [state.median_ms, state.p95_ms, state.longest_ms].map(|millis| format!("{millis:.1}"));
            let cells = [socket, state.state.to_owned(), count(state.count)].into_iter().chain(times);
            rows.push(cells.map(Cow::Owned).collect());
        }
    }
    let columns = words!("Server socket", "State", "Closes", "Median, ms", "95 of 100, ms", "Longest, ms");
    DataTable::new("states", words!("How long the states of a close last"), &columns, rows, report.language)
}

/// How many TIME-WAITs each host held.
fn populations(report: &Report) -> DataTable<'_> {
    let rows = report.populations.iter().map(|population| {
        let limit = population.limit.map_or_else(|| "–".to_owned(), count);
        let cells = [
            population.ip.to_string(),
            population.point.clone(),
            count(population.closes),
            count(population.peak),
            moment(population.peak_at),
            limit,
        ];
        cells.map(Cow::Owned).to_vec()
    });
    let columns = words!("Host", "Point", "Closes that left TIME-WAIT", "Most at once", "At", "Limit reached");
    DataTable::new("populations", words!("TIME-WAITs by host"), &columns, rows.collect(), report.language)
}

/// What pings look like.
fn pings(report: &Report) -> DataTable<'_> {
    let rows = report.pings.iter().map(|ping| {
        let looks = match (ping.looks.as_slice(), ping.stalls) {
            ([], 0) => report.language.say("even").to_owned(),
            ([], _) => String::new(),
            (looks, _) => {
                let looks = looks.iter().map(Text::value);
                said(report.language, Text::joined(Joint::Semicolons, looks))
            }
        };
        let cells = [
            ping.seen_in.clone(),
            ping.client.clone(),
            ping.server.clone(),
            count(ping.sent),
            count(ping.answered),
            format!("{:.1}", ping.usual_ms),
            format!("{:.1}", ping.longest_ms),
            count(ping.stalls),
            looks,
        ];
        cells.map(Cow::Owned).to_vec()
    });
    let columns = words!(
        "Seen in",
        "From",
        "To",
        "Sent",
        "Answered",
        "Usual, ms",
        "Longest, ms",
        "Stalls",
        "What else they look like"
    );
    DataTable::new("pings", words!("Pings"), &columns, rows.collect(), report.language)
}

fn row<'a>(first: String, numbers: &[u64]) -> Vec<Cow<'a, str>> {
    std::iter::once(first).chain(numbers.iter().map(|number| count(*number))).map(Cow::Owned).collect()
}

/// What hosts said that have no part of the page of their own, one fact a row; their shape is theirs.
fn hosts(report: &Report) -> DataTable<'_> {
    let mut rows = Vec::new();
    let mut total = 0_usize;
    let shown = |host: &serde_json::Value| host.get("tables").is_some();
    for (index, host) in report.hosts.iter().enumerate().filter(|(_, host)| !shown(host)) {
        let name = ["name", "hostname", "host", "id"].iter().find_map(|key| host.get(key)?.as_str());
        let name = name
            .map_or_else(|| said(report.language, say!("host {host}", host = index.saturating_add(1))), str::to_owned);
        let mut facts = Vec::new();
        flatten(host, String::new(), &mut facts);
        total = total.saturating_add(facts.len());
        let room = HOST_ROWS.saturating_sub(rows.len());
        rows.extend(
            facts.into_iter().take(room).map(|(fact, value)| vec![name.clone().into(), fact.into(), value.into()]),
        );
    }
    let mut table =
        DataTable::new("host-facts", words!("Facts of hosts"), &words!("Host", "Fact", "Value"), rows, report.language);
    if let left @ 1.. = total.saturating_sub(table.rows.len()) {
        table.note = notes::more_facts(as_count(left), report.language);
    }
    table
}

fn flatten(value: &serde_json::Value, path: String, facts: &mut Vec<(String, String)>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, inner)| flatten(inner, join(key), facts)),
        serde_json::Value::Array(list) => {
            list.iter().enumerate().for_each(|(nth, inner)| flatten(inner, join(&nth.to_string()), facts));
        }
        serde_json::Value::String(text) => facts.push((path, text.clone())),
        serde_json::Value::Null => {}
        other => facts.push((path, other.to_string())),
    }
}

/// What was read, one input a row.
pub(super) fn inputs(report: &Report) -> DataTable<'_> {
    let rows = report.inputs.iter().map(|input| {
        let capture = input.capture.as_ref();
        let span = capture.and_then(|capture| capture.first_packet.zip(capture.last_packet));
        vec![
            Cow::Borrowed(input.id.as_str()),
            Cow::Borrowed(input.name.as_str()),
            Cow::Owned(kind(input, report.language)),
            Cow::Owned(count(input.bytes)),
            Cow::Borrowed(capture.map_or("", |capture| capture.point.as_str())),
            Cow::Owned(capture.map(|capture| count(capture.packets)).unwrap_or_default()),
            Cow::Owned(capture.map(|capture| count(capture.segments)).unwrap_or_default()),
            Cow::Owned(span.map(|(first, _)| moment(first)).unwrap_or_default()),
            Cow::Owned(span.map(|(first, last)| duration(last.since(first))).unwrap_or_default()),
            Cow::Owned(capture.map(|capture| capture.link_types.join(", ")).unwrap_or_default()),
            Cow::Borrowed(input.digest.as_deref().unwrap_or("")),
        ]
    });
    let columns = words!(
        "Input",
        "Name",
        "Kind",
        "Bytes",
        "Point",
        "Packets",
        "TCP segments",
        "First packet",
        "Covers",
        "Link types",
        "Digest",
    );
    let mut table = DataTable::new("inputs", words!("Inputs"), &columns, rows.collect(), report.language)
        .without_empty_columns(report.language);
    table.note = String::new();
    table
}

fn kind(input: &Input, language: Language) -> String {
    let kind = match input.kind {
        "capture" => say!("capture"),
        "snapshot" => say!("snapshot"),
        "other" => say!("other"),
        kind => Text::value(kind),
    };
    said(language, Text::joined(Joint::Commas, [kind, Text::value(input.format.clone().unwrap_or_default())]))
}

/// What the captures themselves hide: frames passed over, seen twice, or missing at the end.
pub(super) fn limits(report: &Report) -> DataTable<'_> {
    let mut rows: Vec<Vec<Cow<'_, str>>> = Vec::new();
    for input in &report.inputs {
        let Some(capture) = &input.capture else { continue };
        for skipped in &capture.skipped {
            let what = said(report.language, say!("passed over: {reason}", reason = &skipped.reason));
            let numbers = [count(skipped.count), count(skipped.first_frame)];
            rows.push(limit(input, what, numbers));
        }
        if capture.duplicates > 0 {
            let what = report.language.say("seen twice, counted once").to_owned();
            rows.push(limit(input, what, [count(capture.duplicates), String::new()]));
        }
        if let Some(truncated) = &capture.truncated {
            let what = said(report.language, say!("reading ended early: {truncated}", truncated));
            rows.push(limit(input, what, [String::new(), String::new()]));
        }
    }
    DataTable::new("limits", words!("Limits"), &words!("Input", "What", "Frames", "First frame"), rows, report.language)
}

fn limit(input: &Input, what: String, [frames, first]: [String; 2]) -> Vec<Cow<'_, str>> {
    vec![Cow::Owned(format!("{} {}", input.id, base_name(&input.name))), what.into(), frames.into(), first.into()]
}
