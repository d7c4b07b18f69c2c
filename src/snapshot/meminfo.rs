//! Memory of the host: `/proc/meminfo` (proc_meminfo(5)).

use super::facts::{Memory, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    text.starts_with("MemTotal:") && row(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Meminfo { opened: false })
}

struct Meminfo {
    opened: bool,
}

impl Parser for Meminfo {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if text.starts_with("MemTotal:") && std::mem::replace(&mut self.opened, true) {
            return Taken::Foreign;
        }
        match row(text) {
            Some((name, kib)) => {
                out.facts.memory.push(Memory { name: out.names.get(name), kib, source });
                Taken::Row
            }
            None if text.is_empty() => Taken::Part,
            None => Taken::Foreign,
        }
    }
}

/// `SUnreclaim:        45060 kB`, `HugePages_Total:       0`.
fn row(text: &str) -> Option<(&str, u64)> {
    let (name, rest) = text.split_once(':')?;
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    let unit = words.next();
    let shaped = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'(' | b')'));
    (shaped && matches!(unit, None | Some("kB")) && words.next().is_none()).then_some((name, value))
}
