//! What the host remembers of its peers: `ip tcp_metrics show`.
//!
//! It follows `ip/tcp_metrics.c` of iproute2. `tw_ts VALUE/AGE ago` is the timestamp that a kernel before
//! 4.12 compares the SYNs of that address with; where it is missing, nothing is remembered.

use std::net::IpAddr;

use super::facts::{RememberedStamp, Source};
use super::hint::Hint;
use super::text::leading_number;
use super::{Out, Parser, Taken};
use crate::time::Span;

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    row(text, Source::default()).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(TcpMetrics)
}

struct TcpMetrics;

impl Parser for TcpMetrics {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        match row(text, source) {
            Some(row) => {
                out.facts.remembered.push(row);
                Taken::Row
            }
            None if text.trim().is_empty() => Taken::Part,
            None => Taken::Foreign,
        }
    }
}

/// `192.0.2.1 age 0.528sec tw_ts 4294919334/1 ago cwnd 10 rtt 8426us rttvar 5833us source 192.0.2.10`.
fn row(text: &str, source: Source) -> Option<RememberedStamp> {
    let mut words = text.split_ascii_whitespace();
    let address = words.next()?.parse::<IpAddr>().ok()?.to_canonical();
    let mut found = RememberedStamp { address, age: None, tw_ts: None, source };
    let mut known = false;
    while let Some(word) = words.next() {
        match word {
            "age" => {
                found.age = Some(Span::from_secs_f64(leading_number(words.next()?)?));
                known = true;
            }
            "tw_ts" => {
                let (value, age) = words.next()?.split_once('/')?;
                let age = age.split('s').next()?.parse().ok()?;
                found.tw_ts = Some((value.parse().ok()?, age));
                known = true;
            }
            "cwnd" | "rtt" | "rttvar" | "ssthresh" | "reordering" | "source" | "fo_mss" | "fo_cookie" => {
                known |= words.next().is_some() && word != "source"
            }
            _ => {}
        }
    }
    known.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remembered_timestamp_is_read_with_its_age() {
        let line = "192.0.2.1 age 0.528sec tw_ts 4294919334/1 ago cwnd 10 rtt 8426us rttvar 5833us source 192.0.2.10";
        let found = row(line, Source::default()).expect("a row");
        assert_eq!((found.age, found.tw_ts), (Some(Span::from_millis(528)), Some((4_294_919_334, 1))));
        let line = "192.0.2.1 age 0.184sec cwnd 10 rtt 9072us rttvar 10887us source 192.0.2.10";
        assert_eq!(row(line, Source::default()).expect("a row").tw_ts, None);
        assert_eq!(row("192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.10", Source::default()), None);
    }
}
