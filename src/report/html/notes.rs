//! Sentences of the page that count what it leaves out, and those around names that it quotes.

use crate::language::{Language, say};
use crate::report::model::Report;
use crate::report::text::{count, counted};
use crate::report::words::{as_count, said, times};

/// Rows of a table that the page has no room for.
pub(super) fn more_rows(left: u64, language: Language) -> String {
    said(language, say!("{left} more rows are in report.json.", left = count(left)))
}

/// Facts of hosts that the page has no room for.
pub(super) fn more_facts(left: u64, language: Language) -> String {
    said(language, say!("{left} more facts are in report.json.", left = count(left)))
}

/// Connections that the page has no room for; `shown` is a count of rows.
pub(super) fn first_rows(shown: String, left: u64, language: Language) -> String {
    let left = count(left);
    said(language, say!("The first {shown} are shown; {left} more are in connections.csv.", shown, left))
}

/// Findings behind those that the list has.
pub(super) fn unlisted_findings(left: usize, language: Language) -> String {
    let findings = counted(as_count(left), "more finding", language);
    said(language, say!("{findings}, less bad or less sure than these, are in report.json.", findings))
}

/// Findings that the list has and the page does not tell.
pub(super) fn untold_findings(left: usize, language: Language) -> String {
    let findings = counted(as_count(left), "more finding", language);
    said(language, say!("{findings} are told in report.json; the list above has their titles.", findings))
}

/// Findings that the timeline does not draw, since the page does not tell them.
pub(super) fn untold_bars(left: u64, language: Language) -> String {
    let findings = counted(left, "finding", language);
    let text = match left {
        1 => say!("{findings} that the page does not tell is not drawn.", findings),
        _ => say!("{findings} that the page does not tell are not drawn.", findings),
    };
    said(language, text)
}

/// Findings that the timeline does not draw, since no time belongs to them.
pub(super) fn timeless_bars(left: u64, language: Language) -> String {
    let findings = counted(left, "finding", language);
    let text = match left {
        1 => say!("{findings} without a time is not drawn.", findings),
        _ => say!("{findings} without a time are not drawn.", findings),
    };
    said(language, text)
}

/// What could not be decided, as the words of a link.
pub(super) fn undecided(questions: usize, language: Language) -> String {
    let questions = counted(as_count(questions), "question", language);
    said(language, say!("{questions} could not be decided", questions))
}

/// The words above exhibits that are folded up.
pub(super) fn folded_exhibits(more: usize, language: Language) -> String {
    said(language, say!("{more} more exhibits", more))
}

/// Exhibits that only `report.json` has.
pub(super) fn left_exhibits(left: usize, language: Language) -> String {
    let exhibits = counted(as_count(left), "more exhibit", language);
    let text = match left {
        1 => say!("{exhibits} of this finding is in report.json.", exhibits),
        _ => say!("{exhibits} of this finding are in report.json.", exhibits),
    };
    said(language, text)
}

/// Exhibits that the report does not list.
pub(super) fn same_exhibits(left: u64, language: Language) -> String {
    let left = count(left);
    said(language, say!("{left} more packets or lines show the same; the commands below list them.", left))
}

/// What stands in the place of a picture that the page has no room for.
pub(super) fn picture_beside(title: &str, name: &str, language: Language) -> String {
    said(language, say!("{title} (the picture is {name} beside this page)", title, name))
}

/// The last line.
pub(super) fn made_by(report: &Report) -> String {
    let (name, version, schema) = (report.tool.name, report.tool.version, report.schema);
    let text = say!("Made by {name} {version} from recorded files alone; schema {schema}.", name, version, schema);
    let times = crate::language::Text::value(times(report.language));
    said(report.language, text.then(times))
}
