//! Counters that a driver keeps: `ethtool -S`.
//!
//! The names are the driver's own; the interface is taken from the prompt line or the file's name.

use std::sync::Arc;

use super::facts::{Sample, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    matches!(text.trim_end(), "NIC statistics:" | "no stats available")
}

pub(super) fn parser(hint: &Hint) -> Box<dyn Parser> {
    Box::new(Ethtool { interface: interface(hint).into(), opened: false })
}

struct Ethtool {
    interface: Arc<str>,
    opened: bool,
}

impl Parser for Ethtool {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if opens(text, &Hint::default()) {
            let again = std::mem::replace(&mut self.opened, true);
            return if again { Taken::Foreign } else { Taken::Part };
        }
        if text.trim().is_empty() {
            return Taken::Part;
        }
        // `ethtool -i` is often printed with it.
        if ["driver: ", "version: ", "firmware-version: ", "expansion-rom-version:", "bus-info: ", "supports-"]
            .iter()
            .any(|key| text.starts_with(key))
        {
            return Taken::Part;
        }
        let counter = text.rsplit_once(':').filter(|_| text.starts_with([' ', '\t']));
        let Some((name, value)) = counter.and_then(|(name, value)| Some((name, value.trim().parse().ok()?))) else {
            return Taken::Foreign;
        };
        let (subject, name) = (self.interface.clone(), out.names.get(name.trim()));
        out.facts.samples.push(Sample { format: "ethtool_S", subject, name, value, time_of_day: None, source });
        Taken::Row
    }
}

/// The last word of `ethtool -S eth0`, else the last word of the name (`ethtool_-S_eth0`).
fn interface(hint: &Hint) -> String {
    let command = hint.command.as_deref().filter(|command| command.contains("ethtool"));
    let word = match command {
        Some(command) => command.split_ascii_whitespace().next_back(),
        None => {
            let base = hint.name.rsplit(['/', '!']).next().unwrap_or_default();
            base.split('.').next().unwrap_or(base).rsplit('_').next()
        }
    };
    word.unwrap_or_default().to_owned()
}
