//! Load of each CPU: `mpstat`, a table as the parser of `sar` reads it, when its first line is missing.

use super::Parser;
use super::hint::Hint;
use super::sar;

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    sar::names(text).is_some_and(|(_, words)| sar::is_mpstat(&words))
}

pub(super) fn parser(hint: &Hint) -> Box<dyn Parser> {
    sar::parser(hint)
}
