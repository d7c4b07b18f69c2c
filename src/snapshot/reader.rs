//! The walk over one file: lines to sections, sections to facts, and a count of what was skipped.

use super::encoding::Lines;
use super::facts::{Facts, Moment, Source};
use super::fold::{Folded, Folder};
use super::hint::{self, Hint};
use super::socket::Sink;
use super::text::Names;
use super::{Out, PARSERS, Parser, Taken, clock, encoding};
use crate::time::Time;

/// What one file said.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The outputs found in it, in order.
    pub sections: Vec<Section>,
    /// What they say.
    pub facts: Facts,
    /// Lines that gave facts.
    pub parsed: u64,
    /// Lines that belong to a known output and give no fact of their own: headers, details.
    pub parts: u64,
    /// Lines that gave none, by reason, in the order of their first line.
    pub skipped: Vec<SkippedLines>,
}

/// One tool's output within a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its format: the name of its parser.
    pub format: &'static str,
    /// The command of the prompt line before it.
    pub command: Option<String>,
    /// The time that the file gives for it.
    pub moment: Option<Time>,
    /// Its first line, counted from 1.
    pub first_line: u32,
}

/// Lines that could not be used, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLines {
    /// Why.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
    /// The first of them, counted from 1.
    pub first_line: u32,
}

impl Snapshot {
    /// The formats found, each once, in the order of their first line.
    #[must_use]
    pub fn formats(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        for section in &self.sections {
            if !found.contains(&section.format) {
                found.push(section.format);
            }
        }
        found
    }

    /// Lines skipped for any reason.
    #[must_use]
    pub fn skipped_lines(&self) -> u64 {
        self.skipped.iter().fold(0, |sum, skipped| sum.saturating_add(skipped.count))
    }

    /// Whether something was recognised, and no more lines were unknown than gave facts.
    ///
    /// Headers and blanks prove little, but an output may consist of its header alone.
    #[must_use]
    pub fn is_mostly_understood(&self) -> bool {
        let is_unknown = |skipped: &&SkippedLines| matches!(skipped.reason, UNKNOWN | OTHER_ENCODING);
        let unknown: u64 = self.skipped.iter().filter(is_unknown).map(|skipped| skipped.count).sum();
        !self.sections.is_empty() && unknown <= self.parsed.max(1)
    }
}

/// The reason of a line that no format knows.
pub(super) const UNKNOWN: &str = "not a line of a known output";
/// The reason of a line that a tool said of itself.
const TOOL_MESSAGE: &str = "a message of the tool itself";

/// The reason of a line in an encoding such as GBK: what is read of such files is ASCII.
const OTHER_ENCODING: &str = "not a line of a known output, and not UTF-8";

/// Reads one file in blocks of any size.
pub struct Reader {
    lines: Lines,
    walk: Walk,
}

/// The state between two lines.
struct Walk {
    input: u32,
    line: u32,
    hint: Hint,
    moment: Option<Time>,
    names: Names,
    active: Option<Box<dyn Parser>>,
    snapshot: Snapshot,
}

impl Reader {
    /// `input` is the caller's number for the file, `name` what the user called it.
    #[must_use]
    pub fn new(input: u32, name: &str) -> Self {
        let hint = Hint { name: name.to_owned(), command: None };
        let walk = Walk {
            input,
            line: 0,
            hint,
            moment: None,
            names: Names::default(),
            active: None,
            snapshot: Snapshot::default(),
        };
        Self { lines: Lines::default(), walk }
    }

    /// Reads the next block; rows of sockets and of the connection tracker go to `rows`.
    pub fn feed(&mut self, block: &[u8], rows: &mut dyn Sink) {
        let walk = &mut self.walk;
        self.lines.feed(block, &mut |line| walk.line(line, rows));
    }

    /// What folds the blocks to come, where rows of sockets are being read and the last line is whole.
    #[must_use]
    pub fn folder(&self) -> Option<Folder> {
        self.lines.is_at_line_start().then(|| self.walk.active.as_ref()?.folder()).flatten()
    }

    /// Takes a block of whole lines that the folder of this moment folded: its rows are added, and its other lines
    /// read as always. Gives false where it had to be read line by line: blocks that were folded with it may be of
    /// another output by now.
    pub fn take(&mut self, mut folded: Folded, block: &[u8], rows: &mut dyn Sink) -> bool {
        if folded.broken {
            self.feed(block, rows);
            return false;
        }
        let others = std::mem::take(&mut folded.others);
        let (first, lines, plain) = (self.walk.line, folded.lines, folded.rows);
        let last = Source { input: self.walk.input, line: first.saturating_add(lines) };
        if plain > 0
            && let Some(parser) = &mut self.walk.active
        {
            // Plain rows have no details, and the one that is held has none behind them.
            parser.take(folded, last);
            self.walk.snapshot.parsed = self.walk.snapshot.parsed.saturating_add(plain);
        }
        for (number, start, end) in others {
            self.walk.line = first.saturating_add(number);
            let walk = &mut self.walk;
            encoding::give(block.get(start..end).unwrap_or_default(), &mut |line| walk.line(line, rows));
        }
        self.walk.line = first.saturating_add(lines);
        true
    }

    /// Ends the file.
    #[must_use]
    pub fn finish(mut self, rows: &mut dyn Sink) -> Snapshot {
        let walk = &mut self.walk;
        self.lines.finish(&mut |line| walk.line(line, rows));
        self.walk.close(rows);
        self.walk.snapshot
    }
}

impl Walk {
    fn line(&mut self, text: &str, rows: &mut dyn Sink) {
        self.line = self.line.saturating_add(1);
        let taken = self.offer(text, rows);
        let taken = if taken == Taken::Foreign { self.foreign(text, rows) } else { taken };
        match taken {
            Taken::Row => self.snapshot.parsed = self.snapshot.parsed.saturating_add(1),
            Taken::Part => self.snapshot.parts = self.snapshot.parts.saturating_add(1),
            Taken::Bad(reason) => self.skip(reason),
            Taken::Foreign => self.skip(reason(text)),
        }
    }

    /// Offers a line to the output that is being read.
    fn offer(&mut self, text: &str, rows: &mut dyn Sink) -> Taken {
        let source = Source { input: self.input, line: self.line };
        let Some(parser) = &mut self.active else {
            return Taken::Foreign;
        };
        let mut out = Out { facts: &mut self.snapshot.facts, rows, names: &mut self.names, moment: self.moment };
        parser.line(text, source, &mut out)
    }

    /// Finds out what a line is that the current output disowns.
    fn foreign(&mut self, text: &str, rows: &mut dyn Sink) -> Taken {
        // A brace alone is the frame of some JSON, which its first line with a name makes known.
        if matches!(text.trim(), "" | "{" | "}") {
            return Taken::Part;
        }
        if let Some(command) = hint::command(text) {
            self.close(rows);
            self.hint.command = Some(command.to_owned());
            return Taken::Part;
        }
        if let Some((at, zone_known)) = clock::stamp_line(text) {
            self.close(rows);
            self.moment = zone_known.then_some(at);
            let source = Source { input: self.input, line: self.line };
            self.snapshot.facts.moments.push(Moment { at, zone_known, source });
            return Taken::Part;
        }
        let Some(format) = PARSERS.iter().find(|format| (format.opens)(text, &self.hint)) else {
            return Taken::Foreign;
        };
        self.close(rows);
        self.active = Some((format.parser)(&self.hint));
        let (command, moment) = (self.hint.command.clone(), self.moment);
        self.snapshot.sections.push(Section { format: format.name, command, moment, first_line: self.line });
        self.offer(text, rows)
    }

    /// Ends the output that is being read.
    fn close(&mut self, rows: &mut dyn Sink) {
        let Some(mut parser) = self.active.take() else {
            return;
        };
        let mut out = Out { facts: &mut self.snapshot.facts, rows, names: &mut self.names, moment: self.moment };
        parser.end(&mut out);
        if let (Some(name), Some(section)) = (parser.format(), self.snapshot.sections.last_mut()) {
            section.format = name;
        }
        // The output of `date` is the time of what follows it, where it names its zone.
        if self.snapshot.sections.last().is_some_and(|section| section.format == "date") {
            let last = self.snapshot.facts.moments.last().filter(|last| last.zone_known);
            self.moment = last.map(|last| last.at);
        }
    }

    fn skip(&mut self, reason: &'static str) {
        match self.snapshot.skipped.iter_mut().find(|skipped| skipped.reason == reason) {
            Some(skipped) => skipped.count = skipped.count.saturating_add(1),
            None => self.snapshot.skipped.push(SkippedLines { reason, count: 1, first_line: self.line }),
        }
    }
}

/// Why a line that nobody knows was skipped.
fn reason(text: &str) -> &'static str {
    if is_tool_message(text) {
        TOOL_MESSAGE
    } else if text.contains(char::REPLACEMENT_CHARACTER) {
        OTHER_ENCODING
    } else {
        UNKNOWN
    }
}

/// What tools and shells write beside their output when something is missing.
fn is_tool_message(text: &str) -> bool {
    const MESSAGES: [&str; 12] = [
        "Cannot get driver information",
        "Failed to find cgroup2 mount",
        "error parsing /proc/",
        "your 131072x1 screen size is bogus",
        "(Not all processes could be identified",
        " will not be shown, you would have to be root",
        "(No info could be read for",
        "sysctl: permission denied",
        "command not found",
        "Permission denied",
        "Operation not permitted",
        "flow entries have been shown",
    ];
    MESSAGES.iter().any(|message| text.contains(message))
}
