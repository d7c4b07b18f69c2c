//! The colours of charts: one ink, and six colours that people with any colour vision tell apart.
//!
//! The six follow the palette of Okabe and Ito ("Color Universal Design", 2008). Its light ones are darkened, so that
//! each keeps a contrast of 3:1 (WCAG 2.1, success criterion 1.4.11) on a white page and on a dark one.

/// A colour and how much of it covers what is below, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour {
    /// Red, green and blue.
    pub rgb: (u8, u8, u8),
    /// Opacity, from 0 to 1.
    pub alpha: f64,
}

impl Colour {
    const fn solid(red: u8, green: u8, blue: u8) -> Self {
        Self { rgb: (red, green, blue), alpha: 1.0 }
    }

    /// The same colour with another opacity.
    pub const fn faded(self, alpha: f64) -> Self {
        Self { rgb: self.rgb, alpha }
    }
}

/// Text and whatever is drawn like text; an SVG has it as `currentColor`, and no other colour may have this value.
pub(super) const INK: Colour = Colour::solid(0x1f, 0x23, 0x29);
/// Axis labels and notes.
pub(super) const MUTED: Colour = INK.faded(0.75);
/// Lines that frame and divide.
pub(super) const RULE: Colour = INK.faded(0.45);
/// Lines that only guide the eye.
pub(super) const GRID: Colour = INK.faded(0.13);

pub(super) const BLUE: Colour = Colour::solid(0x00, 0x72, 0xb2);
pub(super) const VERMILLION: Colour = Colour::solid(0xd5, 0x5e, 0x00);
pub(super) const GREEN: Colour = Colour::solid(0x00, 0x9e, 0x73);
pub(super) const PURPLE: Colour = Colour::solid(0xc4, 0x6a, 0x9b);
pub(super) const ORANGE: Colour = Colour::solid(0xbf, 0x86, 0x00);
pub(super) const SKY: Colour = Colour::solid(0x3a, 0x97, 0xd3);
/// What belongs to none of the named series.
pub(super) const GREY: Colour = Colour::solid(0x80, 0x84, 0x8b);

/// The colours of series in the order they are given out.
pub(super) const SERIES: [Colour; 6] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY];

/// The colour of the series with this number; grey when the colours have run out.
pub(super) fn series(index: usize) -> Colour {
    SERIES.get(index).copied().unwrap_or(GREY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance((red, green, blue): (u8, u8, u8)) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    fn contrast(one: (u8, u8, u8), other: (u8, u8, u8)) -> f64 {
        let (a, b) = (luminance(one), luminance(other));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_is_seen_on_white_and_on_dark() {
        for colour in SERIES.iter().chain([&GREY]) {
            for page in [(255, 255, 255), (0x16, 0x18, 0x1d)] {
                let ratio = contrast(colour.rgb, page);
                assert!(ratio >= 3.0, "{colour:?} has only {ratio:.2} on {page:?}");
            }
        }
    }

    #[test]
    fn the_ink_is_no_other_colour() {
        assert!(SERIES.iter().chain([&GREY]).all(|colour| colour.rgb != INK.rgb));
    }
}
