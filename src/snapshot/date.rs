//! The host's clock, as `date` prints it in any locale's common forms, `date +%s.%N` and `date -Ins`.

use super::facts::{Moment, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken, clock};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    clock::date(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Date { done: false })
}

struct Date {
    done: bool,
}

impl Parser for Date {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        match clock::date(text) {
            Some((at, zone_known)) if !self.done => {
                self.done = true;
                out.facts.moments.push(Moment { at, zone_known, source });
                Taken::Row
            }
            _ => Taken::Foreign,
        }
    }
}
