//! Every snapshot fixture is recognised and read as `fixtures/snapshots/EXPECTED.tsv` states.
//!
//! The table's numbers were counted by other means than this program. Beside it, listings of one
//! laboratory by different tools must tell the same sockets, and counters told by different tools the
//! same values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lastack::snapshot::socket::Host as Address;
use lastack::snapshot::{
    Facts, Host, LogKind, ProbeOutcome, Reader, Since, Snapshot, TcpState, TimerKind, read, recognise,
};
use lastack::time::{Span, Time};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshots")
}

#[track_caller]
fn bytes(name: &str) -> Vec<u8> {
    fs::read(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn snapshot(name: &str) -> Snapshot {
    read(1, name, &bytes(name))
}

#[track_caller]
fn facts(name: &str) -> Facts {
    snapshot(name).facts
}

#[track_caller]
fn counter(name: &str, counter: &str) -> Option<u64> {
    facts(name).counter(counter).map(|(value, _)| value)
}

/// File, formats, rows and skipped lines of every line of the table.
fn expected() -> BTreeMap<String, (String, u64, u64)> {
    let table = String::from_utf8(bytes("EXPECTED.tsv")).expect("UTF-8");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |index: usize| fields[index].parse().expect("a number");
        assert!(number(3) == 0 || !fields[4].is_empty(), "{}: skipped lines are not explained", fields[0]);
        (fields[0].to_owned(), (fields[1].to_owned(), number(2), number(3)))
    };
    table.lines().skip(1).map(row).collect()
}

#[test]
fn every_fixture_is_read_as_the_table_states() {
    let expected = expected();
    let mut wrong = Vec::new();
    for (name, (formats, rows, skipped)) in &expected {
        let bytes = bytes(name);
        let found = read(0, name, &bytes);
        let recognised = recognise(name, &bytes);
        let recognised = if recognised.is_empty() { "-".to_owned() } else { recognised.join("+") };
        if (&recognised, found.parsed, found.skipped_lines()) != (formats, *rows, *skipped) {
            wrong.push(format!(
                "{name}: {recognised} {} {} instead of {formats} {rows} {skipped}; {:?}",
                found.parsed,
                found.skipped_lines(),
                found.skipped
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_names_every_fixture() {
    let mut found = BTreeSet::new();
    for folder in fs::read_dir(root()).expect("the folder").flatten().filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(folder.path()).expect("a folder").flatten() {
            found.insert(format!("{}/{}", folder.file_name().to_string_lossy(), file.file_name().to_string_lossy()));
        }
    }
    assert_eq!(found, expected().into_keys().collect());
}

#[test]
fn every_line_is_accounted_for() {
    for (name, _) in expected() {
        let found = snapshot(&name);
        let bytes = bytes(&name);
        let text = if bytes.starts_with(&[0xFF, 0xFE]) {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        } else {
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let lines = text.split_inclusive('\n').count() as u64;
        assert_eq!(found.parsed + found.parts + found.skipped_lines(), lines, "{name}");
    }
}

#[test]
fn blocks_of_any_size_give_the_same_facts() {
    for name in expected().into_keys() {
        let bytes = bytes(&name);
        let whole = format!("{:?}", read(1, &name, &bytes));
        for size in [4093, 97, 3] {
            let mut rows = Facts::default();
            let mut reader = Reader::new(1, &name);
            for block in bytes.chunks(size) {
                reader.feed(block, &mut rows);
            }
            let mut found = reader.finish(&mut rows);
            found.facts.sockets = rows.sockets;
            found.facts.tracked = rows.tracked;
            assert!(format!("{found:?}") == whole, "{name} in blocks of {size}");
        }
    }
}

/// A socket without what differs between tools: state, local end, remote end.
type Socket = (String, String, String);

#[track_caller]
fn sockets(names: &[&str]) -> BTreeSet<Socket> {
    let end = |end: &lastack::snapshot::Endpoint| {
        let host = match &end.host {
            Address::Any => "*".to_owned(),
            Address::Ip(address) => address.to_string(),
            Address::Name(name) => panic!("a name is no address: {name}"),
        };
        format!("{host} {:?}", end.port)
    };
    let mut found = BTreeSet::new();
    for name in names {
        for row in facts(name).sockets {
            let state = row.state.expect("a state").to_string();
            assert!(
                found.insert((state, end(&row.local), end(&row.remote))),
                "{name}: twice in line {}",
                row.source.line
            );
        }
    }
    found
}

#[test]
fn every_tool_tells_the_same_sockets_of_the_laboratory() {
    for (side, count) in [("labclient", 64), ("labserver", 31)] {
        let reference = sockets(&[&format!("ss/ours_{side}_iproute6.1_tan.txt")]);
        assert_eq!(reference.len(), count);
        let listings: Vec<String> = expected()
            .into_keys()
            .filter(|name| name.contains(side) && (name.starts_with("ss/") || name.starts_with("netstat/")))
            .filter(|name| !name.contains("tulpn") && !name.contains("busybox_antp"))
            .collect();
        let versions = ["3.10.0", "4.11.0", "4.18.0", "5.10.0", "6.1_", "6.7.0", "7.1.0", "nettools2.10"];
        for version in versions {
            assert!(listings.iter().any(|name| name.contains(version)), "{side} {version}");
        }
        for name in &listings {
            assert_eq!(sockets(&[name]), reference, "{name}");
        }
    }
    let client = ["proc_net/ours_labclient_tcp.txt", "proc_net/ours_labclient_tcp6.txt"];
    assert_eq!(sockets(&client), sockets(&["ss/ours_labclient_iproute6.1_tan.txt"]));
    // The server's tcp6 was not recorded: its three IPv6 sockets are missing there, one of them with IPv4 addresses.
    let server = sockets(&["proc_net/ours_labserver_tcp.txt"]);
    let reference = sockets(&["ss/ours_labserver_iproute6.1_tan.txt"]);
    assert!(server.is_subset(&reference));
    assert_eq!(reference.len() - server.len(), 3);
}

#[test]
fn states_of_the_laboratory_are_those_that_were_made() {
    let listing = &facts("ss/ours_labserver_iproute6.1_tan.txt").listings[0];
    let count = |state| listing.count(state);
    // Counted by `awk '{print $1}' | sort | uniq -c`.
    for (state, number) in [
        (TcpState::Listen, 5),
        (TcpState::Established, 7),
        (TcpState::CloseWait, 7),
        (TcpState::TimeWait, 8),
        (TcpState::SynReceived, 3),
        (TcpState::LastAck, 1),
        (TcpState::FinWait2, 0),
    ] {
        assert_eq!(count(state), Some(number), "{state}");
    }
    // The kernel counts CLOSE-WAIT among the established: 14 = 7 + 7.
    assert_eq!(facts("ss_s/ours_labserver_iproute6.1.txt").summaries[0].established, Some(14));
}

#[test]
fn queues_timers_and_owners_are_read() {
    for version in ["3.10.0", "4.11.0", "4.18.0", "5.10.0", "6.1", "6.7.0", "7.1.0"] {
        let found = facts(&format!("ss/ours_labserver_iproute{version}_tanpoie.txt"));
        assert!(found.listings[0].owners, "{version}");
        let listener = found.sockets.iter().find(|row| row.local.port.number() == Some(8081)).expect("a listener");
        assert_eq!((listener.recv_q, listener.send_q), (Some(2), Some(1)), "{version}");
        let owner = listener.process.as_ref().expect("an owner");
        assert_eq!((owner.name.as_deref(), owner.pid), (Some("python3"), Some(16426)), "{version}");
        let waiting: Vec<_> = found.sockets.iter().filter(|row| row.state == Some(TcpState::TimeWait)).collect();
        assert_eq!(waiting.len(), 8, "{version}");
        for row in waiting {
            let timer = row.timer.expect("a timer");
            assert_eq!((timer.kind, row.inode), (TimerKind::TimeWait, Some(0)), "{version}");
            assert!(timer.left > Span::from_secs(50) && timer.left <= Span::from_secs(60), "{version} {}", timer.left);
        }
        let handshakes: Vec<_> = found.sockets.iter().filter(|row| row.state == Some(TcpState::SynReceived)).collect();
        for row in handshakes {
            let timer = row.timer.expect("a timer");
            assert!(
                timer.left >= Span::from_millis(900) && timer.left < Span::from_secs(20),
                "{version} {}",
                timer.left
            );
        }
        let unread =
            found.sockets.iter().filter(|row| row.state == Some(TcpState::CloseWait) && row.recv_q == Some(19));
        assert_eq!(unread.count(), 3, "{version}");
    }
    let told = facts("netstat/ours_labserver_nettools2.10_W_neopa.txt");
    let listener = told.sockets.iter().find(|row| row.local.port.number() == Some(8081)).expect("a listener");
    assert_eq!((listener.recv_q, listener.send_q), (Some(2), None), "netstat has no limit of the accept queue");
    let kernel = facts("proc_net/ours_labserver_tcp.txt");
    let listener = kernel.sockets.iter().find(|row| row.local.port.number() == Some(8081)).expect("a listener");
    assert_eq!((listener.recv_q, listener.send_q), (Some(2), None), "neither has the kernel's file");
}

#[test]
fn a_listing_without_all_states_does_not_tell_zero() {
    let listening = &facts("ss/ours_linux4.9_f_mid_ss-tln.txt").listings[0];
    assert_eq!(listening.count(TcpState::TimeWait), None);
    let all = &facts("ss/ours_linux4.9_f_mid_ss-tan.txt").listings[0];
    assert!(all.count(TcpState::TimeWait).is_some());
    let resolved = facts("ss/ours_labserver_iproute6.1_a_resolve.txt");
    assert!(!resolved.listings[0].owners, "no owner was printed, so none is known");
    let sos = facts("ss/synth_sos_peaonmi.txt");
    let waiting = sos.sockets.iter().find(|row| row.state == Some(TcpState::CloseWait)).expect("a row");
    assert_eq!(waiting.process.as_ref().and_then(|owner| owner.name.as_deref()), Some("my app (main)"));
    assert_eq!(waiting.timer.map(|timer| timer.left), Some(Span::from_secs(119)));
    assert_eq!(waiting.last_received, Some(Span::from_millis(7_203_164)));
    assert_eq!(waiting.local.host.ip(), "10.9.0.2".parse().ok());
}

#[test]
fn every_tool_tells_the_same_counters() {
    for (name, value) in [
        ("TcpExtPAWSEstab", 7),
        ("TcpExtPAWSTimewait", 10),
        ("TcpExtPAWSOldAck", 3),
        ("TcpExtTCPACKSkippedTimeWait", 9),
    ] {
        for file in
            ["nstat/ours_fault_paws_az.txt", "netstat_s/ours_fault_paws_s.txt", "proc_net/ours_fault_paws_netstat.txt"]
        {
            assert_eq!(counter(file, name), Some(value), "{file} {name}");
        }
    }
    // Zero and absent differ: netstat leaves zeros out, the 6.18 kernel has no PAWSPassive.
    assert_eq!(counter("netstat_s/ours_fault_paws_s.txt", "TcpExtListenDrops"), Some(0));
    assert_eq!(counter("proc_net/ours_fault_paws_netstat.txt", "TcpExtPAWSPassive"), None);
    for text in ["nstat/ours_labclient_iproute6.1_az.txt", "nstat/ours_labclient_iproute6.1_azj.txt"] {
        let found = facts(text);
        assert_eq!(found.counters.len(), 394, "{text}");
        assert_eq!(counter(text, "TcpActiveOpens"), Some(72), "{text}");
    }
    assert_eq!(counter("netstat_s/ours_labclient_nettools2.10.txt", "TcpActiveOpens"), Some(72));
    assert_eq!(counter("netstat_s/ours_labclient_nettools2.10.txt", "IpInReceives"), Some(171));
    assert_eq!(counter("netstat_s/synth_nettools1.60.txt", "TcpExtPAWSPassive"), Some(8123));
    assert_eq!(counter("netstat_s/synth_nettools1.60.txt", "TcpExtListenDrops"), Some(41));
    assert_eq!(counter("netstat_s/synth_nettools1.60.txt", "TcpExtTCPTimeWaitOverflow"), Some(60));
}

#[test]
fn the_drops_of_the_old_kernel_are_told_by_both_files() {
    let nstat = facts("nstat/ours_linux4.9_a_after_nstat-az.txt");
    let (dropped, source) = nstat.counter("TcpExtPAWSPassive").expect("the counter");
    assert!(dropped > 0);
    assert_eq!(source.input, 1);
    assert!(nstat.counters.iter().all(|counter| counter.since == Since::Boot), "the name tells -a");
    assert_eq!(counter("proc_net/ours_linux4.9_a_after_netstat.txt", "TcpExtPAWSPassive"), Some(dropped));
    assert_eq!(
        counter("proc_net/ours_linux4.9_b_after_netstat.txt", "TcpExtPAWSPassive"),
        Some(0),
        "recycling was off"
    );
    let remembered = facts("tcp_metrics/ours_linux4.9_a_after.txt").remembered;
    assert!(remembered[0].tw_ts.is_some(), "the host remembers the timestamp that it compares with");
    assert!(facts("tcp_metrics/ours_linux4.9_b_after.txt").remembered[0].tw_ts.is_none());
    let settings = facts("sysctl/ours_linux4.9_net_ipv4.txt");
    let recycle = settings.setting("net.ipv4.tcp_tw_recycle").expect("the setting");
    assert_eq!((&*recycle.value, recycle.live), ("1", true));
}

#[test]
fn a_host_is_known_by_its_files_together() {
    let mut host = Host::default();
    for name in [
        "uname/ours_linux4.9.txt",
        "date/ours_epoch.txt",
        "uptime/ours_linux4.9_proc_uptime.txt",
        "ip_addr/ours_linux4.9.txt",
    ] {
        host.add(facts(name));
    }
    host.add(facts("ss/ours_linux4.9_f_mid_ss-tan.txt"));
    assert_eq!(host.kernel().map(|kernel| kernel.numbers), Some((4, 9, 115)));
    assert_eq!((host.kernel_before(4, 12), host.kernel_before(4, 9)), (Some(true), Some(false)));
    assert!(host.moment().is_some_and(|at| at > Time::from_parts(1_795_000_000, 0)));
    assert!(host.uptime().is_some_and(|up| up > Span::from_secs(30)));
    let server = "192.0.2.10".parse().expect("an address");
    assert!(host.addresses().contains(&server));
    assert_eq!(host.listeners(server, 8080).count(), 1);
    assert_eq!(facts("dmesg/ours_linux4.9_boot.txt").kernels[0].numbers, (4, 9, 115));
    assert_eq!(facts("sar/ours_sysstat12.6_zhCN.txt").kernels[0].numbers, (6, 18, 44));
}

#[test]
fn allocators_are_told_by_their_tunables() {
    let tunable = |name: &str| facts(name).slabs.iter().any(|slab| slab.tunable == Some(true));
    assert!(tunable("slabinfo/ours_linux4.9_slab.txt"));
    assert!(!tunable("slabinfo/ours_linux6.18_slub.txt"));
    let dentry = |name: &str| facts(name).slabs.into_iter().find(|slab| &*slab.name == "dentry").expect("the cache");
    assert!(dentry("slabinfo/ours_linux6.18_slub.txt").objects > 0);
    assert_eq!(dentry("slabtop/ours_procps4.0.2_o.txt").object_bytes, 195, "0.19K as printed");
}

#[test]
fn the_tracker_is_counted_by_every_listing() {
    let table = |name: &str| facts(name).tracked_tables.remove(0);
    for (side, entries) in [("labserver", 70), ("labclient", 72)] {
        let listed = table(&format!("conntrack/ours_{side}_L.txt"));
        assert_eq!((listed.entries, listed.listed), (entries, true));
        let kernel = table(&format!("proc_net/ours_{side}_nf_conntrack.txt"));
        assert_eq!((kernel.entries, kernel.time_wait), (entries, listed.time_wait));
        let counted = table(&format!("conntrack/ours_{side}_C.txt"));
        assert_eq!((counted.entries, counted.listed), (entries, false));
    }
    let extended = table("conntrack/ours_labserver_L_extended.txt");
    assert_eq!((extended.entries, extended.time_wait), (70, table("conntrack/ours_labserver_L.txt").time_wait));
    let translated = facts("conntrack/ours_nat_L.txt").tracked;
    assert!(translated.iter().any(|entry| entry.reply_to.host != entry.from.host), "the source is translated");
}

#[test]
fn messages_of_the_kernel_are_told_by_kind() {
    let catalogue = facts("dmesg/synth_message_catalogue.txt").log;
    assert_eq!(catalogue.len(), 25);
    let count = |kind| catalogue.iter().filter(|line| line.kind == kind).count();
    for (kind, number) in [
        (LogKind::TimeWaitOverflow, 2),
        (LogKind::Suppressed, 1),
        (LogKind::ConntrackFull, 4),
        (LogKind::SynFloodCookies, 2),
        (LogKind::SynFloodDrop, 1),
        (LogKind::TooManyOrphans, 1),
        (LogKind::SoftLockup, 2),
        (LogKind::RcuStall, 2),
        (LogKind::HungTask, 1),
    ] {
        assert_eq!(count(kind), number, "{kind:?}");
    }
    for form in ["", "_T", "_iso", "_x"] {
        let log = facts(&format!("dmesg/ours_synflood{form}_linux6.18.txt")).log;
        let kinds: Vec<_> = log.iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [LogKind::SynFloodCookies, LogKind::SynFloodDrop], "{form}");
    }
}

#[test]
fn pings_have_as_many_replies_as_their_summary_says() {
    for name in expected().into_keys().filter(|name| name.starts_with("ping/")) {
        let pings = facts(&name).pings;
        assert_eq!(pings.len(), 1, "{name}");
        let series = &pings[0];
        let is_quiet = name.ends_with("_q.txt") || name.ends_with("_f.txt");
        let replies = series.probes.iter().filter(|probe| probe.outcome == ProbeOutcome::Reply).count() as u64;
        if name.contains("synth_windows") {
            // A refusal by a router counts as received there.
            assert_eq!((series.received, replies), (Some(4), 3), "{name}");
        } else if let Some(received) = series.received.filter(|_| !is_quiet) {
            assert_eq!(replies, received, "{name}");
            assert!(series.sent.is_some_and(|sent| sent >= received), "{name}");
        }
        assert!(series.target.is_some() && series.address.is_some(), "{name}");
        let stamped = series.probes.iter().any(|probe| probe.stamp.is_some());
        assert!(stamped || !name.contains("_D"), "{name}");
    }
    let outage = &facts("ping/ours_iputils20221126_O_outage_i100.txt").pings[0];
    let missing: Vec<_> = outage.probes.iter().filter(|probe| probe.outcome == ProbeOutcome::NoAnswerYet).collect();
    assert_eq!(missing.len(), 8);
    assert_eq!((missing[0].sequence, missing[0].line), (Some(21), 22));
    assert_eq!(outage.elapsed, Some(Span::from_millis(6164)));
    let wrapped = &facts("ping/synth_seq_wrap_D.txt").pings[0];
    let numbers: Vec<_> = wrapped.probes.iter().filter_map(|probe| probe.sequence).collect();
    assert_eq!((numbers.first(), numbers.last()), (Some(&65_530), Some(&65_541)));
}

#[test]
fn several_outputs_in_one_file_are_told_apart() {
    let found = snapshot("pasted/synth_ticket.txt");
    let facts = &found.facts;
    assert_eq!(facts.kernels[0].numbers, (3, 10, 0));
    assert_eq!(facts.counter("TcpExtPAWSPassive").map(|(value, source)| (value, source.line)), Some((184_231, 14)));
    assert_eq!(facts.summaries[0].time_wait, Some(8));
    assert!(facts.setting("net.ipv4.tcp_tw_recycle").is_some_and(|setting| setting.live));
    let waiting = facts.sockets.iter().filter(|row| row.state == Some(TcpState::TimeWait)).count();
    assert_eq!(waiting, 2, "the state is that of the command");
    let commands: Vec<_> = found.sections.iter().filter_map(|section| section.command.as_deref()).collect();
    assert_eq!(commands.len(), found.sections.len());
    assert!(!facts.moments[0].zone_known, "CST is China and Chicago");
    assert!(facts.counter("TcpExtPAWSEstab").is_none(), "the command left lines out");
    let script = snapshot("pasted/synth_shell_x.txt");
    assert!(script.facts.counters.iter().any(|counter| counter.since == Since::Boot));
}

#[test]
fn rules_that_drop_syns_are_told() {
    for name in ["iptables/ours_linux4.9_g_after_nvL.txt", "iptables/synth_save.txt", "nft/ours_syn_drop.txt"] {
        let rules = facts(name).rules;
        let dropping: Vec<_> = rules.iter().filter(|rule| rule.drops && rule.matches_syn).collect();
        assert_eq!(dropping.len(), 1, "{name}");
        assert!(dropping[0].packets.is_some_and(|packets| packets > 0), "{name}");
    }
    assert!(facts("iptables/ours_linux4.9_a_after_nvL.txt").rules.iter().all(|rule| !rule.drops));
}

/// Lines of every fixture, to be mixed and damaged.
fn all_lines() -> Vec<Vec<u8>> {
    let files = expected().into_keys().map(|name| bytes(&name));
    files.flat_map(|bytes| bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_stops_the_reading(
        picks in proptest::collection::vec((proptest::prelude::any::<u32>(), 0_usize..4, proptest::prelude::any::<u16>(), proptest::prelude::any::<u8>()), 1..60),
    ) {
        thread_local!(static LINES: Vec<Vec<u8>> = all_lines());
        let mut text = Vec::new();
        LINES.with(|lines| {
            for &(pick, damage, place, byte) in &picks {
                let mut line = lines[pick as usize % lines.len()].clone();
                let place = if line.is_empty() { 0 } else { usize::from(place) % line.len() };
                match damage {
                    1 => line.truncate(place),
                    2 if !line.is_empty() => line[place] = byte,
                    3 if !line.is_empty() => { line.drain(..place); }
                    _ => {}
                }
                text.extend_from_slice(&line);
                text.push(b'\n');
            }
        });
        let found = read(0, "x", &text);
        if !text.contains(&0) {
            let lines = text.iter().filter(|&&byte| byte == b'\n').count() as u64;
            proptest::prop_assert_eq!(found.parsed + found.parts + found.skipped_lines(), lines);
        }
    }
}
