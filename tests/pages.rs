//! The page of a report at its extremes: nothing found, hundreds of findings, thousands of connections; and names that
//! strangers chose, in every format.
//!
//! The captures are packet scripts. `.ci/page` opens the same pages in a browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use support::flow;

/// Connections that open, carry data and close as they should, one after the other.
fn healthy(connections: usize) -> String {
    let mut script = "clock C hz=1000 start=5000000\nclock S hz=1000 start=90000\n".to_owned();
    for turn in 0..connections {
        let (client, server) =
            (format!("198.51.100.{}:{}", 1 + turn / 25_000, 20_000 + turn % 25_000), "192.0.2.80:443");
        #[allow(clippy::cast_precision_loss)]
        let at = turn as f64 * 0.01;
        for (after, from, to, what) in [
            (0.0, client.as_str(), server, "S   ts=C"),
            (0.001, server, client.as_str(), "S.  ts=S"),
            (0.002, client.as_str(), server, "."),
            (0.003, client.as_str(), server, "P.  len=90"),
            (0.004, server, client.as_str(), "P.  len=400"),
            (0.005, client.as_str(), server, "F."),
            (0.006, server, client.as_str(), "F."),
            (0.007, client.as_str(), server, "."),
        ] {
            let _ = writeln!(script, "{:.3} {from} > {to} {what}", at + after);
        }
    }
    script
}

/// As many servers whose port is closed, each for a client of its own that goes on trying: one client alone would scan.
fn refused(servers: usize) -> String {
    let mut script = "clock C hz=1000 start=5000000\n".to_owned();
    for server in 0..servers {
        for turn in 0..24 {
            let ends = (
                format!("198.51.100.{}:{}", 7 + server, 40_000 + turn),
                format!("192.0.{}.{}:80", 2 + server / 200, 1 + server % 200),
            );
            #[allow(clippy::cast_precision_loss)]
            let at = 1.0 + server as f64 * 0.003 + f64::from(turn);
            let _ = writeln!(script, "{at:.4} {} > {} S ts=C", ends.0, ends.1);
            let _ = writeln!(script, "{:.4} {} > {} R.", at + 0.0005, ends.1, ends.0);
        }
    }
    script
}

fn capture(folder: &Path, name: &str, script: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, flow::pcap(script).unwrap()).unwrap();
    path
}

/// Leaves the captures in the folder that `PAGE_DIR` names.
#[test]
fn pages_for_the_browser() {
    let own = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("PAGE_DIR").map_or_else(|| own.path().to_owned(), PathBuf::from);
    for (name, script) in [("none.pcap", healthy(60)), ("many.pcap", refused(200)), ("long.pcap", healthy(12_000))] {
        assert!(fs::metadata(capture(&folder, name, &script)).unwrap().len() > 1000);
    }
}

/// What `analyze` writes for the inputs, and what it prints.
fn analyzed(inputs: &[&Path], more: &[&str]) -> (tempfile::TempDir, String) {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
    let command = command.arg("analyze").args(inputs).args(more).arg("--out").arg(out.path());
    let printed = command.assert().code(0).get_output().stdout.clone();
    (out, String::from_utf8(printed).unwrap())
}

fn read(folder: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

fn report(folder: &tempfile::TempDir) -> serde_json::Value {
    serde_json::from_str(&read(folder, "report.json")).unwrap()
}

#[test]
fn a_page_with_nothing_found() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = analyzed(&[&capture(folder.path(), "none.pcap", &healthy(60))], &[]);
    assert_eq!(report(&out)["findings"].as_array().unwrap().len(), 0);
    let page = read(&out, "report.html");
    assert!(page.contains("<h1 id=\"verdict\">No trouble found"));
    assert!(page.contains("60 connections"));
    assert!(!page.contains("id=\"findings\""));
    assert!(page.contains("id=\"connections\"") && page.contains("id=\"not-judged\""));
    assert!(read(&out, "report.md").starts_with("## lastack: no trouble found"));
}

#[test]
fn a_page_with_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = analyzed(&[&capture(folder.path(), "one.pcap", &refused(1))], &[]);
    assert_eq!(report(&out)["findings"].as_array().unwrap().len(), 1);
    let page = read(&out, "report.html");
    assert_eq!(page.matches("<article class=\"finding").count(), 1);
    assert!(!page.contains("id=\"overview\""), "a single finding needs no list");
    assert!(page.contains("The connection of these exhibits, packet by packet"));
}

#[test]
fn a_page_with_two_hundred_findings() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = analyzed(&[&capture(folder.path(), "many.pcap", &refused(200))], &[]);
    let report = report(&out);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 200);
    assert!(
        findings.iter().all(|finding| finding["exhibits"].as_array().unwrap().len() == 20),
        "report.json keeps them all"
    );
    let page = read(&out, "report.html");
    assert!(page.len() < 2_500_000, "{}", page.len());
    for finding in findings {
        let id = finding["id"].as_str().unwrap();
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
    // The worst have all their exhibits, the others their first, and say where the rest is.
    assert_eq!(page.matches("17 more exhibits of this finding are in report.json.").count(), 160);
    assert!(read(&out, "report.md").len() < 32_000);
}

#[test]
fn more_connections_than_a_page_takes() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = analyzed(&[&capture(folder.path(), "long.pcap", &healthy(10_500))], &["--format", "html,csv"]);
    let page = read(&out, "report.html");
    assert!(page.contains("The first 10,000 rows are shown; 500 more are in connections.csv."));
    assert_eq!(read(&out, "connections.csv").lines().count(), 10_501);
    assert!(page.len() < 4_000_000, "{}", page.len());
}

#[test]
fn times_are_shown_in_the_zone_that_was_asked_for() {
    let sample = Path::new("fixtures/captures/a_recycle_on_snat.pcap");
    let (utc, _) = analyzed(&[sample], &["--format", "html,json,md,csv"]);
    let (local, _) = analyzed(&[sample], &["--format", "html,json,md,csv", "--timezone", "Asia/Kolkata"]);
    for name in ["report.json", "connections.csv"] {
        assert_eq!(read(&utc, name), read(&local, name), "{name} stays in UTC");
    }
    let (page, comment) = (read(&local, "report.html"), read(&local, "report.md"));
    assert!(read(&utc, "report.html").contains("2026-11-22 07:41:17.632 UTC ("));
    assert!(page.contains("2026-11-22 13:11:17.632 UTC+05:30 ("), "on the first screen");
    assert!(page.contains("time, UTC+05:30, 2026-11-22"), "on axes");
    assert!(page.contains("<td>2026-11-22 13:11:"), "in tables");
    assert!(comment.contains("2026-11-22 13:11:17.632 UTC+05:30"));
    for text in [&page, &comment] {
        assert!(text.contains("Times name their offset from UTC") && !text.contains("All times are UTC"));
    }
    let wrong = Command::new(assert_cmd::cargo::cargo_bin!("lastack"))
        .args(["analyze", "--timezone", "Mars/Olympus"])
        .arg(sample)
        .assert()
        .code(2);
    let said = String::from_utf8(wrong.get_output().stderr.clone()).unwrap();
    assert!(said.contains("is no time zone"), "{said}");
}

#[test]
fn the_timeline_has_the_moments_of_snapshots() {
    let inputs = [
        "fixtures/hosts/h_recycle_on_with_listen_overflow",
        "fixtures/captures/h_recycle_on_with_listen_overflow.pcap",
    ];
    let (out, _) = analyzed(&inputs.map(Path::new), &["--format", "html,json"]);
    let times =
        |host: &serde_json::Value| host["moments"].as_array().unwrap().iter().filter(|m| m["time"].is_string()).count();
    let report = report(&out);
    let dated: usize = report["hosts"].as_array().unwrap().iter().map(times).sum();
    assert!(dated > 0, "the fixture says when it was made");
    let page = read(&out, "report.html");
    let timeline = page.split("id=\"timeline\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(timeline.contains("class=\"moments\"") && timeline.contains("snapshot moment"), "{timeline}");
    assert!(timeline.contains("asked at 2026-"), "{timeline}");
}

/// Names as an attacker would choose them; a file's name cannot hold a slash.
const NAMES: [&str; 5] = [
    "<script>alert(1)<\u{2215}script>",
    "=cmd|' \u{2215}C calc'!A0",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "exe\u{202e}fdp\u{2066}x\u{200b}",
    "@SUM(1)|[x](https:evil.example)",
];

fn is_hidden(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A host that says of itself what NAMES say, in its name, its processes, its folders and its files; and a capture of such a name.
fn hostile(folder: &Path) -> PathBuf {
    let root = folder.join("case");
    for (nth, name) in NAMES.iter().enumerate() {
        let host = root.join(name);
        fs::create_dir_all(&host).unwrap();
        let process = name.replace('\u{2215}', "/");
        let mut sockets = "State      Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n".to_owned();
        let _ = writeln!(sockets, "LISTEN 129 128 10.0.0.{nth}:80 0.0.0.0:* users:((\"{process}\",pid=7,fd=3))");
        for port in 0..60 {
            let _ = writeln!(
                sockets,
                "CLOSE-WAIT 1 0 10.0.0.{nth}:80 10.0.9.9:{} users:((\"{process}\",pid=7,fd={}))",
                30_000 + port,
                port + 4
            );
        }
        fs::write(host.join(format!("ss {name}.txt")), sockets).unwrap();
        let system = format!("Linux {process} 3.10.0-514.el7.x86_64 #1 SMP x86_64 GNU/Linux\n");
        fs::write(host.join("uname"), system).unwrap();
        fs::write(host.join(format!("sysctl{nth}.txt")), "net.ipv4.tcp_tw_recycle = 1\nnet.ipv4.tcp_timestamps = 1\n")
            .unwrap();
    }
    for (nth, name) in NAMES.iter().enumerate() {
        let script = refused(1).replace("198.51.100.7:", &format!("198.51.100.{}:", 10 + nth));
        capture(&root, &format!("{name}.pcap"), &script);
    }
    root
}

#[test]
fn hostile_names_are_harmless_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let root = hostile(folder.path());
    let (out, printed) = analyzed(&[&root], &["--format", "html,json,md,csv,png", "--color", "never"]);
    let findings = report(&out);
    let told = findings["findings"].to_string() + &findings["hosts"].to_string() + &findings["inputs"].to_string();
    // The names do come through: otherwise nothing would be shown here.
    for name in ["script>alert(1)", "=cmd|'", "[31mred", "fdp", "@SUM(1)"] {
        assert!(told.contains(name), "{name} is nowhere in report.json");
    }
    let (page, comment, json, csv) =
        (read(&out, "report.html"), read(&out, "report.md"), read(&out, "report.json"), read(&out, "connections.csv"));
    for (what, text) in [("html", &page), ("md", &comment), ("json", &json), ("csv", &csv), ("terminal", &printed)] {
        let found = text.chars().find(|character| is_hidden(*character));
        assert_eq!(found, None, "{what} has a character that is not seen");
    }
    assert_eq!(page.matches("<script").count(), 1, "the page's own script alone");
    // Between backticks Markdown shows everything as it is.
    let outside: String = comment.split('`').step_by(2).collect();
    assert!(!outside.replace("\\<", "").contains('<') && !outside.replace("\\]", "").contains(']'), "{outside}");
    for line in csv.lines() {
        assert!(!line.split(',').any(|cell| cell.trim_matches('"').starts_with(['=', '+', '@'])), "a formula: {line}");
    }
    // What JSON escapes is still the name.
    assert!(told.contains('\u{202e}') && json.contains("\\u202e"));
    for table in ["connections", "syns"] {
        for format in ["csv", "jsonl", "table"] {
            let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lastack"));
            let printed =
                command.arg(table).arg(&root).args(["--format", format]).assert().code(0).get_output().clone();
            for text in [&printed.stdout, &printed.stderr] {
                let text = String::from_utf8_lossy(text);
                assert_eq!(text.chars().find(|character| is_hidden(*character)), None, "{table} {format}: {text}");
                assert!(!text.lines().any(|line| line.starts_with(['=', '@'])), "{table} {format}");
            }
        }
    }
}

/// The pictures in `reports/screenshots` show the sample that is published; `.ci/page` holds them against the browser.
#[test]
fn the_screenshots_are_of_the_published_sample() {
    use sha2::Digest;
    let made_of = fs::read_to_string("reports/screenshots/made-of.txt").unwrap();
    let page = fs::read("reports/sample/report.html").unwrap();
    let digest: String = sha2::Sha256::digest(&page).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    assert_eq!(made_of.split_whitespace().next(), Some(digest.as_str()), ".ci/page shots makes them anew");
}

/// The elements of an HTML page by their tag: attributes, and the text inside with what stands in tags left out.
fn elements<'a>(page: &'a str, tag: &str) -> Vec<(&'a str, String)> {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    let parts = page.split(&open).skip(1).filter(|part| part.starts_with([' ', '>']));
    let whole = parts.filter_map(|part| {
        let (attributes, rest) = part.split_once('>')?;
        let inner = rest.split(&close).next()?;
        let text = inner.split('<').enumerate().map(|(nth, piece)| match nth {
            0 => piece,
            _ => piece.split_once('>').map_or("", |(_, text)| text),
        });
        Some((attributes, text.collect::<String>().trim().to_owned()))
    });
    whole.collect()
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{4e00}'..='\u{9fff}'))
}

/// What every language writes alike: numbers, addresses, and names of columns, metrics and options.
fn is_key(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.chars().all(is_name) || !text.chars().any(char::is_alphabetic)
}

#[test]
fn a_chinese_report_has_chinese_headings() {
    let sample = Path::new("fixtures/captures/a_recycle_on_snat.pcap");
    let (out, _) = analyzed(&[sample], &["--lang", "zh", "--format", "html,md"]);
    let page = read(&out, "report.html");
    assert!(page.contains("<html lang=\"zh-CN\">"));
    let mut seen = 0;
    let mut left = Vec::new();
    for tag in ["figcaption", "h1", "h2", "h3", "h4", "dt", "th", "caption", "summary", "nav", "footer"] {
        for (attributes, text) in elements(&page, tag) {
            // The first cells of rows are values; the connection table's columns and the options are keys.
            let value = attributes.contains("scope=\"row\"") || is_key(&text);
            seen += usize::from(!value);
            if !value && !is_chinese(&text) {
                left.push(format!("{tag}: {text}"));
            }
        }
    }
    assert!(seen > 60, "only {seen} headings and labels");
    assert!(left.is_empty(), "{} of {seen} are English:\n{}", left.len(), left.join("\n"));
    let comment = read(&out, "report.md");
    let marked = |line: &&str| line.starts_with(['#', '-', '*']) || line.starts_with("| ");
    let english: Vec<&str> = comment.lines().filter(marked).filter(|line| !is_chinese(line)).collect();
    assert!(english.is_empty() && comment.lines().count() > 20, "{english:?}");
    let english = read(&analyzed(&[sample], &["--format", "html"]).0, "report.html");
    assert!(english.contains("<html lang=\"en\">") && !is_chinese(&english));
}

#[test]
fn the_terminal_speaks_chinese() {
    let sample = Path::new("fixtures/captures/a_recycle_on_snat.pcap");
    let (out, printed) = analyzed(&[sample], &["--lang", "zh", "--format", "json", "--color", "never"]);
    assert_eq!(report(&out)["language"], "zh");
    let totals = &report(&out)["totals"];
    let counts = format!("{} 个报文，{} 个连接，", totals["packets"], totals["connections"]);
    let english: Vec<&str> = printed.lines().filter(|line| !is_chinese(line)).collect();
    assert!(english.is_empty(), "{english:?}");
    assert!(printed.starts_with("严重     SYN001  ") && printed.contains(&counts), "{printed}");
    assert!(printed.trim_end().ends_with("report.json") && printed.contains("\n报告："), "{printed}");
}
