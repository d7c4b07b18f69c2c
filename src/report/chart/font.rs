//! The font that charts are drawn and measured with: DejaVu Sans, cut down to Latin and the symbols in use.
//!
//! It is part of the program, so that a picture is the same on every machine. Its licence lies beside the files.

use std::sync::{LazyLock, OnceLock};

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

use super::DrawError;
use super::metrics::{Measure, Metrics};

/// The name the font has for the drawing library; it never shows.
pub(super) const FAMILY: &str = "chart";

/// How high a line of this font is for the drawing library, in em: the ascent and descent of its `hhea` table.
pub(super) const LINE_PER_EM: f64 = (1901.0 + 483.0) / 2048.0;

static REGULAR: &[u8] = include_bytes!("font/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("font/DejaVuSans-Bold.ttf");

/// Makes the font known to the drawing library; only the first call does anything.
///
/// # Errors
/// When the embedded files are no fonts.
pub(super) fn register() -> Result<(), DrawError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok()
            && register_font(FAMILY, FontStyle::Bold, BOLD).is_ok()
    });
    if *registered { Ok(()) } else { Err(DrawError::Font) }
}

/// The font at a size of the drawing library's own measure, see [`LINE_PER_EM`].
pub(super) fn face(size: f64, bold: bool) -> FontDesc<'static> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FAMILY), size, style)
}

/// How wide the text is at `size` pixels an em.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    text.chars().map(|letter| measure(letter, bold).advance).sum::<f64>() * size
}

/// The measures of a letter, in em.
pub(super) fn measure(letter: char, bold: bool) -> Measure {
    static TABLES: LazyLock<[Option<Metrics<'static>>; 2]> = LazyLock::new(|| [REGULAR, BOLD].map(Metrics::of));
    let [regular, heavy] = *TABLES;
    let metrics = if bold { heavy } else { regular };
    // Three fifths of an em is what letters take on average.
    metrics.map_or(Measure { advance: 0.6, bearing: 0.0 }, |metrics| metrics.letter(letter))
}

/// Breaks the text into lines no wider than `room`: at spaces, and inside a word only where it alone is too wide.
pub(super) fn wrap(text: &str, room: f64, size: f64, bold: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&longer, size, bold) <= room {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        line = break_word(word, room, size, bold, &mut lines);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Pushes what fills whole lines and returns the rest of the word.
fn break_word(word: &str, room: f64, size: f64, bold: bool, lines: &mut Vec<String>) -> String {
    let mut piece = String::new();
    for letter in word.chars() {
        piece.push(letter);
        if width(&piece, size, bold) > room && piece.chars().count() > 1 {
            piece.pop();
            let rest = piece.split_off(break_after(&piece));
            lines.push(std::mem::replace(&mut piece, rest));
            piece.push(letter);
        }
    }
    piece
}

/// Where a piece of a word is broken: after the last sign that divides names, if that leaves a good part of the line.
fn break_after(piece: &str) -> usize {
    let divides = |letter: char| matches!(letter, '.' | '_' | '-' | ':' | '/' | ',' | ']');
    let last = piece
        .char_indices()
        .filter(|(_, letter)| divides(*letter))
        .map(|(at, letter)| at + letter.len_utf8())
        .next_back();
    last.filter(|at| *at * 2 > piece.len()).unwrap_or(piece.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        // The advance of "0" in DejaVu Sans is 1303 of 2048 units.
        assert!((width("0000000000", 20.0, false) - 10.0 * 20.0 * 1303.0 / 2048.0).abs() < 0.1);
        assert!(width("0", 20.0, true) > width("0", 20.0, false));
    }

    #[test]
    fn lines_fit_and_keep_every_letter() {
        let text = "a-very-long-host-name.with.many.labels.example.net and a few short words";
        let lines = wrap(text, 120.0, 14.0, false);
        assert!(lines.iter().all(|line| width(line, 14.0, false) <= 120.0));
        let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(squeeze(&lines.concat()), squeeze(text));
        assert!(wrap("  ", 120.0, 14.0, false).is_empty());
    }
}
