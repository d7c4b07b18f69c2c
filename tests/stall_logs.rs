//! Logs of `ping` from hosts that stalled, and from everything that is no stall.

use std::fs;
use std::path::Path;

use lastack::diagnosis::stall::{Look, Reading, period, probes_of, read};
use lastack::snapshot::{self, PingSeries};
use lastack::time::Time;

#[track_caller]
fn series(name: &str) -> Option<PingSeries> {
    let bytes = fs::read(Path::new("fixtures/snapshots/ping").join(name)).unwrap();
    snapshot::read(0, name, &bytes).facts.pings.pop()
}

#[track_caller]
fn log(name: &str) -> Reading {
    let (probes, lines, timing) = probes_of(&series(name).unwrap()).unwrap();
    assert_eq!(probes.len(), lines.len());
    assert!(probes.iter().zip(&lines).all(|(probe, line)| probe.rtt.is_some() == (*line > 0)));
    read(&probes, timing)
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
fn short_logs_and_those_without_numbers_are_not_judged() {
    for name in ["ours_iputils_git2026_json.txt", "ours_iputils_git2026_zhCN.txt", "ours_iputils20221126_v6.txt"] {
        assert_eq!(log(name).looks, [Look::TooFew], "{name}");
    }
    for name in ["synth_windows_en.txt", "synth_windows_zhCN_utf8.txt", "ours_iputils20221126_q.txt"] {
        assert!(series(name).as_ref().and_then(probes_of).is_none(), "{name}");
    }
}
