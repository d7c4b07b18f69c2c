//! How wide each letter of an embedded font is, and how far its ink stands from where it begins.
//!
//! The drawing library places a letter by its ink alone, which makes words look uneven; and it measures in whole
//! pixels. Tables and their fields: OpenType specification 1.9, chapters `cmap` (format 4), `head`, `hhea`, `hmtx`.

/// The measures of one letter, in em.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measure {
    /// From the start of this letter to the start of the next.
    pub advance: f64,
    /// From the start of this letter to the left end of its ink.
    pub bearing: f64,
}

/// The tables of a font that are needed to measure text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metrics<'a> {
    cmap: &'a [u8],
    hmtx: &'a [u8],
    /// Letters with an advance of their own; those after them share the last.
    advances: usize,
    units_per_em: f64,
}

impl<'a> Metrics<'a> {
    /// Reads the directory of an OpenType font; none where a table is missing.
    pub fn of(font: &'a [u8]) -> Option<Self> {
        let (head, hhea) = (table(font, *b"head")?, table(font, *b"hhea")?);
        Some(Self {
            cmap: basic_plane(table(font, *b"cmap")?)?,
            hmtx: table(font, *b"hmtx")?,
            advances: short(hhea, 34)?.into(),
            units_per_em: f64::from(short(head, 18)?.max(1)),
        })
    }

    /// The measures of a letter; those of the sign for a missing letter where the font has none.
    pub fn letter(&self, letter: char) -> Measure {
        let glyph = u16::try_from(u32::from(letter)).ok().and_then(|code| self.glyph(code)).unwrap_or(0);
        self.measure(glyph.into()).unwrap_or_default()
    }

    fn measure(&self, glyph: usize) -> Option<Measure> {
        let last = self.advances.checked_sub(1)?;
        let advance = short(self.hmtx, glyph.min(last) * 4)?;
        let bearing = short(self.hmtx, if glyph <= last { glyph * 4 + 2 } else { self.advances * 2 + glyph * 2 })?;
        let em = |units: f64| units / self.units_per_em;
        Some(Measure { advance: em(advance.into()), bearing: em(bearing.cast_signed().into()) })
    }

    fn glyph(&self, code: u16) -> Option<u16> {
        let segments = usize::from(short(self.cmap, 6)? / 2);
        let (ends, starts) = (14, 16 + segments * 2);
        let (deltas, offsets) = (starts + segments * 2, starts + segments * 4);
        let segment = (0..segments).find(|index| short(self.cmap, ends + index * 2).is_some_and(|end| end >= code))?;
        let start = short(self.cmap, starts + segment * 2)?;
        let within = usize::from(code.checked_sub(start)?);
        let delta = short(self.cmap, deltas + segment * 2)?;
        match short(self.cmap, offsets + segment * 2)? {
            0 => Some(code.wrapping_add(delta)),
            // The offset counts from its own place in the table.
            offset => match short(self.cmap, offsets + segment * 2 + usize::from(offset) + within * 2)? {
                0 => None,
                glyph => Some(glyph.wrapping_add(delta)),
            },
        }
    }
}

/// The table with this tag.
fn table(font: &[u8], tag: [u8; 4]) -> Option<&[u8]> {
    let records = font.get(12..)?.chunks_exact(16).take(short(font, 4)?.into());
    let record = records.into_iter().find(|record| record.starts_with(&tag))?;
    font.get(long(record, 8)?..)?.get(..long(record, 12)?)
}

/// The subtable of format 4, which maps the letters below U+10000.
fn basic_plane(cmap: &[u8]) -> Option<&[u8]> {
    let subtables = (0..usize::from(short(cmap, 2)?)).filter_map(|index| cmap.get(long(cmap, 8 + index * 8)?..));
    subtables.into_iter().find(|subtable| short(subtable, 0) == Some(4))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes).and_then(|value| usize::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: [(f64, f64); 4] = [(1303.0, 135.0), (604.0, 201.0), (569.0, -37.0), (1716.0, 117.0)];
    const FONT: &[u8] = include_bytes!("font/DejaVuSans.ttf");

    #[test]
    fn letters_have_the_measures_of_the_font() {
        let metrics = Metrics::of(FONT).unwrap();
        let units = |letter: char| {
            let Measure { advance, bearing } = metrics.letter(letter);
            ((advance * 2048.0).round(), (bearing * 2048.0).round())
        };
        // As fontTools prints them for DejaVu Sans 2.37.
        assert_eq!([units('0'), units('I'), units('j'), units('→')], EXPECTED);
        assert_eq!(metrics.letter('漢'), metrics.letter('\u{ffff}'));
    }

    #[test]
    fn no_cut_font_is_read_beyond_its_end() {
        for length in (0..FONT.len()).step_by(7) {
            if let Some(metrics) = Metrics::of(&FONT[..length]) {
                metrics.letter('A');
            }
        }
    }
}
