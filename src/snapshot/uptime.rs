//! How long the host has been up: `uptime`, the first line of `w` and `top`, and `/proc/uptime`.

use super::facts::{Source, Uptime};
use super::hint::Hint;
use super::{Out, Parser, Taken};
use crate::time::Span;

pub(super) fn opens(text: &str, hint: &Hint) -> bool {
    sentence(text).is_some() || two_numbers(text).is_some() && hint.mentions("uptime")
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Reading { done: false })
}

struct Reading {
    done: bool,
}

impl Parser for Reading {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        match sentence(text).or_else(|| two_numbers(text)) {
            Some(up) if !self.done => {
                self.done = true;
                out.facts.uptimes.push(Uptime { up, source });
                Taken::Row
            }
            _ => Taken::Foreign,
        }
    }
}

/// ` 07:27:12 up 1 day,  2:27,  0 users,  load average: …`.
pub(super) fn sentence(text: &str) -> Option<Span> {
    let (_, rest) = text.split_once(" up ")?;
    if !rest.contains("load average") {
        return None;
    }
    let mut seconds = 0_i64;
    let mut number: Option<i64> = None;
    for word in rest.split([' ', ',']).filter(|word| !word.is_empty()) {
        if let Some((hours, minutes)) = word.split_once(':') {
            let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
            return Some(Span::from_secs(
                seconds.checked_add(hours.checked_mul(3600)?)?.checked_add(minutes.checked_mul(60)?)?,
            ));
        }
        let unit = match word {
            "day" | "days" => 86_400,
            "min" | "mins" | "minutes" => 60,
            "user" | "users" | "load" => break,
            _ => {
                number = word.parse().ok();
                continue;
            }
        };
        seconds = seconds.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    Some(Span::from_secs(seconds))
}

/// `42.53 32.74`: seconds since boot, and seconds that CPUs idled.
fn two_numbers(text: &str) -> Option<Span> {
    let mut words = text.split_ascii_whitespace();
    let up: f64 = words.next().filter(|word| word.contains('.'))?.parse().ok()?;
    words.next().filter(|word| word.contains('.'))?.parse::<f64>().ok()?;
    words.next().is_none().then(|| Span::from_secs_f64(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_in_every_form() {
        for (text, seconds) in [
            (" 07:27:12 up 27 min,  0 user,  load average: 4.60, 3.90, 2.19", 27 * 60),
            (" 07:27:12 up  2:05,  3 users,  load average: 4.60, 3.90, 2.19", 7500),
            (" 07:27:12 up 1 day,  2:05,  3 users,  load average: 0.00, 0.00, 0.00", 93_900),
            (" 07:27:12 up 400 days, 5 min,  1 user,  load average: 0.00, 0.00, 0.00", 400 * 86_400 + 300),
        ] {
            assert_eq!(sentence(text), Some(Span::from_secs(seconds)), "{text}");
        }
        assert_eq!(sentence("eth0 up and running"), None);
        assert_eq!(two_numbers("42.53 32.74"), Some(Span::from_millis(42_530)));
    }
}
