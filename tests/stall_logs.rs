//! Logs of `ping` from hosts that stalled, and from everything that is no stall.
//!
//! The parser here is the least that these files need; what is tested is the detector behind it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lastack::diagnosis::stall::{Look, Probe, Reading, Timing, period, read};
use lastack::time::{Span, Time};

fn log(name: &str) -> Reading {
    let text = fs::read_to_string(Path::new("fixtures/snapshots/ping").join(name)).unwrap();
    let (probes, timing) = probes(&text);
    read(&probes, timing)
}

/// Probes by number; the sending times of lost ones and of logs without stamps follow from the mean interval.
fn probes(text: &str) -> (Vec<Probe>, Timing) {
    let mut answers: BTreeMap<i64, (Option<f64>, f64)> = BTreeMap::new();
    let mut wraps = (0, 0);
    for line in text.lines().filter(|line| !line.contains("(DUP!)")) {
        let Some(number) = value(line, &["icmp_seq=", "icmp_req=", " seq=", "\"seq\": "]) else { continue };
        let Some(rtt) = value(line, &["time=", "时间=", "\"time\": \""]) else { continue };
        let mut number = number as i64 + wraps.0;
        if number < wraps.1 - 40_000 {
            wraps.0 += 65_536;
            number += 65_536;
        }
        wraps.1 = number;
        answers.entry(number).or_insert((value(line, &["["]).filter(|_| line.starts_with('[')), rtt));
    }
    let stamped = answers.values().all(|(stamp, _)| stamp.is_some());
    let (first, last) = (answers.keys().next().copied().unwrap_or(0), answers.keys().last().copied().unwrap_or(0));
    let interval = interval(text, &answers, stamped);
    let mut sent = 0.0;
    let probes = (first..=last).map(|number| {
        let answer = answers.get(&number);
        sent = match answer {
            Some((Some(stamp), rtt)) if stamped => stamp * 1e3 - rtt,
            _ => sent + interval,
        };
        Probe { sent: Time((sent * 1e6) as i64), rtt: answer.map(|(_, rtt)| Span((rtt * 1e6) as i64)) }
    });
    (probes.collect(), if stamped { Timing::Stamped } else { Timing::Counted })
}

/// From the summary, or from the stamps; one second as `ping` has it otherwise.
fn interval(text: &str, answers: &BTreeMap<i64, (Option<f64>, f64)>, stamped: bool) -> f64 {
    if stamped {
        let sent: Vec<f64> = answers.values().map(|(stamp, rtt)| stamp.unwrap() * 1e3 - rtt).collect();
        let mut steps: Vec<f64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_by(f64::total_cmp);
        return steps.get(steps.len() / 2).copied().unwrap_or(1000.0);
    }
    let summary = text.lines().find(|line| line.contains("packets transmitted") && line.contains(" time "));
    let told = summary.and_then(|line| {
        let count: f64 = line.split(' ').next()?.parse().ok()?;
        Some(value(line, &[" time "])? / (count - 1.0))
    });
    told.filter(|interval| *interval > 0.0).unwrap_or(1000.0)
}

/// The number behind the first of these words that a line has.
fn value(line: &str, words: &[&str]) -> Option<f64> {
    let rest = words.iter().find_map(|word| line.split_once(word))?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[test]
fn stalls_are_found_with_their_true_length() {
    let logs: [(&str, &[f64]); 6] = [
        ("ours_iputils20221126_D_stall900ms_i100.txt", &[900.0, 420.0]),
        ("ours_iputils20221126_noD_stall900ms_i100.txt", &[900.0, 420.0]),
        ("ours_iputils20221126_D_periodic_stall350ms_3s_i50.txt", &[350.0; 6]),
        ("ours_iputils20221126_O_stall_taildrop_i100.txt", &[900.0]),
        ("synth_ubuntu1204_icmp_req_stall_i100.txt", &[900.0]),
        ("synth_macos_stall_i1.txt", &[7000.0]),
    ];
    for (name, lengths) in logs {
        let reading = log(name);
        assert_eq!(reading.stalls.len(), lengths.len(), "{name}: {:?}", reading.stalls);
        for (stall, length) in reading.stalls.iter().zip(lengths) {
            let told = stall.lasted.0.millis()..=stall.lasted.1.millis();
            assert!(told.contains(length), "{name}: {length} is not in {told:?}");
            assert!((stall.slope + 1.0).abs() < 0.02, "{name}: {}", stall.slope);
        }
    }
}

#[test]
fn a_full_queue_drops_the_last() {
    let reading = log("ours_iputils20221126_O_stall_taildrop_i100.txt");
    assert!(reading.stalls[0].tail_drop && reading.stalls[0].lost == 4 && reading.stalls[0].held.len() == 4);
    assert!(!log("ours_iputils20221126_D_stall900ms_i100.txt").stalls[0].tail_drop);
}

#[test]
fn what_comes_back_has_a_period() {
    let reading = log("ours_iputils20221126_D_periodic_stall350ms_3s_i50.txt");
    let releases: Vec<Time> = reading.stalls.iter().map(|stall| stall.release.0).collect();
    let off = period(&releases).unwrap().millis() - 3000.0;
    assert!(off.abs() < 10.0, "{off}");
    assert_eq!(period(&releases[..2]), None);
}

#[test]
fn nothing_else_is_a_stall() {
    type Is = fn(&Look) -> bool;
    let logs: [(&str, Option<Is>); 9] = [
        ("ours_iputils20221126_D_bufferbloat_i100.txt", Some(|look| matches!(look, Look::Queue { .. }))),
        ("ours_iputils20221126_D_clean_i100.txt", None),
        ("ours_iputils20221126_D_sender_sigstop_i100.txt", Some(|look| matches!(look, Look::SenderGap { .. }))),
        ("ours_iputils20221126_D_stall900ms_slowdrain_i100.txt", Some(|look| matches!(look, Look::SlowDrain(_)))),
        ("ours_iputils20221126_O_outage_i100.txt", Some(|look| matches!(look, Look::Outage { probes: 8, .. }))),
        ("ours_iputils20221126_arp_first_pings_i100.txt", Some(|look| matches!(look, Look::FirstPacket(_)))),
        ("ours_iputils20221126_one_outlier_i100.txt", Some(|look| matches!(look, Look::Outliers(1)))),
        ("ours_busybox_stall900ms_i1.txt", Some(|look| matches!(look, Look::Outliers(1)))),
        ("synth_seq_wrap_D.txt", None),
    ];
    for (name, is) in logs {
        let reading = log(name);
        assert!(reading.stalls.is_empty(), "{name}: {:?}", reading.stalls);
        assert_eq!(reading.looks.len(), usize::from(is.is_some()), "{name}: {:?}", reading.looks);
        assert!(is.is_none_or(|is| is(&reading.looks[0])), "{name}: {:?}", reading.looks);
    }
}

#[test]
fn short_and_serial_logs_are_not_judged() {
    for name in [
        "ours_iputils_git2026_json.txt",
        "ours_iputils_git2026_zhCN.txt",
        "ours_iputils20221126_q.txt",
        "synth_windows_en.txt",
    ] {
        assert_eq!(log(name).looks, [Look::TooFew], "{name}");
    }
}
