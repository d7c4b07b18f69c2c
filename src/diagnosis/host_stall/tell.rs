//! Stalls as a finding, whatever recorded them: captured pings or logs of ping.

use std::net::IpAddr;

use super::super::host_signs::{self, Sign};
use super::super::stall::{self, Look};
use super::super::{
    Case, Cell, Confidence, EXHIBITS_SHOWN, Exhibit, Finding, Rule, Severity, Subject, Table, host_limits, number,
};
use super::hold::{Hold, Place, Way};
use super::place::Placed;
use super::tcp::{Answer, Clock, TcpStall};
use crate::evidence::hosts::HostView;
use crate::language::{Said, Text, plural, say, words};
use crate::time::{Span, Time};

/// The stalls between two hosts.
pub(super) struct Told<'a> {
    /// At least one.
    pub holds: &'a [Hold],
    pub looks: &'a [Look],
    pub watched: Span,
    /// Times are those of a clock; else they count from the first probe.
    pub dated: bool,
    /// Who asks and who answers.
    pub names: (Text, Text),
}

impl Told<'_> {
    pub fn finding(
        &self,
        case: &Case<'_>,
        rule: &Rule,
        subject: Subject,
        point: Option<u16>,
        placed: Placed,
    ) -> Finding {
        let confidence = if self.sure() { Confidence::High } else { Confidence::Medium };
        let server = subject.server_ip;
        let mut finding = rule.finding(Severity::Warning, confidence, subject, point);
        let (stalls, longest, stalled) = (self.holds.len() as u64, self.longest(), self.stalled());
        let (client, target) = &self.names;
        finding.title = say!(
            "{stalls} between {client} and {target}, the longest {longest}: a host stood still",
            stalls = plural(stalls, "stall"),
            client,
            target,
            longest
        );
        finding.summary = self.summary();
        finding.summary.add(placed.verdict.clone());
        finding.metric("stalls", number(stalls));
        finding.metric("stalled_ms", rounded(stalled));
        finding.metric("longest_ms", rounded(longest));
        finding.metric("held", number(self.sum(|hold| hold.held)));
        finding.metric("late", number(self.sum(|hold| hold.held.saturating_add(hold.stragglers))));
        finding.metric("lost", number(self.sum(|hold| hold.lost)));
        finding.metric("tail_drops", number(self.holds.iter().filter(|hold| hold.tail_drop).count() as u64));
        if let Some(share) = self.share() {
            finding.metric("share_percent", share);
        }
        let releases: Vec<Time> = self.holds.iter().map(|hold| hold.release.0).collect();
        let period = stall::period(&releases);
        if let Some(period) = period {
            finding.metric("period_s", period.secs());
        }
        finding.tables.push(self.table());
        finding.exhibit_all(exhibits(case, point.unwrap_or(0), self.holds));
        if self.dated {
            finding.first_time = self.holds.first().map(|hold| hold.start);
            finding.last_time = self.holds.iter().map(|hold| hold.release.1).max();
        }
        self.rule_out(&mut finding);
        self.advise(&mut finding, &placed, period, server);
        finding.references = ["RFC 792", "RFC 4443 section 4", "ping(8)"].map(str::to_owned).to_vec();
        finding
    }

    /// Three treads once may be a radio link; many, or several times, are not chance and not one frame repeated.
    fn sure(&self) -> bool {
        self.holds.len() > 1 || self.holds.iter().any(|hold| hold.held >= 5)
    }

    fn sum(&self, of: impl Fn(&Hold) -> usize) -> u64 {
        self.holds.iter().map(of).fold(0, |sum, value| sum.saturating_add(value as u64))
    }

    fn longest(&self) -> Span {
        self.holds.iter().map(|hold| hold.length).max().unwrap_or_default()
    }

    fn stalled(&self) -> Span {
        Span(self.holds.iter().map(|hold| hold.length.0).fold(0, i64::saturating_add))
    }

    /// Percent of the time watched, with one digit.
    fn share(&self) -> Option<f64> {
        let stalled = self.stalled();
        (self.watched > Span::ZERO).then(|| (stalled.secs() / self.watched.secs() * 1000.0).round() / 10.0)
    }

    fn summary(&self) -> Text {
        let (held, lost) = (self.sum(|hold| hold.held), self.sum(|hold| hold.lost));
        let ways = |way: Way| self.holds.iter().any(|hold| hold.has(way));
        let what = match (ways(Way::Replies), ways(Way::Requests)) {
            (true, true) => say!("requests and replies"),
            (false, true) => say!("requests"),
            _ => say!("replies"),
        };
        let share = self.share().map_or_else(Text::default, |share| say!(", {share} % of the time watched", share));
        let fate = match lost {
            0 => say!("none of those sent meanwhile was lost"),
            _ => say!("{requests} sent meanwhile never answered", requests = plural(lost, "request")),
        };
        let (stalled, longest) = (self.stalled(), self.longest());
        say!(
            "{held} {what} waited for the same moments and came at once; {fate}. Together the stalls take {stalled}{share}; the longest lasted {longest}. Each time fell by just the sending interval from one probe to the next, so they were not queued in the network: something that handles them did nothing meanwhile.",
            held,
            what,
            fate,
            stalled,
            share,
            longest
        )
    }

    fn moment(&self, at: Time) -> Cell {
        let text = if self.dated {
            Text::value(at.rfc3339())
        } else {
            say!("{default} s after the first probe", default = format!("{:.3}", at.since(Time::default()).secs()))
        };
        Cell::Text(text)
    }

    fn table(&self) -> Table {
        let row = |hold: &Hold| {
            vec![
                self.moment(hold.start),
                self.moment(hold.release.0),
                Cell::Number(rounded(hold.length)),
                Cell::Number(rounded(hold.lasted.0)),
                Cell::Number(rounded(hold.lasted.1)),
                Cell::Text(hold.words()),
                Cell::Count(hold.held as u64),
                Cell::Count(hold.lost as u64),
                Cell::Text(if hold.tail_drop { say!("yes") } else { say!("no") }),
                Cell::Count(hold.series as u64),
            ]
        };
        let columns = words!(
            "start",
            "release",
            "length, ms",
            "at least, ms",
            "at most, ms",
            "held",
            "probes held",
            "lost",
            "tail drop",
            "echo series",
        );
        Table {
            title: say!("Stalls"),
            columns: columns.map(Text::of).to_vec(),
            rows: self.holds.iter().map(row).collect(),
        }
    }

    fn rule_out(&self, finding: &mut Finding) {
        let steepest = self.holds.iter().map(|hold| hold.slope).fold(0.0, f64::min);
        finding.rule_out(say!("a slow or congested path (bufferbloat)"), say!("times jumped from normal and fell with slope {steepest} of time over sending time; a queue rises over many probes and its replies stay apart", steepest = format!("{steepest:.2}")));
        finding.rule_out(say!("packet loss"), say!("the probes were answered, only late and together"));
        finding.rule_out(
            say!("jitter"),
            say!("late replies without a common cause do not arrive together, in order, after silence"),
        );
        finding.rule_out(say!("a stopped ping process"), say!("requests went on being sent during the stalls"));
        for look in self.looks {
            finding.rule_out(say!("seen beside the stalls"), look.said());
        }
    }

    fn advise(&self, finding: &mut Finding, placed: &Placed, period: Option<Span>, server: Option<IpAddr>) {
        let (client, target) = &self.names;
        if let Some(period) = period {
            finding.advise(say!(
                "The stalls repeat every {period} s: look for a job or an agent with that period.",
                period = format!("{:.1}", period.secs())
            ));
        }
        if !placed.settled {
            let server = server.map_or_else(|| target.clone(), |ip| Text::value(ip.to_string()));
            finding.advise_when(say!("which host stalled is open"), say!("Record next: ping -D the gateway of {client} and {server} from {client} in the same seconds, ping -D {client} from {server}, and capture at both ends; give all of it to one run.", client, server));
        }
        finding.advise(say!("On the suspect: dmesg -T (soft lockup, rcu stall, hrtimer, clocksource), mpstat -P ALL 1 (steal, one CPU with all softirqs), /proc/slabinfo readers on old kernels (STALL002), and what ran at the moment of release."));
        finding.advise_when(
            say!("a radio link, a VPN over TCP or a virtual switch lies on the way"),
            say!("These hold packets as well: check them before the hosts."),
        );
    }
}

/// Adds what a host says of its own stalls.
pub(super) fn add_signs(finding: &mut Finding, view: &HostView, holds: &[Hold], dated: bool) {
    let signs = host_signs::signs(view);
    if signs.is_empty() {
        return;
    }
    let near = |sign: &Sign| dated && holds.iter().any(|hold| sign.near(hold.start, hold.release.1));
    let (meanwhile, others): (Vec<&Sign>, Vec<&Sign>) = signs.iter().partition(|sign| near(sign));
    let told = |signs: &[&Sign]| {
        signs.iter().take(3).map(|sign| format!("\u{201c}{}\u{201d}", sign.words)).collect::<Vec<_>>().join(", ")
    };
    if !meanwhile.is_empty() {
        finding.summary.add(say!(
            "{view} says of these moments: {meanwhile}.",
            view = view.name,
            meanwhile = told(&meanwhile)
        ));
    } else if !others.is_empty() {
        finding.summary.add(say!(
            "{view} says, of another time or without one: {others}; that may have the same cause and proves nothing.",
            view = view.name,
            others = told(&others)
        ));
    }
    let room = EXHIBITS_SHOWN.saturating_sub(finding.exhibits.len());
    finding.exhibits_total = finding.exhibits_total.saturating_add(signs.len() as u64);
    finding.exhibits.extend(meanwhile.into_iter().chain(others).map(Sign::exhibit).take(room));
}

/// Milliseconds with one digit: more would claim to be known.
fn rounded(span: Span) -> f64 {
    (span.millis() * 10.0).round() / 10.0
}

/// Frames are those of a capture point; lines carry their input.
pub(super) fn exhibits<'h>(case: &Case<'_>, point: u16, holds: impl IntoIterator<Item = &'h Hold>) -> Vec<Exhibit> {
    let proofs = holds.into_iter().flat_map(|hold| &hold.proof);
    let exhibit = |proof: &super::hold::Proof| match proof.place {
        Place::Frame(frame) => case.exhibit(point, frame, proof.at.unwrap_or_default(), proof.text.clone()),
        Place::Line(source) => Exhibit { time: proof.at, ..host_limits::line(source, proof.text.clone()) },
    };
    proofs.map(exhibit).collect()
}

/// Stalls of one host that its TCP connections show; at least one.
pub(super) fn tcp_finding(case: &Case<'_>, rule: &Rule, stalls: &[TcpStall]) -> Finding {
    let longest = stalls.iter().map(length).max().unwrap_or_default();
    let stalled = Span(stalls.iter().map(|stall| length(stall).0).fold(0, i64::saturating_add));
    let (point, host) = stalls.first().map_or((0, IpAddr::from([0; 4])), |stall| (stall.point, stall.host));
    let pings = case.stalls().iter().filter(|pair| pair.point == point && (pair.client == host || pair.server == host));
    let holds: Vec<&Hold> = pings.flat_map(|pair| &pair.holds).collect();
    let confirmed =
        stalls.iter().filter(|stall| holds.iter().any(|hold| hold.meets(stall.since, stall.release.0))).count();
    let stood_still = stalls.iter().all(|stall| stall.clock == Clock::StoodStill);
    let queued = stalls.iter().all(|stall| stall.clock == Clock::Queued);
    let confidence = if stood_still || confirmed > 0 { Confidence::High } else { Confidence::Medium };
    let subject = Subject { server_ip: Some(host), ..Subject::default() };
    let mut finding = rule.finding(Severity::Warning, confidence, subject, Some(point));
    let count = plural(stalls.len() as u64, "stall");
    let who = if queued {
        say!("what {host} had sent was held on its way", host)
    } else {
        say!("{host} or the way to it stood still", host)
    };
    let who = if stood_still { say!("{host} stood still", host) } else { who };
    finding.title = say!(
        "{count} in the TCP connections of {host}, the longest at least {longest}: {who}",
        count,
        host,
        longest,
        who
    );
    let answers: Vec<&Answer> = stalls.iter().flat_map(|stall| &stall.answers).collect();
    finding.summary = say!(
        "{answers} that were due at different times came together, after silence on these connections; each had been owed since the last copy of what it answers, so that nothing was lost. {tcp_words}",
        answers = plural(answers.len() as u64, "answer"),
        tcp_words = stalls.first().map(tcp_words).unwrap_or_default()
    );
    if stalls.iter().any(|stall| stall.common) {
        finding.summary.add(say!("Several hosts were late towards {host} at one moment: {host} itself, if this was captured there, or its link.", host));
    }
    if confirmed > 0 {
        finding.summary.add(say!("Pings of the same host show {confirmed} of them, too.", confirmed));
    }
    finding.metric("stalls", number(stalls.len() as u64));
    finding.metric("stalled_ms", rounded(stalled));
    finding.metric("longest_ms", rounded(longest));
    finding.metric("late", number(answers.len() as u64));
    let row = |stall: &TcpStall| {
        let connections: std::collections::BTreeSet<(u16, u64)> =
            stall.answers.iter().map(|answer| answer.connection).collect();
        vec![
            Cell::Text(Text::value(stall.since.rfc3339())),
            Cell::Text(Text::value(stall.release.0.rfc3339())),
            Cell::Number(rounded(length(stall))),
            Cell::Count(stall.answers.len() as u64),
            Cell::Count(connections.len() as u64),
            Cell::Count(stall.peers.len() as u64),
            Cell::Text(tcp_words(stall)),
        ]
    };
    let columns = words!("first owed", "release", "at least, ms", "late answers", "connections", "peers", "timestamps");
    finding.tables.push(Table {
        title: say!("Stalls in TCP"),
        columns: columns.map(Text::of).to_vec(),
        rows: stalls.iter().map(row).collect(),
    });
    let exhibit = |answer: &&Answer| {
        let text = say!(
            "{host}:{ports} answers {peer}:{ports_2} after {since}",
            host = answer.host,
            ports = answer.ports.0,
            peer = answer.peer,
            ports_2 = answer.ports.1,
            since = answer.at.since(answer.since)
        );
        case.exhibit(point, answer.frame, answer.at, text)
    };
    finding.exhibit_all(answers.iter().map(exhibit).collect::<Vec<_>>());
    finding.first_time = stalls.iter().map(|stall| stall.since).min();
    finding.last_time = stalls.iter().map(|stall| stall.release.1).max();
    finding.rule_out(say!("idle connections"), say!("an idle connection owes no answer"));
    finding.rule_out(say!("a slow application"), say!("a kernel acknowledges without its application"));
    finding.rule_out(say!("packet loss"), say!("the answers belong to packets that were not sent again in between"));
    finding.advise(say!("Record next: ping -D -i 0.1 {host} from two hosts while capturing there and on {host}; give all of it to one run.", host));
    finding.advise(say!("On the suspect: dmesg -T (soft lockup, rcu stall, hrtimer, clocksource), mpstat -P ALL 1 (steal, one CPU with all softirqs), and what ran at the moment of release."));
    finding.references =
        ["RFC 1122 section 4.2.3.2", "RFC 7323 section 3.2", "RFC 9293 section 3.8.6.3"].map(str::to_owned).to_vec();
    if let Some(view) = case.host_at(host) {
        let signs = host_signs::signs(view);
        finding.exhibits_total = finding.exhibits_total.saturating_add(signs.len() as u64);
        let room = EXHIBITS_SHOWN.saturating_sub(finding.exhibits.len());
        finding.exhibits.extend(signs.iter().map(Sign::exhibit).take(room));
    }
    finding
}

/// From the first thing owed to the release: it may have begun earlier.
fn length(stall: &TcpStall) -> Span {
    stall.release.0.since(stall.since)
}

/// What the timestamps say of a stall.
fn tcp_words(stall: &TcpStall) -> Text {
    match stall.clock {
        Clock::RanOn => {
            say!("The answers were stamped when they were released: they were made then, not held on their way.")
        }
        Clock::Queued => {
            say!("The answers were stamped when they were due: they were made in time, and held on their way.")
        }
        Clock::StoodStill => {
            say!(
                "The timestamp clock lost the time of the stall: the host itself stood still, as a paused virtual machine does."
            )
        }
        Clock::Unknown => say!("Timestamps do not tell where they were held."),
    }
}
