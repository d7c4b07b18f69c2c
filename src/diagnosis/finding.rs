//! What a rule says: a verdict of three values, and findings with their exhibits.
//!
//! The serialised form of `Finding` is the contract of `report.json`: fields are added, never renamed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connection::Socket;
use crate::language::{Language, Speak, Text, values};
use crate::time::Time;

/// How bad it is for the people who use the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing is broken by it.
    Info,
    /// Something is wrong or soon will be, but users may not feel it yet.
    Warning,
    /// Connections fail or are lost.
    Critical,
}

/// How sure the rule is of the cause it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Consistent with what is seen; other causes are, too.
    Low,
    /// The likely cause; something that would settle it is missing.
    Medium,
    /// Nothing contradicts, and the alternatives are ruled out by name.
    High,
}

/// Whom a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Subject {
    /// The client's address as the capture shows it: behind NAT, the NAT's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<IpAddr>,
    /// The server's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_ip: Option<IpAddr>,
    /// The server's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_port: Option<u16>,
    /// A host that a snapshot describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// One cell of a finding's table.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Cell {
    /// A count.
    Count(u64),
    /// A measured value.
    Number(f64),
    /// A name or a sentence.
    Text(Text),
}

/// A small table that belongs to a finding.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Table {
    /// What it shows.
    pub title: Text,
    /// Column names, with units.
    pub columns: Vec<Text>,
    /// As many cells a row as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A packet or a line that proves something.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Exhibit {
    /// The `id` of the input in `inputs[]`.
    pub input: String,
    /// The packet's number in that input, counted from 1 as Wireshark does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// The line's number in that input, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// When, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub time: Option<Time>,
    /// What it shows, in words.
    pub text: Text,
}

/// A cause that was weighed and does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuledOut {
    /// The cause: a rule's name, or words.
    pub cause: Text,
    /// What excludes it.
    pub because: Text,
}

/// What to do, and when it applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Advice {
    /// The condition under which it applies (a kernel version, a role); always where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Text>,
    /// What to do.
    pub text: Text,
}

/// Which packets prove a finding: all of them, not only the exhibits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Selector {
    /// What the packets have in common: the client's address, the server's address and port.
    #[serde(flatten)]
    pub subject: Subject,
    /// The first moment that counts, where not all of the capture does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<Time>,
    /// The last moment that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Time>,
}

/// One case of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Finding {
    /// Names the finding inside one report: the rule's code and a running number.
    pub id: String,
    /// The rule's code.
    pub rule: &'static str,
    /// The rule's name.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// One line: what is wrong, and where.
    pub title: Text,
    /// A few sentences: what was seen, and what follows.
    pub summary: Text,
    /// The capture point it was seen at; absent where snapshots alone show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<String>,
    /// The first packet that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub first_time: Option<Time>,
    /// The last packet that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_time: Option<Time>,
    /// The same for the same trouble at another time and on other ephemeral ports.
    pub fingerprint: String,
    /// Whom it is about.
    pub subject: Subject,
    /// The numbers, by name; the names are part of the contract.
    pub metrics: BTreeMap<&'static str, f64>,
    /// Tables that belong to it.
    pub tables: Vec<Table>,
    /// At most 20 packets or lines that prove it.
    pub exhibits: Vec<Exhibit>,
    /// How many there are altogether.
    pub exhibits_total: u64,
    /// All packets that prove it.
    pub selector: Selector,
    /// What else could have caused it and did not.
    pub ruled_out: Vec<RuledOut>,
    /// What to do.
    pub advice: Vec<Advice>,
    /// A Wireshark display filter that shows the packets.
    pub display_filter: String,
    /// RFC sections and kernel sources.
    pub references: Vec<String>,
}

/// A rule that could not decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct NotJudged {
    /// The rule's code.
    pub rule: &'static str,
    /// What is missing or in the way.
    pub because: Text,
    /// What to record next time, so that it can be decided.
    pub record_next: Text,
}

impl Speak for Finding {
    fn speak(&mut self, language: Language) {
        self.title.speak(language);
        self.summary.speak(language);
        self.tables.speak(language);
        self.exhibits.speak(language);
        self.ruled_out.speak(language);
        self.advice.speak(language);
    }
}

impl Speak for Table {
    fn speak(&mut self, language: Language) {
        self.title.speak(language);
        self.columns.speak(language);
        self.rows.speak(language);
    }
}

impl Speak for Cell {
    fn speak(&mut self, language: Language) {
        if let Self::Text(text) = self {
            text.speak(language);
        }
    }
}

impl Speak for Exhibit {
    fn speak(&mut self, language: Language) {
        self.text.speak(language);
    }
}

impl Speak for RuledOut {
    fn speak(&mut self, language: Language) {
        self.cause.speak(language);
        self.because.speak(language);
    }
}

impl Speak for Advice {
    fn speak(&mut self, language: Language) {
        self.when.speak(language);
        self.text.speak(language);
    }
}

impl Speak for NotJudged {
    fn speak(&mut self, language: Language) {
        self.because.speak(language);
        self.record_next.speak(language);
    }
}

// A subject is written alike in every language.
values!(Subject);

impl Subject {
    /// A Wireshark display filter for the subject's packets.
    #[must_use]
    pub fn display_filter(&self) -> String {
        let address = |ip: IpAddr| format!("{}.addr=={ip}", if ip.is_ipv4() { "ip" } else { "ipv6" });
        let parts: Vec<String> = [
            self.client_ip.map(address),
            self.server_ip.map(address),
            self.server_port.map(|p| format!("tcp.port=={p}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        parts.join(" && ")
    }
}

/// `client>server:port`, as far as it is known; host names stand alone.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(client) = self.client_ip {
            write!(f, "{client}")?;
        }
        match (self.server_ip, self.server_port) {
            (Some(ip), Some(port)) => write!(f, ">{}", Socket { ip, port })?,
            (Some(ip), None) => write!(f, ">{ip}")?,
            _ => {}
        }
        if let Some(host) = &self.host {
            write!(f, "{host}")?;
        }
        Ok(())
    }
}

impl Finding {
    /// Sets a number by its name.
    pub fn metric(&mut self, name: &'static str, value: f64) {
        self.metrics.insert(name, value);
    }

    /// Sets its exhibits: all are counted, the first ones shown.
    pub fn exhibit_all(&mut self, exhibits: impl Into<Exhibits>) {
        let exhibits = exhibits.into();
        self.exhibits_total = exhibits.total;
        (self.first_time, self.last_time) = (exhibits.first, exhibits.last);
        self.exhibits = exhibits.shown;
    }

    /// Adds advice that always applies.
    pub fn advise(&mut self, text: Text) {
        self.advice.push(Advice { when: None, text });
    }

    /// Adds advice that applies under a condition.
    pub fn advise_when(&mut self, when: Text, text: Text) {
        self.advice.push(Advice { when: Some(when), text });
    }

    /// Names what it follows from: RFC sections, kernel sources, manuals.
    pub fn refer(&mut self, references: &[&str]) {
        self.references.extend(references.iter().map(|&reference| reference.to_owned()));
    }

    /// Adds a cause that does not hold.
    pub fn rule_out(&mut self, cause: Text, because: Text) {
        self.ruled_out.push(RuledOut { cause, because });
    }
}

/// What proves a finding: the first packets or lines of it, and how many there are. Words are made only of those
/// that are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exhibits {
    /// At most [`super::EXHIBITS_SHOWN`].
    pub shown: Vec<Exhibit>,
    /// All of them.
    pub total: u64,
    /// The earliest time of all.
    pub first: Option<Time>,
    /// The latest time of all.
    pub last: Option<Time>,
}

impl Exhibits {
    /// One for each item, in their order; only those that are shown are put into words.
    pub fn of<T>(items: impl Iterator<Item = T> + Clone, at: impl Fn(&T) -> Time, show: impl Fn(T) -> Exhibit) -> Self {
        let mut all = Self {
            shown: items.clone().take(super::EXHIBITS_SHOWN).map(show).collect(),
            total: 0,
            first: None,
            last: None,
        };
        for at in items.map(|item| at(&item)) {
            all.total += 1;
            all.first = Some(all.first.map_or(at, |first| first.min(at)));
            all.last = Some(all.last.map_or(at, |last| last.max(at)));
        }
        all
    }
}

impl From<Vec<Exhibit>> for Exhibits {
    fn from(mut all: Vec<Exhibit>) -> Self {
        let times = || all.iter().filter_map(|exhibit| exhibit.time);
        let (total, first, last) = (all.len() as u64, times().min(), times().max());
        all.truncate(super::EXHIBITS_SHOWN);
        Self { shown: all, total, first, last }
    }
}

/// A letter for a clock: A is the highest.
#[must_use]
pub fn letter(place: usize) -> String {
    let letter = u8::try_from(place).ok().filter(|place| *place < 26).map(|place| char::from(b'A' + place));
    letter.map_or_else(|| format!("{}", place + 1), |letter| letter.to_string())
}

/// A number rounded to three significant digits: more would say what nobody knows.
#[must_use]
pub fn significant(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
