//! TCP options: RFC 9293 section 3.2, RFC 7323 sections 2 and 3.
//!
//! The Timestamps option is looked up on every segment by hand; a SYN's options are parsed whole, with nom,
//! since their order and values tell hosts and stacks apart.

use nom::bytes::complete::take;
use nom::number::complete::u8 as octet;
use nom::{IResult, Parser};

use super::TsVal;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const TIMESTAMPS: u8 = 8;

/// TSval and TSecr of a segment that carries them.
#[inline]
#[must_use]
pub fn timestamps(options: &[u8]) -> Option<(TsVal, TsVal)> {
    // Nearly every stack pads with two NOPs in front (RFC 7323 appendix A).
    const PADDED: u32 = u32::from_be_bytes([NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10]);
    if let Some(&[k1, k2, k3, k4, a, b, c, d, e, f, g, h]) = options.first_chunk::<12>()
        && u32::from_be_bytes([k1, k2, k3, k4]) == PADDED
    {
        return Some((TsVal(u32::from_be_bytes([a, b, c, d])), TsVal(u32::from_be_bytes([e, f, g, h]))));
    }
    // And a SYN has others in front.
    if let [2, 4, _, _, 4, 2, 8, 10, a, b, c, d, e, f, g, h, ..] = *options {
        return Some((TsVal(u32::from_be_bytes([a, b, c, d])), TsVal(u32::from_be_bytes([e, f, g, h]))));
    }
    timestamps_anywhere(options)
}

fn timestamps_anywhere(mut options: &[u8]) -> Option<(TsVal, TsVal)> {
    loop {
        match *options {
            [NO_OPERATION, ref rest @ ..] => options = rest,
            [TIMESTAMPS, 10, a, b, c, d, e, f, g, h, ..] => {
                return Some((TsVal(u32::from_be_bytes([a, b, c, d])), TsVal(u32::from_be_bytes([e, f, g, h]))));
            }
            [END, ..] | [] => return None,
            // A length below two would never end; such options are malformed and end the list.
            [_, length, ..] if length >= 2 => options = options.get(usize::from(length)..)?,
            _ => return None,
        }
    }
}

/// What a SYN's options say of the stack that sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynOptions {
    /// Maximum segment size; 0 where absent.
    pub mss: u16,
    /// Window scale shift; 255 where absent.
    pub window_scale: u8,
    /// The order of the option kinds, folded to a number that tells layouts apart.
    pub layout: u32,
}

/// Reads all options of a SYN; a malformed tail ends the list without an error.
#[must_use]
pub fn of_syn(options: &[u8]) -> SynOptions {
    // What Linux sends with all of them (`tcp_options_write()`, net/ipv4/tcp_output.c): most SYNs there are.
    if let [2, 4, m1, m2, 4, 2, 8, 10, _, _, _, _, _, _, _, _, 1, 3, 3, shift] = *options {
        const LAYOUT: u32 = layout(&[2, 4, 8, 1, 3]);
        return SynOptions { mss: u16::from_be_bytes([m1, m2]), window_scale: shift, layout: LAYOUT };
    }
    of_any_syn(options)
}

/// The order of option kinds, folded by FNV-1a: only equality matters.
const fn layout(kinds: &[u8]) -> u32 {
    match kinds {
        [before @ .., kind] => folded(layout(before), *kind),
        [] => 0,
    }
}

#[allow(clippy::cast_lossless)]
const fn folded(layout: u32, kind: u8) -> u32 {
    (layout ^ kind as u32).wrapping_mul(0x0100_0193).wrapping_add(1)
}

fn of_any_syn(options: &[u8]) -> SynOptions {
    let mut found = SynOptions { window_scale: u8::MAX, ..SynOptions::default() };
    let mut rest = options;
    while let Ok((after, (kind, value))) = option(rest) {
        found.layout = folded(found.layout, kind);
        match (kind, value) {
            (END, _) => break,
            (MAXIMUM_SEGMENT_SIZE, &[high, low]) => found.mss = u16::from_be_bytes([high, low]),
            (WINDOW_SCALE, &[shift]) => found.window_scale = shift,
            _ => {}
        }
        rest = after;
    }
    found
}

/// One option: its kind, and its value without kind and length. Nobody asks why there is none.
#[inline]
fn option(input: &[u8]) -> IResult<&[u8], (u8, &[u8]), ()> {
    let (rest, kind) = octet(input)?;
    if kind == END || kind == NO_OPERATION {
        return Ok((rest, (kind, &[])));
    }
    let (rest, length) = octet(rest)?;
    // A length below two wraps to a value that no options field can hold, so that take() refuses it.
    take(length.wrapping_sub(2)).map(|value| (kind, value)).parse(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_found_at_any_place() {
        let expected = Some((TsVal(0x0102_0304), TsVal(0x0506_0708)));
        assert_eq!(timestamps(&[1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]), expected);
        assert_eq!(timestamps(&[2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7]), expected);
    }

    #[test]
    fn malformed_options_end_the_list() {
        for bad in [&[8, 10, 1][..], &[2, 0, 8, 10], &[5, 1, 1], &[0, 8, 10], &[254], &[8, 9, 1, 2, 3, 4, 5, 6, 7]] {
            assert_eq!(timestamps(bad), None);
            let _ = of_syn(bad);
        }
    }

    #[test]
    fn a_syn_tells_its_stack() {
        let linux = of_syn(&[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7]);
        assert_eq!((linux.mss, linux.window_scale), (1460, 7));
        assert_eq!(linux, of_any_syn(&[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7]));
        let other = of_syn(&[2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2]);
        assert_ne!(linux.layout, other.layout);
        assert_eq!(of_syn(&[]).window_scale, 255);
    }
}
