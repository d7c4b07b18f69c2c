//! Reports made by hand for tests of the formats: a server with `tcp_tw_recycle`, many findings, hostile words.

use std::collections::BTreeMap;

use super::{ConnectionTable, PAGE_COLUMNS};
use crate::diagnosis::{
    Advice, Cell, Confidence, Exhibit, Finding, NotJudged, RuledOut, Selector, Severity, Subject, Table,
};
use crate::language::Text;
use crate::report::model::{
    CaptureFacts, ChartEntry, Client, Input, Point, Report, Service, Skipped, TcpCounts, Tool, Totals,
};
use crate::time::{Span, Time};

/// When the sample's capture begins.
pub(crate) const BEGIN: Time = Time::from_parts(1_795_333_268, 314_889_700);

fn at(millis: i64) -> Time {
    BEGIN.plus(Span::from_millis(millis))
}

/// A report without findings: everything was looked at and decided.
pub(crate) fn empty() -> Report {
    Report {
        language: crate::language::Language::default(),
        schema: "lastack-report/1",
        tool: Tool { name: "lastack", version: "0.1.0" },
        options: BTreeMap::from([("fail_on", "never".into()), ("msl", 30.into()), ("syn_flood_rate_per_s", 50.into())]),
        inputs: vec![capture_input(), snapshot_input("i2", "case-7/web1/nstat.txt", "nstat", 4211)],
        points: vec![Point {
            id: "p1".to_owned(),
            inputs: vec!["i1".to_owned()],
            first_packet: Some(BEGIN),
            last_packet: Some(at(319_000)),
            connections: 4120,
        }],
        links: Vec::new(),
        totals: Totals {
            packets: 48_213,
            segments: 48_001,
            connections: 4120,
            attempts: 4099,
            attempts_unanswered: 97,
            reuses: 12,
            opens: BTreeMap::from([("handshake", 3988), ("unanswered", 97), ("before-capture", 21), ("refused", 14)]),
            closes: BTreeMap::from([("fin", 3801), ("reset", 122), ("none", 111), ("open", 61), ("half-closed", 25)]),
        },
        findings: Vec::new(),
        not_judged: Vec::new(),
        clients: vec![
            client("203.0.113.9", [2210, 97, 0, 2113, 3]),
            client("198.51.100.24", [1800, 0, 14, 1786, 1]),
            client("2001:db8:85a3:1234:5678:8a2e:370:7334", [89, 0, 0, 89, 0]),
        ],
        services: vec![service("192.0.2.80", 443), service("2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", 65_535)],
        populations: Vec::new(),
        pings: Vec::new(),
        hosts: vec![serde_json::json!({
            "name": "web1",
            "kernel": "3.10.0-327.el7.x86_64",
            "sysctl": {"net.ipv4.tcp_tw_recycle": 1, "net.ipv4.tcp_timestamps": 1},
            "counters": {"TcpExtPAWSPassive": 231, "TcpExtListenDrops": 231},
            "addresses": ["192.0.2.80", "10.0.0.12"],
        })],
        syn_causes: BTreeMap::from([("SYN001".to_owned(), 231), ("undecided".to_owned(), 6)]),
        charts: Vec::new(),
        gate: None,
    }
}

/// One critical finding: 231 SYNs dropped by the per-host timestamp check.
pub(crate) fn recycle() -> Report {
    let mut report = empty();
    report.findings.push(recycle_finding());
    report.not_judged = vec![
        NotJudged {
            rule: "SYN002",
            because: Text::value("no snapshot shows the listen queues while SYNs went unanswered"),
            record_next: Text::value(
                "`ss -ltn` and `nstat -az` on 192.0.2.80, twice, a minute apart, during the trouble",
            ),
        },
        NotJudged {
            rule: "STALL001",
            because: Text::value("no echo requests were captured"),
            record_next: Text::value("`ping -D -i 0.2 192.0.2.80` beside the capture"),
        },
    ];
    if let Some(facts) = report.inputs.first_mut().and_then(|input| input.capture.as_mut()) {
        facts.skipped = vec![Skipped { reason: "not IP: LLDP".to_owned(), count: 212, first_frame: 7 }];
        facts.duplicates = 4;
        facts.truncated = Some("frame 48214: 96 of 1514 bytes before the end of the file".to_owned());
    }
    report
}

/// `recycle` with a warning and a note after it.
pub(crate) fn several() -> Report {
    let mut report = recycle();
    let mut reuse = recycle_finding();
    reuse.id = "TW001-1".to_owned();
    (reuse.rule, reuse.name) = ("TW001", "reused-within-2msl");
    (reuse.severity, reuse.confidence) = (Severity::Warning, Confidence::Medium);
    reuse.title = Text::value("198.51.100.24 reuses socket pairs to 192.0.2.80:443 after 1.2 s, within 2MSL");
    reuse.subject.client_ip = "198.51.100.24".parse().ok();
    reuse.metrics = BTreeMap::from([("reuses", 12.0), ("shortest_s", 1.204), ("accepted", 9.0), ("challenged", 3.0)]);
    (reuse.first_time, reuse.last_time) = (Some(at(120_000)), Some(at(130_500)));
    let mut info = recycle_finding();
    info.id = "HOST003".to_owned();
    (info.rule, info.name) = ("HOST003", "tcp-timestamps-off");
    (info.severity, info.confidence) = (Severity::Info, Confidence::Low);
    info.title = Text::value("Host web1 answers without timestamps");
    info.subject = Subject { host: Some("web1".to_owned()), ..Subject::default() };
    (info.first_time, info.last_time, info.point) = (None, None, None);
    info.display_filter.clear();
    info.exhibits = info.exhibits.drain(3..4).collect();
    info.exhibits_total = 1;
    report.findings.extend([reuse, info]);
    report
}

/// So many findings of all severities, worst first.
pub(crate) fn many(number: usize) -> Report {
    let mut report = recycle();
    report.findings = (0..number)
        .map(|index| {
            let mut finding = recycle_finding();
            finding.id = format!("SYN001-{}", index + 1);
            finding.severity = [Severity::Critical, Severity::Warning, Severity::Info][index * 3 / number.max(1)];
            finding.confidence = [Confidence::High, Confidence::Medium, Confidence::Low][index % 3];
            let step = i64::try_from(index).unwrap_or(0) * 1300;
            finding.first_time = Some(at(1000 + step));
            finding.last_time = Some(at(60_000 + step));
            finding
        })
        .collect();
    report
}

/// Words that try to break out of every format.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"'`|</style>\u{1b}[31m\u{202e}fdp.exe\u{2066} =cmd() https://evil.example/ www.evil.example \n# x";

/// `recycle` with hostile and endless words wherever a stranger's words get in.
pub(crate) fn hostile() -> Report {
    let mut report = recycle();
    let endless = "a-very-long-name-without-any-blank".repeat(12);
    let finding = &mut report.findings[0];
    finding.title = Text::value(format!("{HOSTILE} {endless}"));
    finding.summary = Text::value(HOSTILE);
    finding.subject.client_ip = "2001:db8:1111:2222:3333:4444:5555:6666".parse().ok();
    finding.subject.server_ip = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff".parse().ok();
    finding.subject.host = Some(endless.clone());
    finding.exhibits[0].text = Text::value(HOSTILE);
    finding.tables[0].rows.push(vec![
        Cell::Text(Text::value(HOSTILE)),
        Cell::Text(Text::value(endless.clone())),
        Cell::Number(f64::NAN),
    ]);
    finding.ruled_out.push(RuledOut { cause: Text::value(HOSTILE), because: Text::value(endless.clone()) });
    finding.advice.insert(0, Advice { when: Some(Text::value(HOSTILE)), text: Text::value(HOSTILE) });
    finding.display_filter = format!("{} && frame contains \"it's\"", finding.display_filter);
    finding.references.push(HOSTILE.to_owned());
    report.inputs[0].name = format!("{endless}/{HOSTILE}.pcap");
    report.inputs.push(snapshot_input("i3", HOSTILE, HOSTILE, 1));
    report.hosts.push(serde_json::json!({"name": HOSTILE, HOSTILE: [endless, 1, true, null]}));
    report.not_judged.push(NotJudged {
        rule: "CAP001",
        because: Text::value(HOSTILE),
        record_next: Text::value(HOSTILE),
    });
    report.syn_causes.insert(HOSTILE.to_owned(), 3);
    report
}

/// A picture that belongs to the first finding, and one of the whole.
pub(crate) fn charts(finding: Option<&str>) -> Vec<(ChartEntry, String)> {
    let chart = |name: &str, finding: Option<&str>| {
        let entry = ChartEntry {
            name: name.to_owned(),
            title: "TSval of each SYN from 203.0.113.9, answered and unanswered".to_owned(),
            alt: "Three rising lines of TSvals, one for each clock; every SYN below the highest recent one is unanswered."
                .to_owned(),
            finding: finding.map(str::to_owned),
        };
        let dots: String = (0..90)
            .map(|i| {
                let (x, y) = (60 + i * 10, 300 - (i % 3) * 80 - i / 2);
                let colour = if i % 3 == 0 { "#d55e00" } else { "#0072b2" };
                format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>")
            })
            .collect();
        let svg = format!(
            "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lastack-chart\" width=\"1000\" height=\"360\" viewBox=\"0 0 1000 360\" role=\"img\"><path d=\"M50 10V320H990\" fill=\"none\" stroke=\"currentColor\"/>{dots}<text x=\"500\" y=\"350\" fill=\"currentColor\">seconds</text></svg>"
        );
        (entry, svg)
    };
    let mut charts = vec![chart("whole", None)];
    charts.extend(finding.map(|id| chart("tsval", Some(id))));
    charts
}

/// So many rows of the connection table.
pub(crate) fn connections(rows: usize) -> ConnectionTable {
    let row = |index: usize| {
        let seen = at(i64::try_from(index).unwrap_or(0) * 31);
        let unanswered = index.is_multiple_of(43);
        let port = 32_768 + index % 28_000;
        let cells = [
            (index + 1).to_string(),
            "p1".to_owned(),
            "203.0.113.9".to_owned(),
            port.to_string(),
            "192.0.2.80".to_owned(),
            "443".to_owned(),
            (index * 11 + 1).to_string(),
            seen.rfc3339(),
            if unanswered { "unanswered" } else { "handshake" }.to_owned(),
            if unanswered { "4" } else { "1" }.to_owned(),
            if unanswered { String::new() } else { format!("{}.{}", 1 + index % 9, index % 10) },
            if unanswered { "none" } else { "fin" }.to_owned(),
            if unanswered { "none" } else { "server" }.to_owned(),
            if unanswered { "none" } else { "server" }.to_owned(),
            String::new(),
            "none".to_owned(),
            if unanswered { "STTT" } else { "ShADdfF" }.to_owned(),
            (index * 37 % 9000).to_string(),
            (index * 911 % 90_000).to_string(),
            String::new(),
            String::new(),
        ];
        cells.to_vec()
    };
    ConnectionTable {
        columns: PAGE_COLUMNS.iter().map(|name| (*name).to_owned()).collect(),
        rows: (0..rows).map(row).collect(),
        total: u64::try_from(rows).unwrap_or(u64::MAX),
    }
}

fn recycle_finding() -> Finding {
    let subject = Subject {
        client_ip: "203.0.113.9".parse().ok(),
        server_ip: "192.0.2.80".parse().ok(),
        server_port: Some(443),
        host: None,
    };
    Finding {
        id: "SYN001-1".to_owned(),
        rule: "SYN001",
        name: "per-host-paws-drop",
        severity: Severity::Critical,
        confidence: Confidence::High,
        title: Text::value(
            "192.0.2.80:443 drops SYNs from 203.0.113.9: its per-host timestamp check (tcp_tw_recycle) meets SNAT",
        ),
        summary: Text::value(
            "At least three hosts share the address 203.0.113.9. The server closed first and remembered the TSval \
                  of one of them for 60 s; 231 SYNs of the others, whose TSval was lower, drew no answer. Every SYN that \
                  the check lets pass was answered, and the host's own counter `TcpExtPAWSPassive` grew by 231.",
        ),
        point: Some("p1".to_owned()),
        first_time: Some(at(3120)),
        last_time: Some(at(315_000)),
        fingerprint: "5f2a".to_owned(),
        subject: subject.clone(),
        metrics: BTreeMap::from([
            ("syns_dropped", 231.0),
            ("syns_either", 0.0),
            ("attempts_failed", 97.0),
            ("syns_answered", 2113.0),
            ("contradictions", 0.0),
            ("unexplained", 0.0),
            ("undecided", 6.0),
            ("clocks", 3.0),
        ]),
        tables: vec![clock_table()],
        exhibits: (0..20).map(exhibit).collect(),
        exhibits_total: 231,
        selector: Selector { subject, from: None, until: None },
        ruled_out: vec![
            RuledOut {
                cause: Text::value("accept-queue-overflow"),
                because: Text::value("other clients were answered within 2 ms while SYNs of this one were dropped"),
            },
            RuledOut {
                cause: Text::value("syn-filtered"),
                because: Text::value("97 of the ports concerned were answered at another time"),
            },
            RuledOut {
                cause: Text::value("syn-lost"),
                because: Text::value("231 of 231 drops follow the check; loss at random would meet it with p < 10⁻⁹"),
            },
        ],
        advice: vec![
            Advice {
                when: Some(Text::value("Linux before 4.12, on 192.0.2.80")),
                text: Text::value("Turn the check off; it takes effect at once: `sysctl -w net.ipv4.tcp_tw_recycle=0`"),
            },
            Advice {
                when: None,
                text: Text::value(
                    "Make it last: set `net.ipv4.tcp_tw_recycle = 0` in `/etc/sysctl.d/` and look for the tool that turned it on.",
                ),
            },
            Advice {
                when: Some(Text::value("if the server cannot be changed")),
                text: Text::value("Let the client hosts send no timestamps: `sysctl -w net.ipv4.tcp_timestamps=0`"),
            },
        ],
        display_filter: "ip.addr == 203.0.113.9 && tcp.port == 443 && tcp.flags.syn == 1 && tcp.flags.ack == 0"
            .to_owned(),
        references: vec![
            "RFC 7323 section 5.3 and appendix B.2".to_owned(),
            "Linux 3.10 net/ipv4/tcp_ipv4.c, tcp_v4_conn_request".to_owned(),
        ],
    }
}

fn clock_table() -> Table {
    let row = |name: &str, host: &str, syns: u64, rate| {
        vec![
            Cell::Text(Text::value(name.to_owned())),
            Cell::Text(Text::value(host.to_owned())),
            Cell::Count(syns),
            Cell::Number(rate),
        ]
    };
    Table {
        title: Text::value("Clocks behind 203.0.113.9"),
        columns: vec![
            Text::value("Clock"),
            Text::value("Up for"),
            Text::value("SYNs dropped"),
            Text::value("Ticks per s"),
        ],
        rows: vec![
            row("c1", "41 days", 0, 1000.0),
            row("c2", "12 days", 80, 1000.0),
            row("c3", "3 hours", 151, 999.87),
        ],
    }
}

fn exhibit(index: u64) -> Exhibit {
    let time = at(3120 + i64::try_from(index).unwrap_or(0) * 977);
    if index == 3 {
        let text = "`TcpExtPAWSPassive 231 0.0`: SYNs that the check dropped".to_owned();
        return Exhibit { input: "i2".to_owned(), frame: None, line: Some(88), time: None, text: Text::value(text) };
    }
    let text = format!(
        "SYN from port {}, TSval 1200{index}, is 899,200 ticks behind the close of frame 5: no answer",
        41_000 + index
    );
    Exhibit {
        input: "i1".to_owned(),
        frame: Some(24 + index * 19),
        line: None,
        time: Some(time),
        text: Text::value(text),
    }
}

fn capture_input() -> Input {
    Input {
        id: "i1".to_owned(),
        name: "case-7/server-eth0.pcapng".to_owned(),
        kind: "capture",
        format: Some("pcapng".to_owned()),
        bytes: 9_412_336,
        digest: None,
        notes: Vec::new(),
        capture: Some(CaptureFacts {
            point: "p1".to_owned(),
            packets: 48_213,
            left_out: 0,
            segments: 48_001,
            slow_path: 12,
            first_packet: Some(BEGIN),
            last_packet: Some(at(319_000)),
            link_types: vec!["Ethernet".to_owned()],
            tcp: TcpCounts { streams: 4090, syn: 4336, synack: 4002, fin: 7600, rst: 130 },
            duplicates: 0,
            skipped: Vec::new(),
            truncated: None,
        }),
    }
}

fn snapshot_input(id: &str, name: &str, format: &str, bytes: u64) -> Input {
    Input {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: "snapshot",
        format: Some(format.to_owned()),
        bytes,
        digest: None,
        notes: Vec::new(),
        capture: None,
    }
}

fn client(ip: &str, [attempts, attempts_unanswered, refused, opened, clocks]: [u64; 5]) -> Client {
    Client { ip: ip.parse().expect("an address"), attempts, attempts_unanswered, refused, opened, clocks }
}

fn service(ip: &str, port: u16) -> Service {
    Service {
        ip: ip.parse().expect("an address"),
        port,
        clients: 3,
        connections: 4120,
        attempts: 4099,
        attempts_unanswered: 97,
        refused: 14,
        client_closes: 210,
        server_closes: 3591,
        resets: 122,
        closes_first: None,
        states: Vec::new(),
    }
}
