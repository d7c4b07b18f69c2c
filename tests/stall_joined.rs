//! Ping logs as inputs beside captures and other logs: the same stalls by each of them, told once, and where they happened.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use lastack::diagnosis::{Case, Cell, Confidence, Finding, Severity, Thresholds, run_all};
use lastack::report::Material;
use lastack::report::model::Report;
use support::analysis::{evidence, verdict};

/// The longest sending interval; starts and lengths are right to within one.
const INTERVAL_MS: f64 = 104.0;
/// A log without times has its moments from the mean interval: what a busy host sent late adds to it.
const UNSTAMPED_MS: f64 = 60.0;

fn log(run: &str, name: &str) -> PathBuf {
    Path::new("fixtures/hosts/ping_stall").join(run).join(name)
}

fn stalls(paths: &[&Path]) -> Vec<Finding> {
    let mut found = verdict(&evidence(paths, 2)).found;
    found.retain(|finding| finding.rule == "STALL001");
    found
}

fn report(paths: &[&Path]) -> Report {
    let evidence = evidence(paths, 2);
    let thresholds = Thresholds::default();
    let case = Case::new(&evidence, &thresholds);
    Material::new(&case, run_all(&case), true).report
}

/// Start and length of each stall of a run.
fn truth(run: &str) -> Vec<(f64, f64)> {
    let file = match run {
        "reply" => "../ping_stall_100ms_reply.pcap",
        "request" => "request_client.pcap",
        _ => "short_client.pcap",
    };
    let text = fs::read_to_string("fixtures/captures/ping_stall/truth.txt").unwrap();
    let of = text.lines().filter_map(|line| line.strip_prefix(file)?.strip_prefix(' '));
    of.map(|line| {
        line.split_once(' ').map(|(start, length)| (start.parse().unwrap(), length.parse().unwrap())).unwrap()
    })
    .collect()
}

/// Release, length, at least and at most, in milliseconds, of each row.
fn rows(finding: &Finding) -> Vec<[f64; 3]> {
    let number = |cell: &Cell| match cell {
        Cell::Number(value) => *value,
        other => panic!("{other:?}"),
    };
    finding.tables[0].rows.iter().map(|row| [number(&row[2]), number(&row[3]), number(&row[4])]).collect()
}

#[test]
fn every_log_shows_the_stalls_with_their_lengths() {
    for run in ["reply", "request", "short"] {
        let truth = truth(run);
        for name in ["ping.txt", "ping_D.txt", "ping6_D_O.txt"] {
            let found = stalls(&[&log(run, name)]);
            assert_eq!(found.len(), 1, "{run} {name}");
            let told = rows(&found[0]);
            assert_eq!(told.len(), truth.len(), "{run} {name}");
            for ([length, ..], (_, true_length)) in told.iter().zip(&truth) {
                let slack = if name == "ping.txt" { UNSTAMPED_MS } else { 0.0 };
                let off = length - true_length;
                assert!(off.abs() <= INTERVAL_MS + slack, "{run} {name}: {off}");
            }
            let dated = name != "ping.txt";
            assert_eq!(found[0].first_time.is_some(), dated);
            if let Some(first) = found[0].first_time {
                let off = (first.0 as f64 / 1e9 - truth[0].0) * 1e3;
                assert!(off.abs() <= INTERVAL_MS, "{run} {name}: starts {off} ms off");
            }
            assert!(found[0].exhibits.iter().all(|exhibit| exhibit.line.is_some() && exhibit.frame.is_none()));
            assert!(found[0].exhibits.len() >= truth.len());
        }
    }
}

#[test]
fn logs_of_slow_networks_show_none_and_say_what_they_are() {
    for (run, word) in [("bufferbloat", "queue build-up (bufferbloat)"), ("jitter", "jitter")] {
        for name in ["ping.txt", "ping_D.txt", "ping6_D_O.txt"] {
            let report = report(&[&log(run, name)]);
            assert!(report.findings.is_empty(), "{run} {name}: {:?}", report.findings);
            let [ping] = report.pings.as_slice() else { panic!("{:?}", report.pings) };
            assert!(ping.looks.iter().any(|look| look.contains(word)), "{run} {name}: {:?}", ping.looks);
        }
    }
}

#[test]
fn a_log_and_a_capture_of_the_same_pings_are_one_finding() {
    let capture = Path::new("fixtures/captures/ping_stall_100ms_reply.pcap");
    let logs = ["ping.txt", "ping_D.txt", "ping6_D_O.txt"].map(|name| log("reply", name));
    let found = stalls(&[capture, &logs[0], &logs[1], &logs[2]]);
    assert_eq!(found.len(), 2, "IPv4 and IPv6");
    for finding in &found {
        assert_eq!(finding.point.as_deref(), Some("p1"));
        assert!(finding.summary.contains("shows 4 of these 4 stalls"), "{}", finding.summary);
        assert!(finding.exhibits.iter().any(|exhibit| exhibit.line.is_some()));
    }
}

#[test]
fn the_other_sides_capture_says_where_replies_were_held() {
    let server = Path::new("fixtures/captures/ping_stall/reply_server_nano.pcap");
    let found = stalls(&[server, &log("reply", "ping_D.txt")]);
    let [finding] = found.as_slice() else { panic!("{} findings", found.len()) };
    assert!(
        finding.summary.contains("At p1 (i1) the same requests came evenly and were answered at once"),
        "{}",
        finding.summary
    );
    assert!(!finding.advice.iter().any(|advice| advice.text.starts_with("Record next")));
    // The log alone cannot tell, and says what would.
    let alone = stalls(&[&log("reply", "ping_D.txt")]);
    assert!(alone[0].summary.contains("cannot be told from this"));
    assert!(alone[0].advice.iter().any(|advice| advice.text.starts_with("Record next")));
}

/// A log with `-D`: ten probes a second from `start` tenths on, and answers held until each release.
fn written(target: &str, start: i64, count: i64, stalls: &[(i64, i64)]) -> String {
    let mut lines: Vec<(i64, String)> = Vec::new();
    for number in 1..=count {
        let sent = 1_795_333_000_000 + (start + number - 1) * 100;
        let held = stalls.iter().find(|(from, until)| (*from..*until).contains(&(start + number - 1)));
        let rtt = held.map_or(1, |(_, until)| (until - (start + number - 1)) * 100);
        let at = sent + rtt;
        let line = format!(
            "[{}.{:03}000] 64 bytes from {target}: icmp_seq={number} ttl=64 time={rtt}.0 ms\n",
            at / 1000,
            at % 1000
        );
        lines.push((at, line));
    }
    lines.sort_by_key(|(at, _)| *at);
    let rows: String = lines.into_iter().map(|(_, line)| line).collect();
    format!("PING {target} ({target}) 56(84) bytes of data.\n{rows}")
}

/// The summary of the finding about `target`, from logs and other texts by path.
fn told(files: &[(&str, String)], target: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = stalls(&[folder.path()]);
    let about = found.into_iter().find(|finding| finding.subject.server_ip == target.parse().ok());
    about.unwrap_or_else(|| panic!("nothing about {target}")).summary.to_string()
}

const STALLS: [(i64, i64); 2] = [(50, 59), (120, 128)];

#[test]
fn a_ping_of_the_gateway_says_which_host() {
    let peer = written("192.0.2.9", 0, 200, &STALLS);
    let clean = written("192.0.2.1", 3, 200, &[]);
    let summary = told(&[("a/ping-peer.txt", peer.clone()), ("a/ping-gateway.txt", clean)], "192.0.2.9");
    assert!(
        summary.contains("ran on meanwhile: not") && summary.contains("so 192.0.2.9 or its part of the way"),
        "{summary}"
    );
    let stalled = written("192.0.2.1", 3, 200, &STALLS);
    let summary = told(&[("a/ping-peer.txt", peer), ("a/ping-gateway.txt", stalled)], "192.0.2.9");
    assert!(summary.contains("and 192.0.2.1 stalled at the same moments: the host that wrote"), "{summary}");
}

#[test]
fn a_ping_of_an_earlier_hour_says_nothing() {
    let peer = written("192.0.2.9", 0, 200, &STALLS);
    let earlier = written("192.0.2.1", -36_000, 200, &[]);
    let summary = told(&[("a/ping-peer.txt", peer), ("a/ping-gateway.txt", earlier)], "192.0.2.9");
    assert!(summary.contains("cannot be told from this"), "{summary}");
}

const ADDRESSES: &str = "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq state UP group default qlen 1000\n    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff\n    inet ADDRESS/24 brd 192.0.2.255 scope global eth0\n       valid_lft forever preferred_lft forever\n";

#[test]
fn the_reverse_ping_is_known_by_the_hosts_addresses() {
    let at = |address: &str| ADDRESSES.replace("ADDRESS", address);
    let there = ("a/ping.txt", written("192.0.2.9", 0, 200, &STALLS));
    let files = |back: String| {
        [there.clone(), ("a/ip_addr.txt", at("192.0.2.5")), ("b/ip_addr.txt", at("192.0.2.9")), ("b/ping.txt", back)]
    };
    let summary = told(&files(written("192.0.2.5", 2, 200, &[])), "192.0.2.9");
    assert!(summary.contains("the other way ran on meanwhile: neither host stood still"), "{summary}");
    let summary = told(&files(written("192.0.2.5", 2, 200, &STALLS)), "192.0.2.9");
    assert!(
        summary.contains("the other way stalled as well") && summary.contains("cannot be told from this"),
        "{summary}"
    );
    // The pinged host pings its own gateway without trouble: it ran on.
    let summary = told(&files(written("192.0.2.1", 2, 200, &[])), "192.0.2.9");
    assert!(summary.contains("not 192.0.2.9, so 192.0.2.5 or its part of the way"), "{summary}");
}

#[test]
fn kernel_messages_of_the_same_moment_are_told() {
    let line = "[Sun Nov 22 07:36:45 2026] watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [monitor:31337]\n";
    let files = [("a/ping.txt", written("192.0.2.9", 0, 200, &STALLS)), ("a/dmesg_T.txt", line.to_owned())];
    let summary = told(&files, "192.0.2.9");
    assert!(summary.contains("soft lockup - CPU#3 stuck"), "{summary}");
}

#[test]
fn what_has_no_numbers_is_not_judged() {
    let report = report(&[Path::new("fixtures/snapshots/ping/synth_windows_en.txt")]);
    assert!(report.findings.is_empty());
    assert!(report.not_judged.iter().any(|open| open.rule == "STALL001" && open.because.contains("ping of Windows")));
}

/// A listing of slabs: dentries and their slabs, with tunables of SLAB or without.
fn slabinfo(dentries: u64, slab: bool) -> String {
    let tunables = if slab { "120   60    8" } else { "0    0    0" };
    let slabs = dentries / 21;
    format!(
        "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\ndentry {} {dentries} 192 21 1 : tunables {tunables} : slabdata {slabs} {slabs} 0\nTCP 8 8 2048 16 8 : tunables {tunables} : slabdata 1 1 0\n",
        dentries - 5
    )
}

fn slab_finding(files: &[(&str, String)]) -> Option<Finding> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    verdict(&evidence(&[folder.path()], 2)).found.into_iter().find(|finding| finding.rule == "STALL002")
}

#[test]
fn slab_statistics_that_stop_a_kernel_are_told_by_allocator_and_version() {
    let uname = |release: &str| {
        ("uname.txt", format!("Linux web01 {release} #1 SMP Tue Aug 4 12:00:00 UTC 2026 x86_64 GNU/Linux\n"))
    };
    let slabs = |dentries: u64, slab: bool| ("slabinfo.txt", slabinfo(dentries, slab));
    let case = |release: &str, dentries: u64, slab: bool| slab_finding(&[uname(release), slabs(dentries, slab)]);
    let old = case("3.10.0-957.el7.x86_64", 52_000_000, true).unwrap();
    assert_eq!((old.severity, old.confidence), (Severity::Warning, Confidence::High));
    assert!(
        old.title.contains("web01: 52000000 dentries") && old.summary.contains("walks all slabs"),
        "{}",
        old.summary
    );
    let slub = case("5.15.0-91-generic", 52_000_000, false).unwrap();
    assert_eq!((slub.severity, slub.confidence), (Severity::Warning, Confidence::Medium));
    assert!(slub.summary.contains("SLUB") && slub.summary.contains("partial slabs"));
    assert!(case("6.12.0", 52_000_000, false).is_none(), "a new kernel walks little");
    assert!(case("3.10.0-957.el7.x86_64", 400_000, true).is_none(), "few dentries");
    let unknown = slab_finding(&[slabs(52_000_000, true)]).unwrap();
    assert_eq!(unknown.confidence, Confidence::Low);
    assert!(unknown.summary.contains("cannot be told"), "{}", unknown.summary);
}

#[test]
fn a_reader_makes_it_critical() {
    let top = "top - 07:27:12 up 27 min,  0 user,  load average: 4.60, 3.90, 2.19\nTasks: 113 total,   7 running, 106 sleeping,   0 stopped,   0 zombie\n%Cpu(s): 25.0 us, 50.0 sy, 25.0 ni,  0.0 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st\n\n  PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n31538 root      20   0 1187216   1.1g 978540 R  58.8   4.8   0:58.54 slabtop\n";
    let ps = "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\nroot       31538  0.0  0.0   2920  1804 ?        S    18:34   0:00 slabtop\nroot       31600  0.0  0.0   2920  1804 ?        S    18:34   0:00 grep slabinfo\n";
    for (name, list) in [("top.txt", top), ("ps.txt", ps)] {
        read_by_slabtop(name, list);
    }
}

#[track_caller]
fn read_by_slabtop(name: &str, list: &str) {
    let files = [
        (
            "uname.txt",
            "Linux web01 3.10.0-957.el7.x86_64 #1 SMP Tue Aug 4 12:00:00 UTC 2026 x86_64 GNU/Linux\n".to_owned(),
        ),
        ("slabinfo.txt", slabinfo(52_000_000, true)),
        (name, list.to_owned()),
    ];
    let found = slab_finding(&files).unwrap();
    assert_eq!(found.severity, Severity::Critical);
    assert!(found.summary.contains("slabtop[31538] reads them") && (found.metrics["readers"] - 1.0).abs() < 1e-9);
}

#[test]
fn memory_in_slabs_that_are_not_listed_is_not_judged() {
    let text = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nSReclaimable:    8500000 kB\nSUnreclaim:       500000 kB\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("meminfo.txt"), text).unwrap();
    let open = verdict(&evidence(&[folder.path()], 2)).not_judged;
    let open = open.iter().find(|open| open.rule == "STALL002").unwrap();
    assert!(open.because.contains("slabs take 56 % of its memory"), "{}", open.because);
}
