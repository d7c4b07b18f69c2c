//! Settings of the kernel: `sysctl -a`, `sysctl.conf`, and `grep . /proc/sys/…`.
//!
//! `sysctl` prints `name = value` (sysctl(8)); a configuration file has comments or no blanks around `=`
//! (sysctl.conf(5)) and says what somebody wanted, not what the kernel does.

use super::facts::{Setting, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, hint: &Hint) -> bool {
    setting(text).is_some() || hint.mentions("sysctl") && text.starts_with(['#', ';'])
}

pub(super) fn parser(hint: &Hint) -> Box<dyn Parser> {
    // A command that prints live values outweighs the look of the lines.
    let asked_kernel = hint.flags("sysctl").is_some();
    let is_file = hint.mentions("sysctl.conf")
        || hint.mentions("sysctl.d")
        || hint.name.contains("sysctl.d/")
        || hint.name.ends_with(".conf");
    Box::new(Sysctl { first: None, file: is_file && !asked_kernel })
}

/// Whether the file, or the file that the command prints, is one of `/proc/sys`: it holds a value alone.
pub(super) fn opens_value(text: &str, hint: &Hint) -> bool {
    !text.trim().is_empty() && text.len() < 512 && setting(text).is_none() && !proc_sys(hint).is_empty()
}

pub(super) fn value_parser(hint: &Hint) -> Box<dyn Parser> {
    Box::new(Values { names: proc_sys(hint).into_iter() })
}

/// The settings whose values are printed, one a line.
struct Values {
    names: std::vec::IntoIter<String>,
}

impl Parser for Values {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let is_value = !text.trim().is_empty() && super::hint::command(text).is_none();
        let Some(name) = is_value.then(|| self.names.next()).flatten() else {
            return Taken::Foreign;
        };
        let value = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let name = out.names.get(&name);
        out.facts.settings.push(Setting { name, value: value.into(), live: true, source });
        Taken::Row
    }
}

/// The names of the settings whose files the command prints, else of the file itself.
fn proc_sys(hint: &Hint) -> Vec<String> {
    let name = |path: &str| path.split_once("proc/sys/").map(|(_, rest)| rest.replace('/', "."));
    match hint.command.as_deref() {
        // `grep . /proc/sys/…` names each value itself, and a pattern prints none of some.
        Some(command) if command.contains('*') => Vec::new(),
        Some(command) => command.split_ascii_whitespace().filter_map(name).collect(),
        None => name(&hint.name).into_iter().collect(),
    }
}

struct Sysctl {
    /// Where this output's settings begin among the facts.
    first: Option<usize>,
    file: bool,
}

impl Parser for Sysctl {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let first = *self.first.get_or_insert(out.facts.settings.len());
        if let Some((name, value, style)) = setting(text) {
            self.file |= style == Style::File;
            let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            let name = out.names.get(&name);
            out.facts.settings.push(Setting { name, value: value.into(), live: !self.file, source });
            if self.file {
                not_live(out, first);
            }
            return Taken::Row;
        }
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Taken::Part;
        }
        if trimmed.starts_with(['#', ';']) {
            // Only files have comments; a prompt looks like one and is none.
            if super::hint::command(text).is_some() || trimmed == "#kernel" || trimmed.starts_with("# name") {
                return Taken::Foreign;
            }
            self.file = true;
            not_live(out, first);
            return Taken::Part;
        }
        if trimmed.starts_with("sysctl: ") {
            return Taken::Bad("a message of the tool itself");
        }
        Taken::Foreign
    }
}

fn not_live(out: &mut Out<'_>, first: usize) {
    for setting in out.facts.settings.iter_mut().skip(first) {
        setting.live = false;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Live,
    File,
}

/// `net.ipv4.tcp_mem = 1\t2\t3`, `net.ipv4.tcp_tw_reuse=1`, `net/ipv4/tcp_tw_reuse = 1`, `/proc/sys/net/ipv4/tcp_tw_reuse:1`.
fn setting(text: &str) -> Option<(String, &str, Style)> {
    if let Some((path, value)) = text.strip_prefix("/proc/sys/").and_then(|rest| rest.split_once(':')) {
        return Some((path.replace('/', "."), value, Style::Live));
    }
    let (name, value) = text.split_once('=')?;
    let style = if name.ends_with(' ') { Style::Live } else { Style::File };
    let name = name.trim().trim_start_matches('-');
    let root = name.split(['.', '/']).next()?;
    let known = matches!(
        root,
        "net"
            | "kernel"
            | "vm"
            | "fs"
            | "dev"
            | "abi"
            | "debug"
            | "user"
            | "crypto"
            | "sunrpc"
            | "fscache"
            | "xen"
            | "base_reachable_time_ms"
    );
    let shaped = name.len() > root.len()
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b'@' | b':' | b'*' | b'%')
        });
    // A name with slashes may have dots inside a component (`net/ipv4/conf/eth0.100/rp_filter`): it is turned over.
    let dotted = match name.find(['.', '/']).and_then(|at| name.as_bytes().get(at)) {
        Some(b'/') => name
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    };
    (known && shaped).then_some((dotted, value, style))
}

#[cfg(test)]
mod tests {
    use crate::snapshot::read;

    #[test]
    fn a_file_is_told_from_the_running_kernel() {
        let live = read(0, "x", b"net.ipv4.tcp_tw_recycle = 1\nnet.ipv4.ip_local_port_range = 32768\t60999\n").facts;
        let one = live.setting("net.ipv4.ip_local_port_range").expect("a setting");
        assert_eq!((&*one.value, one.live, one.source.line), ("32768 60999", true, 2));
        for text in [
            "net.ipv4.tcp_tw_recycle=1\n",
            "net.ipv4.tcp_tw_recycle = 1\n# for TIME_WAIT\n",
            "# net\nnet.ipv4.tcp_tw_recycle = 1\n",
        ] {
            let file = read(0, "x", text.as_bytes()).facts;
            let one = file.setting("net.ipv4.tcp_tw_recycle").expect("a setting");
            assert_eq!((&*one.value, one.live), ("1", text.starts_with("# net")), "{text}");
        }
        let file = read(0, "etc/sysctl.conf", b"# net\nnet.ipv4.tcp_tw_recycle = 1\n").facts;
        assert!(!file.settings[0].live);
    }

    #[test]
    fn a_value_alone_is_named_by_its_file() {
        for (name, text) in [
            ("ticket.txt", "$ cat /proc/sys/net/ipv4/tcp_tw_recycle\n1\n$ ss -s\nTotal: 3\n"),
            (
                "ticket.txt",
                "==> /proc/sys/net/ipv4/tcp_tw_recycle <==\n1\n\n==> /proc/sys/net/ipv4/tcp_mem <==\n1\t2\t3\n",
            ),
            ("sos/proc/sys/net/ipv4/tcp_tw_recycle", "1\n"),
        ] {
            let snapshot = read(0, name, text.as_bytes());
            let one = snapshot.facts.setting("net.ipv4.tcp_tw_recycle").expect(text);
            assert_eq!((&*one.value, one.live, snapshot.skipped_lines()), ("1", true, 0), "{text}");
        }
    }

    #[test]
    fn comments_are_no_prompts() {
        let text = "# ip forwarding\nnet.ipv4.ip_forward = 0\n# top speed\nnet.ipv4.tcp_tw_recycle = 1\n";
        let snapshot = read(0, "etc/sysctl.conf", text.as_bytes());
        assert_eq!((snapshot.parsed, snapshot.sections.len(), snapshot.skipped_lines()), (2, 1, 0));
        assert!(snapshot.facts.settings.iter().all(|setting| !setting.live));
    }

    #[test]
    fn assignments_of_other_programs_are_no_settings() {
        for text in ["name = \"x\"", "a.b=c", "export PATH=/bin", "net = 1"] {
            assert!(read(0, "x", text.as_bytes()).facts.settings.is_empty(), "{text}");
        }
    }
}
