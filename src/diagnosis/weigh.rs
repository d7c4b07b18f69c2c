//! Every unanswered SYN weighed against all causes at once, per client address and server socket.
//!
//! Each cause has a detector of its own (`replay`, `overflow`, `filter`, `loss`); what they find is put together
//! here: each unanswered SYN segment is attributed to one cause, to either of two, or to none, and the counts
//! add up. The rules SYN001 to SYN004 only report what stands here, so that they cannot contradict one another.

pub(super) mod filter;
pub(super) mod kernels;
pub(super) mod loss;
pub(super) mod overflow;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use self::filter::Pattern;
use self::loss::Loss;
use self::overflow::{Overflow, Signs};
use super::finding::Exhibits;
use super::replay::{Prediction, Remembered, Tally, WithoutTimestamps};
use super::{Case, Confidence, Finding, Rule, Severity, Subject, number};
use crate::connection::Socket;
use crate::evidence::clocks::Clocks;
use crate::evidence::pairs::{Attempt, HostPair, SynSeen};
use crate::language::{Text, plural, say};
use crate::time::{Span, Time};

/// Why a SYN segment went unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The per-host timestamp check (SYN001).
    PawsDrop,
    /// A full listen queue (SYN002).
    Overflow,
    /// A filter (SYN003).
    Filter,
    /// Loss (SYN004).
    Loss,
    /// The timestamp check or another found cause: both explain it.
    PawsDropOr(OtherCause),
    /// What the start of the capture hides, or the edge of a whole second, decides.
    Undecided,
    /// No cause that was found explains it.
    Unexplained,
}

/// A cause that stands beside the timestamp check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherCause {
    /// SYN002.
    Overflow,
    /// SYN003.
    Filter,
}

impl Cause {
    /// As the SYN table spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PawsDrop => "SYN001",
            Self::Overflow => "SYN002",
            Self::Filter => "SYN003",
            Self::Loss => "SYN004",
            Self::PawsDropOr(OtherCause::Overflow) => "either:SYN001+SYN002",
            Self::PawsDropOr(OtherCause::Filter) => "either:SYN001+SYN003",
            Self::Undecided => "undecided",
            Self::Unexplained => "unexplained",
        }
    }
}

/// Whether the per-host timestamp check holds for a pair of hosts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PawsVerdict {
    /// It does, with this chance that it only seems so.
    Holds { chance: f64 },
    /// It does not.
    Refuted,
    /// It cannot be told, because.
    CannotTell(Text),
    /// Nothing speaks for it.
    No,
}

/// One unanswered SYN, and why.
#[derive(Clone, Debug)]
pub(super) struct Unanswered {
    pub syn: SynSeen,
    pub cause: Cause,
    /// What the server remembered then, where the check would drop the SYN.
    pub remembered: Option<Remembered>,
}

/// All that was weighed between one client address and one server socket.
#[derive(Debug)]
pub(super) struct Service {
    pub point: u16,
    pub client: IpAddr,
    pub server: Socket,
    pub unanswered: Vec<Unanswered>,
    /// SYN segments, answered or not.
    pub syns: u64,
    /// Attempts to open.
    pub attempts: u64,
    /// Attempts that opened after at least one unanswered SYN, and the longest delay that cost.
    pub slow: u64,
    pub slowest: Span,
    pub tally: Tally,
    pub paws: PawsVerdict,
    pub without_timestamps: WithoutTimestamps,
    /// Server kernels told apart behind the server's address.
    pub kernels: usize,
    pub overflow: Option<Overflow>,
    pub filter: Option<Pattern>,
    pub loss: Option<Loss>,
    pub clocks: Vec<ClockShare>,
    pub random_clocks: bool,
}

/// One client clock and how it fared.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockShare {
    pub hertz: u32,
    /// Seconds of its own ticks that it is behind the highest, at the end of the capture.
    pub behind: f64,
    pub attempts: u64,
    pub failed: u64,
}

impl Service {
    /// Unanswered SYNs of a cause.
    pub fn of(&self, cause: Cause) -> impl Iterator<Item = &Unanswered> {
        self.unanswered.iter().filter(move |unanswered| unanswered.cause == cause)
    }

    /// Unanswered SYNs that the check and a second cause explain.
    pub fn either(&self) -> u64 {
        self.unanswered.iter().filter(|unanswered| matches!(unanswered.cause, Cause::PawsDropOr(_))).count() as u64
    }
}

/// SYNs dropped by the check below which nothing is said: fewer may be chance.
const FEWEST: u64 = 3;
/// A chance of independence above which nothing is said.
const CHANCE: f64 = 1e-3;

/// Weighs every pair of hosts with an unanswered SYN.
pub(super) fn weigh_all(case: &Case<'_>) -> Vec<Service> {
    let signs = Signs::of(case.evidence);
    // Made before the threads part, since none of them may wait for what another one makes.
    case.sight();
    let judged = case.pairs().map(case.evidence, |pair| weigh(case, pair, &signs));
    judged.into_iter().flatten().collect()
}

/// Unanswered SYN segments by cause.
pub(super) fn causes(services: &[Service]) -> BTreeMap<String, u64> {
    let mut causes = BTreeMap::new();
    for unanswered in services.iter().flat_map(|service| &service.unanswered) {
        *causes.entry(unanswered.cause.name().to_owned()).or_insert(0) += 1;
    }
    causes
}

fn weigh(case: &Case<'_>, pair: &HostPair, signs: &Signs) -> Vec<Service> {
    let replay = case.replay(pair);
    // Where the server's packets take another way, silence says nothing.
    let mute = case.sight().is_mute(pair.point, pair.client, pair.server);
    let paws = if mute {
        PawsVerdict::CannotTell(say!(
            "the server answers on a way that was not captured (CAP004): no SYN can be said to be unanswered"
        ))
    } else {
        paws(&replay.tally(pair))
    };
    // Clocks are told where they matter; the SYN table tells them everywhere.
    let clocks = if matches!(paws, PawsVerdict::Holds { .. }) { pair.clocks() } else { Clocks::default() };
    let end = case.evidence.end_of(pair.point);
    let one = |(port, places): (u16, Vec<u32>)| {
        let service = One {
            pair,
            port,
            places,
            replay: &replay,
            paws: &paws,
            clocks: &clocks,
            end,
            tally: &case.evidence.tally,
            mute,
        };
        service.weigh(signs)
    };
    by_port(pair).into_iter().map(one).collect()
}

/// The places of the SYNs to each server port that left one unanswered.
fn by_port(pair: &HostPair) -> BTreeMap<u16, Vec<u32>> {
    let unanswered = pair.syns.iter().filter(|syn| syn.unanswered());
    let mut counts: BTreeMap<u16, usize> = unanswered.map(|syn| (syn.server_port, 0)).collect();
    for syn in &pair.syns {
        if let Some(count) = counts.get_mut(&syn.server_port) {
            *count += 1;
        }
    }
    let mut ports: BTreeMap<u16, Vec<u32>> =
        counts.into_iter().map(|(port, count)| (port, Vec::with_capacity(count))).collect();
    for (syn, place) in pair.syns.iter().zip(0..) {
        if let Some(places) = ports.get_mut(&syn.server_port) {
            places.push(place);
        }
    }
    ports
}

/// Whether the check holds for a pair, by what the replay came to.
fn paws(tally: &Tally) -> PawsVerdict {
    if tally.dropped == 0 {
        return hidden(tally);
    }
    if tally.contradictions > 0 {
        return PawsVerdict::Refuted;
    }
    if tally.dropped < FEWEST {
        return PawsVerdict::CannotTell(say!(
            "{syns} that the check would drop went unanswered: too few to tell from chance",
            syns = plural(tally.dropped, "SYN")
        ));
    }
    let chance = independence(tally);
    if chance > CHANCE {
        return PawsVerdict::CannotTell(say!(
            "{syns} that the check would drop went unanswered, but so did {unexplained} that it lets through, and only {passed} were answered: no proof that timestamps matter (chance {chance})",
            syns = plural(tally.dropped, "SYN"),
            unexplained = tally.unexplained,
            passed = tally.passed,
            chance = format!("{chance:.2}")
        ));
    }
    PawsVerdict::Holds { chance }
}

/// SYNs in the first minute that only a close before the capture could explain, and nothing else to go by.
fn hidden(tally: &Tally) -> PawsVerdict {
    if tally.undecided >= FEWEST && tally.unexplained == 0 {
        return PawsVerdict::CannotTell(say!(
            "{syns} went unanswered in the first 60 s: a close before the capture began may have taught the server a higher timestamp",
            syns = plural(tally.undecided, "SYN")
        ));
    }
    PawsVerdict::No
}

/// The chance that being behind and being unanswered are independent (Fisher's exact test, one-sided).
fn independence(tally: &Tally) -> f64 {
    let table = [tally.dropped, tally.contradictions, tally.unexplained, tally.passed];
    statrs::stats_tests::fishers_exact(&table, statrs::stats_tests::Alternative::Greater).unwrap_or(1.0)
}

/// One server port of a pair of hosts, while it is weighed.
struct One<'a> {
    pair: &'a HostPair,
    port: u16,
    /// The pair's SYNs to the port, in order: there may be a million.
    places: Vec<u32>,
    replay: &'a kernels::Replays,
    paws: &'a PawsVerdict,
    clocks: &'a Clocks,
    end: Time,
    /// What passed between all clients and servers.
    tally: &'a crate::evidence::tally::Tally,
    /// Not one packet of the server was captured, although it answers.
    mute: bool,
}

impl One<'_> {
    fn syns(&self) -> impl Iterator<Item = (&SynSeen, Prediction)> {
        let predictions = &self.replay.predictions;
        let one = |place: usize| Some((self.pair.syns.get(place)?, *predictions.get(place)?));
        self.places.iter().filter_map(move |place| one(*place as usize))
    }

    fn weigh(&self, signs: &Signs) -> Service {
        let server = Socket { ip: self.pair.server, port: self.port };
        let holds = matches!(self.paws, PawsVerdict::Holds { .. });
        let all = self.pair.attempts_to(self.port);
        // What the check explains, or may explain, is no evidence of anything else.
        let refuted = *self.paws == PawsVerdict::Refuted;
        let free = |syn: &SynSeen, prediction: Prediction| match prediction {
            Prediction::Pass => true,
            Prediction::Drop => !holds,
            Prediction::Edge | Prediction::Hidden => refuted || !syn.unanswered(),
        };
        let mut judged: Vec<&SynSeen> = Vec::with_capacity(self.places.len());
        judged.extend(self.syns().filter(|(syn, p)| free(syn, *p)).map(|(syn, _)| syn));
        let whole = judged.len() == self.places.len();
        let judged_attempts = if whole { Cow::Borrowed(all) } else { Cow::Owned(attempts_of(&judged)) };
        let judged = if self.mute { Vec::new() } else { judged };
        let overflow = overflow::detect(&judged, signs.of_service(self.pair.point, server));
        let always = || filter::always(all, self.tally, self.pair.client, server);
        let filter = if overflow.is_some() { None } else { filter::detect(&judged_attempts).or_else(always) };
        let filter = filter.filter(|_| !self.mute);
        let other = overflow.is_some() || filter.is_some();
        let loss = if other { None } else { loss::detect(&judged, &judged_attempts) };
        // A close before the capture may explain the same SYNs.
        let hidden = self.syns().any(|(syn, p)| syn.unanswered() && matches!(p, Prediction::Hidden | Prediction::Edge));
        let filter = filter.filter(|_| !(hidden && matches!(self.paws, PawsVerdict::CannotTell(_))));
        let mut service = self.empty(server, all);
        service.unanswered = self
            .syns()
            .filter(|(syn, _)| syn.unanswered())
            .map(|(syn, prediction)| {
                let second = Second {
                    overflow: overflow.as_ref().is_some_and(|overflow| overflow.explains(syn)),
                    filter: filter.as_ref().is_some_and(|pattern| pattern.explains(syn)),
                    loss: loss.is_some(),
                };
                let remembered = (prediction == Prediction::Drop).then(|| self.replay.remembered_at(syn.at)).flatten();
                let cause = if self.mute { Cause::Undecided } else { second.cause(holds, prediction) };
                Unanswered { syn: *syn, cause, remembered }
            })
            .collect();
        (service.overflow, service.filter, service.loss) = (overflow, filter, loss);
        service
    }

    fn empty(&self, server: Socket, attempts: &[Attempt]) -> Service {
        // Attempts that opened only after a retry: users felt them.
        let slow = attempts.iter().filter(|attempt| attempt.delay > Span::ZERO);
        Service {
            point: self.pair.point,
            client: self.pair.client,
            server,
            unanswered: Vec::new(),
            syns: self.places.len() as u64,
            attempts: attempts.len() as u64,
            slow: slow.clone().count() as u64,
            slowest: slow.map(|attempt| attempt.delay).max().unwrap_or_default(),
            tally: Tally::of(self.syns()),
            paws: self.paws.clone(),
            without_timestamps: self.replay.without_timestamps,
            kernels: self.replay.kernels,
            overflow: None,
            filter: None,
            loss: None,
            clocks: self.clock_shares(),
            random_clocks: self.clocks.random,
        }
    }

    fn clock_shares(&self) -> Vec<ClockShare> {
        let Some(start) = self.pair.syns.iter().find(|syn| syn.tsval.is_some()).map(|syn| syn.at) else {
            return Vec::new();
        };
        let length = self.end.since(start);
        let Some(highest) = self.clocks.clocks.first().map(|clock| clock.at(length)) else { return Vec::new() };
        let share = |(place, clock): (usize, &crate::evidence::clocks::Clock)| {
            let of_clock = |failed_only: bool| {
                let syns = self.pair.syns.iter().zip(&self.clocks.of).filter(|(syn, of)| {
                    let wanted = syn.server_port == self.port && (!failed_only || syn.attempt_failed());
                    wanted && of.map(usize::from) == Some(place)
                });
                syns.map(|(syn, _)| syn.attempt()).collect::<BTreeSet<u64>>().len() as u64
            };
            let ticks = f64::from(highest.ahead_of(clock.at(length)));
            ClockShare {
                hertz: clock.hertz,
                behind: ticks / f64::from(clock.hertz),
                attempts: of_clock(false),
                failed: of_clock(true),
            }
        };
        self.clocks.clocks.iter().enumerate().map(share).collect()
    }
}

/// The attempts of some SYNs in time order.
fn attempts_of(syns: &[&SynSeen]) -> Vec<Attempt> {
    let mut by_attempt: BTreeMap<u64, Vec<SynSeen>> = BTreeMap::new();
    for syn in syns {
        by_attempt.entry(syn.attempt()).or_default().push(**syn);
    }
    by_attempt.values().filter_map(|syns| Attempt::of(syns)).collect()
}

/// Which causes beside the timestamp check explain one SYN.
struct Second {
    overflow: bool,
    filter: bool,
    loss: bool,
}

impl Second {
    fn cause(&self, paws_holds: bool, prediction: Prediction) -> Cause {
        match (paws_holds && prediction == Prediction::Drop, self) {
            (true, Self { overflow: true, .. }) => Cause::PawsDropOr(OtherCause::Overflow),
            (true, Self { filter: true, .. }) => Cause::PawsDropOr(OtherCause::Filter),
            (true, _) => Cause::PawsDrop,
            (false, Self { overflow: true, .. }) => Cause::Overflow,
            (false, Self { filter: true, .. }) => Cause::Filter,
            (false, Self { loss: true, .. }) => Cause::Loss,
            (false, _) if matches!(prediction, Prediction::Edge | Prediction::Hidden) => Cause::Undecided,
            (false, _) => Cause::Unexplained,
        }
    }
}

impl Service {
    /// A finding about the service, to be filled in.
    pub fn finding(&self, rule: &Rule, severity: Severity, confidence: Confidence) -> Finding {
        let (ip, port) = (self.server.ip, self.server.port);
        let subject =
            Subject { client_ip: Some(self.client), server_ip: Some(ip), server_port: Some(port), host: None };
        rule.finding(severity, confidence, subject, Some(self.point))
    }

    /// Failed attempts with an unanswered SYN of some causes.
    pub fn failed_attempts(&self, which: impl Fn(Cause) -> bool) -> u64 {
        let failed =
            self.unanswered.iter().filter(|unanswered| which(unanswered.cause) && unanswered.syn.attempt_failed());
        failed.map(|unanswered| unanswered.syn.attempt()).collect::<BTreeSet<u64>>().len() as u64
    }

    /// The metrics that every rule about unanswered SYNs has.
    pub fn common_metrics(&self, finding: &mut Finding, failed: u64, unanswered: u64) {
        finding.metric("attempts", number(self.attempts));
        finding.metric("attempts_failed", number(failed));
        finding.metric("syns_unanswered", number(unanswered));
        self.slow_metrics(finding);
    }

    /// Attempts that opened late.
    pub fn slow_metrics(&self, finding: &mut Finding) {
        finding.metric("slow_connects", number(self.slow));
        finding.metric("slowest_connect_s", self.slowest.secs());
    }

    /// The same in words.
    pub fn slow_sentence(&self) -> Text {
        match self.slow {
            0 => Text::default(),
            slow => say!(
                "{attempts} opened only after a retry, the slowest after {slowest}: users felt that.",
                attempts = plural(slow, "attempt"),
                slowest = self.slowest
            ),
        }
    }

    /// The unanswered SYNs of some causes as exhibits.
    pub fn exhibits(&self, case: &Case<'_>, which: impl Fn(Cause) -> bool, why: Text) -> Exhibits {
        let of_cause =
            self.unanswered.iter().filter(|unanswered| which(unanswered.cause)).map(|unanswered| &unanswered.syn);
        let one = |syn: &SynSeen| {
            let again = if syn.retransmission { say!("repeated SYN") } else { Text::value("SYN") };
            case.exhibit(
                self.point,
                syn.frame,
                syn.at,
                say!("{again} from port {client_port} unanswered, {why}", again, client_port = syn.client_port, why),
            )
        };
        Exhibits::of(of_cause, |syn| syn.at, one)
    }

    /// Where a second capture point, nearer to the clients, places the failures.
    pub fn place(&self, case: &Case<'_>, finding: &mut Finding) {
        let Some(link) = case.links().links.iter().find(|link| link.server_point == self.point) else { return };
        finding.metric("placed_at_server", number(link.placed.at_server));
        finding.metric("placed_between", number(link.placed.between));
        finding.metric("placed_answer_lost", number(link.placed.answer_lost));
        finding.summary.add(say!("The capture at p{client_point} shows {linked} of the same SYNs before the NAT: {at_server} came here and drew no answer, {between} were lost on the way, {answer_lost} were answered and the answer was lost.", client_point = link.client_point + 1, linked = link.linked, at_server = link.placed.at_server, between = link.placed.between, answer_lost = link.placed.answer_lost));
        if link.placed.between == 0 && link.placed.answer_lost == 0 {
            finding.rule_out(
                say!("loss between both capture points"),
                say!("every SYN of the clients' side was seen here"),
            );
        }
    }

    /// Says why the timestamp check is not the cause, where that is known.
    pub fn rule_out_paws(&self, finding: &mut Finding) {
        let because = match (&self.paws, self.tally.contradictions) {
            (PawsVerdict::Refuted, contradictions) => {
                say!("{syns} that the check would have dropped drew an answer", syns = plural(contradictions, "SYN"))
            }
            (PawsVerdict::No, _) if self.tally.unexplained > 0 => {
                say!("no close by the server had taught it a newer timestamp than these SYNs carry")
            }
            _ => return,
        };
        finding.rule_out(say!("the per-host timestamp check (SYN001)"), because);
    }
}
