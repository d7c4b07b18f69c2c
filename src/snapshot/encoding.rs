//! Bytes to lines: UTF-8 with or without a mark, UTF-16 as Windows tools write it, GBK of Chinese Windows, CRLF.
//!
//! A line that is not UTF-8 is read as GBK (the "GBK" of the WHATWG Encoding Standard) where it looks like it. In any
//! other encoding (Latin-1) what this program reads of a localised output is ASCII, and the rest is replaced.

use std::borrow::Cow;

use encoding_rs::GBK;

/// How the characters of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Bytes,
    Utf16Little,
    Utf16Big,
}

/// Cuts blocks of a file into lines.
#[derive(Default)]
pub(super) struct Lines {
    encoding: Option<Encoding>,
    /// The first octets, until there are enough of them to tell the encoding: a pipe may give a few at a time.
    head: Vec<u8>,
    /// A line that the last block did not end.
    partial: Vec<u8>,
    /// Bytes of a UTF-16 unit, or of a surrogate pair, that the last block did not end.
    odd: Vec<u8>,
}

/// Octets that tell the encoding.
const TELLING: usize = 64;
/// A line longer than this is no line of any tool; its rest is dropped.
const LONGEST_LINE: usize = 1 << 20;

impl Lines {
    /// Calls `line` for each whole line of what was fed so far.
    pub(super) fn feed(&mut self, block: &[u8], line: &mut dyn FnMut(&str)) {
        if let Some(encoding) = self.encoding {
            return self.cut(encoding, block, line);
        }
        self.head.extend_from_slice(block);
        if self.head.len() >= TELLING {
            self.begin(line);
        }
    }

    fn begin(&mut self, line: &mut dyn FnMut(&str)) {
        let head = std::mem::take(&mut self.head);
        let encoding = *self.encoding.insert(recognise(&head));
        self.cut(encoding, &head, line);
    }

    fn cut(&mut self, encoding: Encoding, block: &[u8], line: &mut dyn FnMut(&str)) {
        let block = match encoding {
            Encoding::Bytes => Cow::Borrowed(block),
            Encoding::Utf16Little => Cow::Owned(self.decode(block, u16::from_le_bytes)),
            Encoding::Utf16Big => Cow::Owned(self.decode(block, u16::from_be_bytes)),
        };
        let mut rest: &[u8] = &block;
        while let Some(end) = find_line_end(rest) {
            let (head, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                give(head, line);
            } else {
                self.hold(head);
                let whole = std::mem::take(&mut self.partial);
                give(&whole, line);
            }
        }
        self.hold(rest);
    }

    /// Calls `line` for a last line without an end.
    pub(super) fn finish(&mut self, line: &mut dyn FnMut(&str)) {
        if self.encoding.is_none() {
            self.begin(line);
        }
        if !self.partial.is_empty() {
            let last = std::mem::take(&mut self.partial);
            give(&last, line);
        }
    }

    /// Whether the next octet fed begins a line, of a text that is not UTF-16.
    pub(super) fn is_at_line_start(&self) -> bool {
        self.partial.is_empty() && self.encoding == Some(Encoding::Bytes)
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// UTF-16 to UTF-8; units cut by the end of the block wait for the next one.
    fn decode(&mut self, block: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.odd);
        bytes.extend_from_slice(block);
        let (pairs, _) = bytes.as_chunks::<2>();
        let mut units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        let mut kept = bytes.len() % 2;
        if units.last().is_some_and(|last| (0xD800..0xDC00).contains(last)) {
            units.pop();
            kept = kept.saturating_add(2);
        }
        self.odd = bytes.split_off(bytes.len().saturating_sub(kept));
        let text: String = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .filter(|&c| c != '\u{feff}')
            .collect();
        text.into_bytes()
    }
}

fn find_line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

/// Hands one line over as text, without mark, line end and trailing NULs.
pub(super) fn give(bytes: &[u8], line: &mut dyn FnMut(&str)) {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => line(text),
        Err(_) => match chinese(bytes) {
            Some(text) => line(&text),
            None => line(&String::from_utf8_lossy(bytes)),
        },
    }
}

/// A line of GBK, where its octets above ASCII come in pairs of common characters.
///
/// Rare characters have an ASCII octet second: with them, Latin-1 would pass for Chinese, and lose letters to it.
fn chinese(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let mut rest = bytes.iter();
    while let Some(first) = rest.next() {
        let common = |second: &u8| (0xA1..=0xFE).contains(second);
        let paired = first.is_ascii() || (0xA1..=0xF7).contains(first) && rest.next().is_some_and(common);
        if !paired {
            return None;
        }
    }
    GBK.decode_without_bom_handling_and_without_replacement(bytes)
}

/// By the byte order mark, else by the zero bytes that ASCII has in UTF-16.
fn recognise(block: &[u8]) -> Encoding {
    match block {
        [0xFF, 0xFE, ..] => return Encoding::Utf16Little,
        [0xFE, 0xFF, ..] => return Encoding::Utf16Big,
        _ => {}
    }
    let head = block.get(..TELLING).unwrap_or(block);
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let most = head.len() / 4;
    if head.len() >= 8 && zeros(1) > most && zeros(0) == 0 {
        Encoding::Utf16Little
    } else if head.len() >= 8 && zeros(0) > most && zeros(1) == 0 {
        Encoding::Utf16Big
    } else {
        Encoding::Bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(blocks: &[&[u8]]) -> Vec<String> {
        let mut read = Lines::default();
        let mut found = Vec::new();
        for block in blocks {
            read.feed(block, &mut |line| found.push(line.to_owned()));
        }
        read.finish(&mut |line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_are_the_same_however_the_blocks_are_cut() {
        let text = "\u{feff}协议 a\r\n\r\nb 😀\nlast";
        let utf8 = text.as_bytes().to_vec();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [&utf8, &little, &big] {
            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                assert_eq!(lines(&[head, tail]), ["协议 a", "", "b 😀", "last"], "cut at {cut}");
            }
            assert_eq!(lines(&bytes.chunks(1).collect::<Vec<_>>()).len(), 4);
        }
    }

    #[test]
    fn utf_16_is_told_without_a_mark() {
        let little: Vec<u8> = "Active Connections\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(lines(&[&little]), ["Active Connections"]);
    }

    #[test]
    fn bytes_of_no_encoding_do_not_stop_the_reading() {
        assert_eq!(lines(&[b"\xff\xd2 TCP\nx"]).len(), 2);
        assert_eq!(lines(&[b"\xe9tat TCP"]), ["\u{fffd}tat TCP"]);
    }

    #[test]
    fn chinese_of_windows_is_read() {
        assert_eq!(lines(&[b"  \xd0\xad\xd2\xe9  TCP\r\n"]), ["  协议  TCP"]);
    }
}
