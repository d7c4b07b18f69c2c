//! Real captures of stalled hosts and slow networks: every stall is found where the wire that made it says it was.

mod support;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lastack::diagnosis::{Case, Cell, Finding, Thresholds, run_all};
use lastack::report::Material;
use lastack::time::Time;
use support::analysis;

/// The longest sending interval in these captures; starts and lengths are right to within one.
const INTERVAL_MS: f64 = 104.0 + 10.0;

/// Stalls by capture: start in seconds since the epoch, length in milliseconds.
fn truth() -> Vec<(PathBuf, Vec<(f64, f64)>)> {
    let folder = Path::new("fixtures/captures/ping_stall");
    let mut captures: Vec<(PathBuf, Vec<(f64, f64)>)> = Vec::new();
    for line in fs::read_to_string(folder.join("truth.txt")).unwrap().lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let path = folder.join(words[0]);
        if captures.last().is_none_or(|(last, _)| *last != path) {
            captures.push((path, Vec::new()));
        }
        if let [_, start, length] = words[..] {
            captures.last_mut().unwrap().1.push((start.parse().unwrap(), length.parse().unwrap()));
        }
    }
    captures
}

fn stalls(paths: &[&Path]) -> Vec<Finding> {
    let mut found = analysis::findings(&analysis::evidence(paths, 2));
    found.retain(|finding| finding.rule == "STALL001");
    found
}

/// Start in seconds since the epoch and length in milliseconds, from the finding's table.
fn told(finding: &Finding) -> Vec<(f64, f64)> {
    let rows = finding.tables[0].rows.iter().map(|row| match (&row[1], &row[2]) {
        (Cell::Text(release), Cell::Number(length)) => (seconds(release) - length / 1e3, *length),
        other => panic!("{other:?}"),
    });
    rows.collect()
}

/// Of a moment on 2026-11-22.
fn seconds(rfc3339: &str) -> f64 {
    let day = Time::from_parts(1_795_305_600, 0);
    assert!(rfc3339.starts_with(&day.rfc3339()[..10]), "{rfc3339}");
    let part = |from: usize, until: usize| rfc3339[from..until].parse::<f64>().unwrap();
    1_795_305_600.0 + part(11, 13) * 3600.0 + part(14, 16) * 60.0 + part(17, 29)
}

#[test]
fn stalls_are_found_where_they_were() {
    for (path, stalls_there) in truth() {
        let found = stalls(&[&path]);
        let expected = if stalls_there.is_empty() { 0 } else { 2 };
        assert_eq!(found.len(), expected, "{}: IPv4 and IPv6 show the same", path.display());
        for finding in &found {
            let told = told(finding);
            assert_eq!(told.len(), stalls_there.len(), "{}", path.display());
            assert!((finding.metrics["stalls"] - told.len() as f64).abs() < f64::EPSILON);
            for (told, truth) in told.iter().zip(&stalls_there) {
                let off = ((told.0 - truth.0) * 1e3, told.1 - truth.1);
                println!("{}: start off by {:.1} ms, length by {:.1} ms", path.display(), off.0, off.1);
                assert!(off.0.abs() <= INTERVAL_MS && off.1.abs() <= INTERVAL_MS, "{}: {off:?}", path.display());
            }
        }
    }
}

#[test]
fn both_ends_together_say_where_packets_were_held() {
    let folder = Path::new("fixtures/captures/ping_stall");
    let both = stalls(&[&folder.join("request_client.pcap"), &folder.join("request_server_nano.pcap")]);
    assert_eq!(both.len(), 4);
    let at = |point: &str| &both.iter().find(|finding| finding.point.as_deref() == Some(point)).unwrap().summary;
    assert!(
        at("p1").contains("replies came together")
            && at("p1").contains("came together: they were held before that point")
    );
    assert!(at("p2").contains("kept their schedule") && at("p2").contains("went by evenly: they were held between"));
    let reply = Path::new("fixtures/captures/ping_stall_100ms_reply.pcap");
    let both = stalls(&[reply, &folder.join("reply_server_nano.pcap")]);
    assert_eq!(both.len(), 2);
    assert!(both.iter().all(|finding| finding.summary.contains("the replies were held between the two points")));
}

#[test]
fn a_finding_has_a_picture_by_either_time() {
    let evidence = analysis::evidence(&[Path::new("fixtures/captures/ping_stall_100ms_reply.pcap")], 2);
    let thresholds = Thresholds::default();
    let case = Case::new(&evidence, &thresholds);
    let material = Material::new(&case, run_all(&case), true);
    let names: Vec<&str> = material.report.charts.iter().map(|chart| chart.name.as_str()).collect();
    for name in ["stall001-1-sent", "stall001-1-arrival", "stall001-2-sent", "stall001-2-arrival"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn echoes_are_paired_by_series() {
    let evidence = analysis::evidence(&[Path::new("fixtures/captures/ping_stall_100ms_reply.pcap")], 2);
    let series = lastack::evidence::echoes::series(&evidence);
    let told: Vec<(IpAddr, usize, usize, u64)> = series
        .iter()
        .map(|s| (s.client, s.probes.len(), s.probes.iter().filter(|p| p.reply.is_some()).count(), s.duplicates))
        .collect();
    assert_eq!(told.len(), 3, "two runs of ping over IPv4, one over IPv6");
    assert!(told.iter().all(|(_, sent, answered, copies)| (*sent, *answered, *copies) == (185, 185, 0)), "{told:?}");
}
