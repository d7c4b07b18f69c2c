//! Text for people: untrusted words made safe for each format, and times and numbers as they are read.
//!
//! Host names, file names and lines of snapshots come from strangers. HTML is escaped by the template; what is left is
//! what no escaping covers: characters that are not seen (Unicode TR 36, section 3), Markdown (CommonMark 0.31 section
//! 2.4, and the table and autolink extensions of GitHub), and quotes of a POSIX shell.

use std::borrow::Cow;
use std::fmt::Write;

use super::zone;
use crate::language::{Language, words};
use crate::time::{Span, Time};

/// Control characters, bidi controls and other characters without a picture, written out: `‹U+202E›`.
///
/// Line feeds and tabs stay: every format that is written here treats them as space or escapes them itself.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().saturating_add(16));
    for character in text.chars() {
        if is_hidden(character) {
            let _ = write!(shown, "‹U+{:04X}›", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character is not seen where it stands.
#[inline]
pub(super) fn is_hidden(character: char) -> bool {
    // Nearly every character of a report is one of these.
    if matches!(character, ' '..='~') {
        return false;
    }
    matches!(
        character,
        '\0'..='\u{8}'
            | '\u{b}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// `text` as Markdown that shows it literally, on one line, inside a table cell too.
///
/// An underscore inside a word is no emphasis, so that `tcp_tw_recycle` stays readable as plain text.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = visible(text);
    let characters: Vec<char> = text.trim().chars().collect();
    let mut escaped = String::with_capacity(text.len().saturating_add(8));
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|at| characters.get(at)).copied();
        let rest = characters.get(index.saturating_add(1)..).unwrap_or_default();
        match character {
            '\n' | '\t' | '\r' => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '_' if before.is_some_and(char::is_alphanumeric) && rest.first().is_some_and(|c| c.is_alphanumeric()) => {
                escaped.push('_');
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '{' | '}' | '|' | '~' | '$' => {
                escaped.extend(['\\', character]);
            }
            '#' | '+' | '-' | '=' if before.is_none() => escaped.extend(['\\', character]),
            // Without these, bare addresses of pages become links.
            ':' if rest.starts_with(&['/', '/']) => escaped.push_str("\\:"),
            '.' if index >= 3 && ends_with_www(&characters, index) => escaped.push_str("\\."),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn ends_with_www(characters: &[char], end: usize) -> bool {
    let start = end.saturating_sub(3);
    characters.get(start..end).is_some_and(|word| word.iter().all(|c| c.eq_ignore_ascii_case(&'w')))
}

/// `text` as a Markdown code span, on one line.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let text = visible(text).replace(['\n', '\t'], " ");
    let fence = "`".repeat(longest_run_of_backticks(&text).saturating_add(1));
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

/// `text` with its spans of code kept as such and everything else escaped, on one line.
#[must_use]
pub fn markdown_rich(text: &str) -> String {
    rich(text, markdown_code)
}

/// The same for a cell of a table, where a bar ends even a span of code.
#[must_use]
pub fn markdown_cell(text: &str) -> String {
    rich(text, |code| markdown_code(code).replace('|', "\\|"))
}

fn rich(text: &str, code_span: impl Fn(&str) -> String) -> String {
    let mut written = String::with_capacity(text.len());
    for piece in pieces(text) {
        // Blanks at the edge belong to the sentence, and escaping trims them.
        let (left, right) = edges(piece.text);
        written.push_str(left);
        written.push_str(&if piece.code { code_span(piece.text) } else { markdown(piece.text) });
        written.push_str(right);
    }
    written.trim().to_owned()
}

fn edges(text: &str) -> (&'static str, &'static str) {
    let blank = |is: bool| if is { " " } else { "" };
    let all = text.trim().is_empty();
    (blank(text.starts_with(char::is_whitespace)), blank(!all && text.ends_with(char::is_whitespace)))
}

/// `word` as one argument of a POSIX shell; quoted only where it has to be.
#[must_use]
pub fn shell(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
    }
}

/// A part of a sentence: words, or code that stood between backticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Whether it stood between backticks.
    pub code: bool,
    /// The text without them.
    pub text: &'a str,
}

/// The words and the code of a sentence, in order; a backtick without a partner is a word.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, tail)) = after.split_once('`') else { break };
        found.extend([Piece { code: false, text: before }, Piece { code: true, text: code }]);
        rest = tail;
    }
    found.push(Piece { code: false, text: rest });
    found.retain(|piece| !piece.text.is_empty());
    found
}

/// `2026-11-22 07:41:08.314 UTC`, or with the offset of the zone that is shown; what is below a millisecond is cut off.
#[must_use]
pub fn moment(time: Time) -> String {
    let (day, clock) = zone::local(time);
    format!("{day} {} {}", clock.get(..12).unwrap_or(&clock), zone::offset(time))
}

/// A span as a person says it: `850 ms`, `12.3 s`, `5 min 12 s`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn duration(span: Span) -> String {
    let sign = if span.0 < 0 { "-" } else { "" };
    let millis = span.0.unsigned_abs() / 1_000_000;
    let seconds = millis / 1000;
    let text = match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    };
    format!("{sign}{text}")
}

/// A count with a comma between thousands.
#[must_use]
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len().saturating_add(digits.len() / 3));
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len().saturating_sub(index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 packet`, `2,000 packets`, and the same in other languages, whose catalogue holds it as `{count} packet`.
#[must_use]
pub fn counted(number: u64, thing: &'static str, language: Language) -> String {
    match language.translation(&format!("{{count}} {thing}")) {
        Some(template) => template.replace("{count}", &count(number)),
        None => format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" }),
    }
}

/// A measured value with at most three decimals; a dash where it is no number.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value.abs() >= 1e15 || (value != 0.0 && value.abs() < 0.0005) {
        return format!("{value:e}");
    }
    let text = format!("{:.3}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{dot}{fraction}", grouped(whole))
}

/// A metric's name as words, and its unit: `shortest_s` is `Shortest` in `s`.
#[must_use]
pub fn metric(name: &str) -> (String, &'static str) {
    const UNITS: [(&str, &str); 7] = [
        ("_per_s", words!("per s")),
        ("_s", "s"),
        ("_ms", "ms"),
        ("_us", "µs"),
        ("_hz", "Hz"),
        ("_bytes", words!("bytes")),
        ("_percent", "%"),
    ];
    let found = UNITS.iter().find_map(|(end, unit)| name.strip_suffix(end).map(|stem| (stem, *unit)));
    let (stem, unit) = found.unwrap_or((name, ""));
    let mut words = stem.split('_').map(term).collect::<Vec<_>>().join(" ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    (words, unit)
}

/// A word in the spelling of the field.
fn term(word: &str) -> &str {
    match word {
        "syn" => "SYN",
        "syns" => "SYNs",
        "synack" => "SYN-ACK",
        "synacks" => "SYN-ACKs",
        "ack" => "ACK",
        "fin" => "FIN",
        "fins" => "FINs",
        "rst" => "RST",
        "rsts" => "RSTs",
        "icmp" => "ICMP",
        "tsval" => "TSval",
        "isn" => "ISN",
        "rto" => "RTO",
        "rtt" => "RTT",
        "ip" => "IP",
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_written_out_and_others_are_left() {
        assert_eq!(visible("exe\u{202e}fdp"), "exe‹U+202E›fdp");
        assert_eq!(visible("\u{1b}[31mred\u{7}"), "‹U+001B›[31mred‹U+0007›");
        assert_eq!(visible("a\u{2066}b\u{200b}c\u{feff}\0"), "a‹U+2066›b‹U+200B›c‹U+FEFF›‹U+0000›");
        assert!(matches!(visible("eth0 – 主机\tשלום\n"), Cow::Borrowed("eth0 – 主机\tשלום\n")));
    }

    #[test]
    fn markdown_shows_what_was_said() {
        assert_eq!(markdown("net.ipv4.tcp_tw_recycle is 1"), "net.ipv4.tcp_tw_recycle is 1");
        assert_eq!(markdown("<script>alert(1)</script>"), "\\<script\\>alert(1)\\</script\\>");
        assert_eq!(markdown("a | b\n# c"), "a \\| b # c");
        assert_eq!(markdown("# no heading"), "\\# no heading");
        assert_eq!(markdown("_x_ *y* [z](w) &lt;"), "\\_x\\_ \\*y\\* \\[z\\](w) &amp;lt;");
        assert_eq!(markdown("see https://a.example and www.b.example"), "see https\\://a.example and www\\.b.example");
        assert_eq!(markdown("\u{202e}x"), "‹U+202E›x");
    }

    #[test]
    fn a_code_span_holds_any_text() {
        assert_eq!(markdown_code("tcp.flags == 2"), "`tcp.flags == 2`");
        assert_eq!(markdown_code("a`b``c"), "```a`b``c```");
        assert_eq!(markdown_code("`"), "`` ` ``");
        assert_eq!(markdown_code("a\nb"), "`a b`");
        assert_eq!(markdown_cell("a | `b|c`"), "a \\| `b\\|c`");
        assert_eq!(markdown_rich("Set `x_*=0` *now*, then `y`."), "Set `x_*=0` \\*now\\*, then `y`.");
    }

    #[test]
    fn a_shell_sees_one_word() {
        assert_eq!(shell("captures/a-1.pcap"), "captures/a-1.pcap");
        assert_eq!(shell("my file.pcap"), "'my file.pcap'");
        assert_eq!(shell("it's; rm $x"), "'it'\\''s; rm $x'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn backticks_mark_code() {
        let codes = |text| pieces(text).iter().map(|piece| (piece.code, piece.text)).collect::<Vec<_>>();
        assert_eq!(codes("run `a b` now"), [(false, "run "), (true, "a b"), (false, " now")]);
        assert_eq!(codes("one ` only"), [(false, "one ` only")]);
        assert_eq!(codes("`a`"), [(true, "a")]);
        assert!(codes("").is_empty());
    }

    #[test]
    fn times_and_spans_are_read_at_a_glance() {
        assert_eq!(moment(Time::from_parts(1_795_333_268, 314_889_700)), "2026-11-22 07:41:08.314 UTC");
        assert!(moment(Time::MIN).ends_with(" UTC"));
        let said = |millis| duration(Span::from_millis(millis));
        assert_eq!(said(850), "850 ms");
        assert_eq!(said(12_345), "12.3 s");
        assert_eq!(said(312_000), "5 min 12 s");
        assert_eq!(said(12_000_000), "3 h 20 min");
        assert_eq!(said(187_200_000), "2 d 4 h");
        assert_eq!(said(-1500), "-1.5 s");
        assert!(!duration(Span(i64::MIN)).is_empty());
    }

    #[test]
    fn numbers_have_no_needless_digits() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "packet", Language::En), "1 packet");
        assert_eq!(counted(2000, "packet", Language::En), "2,000 packets");
        assert_eq!(counted(2000, "packet", Language::Zh), "2,000 个报文");
        assert_eq!(number(231.0), "231");
        assert_eq!(number(-1234.5), "-1,234.5");
        assert_eq!(number(0.1239), "0.124");
        assert_eq!(number(-0.0), "0");
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(number(0.000_02), "2e-5");
    }

    #[test]
    fn metrics_are_words_with_units() {
        assert_eq!(metric("syns_dropped"), ("SYNs dropped".to_owned(), ""));
        assert_eq!(metric("shortest_s"), ("Shortest".to_owned(), "s"));
        assert_eq!(metric("rate_per_s"), ("Rate".to_owned(), "per s"));
        assert_eq!(metric("clocks"), ("Clocks".to_owned(), ""));
        assert_eq!(metric(""), (String::new(), ""));
    }
}
