//! SYN001: SYNs dropped by the per-host timestamp check of `tcp_tw_recycle`, usually behind SNAT.
//!
//! The kernel's rule is replayed (see `replay`) for each pair of hosts. It holds where SYNs that it drops went
//! unanswered, none of them was answered, and being behind and being unanswered go together beyond chance.

use super::finding::Exhibits;
use super::host_facts::{Excluded, HostFacts};
use super::replay::{Remembered, WithoutTimestamps};
use super::weigh::{Cause, OtherCause, PawsVerdict, Service};
use super::{
    Case, Cell, Confidence, Exhibit, Finding, KernelVersion, NotJudged, Rule, Severity, Table, Verdict, number,
};
use crate::evidence::pairs::SynSeen;
use crate::language::{Text, pages, plural, say, words};

pub(super) static RULE: Rule =
    Rule { code: "SYN001", name: "per-host-paws-drop", explanation: pages!("per_host_paws_drop"), judge };

/// `tcp_tw_recycle` is gone since this version (commit 4396e46187ca).
const GONE_SINCE: KernelVersion = KernelVersion(4, 12);

fn judge(case: &Case<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for service in case.services() {
        match &service.paws {
            PawsVerdict::Holds { chance } if explained(service) > 0 => {
                let host = HostFacts::of(case, service);
                let excluded = host.as_ref().and_then(|host| host.excludes_recycle(GONE_SINCE));
                match (case.thresholds.kernel(service.server.ip), excluded) {
                    (_, Some(excluded)) => verdict.not_judged.push(denied(service, &excluded)),
                    (Some(version), _) if version >= GONE_SINCE => verdict.not_judged.push(gone(service, version)),
                    _ => verdict.found.push(finding(case, service, *chance, host.as_ref())),
                }
            }
            PawsVerdict::CannotTell(because) => verdict.not_judged.push(cannot_tell(service, because.clone())),
            _ => {}
        }
    }
    verdict.not_judged.dedup();
    verdict
}

/// Unanswered SYNs that the check explains, alone or beside a second cause.
fn explained(service: &Service) -> u64 {
    service.of(Cause::PawsDrop).count() as u64 + service.either()
}

fn cannot_tell(service: &Service, because: Text) -> NotJudged {
    NotJudged {
        rule: RULE.code,
        because: say!("{client} to {ip}: {because}", client = service.client, ip = service.server.ip, because),
        record_next: say!(
            "on the server for at least 3 minutes: `tcpdump -i any -s 96 -w server.pcap 'tcp and host {client}'`; before and after: `nstat -az TcpExtPAWSPassive TcpExtListenDrops`, `sysctl net.ipv4.tcp_tw_recycle`",
            client = service.client
        ),
    }
}

/// The pattern fits, but the kernel that the engineer named cannot do it.
fn gone(service: &Service, version: KernelVersion) -> NotJudged {
    elsewhere(service, say!("kernel {version} has no tcp_tw_recycle", version))
}

/// The pattern fits, but the host says of itself that it cannot do it.
fn denied(service: &Service, excluded: &Excluded) -> NotJudged {
    elsewhere(service, excluded.because.clone())
}

fn elsewhere(service: &Service, reason: Text) -> NotJudged {
    let because = say!(
        "the pattern of the timestamp check fits, but {reason}: something in front of the host may check timestamps",
        reason
    );
    NotJudged {
        record_next: say!("a capture on {ip} itself beside one in front of it", ip = service.server.ip),
        ..cannot_tell(service, because)
    }
}

fn finding(case: &Case<'_>, service: &Service, chance: f64, host: Option<&HostFacts<'_>>) -> Finding {
    let (dropped, either) = (service.of(Cause::PawsDrop).count() as u64, service.either());
    let failed = service.failed_attempts(|cause| matches!(cause, Cause::PawsDrop | Cause::PawsDropOr(_)));
    let mut finding = service.finding(&RULE, Severity::Critical, confidence(case, service, chance, host));
    // Closes on any port of the server teach it timestamps.
    finding.selector.subject.server_port = None;
    let count = if dropped > 0 { plural(dropped, "SYN") } else { say!("up to {syns}", syns = plural(either, "SYN")) };
    finding.title = say!(
        "{server} drops SYNs of {client} by the per-host timestamp check: {count} unanswered, {attempts} failed",
        server = service.server,
        client = service.client,
        count,
        attempts = plural(failed, "attempt")
    );
    finding.summary = summary(service, dropped, either, failed);
    for (name, count) in [
        ("syns_dropped", dropped),
        ("syns_either", either),
        ("attempts_failed", failed),
        ("syns_answered", service.tally.answered),
        ("contradictions", service.tally.contradictions),
        ("unexplained", service.of(Cause::Unexplained).count() as u64),
        ("undecided", service.of(Cause::Undecided).count() as u64),
        ("clocks", service.clocks.len() as u64),
    ] {
        finding.metric(name, number(count));
    }
    finding.metric("chance_of_independence", super::finding::significant(chance));
    // How well the rule predicts silence, over all SYNs of the pair of hosts that it decides.
    let share = |of: u64, others: u64| super::finding::significant(number(of) / number((of + others).max(1)));
    finding.metric("precision", share(service.tally.dropped, service.tally.contradictions));
    finding.metric("recall", share(service.tally.dropped, service.tally.unexplained));
    service.slow_metrics(&mut finding);
    let proofs = service.unanswered.iter().filter(|u| matches!(u.cause, Cause::PawsDrop | Cause::PawsDropOr(_)));
    let proofs = proofs.filter_map(|unanswered| Some((&unanswered.syn, unanswered.remembered?)));
    let show = |(syn, remembered)| exhibit(case, service.point, syn, remembered);
    finding.exhibit_all(Exhibits::of(proofs, |(syn, _)| syn.at, show));
    if let Some(host) = host {
        finding.confidence = host.weigh_paws(case, &mut finding).confidence(finding.confidence);
    }
    finding.tables.extend(clock_table(service));
    service.place(case, &mut finding);
    rule_out(&mut finding, service, chance);
    advise(&mut finding, service);
    finding.display_filter.push_str(" && tcp.flags.syn==1");
    finding.references = REFERENCES.map(str::to_owned).to_vec();
    finding
}

/// High only where nothing contradicts, nothing is left over, one kernel answers, and chance is out of the question.
fn confidence(case: &Case<'_>, service: &Service, chance: f64, host: Option<&HostFacts<'_>>) -> Confidence {
    let old_kernel = case.thresholds.kernel(service.server.ip).is_some_and(|version| version < GONE_SINCE)
        || host.is_some_and(|host| host.has_old_kernel(GONE_SINCE));
    let alone = service.tally.unexplained == 0 && service.either() == 0 && service.kernels == 1;
    if (chance < 1e-6 && alone) || (chance < 1e-4 && old_kernel) { Confidence::High } else { Confidence::Medium }
}

fn summary(service: &Service, dropped: u64, either: u64, failed: u64) -> Text {
    let passed = service.tally.passed;
    let mut text = say!(
        "After the server had closed a connection of this address, SYNs whose timestamp lies behind the remembered one got no answer for 60 s: {syns} dropped, {attempts} failed. No SYN that the check drops was answered, and {passed} that it lets pass were.",
        syns = plural(dropped + either, "SYN"),
        attempts = plural(failed, "attempt"),
        passed
    );
    text.add(clocks(service));
    if service.without_timestamps == WithoutTimestamps::Passes {
        text.add(say!("SYNs without timestamps pass, as on kernels up to 3.16."));
    }
    if either > 0 {
        let second = service.unanswered.iter().find_map(|unanswered| match unanswered.cause {
            Cause::PawsDropOr(OtherCause::Overflow) => Some(say!("a full listen queue (SYN002)")),
            Cause::PawsDropOr(OtherCause::Filter) => Some(say!("a filter (SYN003)")),
            _ => None,
        });
        text.add(say!("A second cause acts as well, {second}: {either} of the SYNs may be its work, so that PAWSPassive must have grown by {dropped} to {either_2}.", second = second.unwrap_or_else(|| say!("not named")), either, dropped, either_2 = dropped + either));
    }
    if service.kernels > 1 {
        text.add(say!(
            "{kernels} server kernels answer for this address; each was replayed by itself.",
            kernels = service.kernels
        ));
    }
    text.add(service.slow_sentence());
    text.add(say!("This is what `net.ipv4.tcp_tw_recycle=1` does."));
    text
}

/// The sentence that ends tickets: which client clock fails, and which never does.
fn clocks(service: &Service) -> Text {
    let named = |place: usize| super::finding::letter(place);
    let worst =
        service.clocks.iter().enumerate().filter(|(_, clock)| clock.failed > 0).max_by_key(|(_, clock)| clock.failed);
    match (service.random_clocks, service.clocks.len(), worst) {
        (true, ..) => {
            say!("Each connection has a timestamp offset of its own, so that even one host alone runs into the check.")
                .to_owned()
        }
        (false, 0, _) => say!("No client clock could be told apart."),
        (false, 1, _) => say!("All timestamps lie on one client clock."),
        (false, count, Some((place, clock))) => say!(
            "{count} client clocks share this address: the host with clock {place} ({hertz} Hz, {behind} s behind A) failed {failed} of {attempts}; {fared}.",
            count,
            place = named(place),
            hertz = clock.hertz,
            behind = format!("{:.0}", clock.behind),
            failed = clock.failed,
            attempts = clock.attempts,
            fared = match service.clocks.first() {
                Some(highest) if highest.failed == 0 => say!("the one with the highest clock never did"),
                _ => say!("the highest clock changed hands meanwhile"),
            }
        ),
        (false, count, None) => say!("{count} client clocks share this address.", count),
    }
}

fn exhibit(case: &Case<'_>, point: u16, syn: &SynSeen, remembered: Remembered) -> Exhibit {
    let age = syn.at.since(remembered.from);
    let text = match syn.tsval {
        Some(tsval) => say!(
            "SYN from port {client_port} unanswered: TSval {tsval} is {tsval_2} ticks behind {tsval_3}, learnt {age} before",
            client_port = syn.client_port,
            tsval,
            tsval_2 = remembered.tsval.ahead_of(tsval),
            tsval_3 = remembered.tsval,
            age
        ),
        None => say!(
            "SYN from port {client_port} unanswered: no timestamps, while {tsval} learnt {age} before counts",
            client_port = syn.client_port,
            tsval = remembered.tsval,
            age
        ),
    };
    case.exhibit(point, syn.frame, syn.at, text)
}

/// One row a clock: rate, how far behind the highest, attempts, failures.
fn clock_table(service: &Service) -> Option<Table> {
    let rows: Vec<Vec<Cell>> = service
        .clocks
        .iter()
        .enumerate()
        .map(|(place, clock)| {
            vec![
                Cell::Text(Text::value(super::finding::letter(place))),
                Cell::Count(u64::from(clock.hertz)),
                Cell::Number((clock.behind * 10.0).round() / 10.0),
                Cell::Count(clock.attempts),
                Cell::Count(clock.failed),
            ]
        })
        .collect();
    let columns =
        words!("clock", "rate (Hz)", "behind the highest at the end (s of its own ticks)", "attempts", "failed");
    (!rows.is_empty()).then(|| Table {
        title: say!("Client clocks behind this address, the highest first"),
        columns: columns.map(Text::of).to_vec(),
        rows,
    })
}

fn rule_out(finding: &mut Finding, service: &Service, chance: f64) {
    let tally = &service.tally;
    finding.rule_out(
        say!("random loss (SYN004)"),
        say!(
            "none of the {dropped} SYNs that the check drops was answered, while {passed} others were: chance {chance}",
            dropped = tally.dropped,
            passed = tally.passed,
            chance = format!("{chance:.1e}")
        ),
    );
    if service.overflow.is_none() && tally.unexplained == 0 {
        let because = say!(
            "all {passed} SYNs ahead of the remembered value were answered, at the same time",
            passed = tally.passed
        );
        finding.rule_out(say!("a full listen queue (SYN002)"), because);
    }
    if service.filter.is_none() && tally.unexplained == 0 && tally.passed > 0 {
        finding.rule_out(
            say!("a filter (SYN003)"),
            say!("the same clients were answered as long as nothing newer was remembered"),
        );
    }
    finding.rule_out(say!("connection refused (SYN005)"), say!("no RST answered these SYNs"));
}

const REFERENCES: [&str; 3] = [
    "Linux 3.17 to 4.11, net/ipv4/tcp_input.c: tcp_conn_request(); net/ipv4/tcp_metrics.c: tcp_peer_is_proven()",
    "Linux up to 3.16, net/ipv4/tcp_ipv4.c: tcp_v4_conn_request()",
    "RFC 7323 appendix B.2",
];

fn advise(finding: &mut Finding, service: &Service) {
    finding.advise_when(say!("on the server, kernel before 4.12"), say!("`sysctl -w net.ipv4.tcp_tw_recycle=0` (and in `/etc/sysctl.conf`): the drops stop at once, and it costs nothing but TIME-WAIT sockets"));
    finding.advise_when(say!("to confirm on the live server"), say!("`nstat -az TcpExtPAWSPassive TcpExtTWKilled`: the first grows by one with each dropped SYN, the second with each recycled TIME-WAIT"));
    finding.advise_when(
        say!("kernel 4.12 or later"),
        say!(
            "tcp_tw_recycle does not exist there: look for a device in front of {ip} that checks timestamps",
            ip = service.server.ip
        ),
    );
    finding.advise(say!("Do not switch off timestamps on the server only to get rid of this, and do not lower `tcp_max_tw_buckets` or `tcp_fin_timeout`: neither is the cause."));
}
