//! Lines of application logs that quote why a system call on a socket failed.
//!
//! The wording is that of strerror(3), the numbers are those of Linux (errno(3)): every runtime prints one
//! or both, such as `connect() failed (99: Cannot assign requested address)`.

use super::facts::Source;
use super::hint::Hint;
use super::log::{LogKind, LogLine, LogTime};
use super::{Out, Parser, Taken};

const FAILURES: [(&str, LogKind); 8] = [
    ("Cannot assign requested address", LogKind::NoFreePort),
    ("EADDRNOTAVAIL", LogKind::NoFreePort),
    ("Address already in use", LogKind::AddressInUse),
    ("EADDRINUSE", LogKind::AddressInUse),
    ("Connection refused", LogKind::ConnectionRefused),
    ("Connection timed out", LogKind::ConnectionTimedOut),
    ("Connection reset by peer", LogKind::ConnectionReset),
    ("ECONNRESET", LogKind::ConnectionReset),
];

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    failure(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(AppLog)
}

struct AppLog;

impl Parser for AppLog {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        match failure(text) {
            Some(kind) => {
                let text = text.trim().into();
                out.facts.log.push(LogLine { time: LogTime::Unknown, kind, count: 1, text, source });
                Taken::Row
            }
            None if text.trim().is_empty() => Taken::Part,
            None => Taken::Foreign,
        }
    }
}

/// A quoted failure of a call; the words alone, as in prose or in source code, are none.
fn failure(text: &str) -> Option<LogKind> {
    let is_call = ["connect", "bind", "accept", "recv", "send", "dial", "upstream", "listen", "socket"]
        .iter()
        .any(|call| text.contains(call));
    let is_failure = ["failed", "Errno", "errno", "rror"].iter().any(|word| text.contains(word));
    let found = FAILURES.iter().find(|(words, _)| text.contains(words));
    found.filter(|_| is_call && is_failure && text.len() < 4096).map(|&(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_calls_are_told_from_prose() {
        assert_eq!(
            failure(
                "2026/11/22 07:22:11 [crit] 12#0: *5 connect() to 127.0.0.1:9000 failed (99: Cannot assign requested address) while connecting to upstream"
            ),
            Some(LogKind::NoFreePort)
        );
        assert_eq!(
            failure("OSError: [Errno 98] Address already in use while binding the listener"),
            Some(LogKind::AddressInUse)
        );
        assert_eq!(failure("Connection refused is what a closed port answers."), None);
    }
}
