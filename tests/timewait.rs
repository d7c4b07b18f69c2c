//! TIME-WAIT, ports and closes against captures whose truth the hosts wrote down, and against scripts of what no
//! capture shows.

mod support;

use std::fs;
use std::path::Path;

use lastack::diagnosis::{Case, Finding, Severity, Thresholds, run_all};
use lastack::evidence::Evidence;
use lastack::time::{Span, Time};
use support::{analysis, flow};

#[track_caller]
fn capture(name: &str) -> Evidence {
    analysis::evidence(&[&analysis::fixture(name)], 2)
}

#[track_caller]
fn script(text: &str) -> Vec<Finding> {
    analysis::findings(&analysis::evidence_of(&flow::pcap(text).unwrap(), 1))
}

#[track_caller]
fn only<'a>(found: &'a [Finding], code: &str) -> &'a Finding {
    let of: Vec<&Finding> = found.iter().filter(|finding| finding.rule == code).collect();
    assert_eq!(of.len(), 1, "{code}: {:?}", found.iter().map(|finding| &finding.title).collect::<Vec<_>>());
    of[0]
}

fn has(found: &[Finding], code: &str) -> bool {
    found.iter().any(|finding| finding.rule == code)
}

/// Every count of `ss -s` inside the capture, against the population at that moment.
#[track_caller]
fn population_is_that_of_ss(name: &str) {
    let evidence = capture(&format!("{name}.pcap.gz"));
    let thresholds = Thresholds::default();
    let case = Case::new(&evidence, &thresholds);
    let truth = fs::read_to_string(analysis::fixture(&format!("{name}.truth.txt"))).unwrap();
    let point = &evidence.points[0];
    let mut compared = 0;
    for line in truth.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let (at, host, count) = (Time(words[0].parse().unwrap()), words[1], words[2].parse::<i64>().unwrap());
        if at < point.first_at || at > point.last_at {
            continue;
        }
        let population = case.populations().iter().find(|found| found.host.to_string() == host).expect(host);
        let step = population.held.iter().take_while(|(from, _)| *from <= at).last();
        let seen = i64::try_from(step.map_or(0, |(_, held)| *held)).unwrap();
        // `ss` takes a few milliseconds, in which some close.
        assert!((seen - count).abs() <= 3 + count / 20, "{host} at {at}: {seen}, ss says {count}");
        compared += 1;
    }
    assert!(compared > 50, "{compared} moments");
}

#[test]
fn populations_are_what_ss_counts() {
    population_is_that_of_ss("short_conn_storm_reuse0");
    population_is_that_of_ss("short_conn_storm_reuse1");
}

#[test]
fn a_client_runs_out_of_ports_when_connect_first_failed() {
    let found = analysis::findings(&capture("short_conn_storm_reuse0.pcap.gz"));
    let finding = only(&found, "TW003");
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(finding.subject.client_ip.unwrap().to_string(), "10.75.0.11");
    assert_eq!((finding.metrics["ports_peak"], finding.metrics["ports_limit"]), (1000.0, 1000.0));
    assert!((finding.metrics["exhausted_after_s"] - 7.69).abs() < 0.3, "{:?}", finding.metrics);
    assert!((finding.metrics["rate_per_s"] - 130.0).abs() < 3.0, "{:?}", finding.metrics);
    assert!(!has(&found, "TW002") && !has(&found, "TW001"));
}

#[test]
fn a_client_that_reuses_its_ports_does_not_run_out() {
    let found = analysis::findings(&capture("short_conn_storm_reuse1.pcap.gz"));
    let of_client = |finding: &&Finding| finding.subject.client_ip.is_some_and(|ip| ip.to_string() == "10.75.0.11");
    let finding = found.iter().filter(of_client).find(|finding| finding.rule == "TW001").unwrap();
    assert_eq!((finding.metrics["reuses"], finding.metrics["accepted"]), (1971.0, 1971.0));
    assert!((finding.metrics["shortest_s"] - 1.02).abs() < 0.01);
    assert!(finding.summary.contains("500 ports") && finding.summary.contains("even only"), "{}", finding.summary);
    assert!(!has(&found, "TW003") && !has(&found, "TW002"));
}

#[test]
fn a_full_table_is_known_by_the_fins_it_resets() {
    let found = analysis::findings(&capture("max_tw_buckets_server_close.pcap.gz"));
    let finding = only(&found, "TW002");
    assert_eq!(finding.metrics["fins_reset"], 166.0);
    // tcp_max_tw_buckets was 100, and TCPTimeWaitOverflow grew by 500.
    assert!((finding.metrics["limit"] - 100.0).abs() <= 5.0, "{:?}", finding.metrics);
    assert!((finding.metrics["overflowed"] - 500.0).abs() <= 25.0, "{:?}", finding.metrics);
    let resets = only(&found, "RST001");
    assert_eq!(resets.metrics["fin_after_close"], 166.0);
    assert!(!has(&found, "FW002") && !has(&found, "TW003"));
}

#[test]
fn aborts_are_told_apart() {
    for name in ["close_variety_client.pcap", "close_variety_server_nano.pcap"] {
        let found = analysis::findings(&capture(name));
        let service = |finding: &&Finding| finding.rule == "RST001" && finding.subject.server_port == Some(8080);
        for finding in found.iter().filter(service) {
            let of = |cause: &str| finding.metrics.get(cause).copied().unwrap_or(0.0);
            // Three times data came after close() or tcp_fin_timeout, once a FIN after tcp_fin_timeout.
            assert_eq!([of("data_after_close"), of("fin_after_close")], [3.0, 1.0], "{name}: {:?}", finding.metrics);
            assert!(of("middlebox") == 0.0 && of("unread_data") >= 1.0, "{name}: {:?}", finding.metrics);
        }
        for code in ["TW004", "TW005", "FW002"] {
            assert!(has(&found, code), "{name}: {code}");
        }
        assert!(!has(&found, "TW002") && !has(&found, "TW003"), "{name}");
    }
}

/// One connection closed first by the server; the pair again, with an older timestamp, from another port after a RST.
const NAT_RETRY: &str = "
clock H hz=1000 start=900000000
clock L hz=1000 start=4000000
clock S hz=250 start=50000
1.0      198.51.100.7:40000 > 192.0.2.80:80   S   seq=1000 ts=H
+0.0002  192.0.2.80:80 > 198.51.100.7:40000   S.  ts=S
+0.001   198.51.100.7:40000 > 192.0.2.80:80   .
+0.001   192.0.2.80:80 > 198.51.100.7:40000   F.
+0.001   198.51.100.7:40000 > 192.0.2.80:80   F.
+0.0001  192.0.2.80:80 > 198.51.100.7:40000   .
6.0      198.51.100.7:40000 > 192.0.2.80:80   S   seq=777777 ts=L
+0.0002  192.0.2.80:80 > 198.51.100.7:40000   .
+0.001   198.51.100.7:40000 > 192.0.2.80:80   R
+0.012   198.51.100.7:41234 > 192.0.2.80:80   S   seq=777777 ts=L
+0.0002  192.0.2.80:80 > 198.51.100.7:41234   S.  ts=S
+0.001   198.51.100.7:41234 > 192.0.2.80:80   .
+0.001   198.51.100.7:41234 > 192.0.2.80:80   P.  len=90
+0.001   192.0.2.80:80 > 198.51.100.7:41234   P.  len=90
";

#[test]
fn a_retry_from_another_port_is_one_story() {
    let found = script(NAT_RETRY);
    let finding = only(&found, "TW001");
    assert_eq!((finding.metrics["challenged"], finding.metrics["followed"]), (1.0, 1.0));
    let delay = finding.metrics["longest_delay_ms"];
    assert!((delay - 14.4).abs() < 0.5, "{delay}");
    assert!(finding.exhibits[0].text.contains("port 41234"), "{}", finding.exhibits[0].text);
    assert!(finding.summary.contains("0 never opened"), "{}", finding.summary);
}

#[test]
fn a_proxy_is_named_as_such() {
    let positive = fs::read_to_string("fixtures/diagnoses/TW003-ephemeral-ports-exhausting/positive.flow").unwrap();
    let front = "
clock F hz=1000 start=5000
0.1      203.0.113.9:50000 > 10.0.5.20:443   S   ts=F
+0.0002  10.0.5.20:443 > 203.0.113.9:50000   S.  ts=H
+0.001   203.0.113.9:50000 > 10.0.5.20:443   .
";
    let alone = script(&positive);
    assert!(!only(&alone, "TW003").summary.contains("as a proxy does"));
    let found = script(&format!("{positive}\n{front}"));
    let finding = only(&found, "TW003");
    assert!(finding.summary.contains("as a proxy does"), "{}", finding.summary);
    assert!(finding.advice.iter().any(|advice| advice.text.contains("unix socket")));
    assert_eq!(finding.tables[0].rows.len(), 1);
}

/// A device between the ends, seen by its TTL, resets a connection that was idle for an hour.
#[test]
fn a_reset_with_another_ttl_is_a_devices() {
    let found = script(
        "
clock H hz=1000 start=900000000
clock S hz=250 start=50000
1.0      198.51.100.7:40000 > 192.0.2.80:80   S   ts=H ttl=57
+0.0002  192.0.2.80:80 > 198.51.100.7:40000   S.  ts=S
+0.001   198.51.100.7:40000 > 192.0.2.80:80   .   ttl=57
+0.001   198.51.100.7:40000 > 192.0.2.80:80   P.  len=90 ttl=57
+0.001   192.0.2.80:80 > 198.51.100.7:40000   P.  len=90
+0.001   198.51.100.7:40000 > 192.0.2.80:80   .   ttl=57
3600.0   192.0.2.80:80 > 198.51.100.7:40000   P.  len=90
+0.001   198.51.100.7:40000 > 192.0.2.80:80   R   ttl=250
",
    );
    let finding = only(&found, "RST001");
    assert_eq!(finding.metrics["middlebox"], 1.0);
    assert_eq!(finding.metrics["octets_unacknowledged"], 90.0);
}

/// 600 connections a second for 20 s, closed first by the client, with the default range.
#[test]
fn a_rate_above_the_ceiling_is_forecast() {
    let found = script(
        "
clock H hz=1000 start=900000000
clock S hz=250 start=50000
repeat 12000 every 0.00166 ports+2
  1.0      10.0.5.20:32768 > 192.0.2.80:80   S   ts=H
  +0.0002  192.0.2.80:80 > 10.0.5.20:32768   S.  ts=S
  +0.0002  10.0.5.20:32768 > 192.0.2.80:80   .
  +0.0002  10.0.5.20:32768 > 192.0.2.80:80   F.
  +0.0002  192.0.2.80:80 > 10.0.5.20:32768   F.
  +0.0002  10.0.5.20:32768 > 192.0.2.80:80   .
end
",
    );
    let finding = only(&found, "TW003");
    assert_eq!(finding.severity, Severity::Warning);
    let left = (28_232.0 - finding.metrics["ports_peak"]) / finding.metrics["rate_per_s"];
    assert!((finding.metrics["exhausted_in_s"] - left).abs() < 1.0, "{:?}", finding.metrics);
    assert!((finding.metrics["ceiling_per_s"] - 470.5).abs() < 0.1);
}

#[test]
fn controls_have_nothing_of_the_kind() {
    let names = [
        "b_recycle_off_snat.pcap",
        "emulated_recycle_control_no_nat.pcapng",
        "a_recycle_on_snat.pcap",
        "k_recycle_on_modern_client_random_ts.pcap",
    ];
    for name in names {
        let found = analysis::findings(&capture(name));
        for code in ["TW001", "TW002", "TW003", "TW004", "TW005", "CW001", "FW001", "FW002", "RST001"] {
            assert!(!has(&found, code), "{name}: {code}");
        }
    }
}

#[test]
fn two_msl_follows_the_option() {
    let evidence = analysis::evidence(&[Path::new("fixtures/captures/tw_reuse_sa_ts1.pcap")], 1);
    let reuses = |msl: i64| {
        let thresholds = Thresholds { msl: Span::from_secs(msl), ..Thresholds::default() };
        let found = run_all(&Case::new(&evidence, &thresholds)).found;
        found.iter().find(|finding| finding.rule == "TW001").map(|finding| finding.metrics["reuses"])
    };
    assert_eq!([reuses(1), reuses(30), reuses(120)], [Some(3.0), Some(6.0), Some(8.0)]);
}
