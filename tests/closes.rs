//! The connection table against captures whose truth the hosts wrote down: how every connection opened and closed,
//! who held TIME-WAIT, how soon a socket pair was used again and what came of it.
//!
//! `NAME.truth.txt` says what was done; `NAME.connections.txt` is the whole table as a person would read it.

mod support;

use std::collections::BTreeMap;
use std::fs;

use lastack::evidence::Evidence;
use support::capture_file::{self, Variant};
use support::{analysis, expected, flow};

/// Rows of a table by column.
type Row = BTreeMap<String, String>;

#[test]
fn every_kind_of_close_seen_at_the_client() {
    assert_eq!(closes("close_variety_client"), 84);
}

#[test]
fn every_kind_of_close_seen_at_the_server() {
    assert_eq!(closes("close_variety_server_nano"), 78);
}

#[test]
fn reuse_after_the_client_closed_without_timestamps() {
    reuse("tw_reuse_ca_ts0_reuse1", "pcap");
}

#[test]
fn reuse_after_the_client_closed_by_explicit_bind() {
    reuse("tw_reuse_ca_ts1_reuse0_bind", "pcap");
}

#[test]
fn reuse_after_the_client_closed_by_tcp_tw_reuse() {
    reuse("tw_reuse_ca_ts1_reuse1", "pcap");
}

#[test]
fn reuse_after_the_server_closed_with_a_lower_isn() {
    reuse("tw_reuse_sa_ts0_lowisn", "pcap");
}

#[test]
fn reuse_after_the_server_closed_with_timestamps() {
    reuse("tw_reuse_sa_ts1", "pcap");
}

#[test]
fn reuse_after_the_server_closed_with_older_timestamps() {
    reuse("tw_reuse_sa_ts1_oldts", "pcapng");
}

/// An ICMPv6 error, a frame cut by the snap length and a whole one come by different decode paths.
#[test]
fn ipv6_meets_itself_on_every_decode_path() {
    let script = "
        0.0    [2001:db8::9]:1025 > [2001:db8::80]:80    S   ts=1000
        +0.01  [2001:db8::1] > [2001:db8::9]             icmp unreachable host
        1.0    [2001:db8::9]:1026 > [2001:db8::80]:80    S   ts=2000
        +0.01  [2001:db8::80]:80 > [2001:db8::9]:1026    S.  ts=5000
        +0.01  [2001:db8::9]:1026 > [2001:db8::80]:80    .
        +0.01  [2001:db8::80]:80 > [2001:db8::9]:1026    R.
    ";
    let (mut records, link) = capture_file::records(&flow::pcap(script).unwrap());
    let cut = 14 + 40 + 20 + 4; // in the middle of the options
    records[4].bytes.truncate(cut);
    let evidence = analysis::evidence_of(&capture_file::pcap(&records, Variant::Little, link), 1);
    assert_eq!(evidence.capture(0).unwrap().frames.slow_path, 2, "the error and the cut frame");
    let rows = rows(&evidence);
    let seen: Vec<(&str, &str)> = rows.iter().map(|row| (row["opened"].as_str(), row["history"].as_str())).collect();
    assert_eq!(seen, [("unreachable", "S"), ("handshake", "ShAr")]);
}

/// Holds every connection of the truth against its row; gives how many there are.
#[track_caller]
fn closes(name: &str) -> usize {
    let rows = table(name, "pcap");
    let truth = truth(name);
    let mut wrong = Vec::new();
    for case in &truth {
        let found: Vec<&Row> = rows.iter().filter(|row| same_pair(row, case)).collect();
        let &[row] = found.as_slice() else {
            wrong.push(format!("{}: {} rows", case["case"], found.len()));
            continue;
        };
        for column in ["opened", "close", "active_closer", "time_wait_side", "reset_by", "close_wait_side"] {
            if case[column] != "-" && case[column] != row[column] {
                wrong.push(format!(
                    "{}: {column} is {}, not {} [{}]",
                    case["case"], row[column], case[column], row["history"]
                ));
            }
        }
        // The kernel was asked every 40 ms.
        if case["close_wait_s"] != "-" && !near(&row["close_wait_s"], &case["close_wait_s"], 0.1) {
            wrong.push(format!(
                "{}: CLOSE-WAIT for {} s, not {}",
                case["case"], row["close_wait_s"], case["close_wait_s"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    truth.len()
}

/// Holds every reuse of the truth against the two incarnations of its socket pair.
#[track_caller]
fn reuse(name: &str, ending: &str) {
    let rows = table(name, ending);
    let mut wrong = Vec::new();
    for pair in &truth(name) {
        let found: Vec<&Row> = rows.iter().filter(|row| same_pair(row, pair)).collect();
        let used_again = pair["reuse_interval_s"] != "-";
        let port = &pair["client_port"];
        if found.len() != 1 + usize::from(used_again) {
            wrong.push(format!("{port}: {} incarnations", found.len()));
            continue;
        }
        if found[0]["time_wait_side"] != pair["time_wait_side"] {
            wrong.push(format!("{port}: TIME-WAIT at {}, not {}", found[0]["time_wait_side"], pair["time_wait_side"]));
        }
        let Some(second) = found.get(1) else { continue };
        let mut hold = |column: &str, value: &str| {
            if second[column] != value {
                wrong.push(format!("{port}: {column} is {}, not {value} [{}]", second[column], second["history"]));
            }
        };
        hold("reuse_outcome", &pair["reuse_outcome"]);
        hold("reuse_of", &found[0]["conn"]);
        if pair["second_close"] != "-" {
            hold("opened", "handshake");
            hold("close", &pair["second_close"]);
            hold("active_closer", &pair["time_wait_side"]);
            hold("reset_by", "none");
        }
        // The program between both sockets took its times in user space.
        if !near(&second["reuse_interval_s"], &pair["reuse_interval_s"], 0.06) {
            wrong.push(format!("{port}: {} s, not {}", second["reuse_interval_s"], pair["reuse_interval_s"]));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn near(one: &str, other: &str, tolerance: f64) -> bool {
    matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if (one - other).abs() < tolerance)
}

fn same_pair(row: &Row, case: &Row) -> bool {
    ["client_ip", "client_port", "server_ip", "server_port"].iter().all(|column| row[*column] == case[*column])
}

/// The table of a fixture, which must also read as it is written down.
#[track_caller]
fn table(name: &str, ending: &str) -> Vec<Row> {
    let evidence = analysis::evidence(&[&analysis::fixture(&format!("{name}.{ending}"))], 1);
    let rows = rows(&evidence);
    let text = readable(&rows);
    expected::check(&analysis::fixture(&format!("{name}.connections.txt")), text.as_bytes());
    rows
}

fn rows(evidence: &Evidence) -> Vec<Row> {
    let csv = analysis::table(evidence);
    let mut lines = csv.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| head.iter().zip(line.split(',')).map(|(k, v)| ((*k).to_owned(), v.to_owned())).collect();
    lines.map(row).collect()
}

/// What a reviewer wants to see of a row.
fn readable(rows: &[Row]) -> String {
    const SHOWN: [&str; 15] = [
        "conn",
        "client_ip",
        "client_port",
        "server_ip",
        "server_port",
        "opened",
        "close",
        "active_closer",
        "time_wait_side",
        "close_wait_side",
        "close_wait_s",
        "reset_by",
        "reuse_interval_s",
        "reuse_outcome",
        "history",
    ];
    let head = SHOWN.map(str::to_owned).to_vec();
    let cell = |row: &Row, column: &str| if row[column].is_empty() { "-".to_owned() } else { row[column].clone() };
    let cells = rows.iter().map(|row| SHOWN.iter().map(|column| cell(row, column)).collect::<Vec<_>>());
    let all: Vec<Vec<String>> = std::iter::once(head).chain(cells).collect();
    let widths: Vec<usize> =
        (0..SHOWN.len()).map(|column| all.iter().map(|row| row[column].len()).max().unwrap()).collect();
    let line = |row: &Vec<String>| {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    all.iter().map(line).collect()
}

/// The rows of a truth table.
fn truth(name: &str) -> Vec<Row> {
    let text = fs::read_to_string(analysis::fixture(&format!("{name}.truth.txt"))).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#')).map(str::split_whitespace);
    let head: Vec<&str> = lines.next().unwrap().collect();
    let row = |cells: std::str::SplitWhitespace<'_>| {
        let cells: Vec<&str> = cells.collect();
        assert_eq!(cells.len(), head.len(), "{name}: {cells:?}");
        head.iter().zip(cells).map(|(k, v)| ((*k).to_owned(), v.to_owned())).collect()
    };
    lines.map(row).collect()
}
