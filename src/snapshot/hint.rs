//! What is known of how a tool was called: from the prompt line before its output, else from the file's name.
//!
//! It only helps to say what an output could have shown; formats are recognised by content. File names
//! follow the ways of people and of sos: `ss-tan.txt`, `ss_-peaonmi`, `netstat_-W_-neopa`.

/// How the output at hand was made, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Hint {
    /// The input's name.
    pub(super) name: String,
    /// The command of the prompt line.
    pub(super) command: Option<String>,
}

/// The tools whose names make a line a prompt.
const TOOLS: [&str; 38] = [
    "arp",
    "busybox",
    "cat",
    "conntrack",
    "date",
    "dmesg",
    "ethtool",
    "free",
    "head",
    "hostname",
    "hostnamectl",
    "ifconfig",
    "ip",
    "iptables",
    "iptables-save",
    "ip6tables",
    "ip6tables-save",
    "journalctl",
    "lsof",
    "lss",
    "mpstat",
    "netstat",
    "nft",
    "nstat",
    "ping",
    "ping6",
    "ps",
    "sar",
    "slabtop",
    "ss",
    "sudo",
    "sysctl",
    "tail",
    "top",
    "uname",
    "uptime",
    "vmstat",
    "w",
];

impl Hint {
    /// The one-letter flags that `tool` was called with; `None` where the call is not known.
    pub(super) fn flags(&self, tool: &str) -> Option<String> {
        self.command_flags(tool).or_else(|| self.name_flags(tool))
    }

    /// The word after `word` in the command: `time-wait` after `state`.
    pub(super) fn word_after(&self, word: &str) -> Option<&str> {
        let mut words = self.command.as_deref()?.split_ascii_whitespace();
        words.find(|found| *found == word)?;
        words.next()
    }

    /// Whether the command leaves lines out: behind a pipe, or by a filter of `ss`.
    pub(super) fn is_filtered(&self) -> bool {
        const FILTERS: [&str; 6] = ["sport", "dport", "src", "dst", "exclude", "state"];
        let is_ss = self.command_flags("ss").is_some();
        let command = self.command.as_deref().unwrap_or_default();
        let mut words = command.split([' ', '\'', '"', '(']);
        command.contains('|') || is_ss && words.any(|word| FILTERS.contains(&word))
    }

    /// Whether the command mentions `word`, or the name or its folder does.
    pub(super) fn mentions(&self, word: &str) -> bool {
        let mut parts = self.name.rsplit(['/', '\\', '!']).take(2);
        self.command.as_deref().map_or_else(|| parts.any(|part| part.contains(word)), |command| command.contains(word))
    }

    fn command_flags(&self, tool: &str) -> Option<String> {
        let mut words = self.command.as_deref()?.split_ascii_whitespace();
        words.find(|word| base_name(word) == tool)?;
        let mut flags = String::new();
        for word in words {
            match (word.strip_prefix("--"), word.strip_prefix('-')) {
                // Long options of these tools begin with the letter of the short one.
                (Some(long), _) => flags.extend(long.chars().next()),
                (None, Some(short)) => flags.push_str(short),
                _ => {}
            }
        }
        Some(flags)
    }

    fn name_flags(&self, tool: &str) -> Option<String> {
        let base = base_name(&self.name);
        let is_cut = |c: char| matches!(c, '_' | '-' | '.' | ' ');
        let (at, _) = base.match_indices(tool).find(|(at, _)| {
            let (head, tail) = (base.get(..*at), base.get(at.saturating_add(tool.len())..));
            head.is_some_and(|head| head.is_empty() || head.ends_with(is_cut))
                && tail.is_some_and(|tail| tail.starts_with(is_cut))
        })?;
        let rest = base.get(at.checked_add(tool.len())?.checked_add(1)?..)?;
        let flags: String = if rest.starts_with('-') {
            rest.split(['_', ' ']).filter_map(|word| word.strip_prefix('-')).collect()
        } else {
            rest.split(is_cut).next().filter(|word| !NO_FLAGS.contains(word)).unwrap_or_default().to_owned()
        };
        let plausible = (1..=9).contains(&flags.len()) && flags.bytes().all(|byte| byte.is_ascii_alphabetic());
        plausible.then_some(flags)
    }
}

/// Words of file names that would read as flags.
const NO_FLAGS: [&str; 14] =
    ["txt", "log", "out", "after", "before", "mid", "all", "start", "end", "server", "client", "host", "output", "old"];

/// The command of a prompt line: `$ ss -s`, `[root@web01 ~]# netstat -s`, `+ cmd`, `==> name <==`, `=== ss -s ===`, `ss -s`.
pub(super) fn command(text: &str) -> Option<&str> {
    let text = text.trim();
    if let Some(name) = text.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <==")) {
        return Some(name);
    }
    if let Some(command) = after_shell_prompt(text) {
        return Some(command);
    }
    let (body, framed) = without_frame(text);
    let mut words = body.split_ascii_whitespace();
    let tool = words.next()?;
    if !TOOLS.contains(&base_name(tool)) {
        return None;
    }
    let is_call = match words.next() {
        None => framed,
        Some(word) if is_option_or_path(word) => true,
        Some(word) => framed && is_argument(base_name(tool), word),
    };
    is_call.then_some(body)
}

/// `-s`, `--all`, `/proc/net/snmp`: what follows a tool's name in a call and not in a sentence.
fn is_option_or_path(word: &str) -> bool {
    let option = word.strip_prefix('-').unwrap_or_default();
    word.starts_with('/') || option.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-')
}

/// Arguments that are words; a comment may begin with the name of a tool (`# ip forwarding`).
fn is_argument(tool: &str, word: &str) -> bool {
    match tool {
        "ip" => matches!(
            word,
            "a" | "addr" | "address" | "l" | "link" | "r" | "route" | "rule" | "neigh" | "netns" | "tcp_metrics"
        ),
        "nft" => word == "list",
        "sudo" | "busybox" => TOOLS.contains(&base_name(word)),
        "ss" => word == "state",
        "top" | "slabtop" | "w" | "uptime" | "date" => matches!(word, "|" | ">"),
        _ => word.contains(['.', '|', '>', '/']) || word.bytes().any(|byte| byte.is_ascii_digit()),
    }
}

/// What follows `[root@web01 ~]#`, `root@web01:~#`, `user@host:/tmp$`: any command, known or not.
fn after_shell_prompt(text: &str) -> Option<&str> {
    let end = text.find(['#', '$'])?;
    let (prompt, rest) = text.split_at_checked(end)?;
    let (user, place) = prompt.trim_start_matches('[').split_once('@')?;
    let is_word = |word: &str| !word.is_empty() && word.len() <= 64 && !word.contains(char::is_whitespace);
    let host = place.split([':', ' ', ']']).next()?;
    let closed = prompt.starts_with('[') == prompt.trim_end().ends_with(']');
    let rest = rest.get(1..)?;
    (is_word(user) && is_word(host) && closed && (rest.is_empty() || rest.starts_with(' '))).then(|| rest.trim())
}

/// The line without the signs of a prompt or a frame around it, and whether there were any.
fn without_frame(text: &str) -> (&str, bool) {
    let body =
        text.trim_matches(|c: char| matches!(c, '=' | '-' | '#' | '*' | '+' | '$' | '%' | '>' | '~' | ' ' | ':' | '|'));
    // One dash is the option of a command that was wrapped.
    let framed = body.len() < text.len() && (!text.starts_with('-') || text.starts_with("--"));
    if framed { (body, true) } else { (text, false) }
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\', '!']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_told_from_output() {
        for (line, found) in [
            ("$ ss -s", Some("ss -s")),
            ("# netstat -s", Some("netstat -s")),
            ("[root@web01 ~]# ss -tan state time-wait", Some("ss -tan state time-wait")),
            ("user@host:/tmp$ sudo dmesg -T", Some("sudo dmesg -T")),
            ("+ cat /proc/net/sockstat", Some("cat /proc/net/sockstat")),
            ("=== ss -s ===", Some("ss -s")),
            ("$ uptime", Some("uptime")),
            ("ss -s", Some("ss -s")),
            ("==> /proc/net/snmp <==", Some("/proc/net/snmp")),
            ("top - 07:27:12 up 27 min,  0 user", None),
            ("conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.", None),
            ("# name            <active_objs> <num_objs>", None),
            ("--- 127.0.0.1 ping statistics ---", None),
            ("netstat: invalid option -- 'p'", None),
            ("date", None),
            ("[root@web01 ~]# exit", Some("exit")),
            ("[root@web01 ~]#", Some("")),
            ("mail root@web01 costs 5$ a month", None),
        ] {
            assert_eq!(command(line), found, "{line}");
        }
    }

    #[test]
    fn flags_come_from_the_command_or_the_name() {
        let hint = |name: &str, command: Option<&str>| Hint { name: name.into(), command: command.map(Into::into) };
        assert_eq!(hint("x", Some("sudo ss -tan")).flags("ss").as_deref(), Some("tan"));
        assert_eq!(hint("x", Some("ss -t -a state time-wait")).word_after("state"), Some("time-wait"));
        assert_eq!(hint("a.tar!b/ss-tan.txt", None).flags("ss").as_deref(), Some("tan"));
        assert_eq!(hint("sos/ss_-peaonmi", None).flags("ss").as_deref(), Some("peaonmi"));
        assert_eq!(hint("netstat_-W_-neopa", None).flags("netstat").as_deref(), Some("Wneopa"));
        assert_eq!(hint("linux4.9_nstat-az.txt", None).flags("nstat").as_deref(), Some("az"));
        for name in ["report.txt", "ss.txt", "ss_after.txt", "ss-2026-11-22.txt", "class-tan.txt"] {
            assert_eq!(hint(name, None).flags("ss"), None, "{name}");
        }
    }
}
