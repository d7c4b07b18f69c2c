//! CAP010: connections whose opening is not in the capture.

use super::limits::{at_point, cannot_be_told, ends, exhibits, percent};
use super::{Case, Confidence, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(super) static RULE: Rule = Rule { code: "CAP010", name: "mid-stream", explanation: pages!("mid_stream"), judge };

/// Connections below which a share says nothing.
const FEWEST: u64 = 3;

fn judge(case: &Case<'_>) -> Verdict {
    let points = 0..u16::try_from(case.evidence.points.len()).unwrap_or(u16::MAX);
    Verdict { found: points.filter_map(|point| at(case, point)).collect(), not_judged: Vec::new() }
}

fn at(case: &Case<'_>, point: u16) -> Option<super::Finding> {
    let sight = case.sight().at(point);
    let (count, later) = (sight.open_before.count, sight.open_later);
    // One in five: less is the ordinary start of a capture of a busy host.
    if count < FEWEST || count * 5 < sight.connections {
        return None;
    }
    let mut finding = at_point(&RULE, Severity::Info, Confidence::High, point);
    finding.title = say!(
        "{connections} of the connections were open before their first captured packet",
        connections = percent(count, sight.connections)
    );
    finding.summary = say!(
        "{count} of {connections} connections have no SYN here; {later} of them show their first packet more than a second after the capture began: they had been idle, or their SYN was filtered or lost. Who is the client is a guess there, by known listeners and then by the ports.",
        count,
        connections = sight.connections,
        later
    );
    finding.metric("connections", number(count));
    finding.metric("connections_total", number(sight.connections));
    finding.metric("appeared_later", number(later));
    finding.exhibit_all(exhibits(case, point, &sight.open_before, |c| {
        say!("{c}: the first packet that was captured is no SYN", c = ends(c))
    }));
    finding.exhibits_total = count;
    cannot_be_told(
        &mut finding,
        &[
            (Text::value("SYN001"), say!("what earlier closes taught the server; the first 60 s are undecided")),
            (say!("SYN001 to SYN009"), say!("how these connections opened")),
            (Text::value("TW001"), say!("whether their socket pairs were used again within 2MSL")),
            (Text::value("CW001 RST001"), say!("who of both is the client, where the ports do not tell")),
        ],
    );
    finding.advise(say!("Begin the recording before the trouble, and let it run: two minutes of lead show what TIME-WAIT and the timestamp check remember."));
    finding.advise_when(
        say!("the filter asks for flags or lengths"),
        say!("record without: `tcpdump -i IFACE -nn -s 160 -w again.pcap 'tcp and host ADDRESS'`"),
    );
    finding.references = vec!["RFC 9293 section 3.5".to_owned()];
    Some(finding)
}
