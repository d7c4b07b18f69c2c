//! The join of a capture with what its server says of itself: counters confirm, deny or leave open what rules say.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use lastack::diagnosis::{Confidence, Finding};
use lastack::evidence::Evidence;
use support::analysis::{evidence, fixture, report_json, verdict};

const CAPTURE: &str = "h_recycle_on_with_listen_overflow.pcap";

fn snapshots() -> PathBuf {
    Path::new("fixtures/hosts/h_recycle_on_with_listen_overflow").to_owned()
}

/// The capture, with the snapshots of a folder.
fn joined(folder: &Path) -> Evidence {
    evidence(&[&fixture(CAPTURE), folder], 2)
}

/// A copy of the snapshots in which one file of every moment is changed.
fn changed(file: &str, change: impl Fn(&str) -> String) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for moment in ["before", "mid", "after"] {
        fs::create_dir(copy.path().join(moment)).unwrap();
        for entry in fs::read_dir(snapshots().join(moment)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let text = if name == file { change(&text) } else { text };
            fs::write(copy.path().join(moment).join(name), text).unwrap();
        }
    }
    copy
}

#[track_caller]
fn found(evidence: &Evidence, rule: &str) -> Finding {
    let found = verdict(evidence).found.into_iter().find(|finding| finding.rule == rule);
    found.unwrap_or_else(|| panic!("{rule} is not found"))
}

#[track_caller]
fn why_not_judged(evidence: &Evidence, rule: &str) -> String {
    let verdict = verdict(evidence);
    assert!(verdict.found.iter().all(|finding| finding.rule != rule), "{rule} is found");
    let open: Vec<String> =
        verdict.not_judged.into_iter().filter(|open| open.rule == rule).map(|open| open.because.to_string()).collect();
    open.join("\n")
}

#[test]
fn counters_of_the_server_reconcile_two_causes() {
    let evidence = joined(&snapshots());
    let [host] = evidence.hosts.as_slice() else { panic!("{} hosts", evidence.hosts.len()) };
    let folders: Vec<&str> = host.moments.iter().map(|moment| moment.folder.rsplit('/').next().unwrap()).collect();
    assert_eq!(folders, ["before", "mid", "after"]);
    let passive = host.delta("TcpExtPAWSPassive").unwrap();
    assert_eq!((passive.first, passive.last, passive.delta), (0, 71, 71));

    let paws = found(&evidence, "SYN001");
    assert_eq!(paws.confidence, Confidence::High, "{}", paws.summary);
    assert_eq!(paws.metrics["paws_passive"], 71.0);
    let (least, either) = (paws.metrics["syns_dropped"], paws.metrics["syns_either"]);
    assert!(least <= 71.0 && 71.0 <= least + either, "{least} and {either}");
    assert!(paws.summary.contains("PAWSPassive grew by 71, as the capture says"), "{}", paws.summary);
    assert!(paws.summary.contains("The other 295 of the 366 unanswered SYNs met a full request queue"));
    assert!(paws.summary.contains("ListenOverflows 206 counts final ACKs"));
    let lines: Vec<&str> = paws.exhibits.iter().filter(|e| e.line.is_some()).map(|e| e.text.as_str()).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.contains(&"PAWSPassive 71 at last: 71 more"));

    let queue = found(&evidence, "SYN002");
    let metric = |name: &str| queue.metrics[name];
    let counters = (metric("listen_overflows"), metric("listen_drops"), metric("req_q_full_drop"));
    assert_eq!(counters, (206.0, 572.0, 295.0));
    let full: Vec<_> = queue.exhibits.iter().filter(|exhibit| exhibit.text.starts_with("LISTEN")).collect();
    assert_eq!(full.len(), 1, "one moment shows the queue full: {full:?}");
    assert_eq!(full[0].line, Some(2));
    assert_eq!(queue.confidence, Confidence::High);
}

#[test]
fn the_report_lists_the_host_and_its_inputs() {
    let report: serde_json::Value = serde_json::from_slice(&report_json(&joined(&snapshots()))).unwrap();
    let host = &report["hosts"][0];
    assert_eq!(host["name"], "h_recycle_on_with_listen_overflow");
    assert_eq!(host["kernel"], "4.9.115");
    assert_eq!(host["addresses"], serde_json::json!(["192.0.2.10"]));
    assert_eq!(host["counters"]["TcpExtTCPReqQFullDrop"], serde_json::json!({"first": 0, "last": 295, "delta": 295}));
    assert_eq!(host["settings"]["net.ipv4.tcp_tw_recycle"], "1");
    assert_eq!(host["inputs"].as_array().unwrap().len(), 17);
    let kinds = report["inputs"].as_array().unwrap().iter().map(|input| input["kind"].as_str().unwrap());
    assert_eq!(kinds.filter(|kind| *kind == "snapshot").count(), 17);
    let nstat = report["inputs"].as_array().unwrap().iter().find(|i| i["format"] == "nstat").unwrap();
    assert!(nstat["name"].as_str().unwrap().ends_with("nstat-az.txt"));
}

#[test]
fn a_host_without_tcp_tw_recycle_excludes_the_check() {
    let newer = changed("uname.txt", |text| text.replace("4.9.115", "5.10.0"));
    let because = why_not_judged(&joined(newer.path()), "SYN001");
    assert!(because.contains("runs Linux 5.10.0") && because.contains("line 1)"), "{because}");

    let off = changed("sysctl-net-ipv4.txt", |text| text.replace("tcp_tw_recycle = 1", "tcp_tw_recycle = 0"));
    assert!(why_not_judged(&joined(off.path()), "SYN001").contains("tcp_tw_recycle = 0"));

    let without = |text: &str| text.lines().filter(|l| !l.contains("tcp_tw_recycle")).collect::<Vec<_>>().join("\n");
    let gone = changed("sysctl-net-ipv4.txt", without);
    assert!(why_not_judged(&joined(gone.path()), "SYN001").contains("not among them"));
}

#[test]
fn counters_that_disagree_are_told_and_lower_the_confidence() {
    let higher =
        |text: &str| text.replace("TcpExtPAWSPassive               71  ", "TcpExtPAWSPassive               9071");
    let copy = changed("nstat-az.txt", higher);
    fs::remove_file(copy.path().join("after/proc_net_netstat.txt")).unwrap();
    let paws = found(&joined(copy.path()), "SYN001");
    assert_eq!(paws.metrics["paws_passive"], 9071.0);
    assert!(paws.summary.contains("the two disagree"), "{}", paws.summary);
    assert_eq!(paws.confidence, Confidence::Medium);
}

#[test]
fn another_host_says_nothing_of_the_server() {
    let other = changed("ip-addr.txt", |text| text.replace("192.0.2.10/", "198.51.100.7/"));
    for moment in ["before", "mid", "after"] {
        fs::remove_file(other.path().join(moment).join("ss-tln.txt")).unwrap();
    }
    let evidence = joined(other.path());
    assert_eq!(evidence.hosts.len(), 1);
    let paws = found(&evidence, "SYN001");
    assert!(!paws.metrics.contains_key("paws_passive"));
    assert!(paws.exhibits.iter().all(|exhibit| exhibit.line.is_none()));
}

#[test]
fn moments_without_a_clock_are_ordered_by_growth() {
    let copy = tempfile::tempdir().unwrap();
    // By name, after comes first.
    for moment in ["before", "after"] {
        fs::create_dir(copy.path().join(moment)).unwrap();
        fs::copy(snapshots().join(moment).join("nstat-az.txt"), copy.path().join(moment).join("nstat-az.txt")).unwrap();
    }
    let evidence = joined(copy.path());
    assert_eq!(evidence.hosts.len(), 1);
    assert_eq!(evidence.hosts[0].delta("TcpExtPAWSPassive").map(|delta| delta.delta), Some(71));
    // The only host given is the only server of the capture.
    assert_eq!(found(&evidence, "SYN001").metrics["paws_passive"], 71.0);
}

#[test]
fn two_hosts_that_name_themselves_are_two() {
    let copy = tempfile::tempdir().unwrap();
    for (name, folder) in [("web1", "before"), ("web2", "after")] {
        fs::create_dir(copy.path().join(folder)).unwrap();
        let line = format!("Linux {name} 4.9.115 #2 SMP Sun Nov 22 07:34:59 UTC 2026 x86_64 GNU/Linux\n");
        fs::write(copy.path().join(folder).join("uname.txt"), line).unwrap();
    }
    let names: Vec<String> = joined(copy.path()).hosts.iter().map(|host| host.name.clone()).collect();
    assert_eq!(names, ["web2", "web1"]);
}

/// A folder with snapshots of a namespace: its address in a listing, and one counter.
fn namespace(parent: &Path, folder: &str, address: &str, opens: u64) {
    let path = parent.join(folder);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("uname.txt"), "Linux vm 6.18.44 #1 SMP PREEMPT_DYNAMIC @0 x86_64 GNU/Linux\n").unwrap();
    let rows = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nESTAB 0 0";
    fs::write(path.join("ss_tan.txt"), format!("{rows} {address}:40000 198.51.100.7:80\n")).unwrap();
    fs::write(path.join("nstat_az.txt"), format!("#kernel\nTcpActiveOpens                  {opens}  0.0\n")).unwrap();
}

#[test]
fn namespaces_of_one_machine_are_hosts_of_their_own() {
    let copy = tempfile::tempdir().unwrap();
    for (moment, opens) in [("before", 3), ("mid", 7), ("end", 9)] {
        namespace(copy.path(), &format!("snap_{moment}_client"), "10.77.1.2", opens);
        namespace(copy.path(), &format!("snap_{moment}_server"), "10.77.1.1", opens * 2);
    }
    let hosts = joined(copy.path()).hosts;
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["vm (snap client)", "vm (snap server)"]);
    let grown = |place: usize| hosts[place].delta("TcpActiveOpens").map(|delta| delta.delta);
    assert_eq!((grown(0), grown(1)), (Some(6), Some(12)));
}

#[test]
fn a_sosreport_is_one_host_with_its_namespaces_apart() {
    let copy = tempfile::tempdir().unwrap();
    let root = copy.path().join("sosreport-web1-0123-2026-11-22-abcdefg");
    let row = "LISTEN 0 128 0.0.0.0:80 0.0.0.0:*\n";
    for (file, text) in [
        ("sos_commands/networking/ss_-peaonmi", row.to_owned()),
        ("sos_commands/kernel/uname_-a", "Linux web1 5.14.0 #1 SMP x86_64 GNU/Linux\n".to_owned()),
        ("proc/net/sockstat", "sockets: used 4\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 1\n".to_owned()),
        ("sos_commands/networking/namespaces/blue/ip_netns_exec_blue_ss_-peaonmi", row.repeat(2)),
    ] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let hosts = joined(&root).hosts;
    let told: Vec<(&str, usize)> =
        hosts.iter().map(|host| (host.name.as_str(), host.host.facts.sockets.len())).collect();
    assert_eq!(told, [("web1", 1), ("web1 netns blue", 2)]);
    assert_eq!(hosts[0].host.facts.sockstats.len(), 2);
}

#[test]
fn the_host_has_a_part_that_says_how_it_belongs_to_the_capture() {
    let report: serde_json::Value = serde_json::from_slice(&report_json(&joined(&snapshots()))).unwrap();
    let joined = report["hosts"][0]["joined"].as_str().unwrap();
    // Of its sockets only those that listen were saved.
    assert!(joined.starts_with("The captures show its address"), "{joined}");
    assert!(joined.contains("while they were recorded"), "{joined}");
    let tables = report["hosts"][0]["tables"].as_array().unwrap();
    let titles: Vec<&str> = tables.iter().map(|table| table["title"].as_str().unwrap()).collect();
    assert!(titles.contains(&"Verdicts") && titles.len() > 3, "{titles:?}");
    let moved = tables.iter().find(|table| table["title"] == "Counters that moved").unwrap();
    assert!(moved["rows"].as_array().unwrap().iter().any(|row| row[0] == "PAWSPassive" && row[3] == 71), "{moved}");
}
