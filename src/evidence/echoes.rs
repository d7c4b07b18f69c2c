//! Echo requests and replies (RFC 792, RFC 4443 section 4) of a capture point, paired into series.
//!
//! A series is what one sender asks one host under one identifier. A reply belongs to the request with its sequence
//! number and its data; the numbers wrap at 65536, so the last request with a number is meant. Whoever answers late
//! answers nevertheless: a request counts as lost only at the end of the capture.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::Evidence;
use crate::segment::Echo;
use crate::time::{Span, Time};

/// What one sender asked one host under one identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoSeries {
    /// The capture point.
    pub point: u16,
    /// Who sent the requests.
    pub client: IpAddr,
    /// Whom they went to.
    pub server: IpAddr,
    /// Their identifier.
    pub id: u16,
    /// Requests in order of frames.
    pub probes: Vec<EchoProbe>,
    /// Further copies of requests and replies.
    pub duplicates: u64,
    /// Replies without a request: it was sent before the capture began, or took a way past it.
    pub strays: Vec<Stray>,
}

/// One request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoProbe {
    /// Its number, as sent.
    pub sequence: u16,
    /// What its data is known by; 0 where that is unknown.
    pub fingerprint: u32,
    /// When the request was captured, and its frame at the point from 0.
    pub request: (Time, u64),
    /// The same of the first reply.
    pub reply: Option<(Time, u64)>,
}

/// A reply whose request was not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its number.
    pub sequence: u16,
    /// When it was captured, and its frame at the point from 0.
    pub reply: (Time, u64),
}

/// Two requests with one number and one fingerprint are copies if they come within this time, before any reply: some
/// programs send the same number and data for ever.
const COPY: Span = Span::from_secs(1);

/// A reply is no older than this: after it, the number may belong to another run of the same program.
const PATIENCE: Span = Span::from_secs(300);

impl EchoProbe {
    /// From the request to the reply.
    #[must_use]
    pub fn rtt(&self) -> Option<Span> {
        self.reply.map(|(at, _)| at.since(self.request.0))
    }
}

/// The series of all capture points, by point, sender, host and identifier.
#[must_use]
pub fn series(evidence: &Evidence) -> Vec<EchoSeries> {
    let mut open: BTreeMap<Key, Pairing> = BTreeMap::new();
    for (point, echo, frame) in &evidence.echoes {
        let (client, server) = if echo.reply { (echo.dst, echo.src) } else { (echo.src, echo.dst) };
        let pairing = open.entry((*point, client, server, echo.id)).or_default();
        if echo.reply { pairing.reply(echo, *frame) } else { pairing.request(echo, *frame) }
    }
    open.into_iter().map(|(key, pairing)| pairing.series(key)).collect()
}

type Key = (u16, [u8; 16], [u8; 16], u16);

/// A series that is being paired.
#[derive(Default)]
struct Pairing {
    probes: Vec<EchoProbe>,
    /// The places of requests by sequence number, the newest last.
    places: BTreeMap<u16, Vec<usize>>,
    duplicates: u64,
    strays: Vec<Stray>,
}

impl Pairing {
    fn request(&mut self, echo: &Echo, frame: u64) {
        let places = self.places.entry(echo.sequence).or_default();
        let copy = places.iter().rev().filter_map(|place| self.probes.get(*place)).any(|probe| {
            let waits = probe.reply.is_none() && near(echo.at.since(probe.request.0), COPY);
            waits && same(probe.fingerprint, echo.fingerprint)
        });
        if copy {
            self.duplicates += 1;
            return;
        }
        // Only requests that a reply may still mean are kept at hand.
        let probes = &self.probes;
        places.retain(|place| probes.get(*place).is_some_and(|p| near(echo.at.since(p.request.0), PATIENCE)));
        places.push(self.probes.len());
        self.probes.push(EchoProbe {
            sequence: echo.sequence,
            fingerprint: echo.fingerprint,
            request: (echo.at, frame),
            reply: None,
        });
    }

    fn reply(&mut self, echo: &Echo, frame: u64) {
        let places = self.places.get(&echo.sequence).map_or(&[][..], Vec::as_slice);
        let recent: Vec<(usize, EchoProbe)> = places
            .iter()
            .rev()
            .filter_map(|place| self.probes.get(*place).map(|probe| (*place, *probe)))
            .filter(|(_, probe)| near(echo.at.since(probe.request.0), PATIENCE))
            .collect();
        // A host that changes the data is told by the number alone.
        let told = recent.iter().any(|(_, probe)| same(probe.fingerprint, echo.fingerprint));
        let mut meant = recent.iter().filter(|(_, probe)| !told || same(probe.fingerprint, echo.fingerprint));
        let open = meant.clone().find(|(_, probe)| probe.reply.is_none());
        match open.and_then(|(place, _)| self.probes.get_mut(*place)) {
            Some(probe) => probe.reply = Some((echo.at, frame)),
            None if meant.next().is_some() => self.duplicates += 1,
            None => self.strays.push(Stray { sequence: echo.sequence, reply: (echo.at, frame) }),
        }
    }

    fn series(self, (point, client, server, id): Key) -> EchoSeries {
        EchoSeries {
            point,
            client: address(client),
            server: address(server),
            id,
            probes: self.probes,
            duplicates: self.duplicates,
            strays: self.strays,
        }
    }
}

/// 0 stands for data that is not known.
fn same(one: u32, other: u32) -> bool {
    one == other || one == 0 || other == 0
}

fn near(span: Span, limit: Span) -> bool {
    span.0.unsigned_abs() <= limit.0.unsigned_abs()
}

fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
    const B: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 2];

    fn echo(millis: i64, reply: bool, id: u16, sequence: u16, fingerprint: u32) -> Echo {
        let (src, dst) = if reply { (B, A) } else { (A, B) };
        Echo { at: Time(millis * 1_000_000), frame: 0, reply, id, sequence, fingerprint, src, dst }
    }

    fn paired(echoes: Vec<Echo>) -> Vec<EchoSeries> {
        let numbered = echoes.into_iter().zip(0..).map(|(echo, frame)| (0, echo, frame));
        series(&Evidence { echoes: numbered.collect(), ..Evidence::default() })
    }

    fn rtts(series: &EchoSeries) -> Vec<Option<i64>> {
        series.probes.iter().map(|probe| probe.rtt().map(|rtt| rtt.0 / 1_000_000)).collect()
    }

    #[test]
    fn series_of_different_identifiers_and_directions_are_apart() {
        let mut back = echo(3, false, 7, 1, 30);
        (back.src, back.dst) = (B, A);
        let all = paired(vec![echo(0, false, 7, 1, 10), echo(1, false, 8, 1, 20), back, echo(4, true, 7, 1, 10)]);
        let seen: Vec<_> = all.iter().map(|s| (s.client.to_string(), s.id, rtts(s))).collect();
        let (a, b) = ("192.0.2.1".to_owned(), "192.0.2.2".to_owned());
        assert_eq!(seen, [(a.clone(), 7, vec![Some(4)]), (a, 8, vec![None]), (b, 7, vec![None])]);
    }

    #[test]
    fn late_is_not_lost_and_copies_are_counted() {
        let all = paired(vec![
            echo(0, false, 7, 1, 10),
            echo(1, false, 7, 1, 10),
            echo(100, false, 7, 2, 11),
            echo(101, true, 7, 2, 11),
            echo(102, true, 7, 2, 11),
            echo(2500, true, 7, 1, 10),
        ]);
        assert_eq!(rtts(&all[0]), [Some(2500), Some(1)]);
        assert_eq!(all[0].duplicates, 2);
    }

    #[test]
    fn numbers_wrap_and_runs_begin_again() {
        let hour = 3_600_000;
        let all = paired(vec![
            echo(0, false, 7, 65_535, 1),
            echo(1, true, 7, 65_535, 1),
            echo(100, false, 7, 0, 2),
            echo(101, true, 7, 0, 2),
            echo(hour, false, 7, 0, 2),
            echo(hour + 3, true, 7, 0, 2),
        ]);
        assert_eq!(rtts(&all[0]), [Some(1), Some(1), Some(3)]);
        // Two programs with one identifier: the data tells their requests apart.
        let mixed = paired(vec![
            echo(0, false, 7, 1, 10),
            echo(5, false, 7, 1, 99),
            echo(9, true, 7, 1, 10),
            echo(19, true, 7, 1, 99),
        ]);
        assert_eq!(rtts(&mixed[0]), [Some(9), Some(14)]);
    }

    #[test]
    fn replies_without_requests_are_kept_apart() {
        let all = paired(vec![echo(0, true, 7, 1, 10), echo(1, false, 7, 2, 11), echo(3, true, 7, 2, 12)]);
        assert_eq!((rtts(&all[0]), all[0].strays.len()), (vec![Some(2)], 1));
    }
}
