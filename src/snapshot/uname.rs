//! The kernel's release: `uname -a`, `uname -r`, `/proc/version`.
//!
//! Other outputs tell it too (`dmesg`, the header of `sar` and `mpstat`) and use `version`.

use super::facts::{KernelVersion, Source};
use super::hint::Hint;
use super::text::Names;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, hint: &Hint) -> bool {
    let mut names = Names::default();
    kernel(text, Source::default(), &mut names).is_some()
        || (hint.mentions("uname") || hint.mentions("osrelease")) && numbers(text.trim()).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Uname { done: false })
}

struct Uname {
    done: bool,
}

impl Parser for Uname {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if self.done {
            return Taken::Foreign;
        }
        let found = kernel(text, source, out.names).or_else(|| version(text.trim(), None, source, out.names));
        let Some(found) = found else {
            return Taken::Foreign;
        };
        self.done = true;
        out.facts.kernels.push(found);
        Taken::Row
    }
}

/// `Linux host 4.9.115 #2 SMP …` or `Linux version 4.9.115 (…`; not the header of a sysstat tool, which has no `#`.
pub(super) fn kernel(text: &str, source: Source, names: &mut Names) -> Option<KernelVersion> {
    let rest = text.trim().strip_prefix("Linux ")?;
    if let Some(rest) = rest.strip_prefix("version ") {
        return version(rest.split_ascii_whitespace().next()?, None, source, names);
    }
    let mut words = rest.split_ascii_whitespace();
    let (host, release, build) = (words.next()?, words.next()?, words.next()?);
    build.strip_prefix('#').and_then(|build| build.bytes().next()).filter(u8::is_ascii_digit)?;
    version(release, Some(host), source, names)
}

/// From a release: `3.10.0-1160.el7.x86_64`.
pub(super) fn version(release: &str, host: Option<&str>, source: Source, names: &mut Names) -> Option<KernelVersion> {
    let numbers = numbers(release)?;
    // A machine without a name calls itself so.
    let host = host.filter(|host| *host != "(none)").map(|host| names.get(host));
    Some(KernelVersion { release: names.get(release), numbers, host, source })
}

/// The first three numbers of a release; the third may be missing.
fn numbers(release: &str) -> Option<(u32, u32, u32)> {
    if release.contains(char::is_whitespace) {
        return None;
    }
    let mut parts = release.split(['.', '-', '+', '_']);
    let major = parts.next()?.parse().ok().filter(|major| (1..100).contains(major))?;
    let minor = parts.next()?.parse().ok()?;
    let patch = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    Some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::read;

    #[test]
    fn releases_are_read_from_every_form() {
        for (name, text, numbers) in [
            ("x", "Linux (none) 4.9.115 #2 SMP Sun Nov 22 07:34:59 UTC 2026 x86_64 GNU/Linux", (4, 9, 115)),
            (
                "x",
                "Linux web01 3.10.0-1160.el7.x86_64 #1 SMP Mon Oct 19 16:18:59 UTC 2020 x86_64 x86_64 x86_64 GNU/Linux",
                (3, 10, 0),
            ),
            ("x", "Linux version 2.6.32-754.el6.x86_64 (mockbuild@x86) (gcc version 4.4.7) #1 SMP", (2, 6, 32)),
            ("x", "$ uname -r\n5.15.0-91-generic", (5, 15, 0)),
            ("uname-r.txt", "6.1-rc3", (6, 1, 0)),
        ] {
            let facts = read(0, name, text.as_bytes()).facts;
            assert_eq!(facts.kernels.first().map(|kernel| kernel.numbers), Some(numbers), "{text}");
        }
        assert!(!opens("Linux 6.18.44 (vm) \t11/22/26 \t_x86_64_\t(2 CPU)", &Hint::default()));
    }
}
