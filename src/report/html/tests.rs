//! What every page keeps: nothing fetched, nothing unescaped, headings in order, and a size that a ticket takes.

use super::sample;
use super::*;

fn page(report: &Report) -> String {
    let finding = report.findings.first().map(|finding| finding.id.as_str());
    render(report, &sample::charts(finding), &sample::connections(60)).expect("memory takes it")
}

fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("none", page(&sample::empty())),
        ("one", page(&sample::recycle())),
        ("several", page(&sample::several())),
        ("many", page(&sample::many(200))),
        ("hostile", page(&sample::hostile())),
        ("rows", render(&sample::several(), &[], &sample::connections(12_000)).expect("memory takes it")),
    ]
}

/// To look at the pages: `LASTACK_PAGES=DIR cargo test pages_can_be_looked_at`.
#[test]
fn pages_can_be_looked_at() {
    let Some(folder) = std::env::var_os("LASTACK_PAGES") else { return };
    for (name, page) in pages() {
        let path = std::path::Path::new(&folder).join(name).with_extension("html");
        std::fs::write(path, page).expect("the folder takes it");
    }
}

#[test]
fn nothing_is_fetched() {
    for (name, page) in pages() {
        let lower = page.to_ascii_lowercase();
        for tag in lower.split('<').skip(1).filter_map(|part| part.split('>').next()) {
            assert!(!tag.contains(" src="), "{name}: {tag}");
            assert!(!tag.contains("http://") && !tag.contains("https://"), "{name}: {tag}");
            let target = tag.split("href=\"").nth(1).unwrap_or("#");
            assert!(target.starts_with('#') || target.starts_with("data:,"), "{name}: {tag}");
        }
        assert!(!lower.contains("url(") && !lower.contains("@import"), "{name}");
        assert_eq!(lower.matches("<script").count(), 1, "{name}");
        assert_eq!(lower.matches("<style>").count(), 1, "{name}");
        assert_eq!(lower.matches("</style>").count(), 1, "{name}");
    }
}

#[test]
fn hostile_words_stay_words() {
    let page = page(&sample::hostile());
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("&#60;script&#62;alert(1)") || page.contains("&lt;script&gt;alert(1)"));
    assert!(page.contains("‹U+202E›fdp.exe‹U+2066›"));
    assert!(page.contains("‹U+001B›[31m"));
    assert!(!page.chars().any(|c| c == '\u{202e}' || (c.is_control() && c != '\n' && c != '\t')));
    // A quote inside the filter ends neither the shell's word nor the page's.
    assert!(page.contains("it&#39;\\&#39;&#39;s"), "{page}");
}

#[test]
fn headings_go_down_by_one() {
    for (name, page) in pages() {
        let levels: Vec<u32> = page
            .split("<h")
            .skip(1)
            .filter_map(|part| part.get(..1)?.parse().ok().filter(|_| !part.starts_with("r>")))
            .collect();
        assert_eq!(levels.first(), Some(&1), "{name}");
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{name}");
        for pair in levels.windows(2) {
            assert!(pair[1] <= pair[0] + 1, "{name}: {levels:?}");
        }
    }
}

#[test]
fn every_reference_inside_the_page_has_its_target_once() {
    for (name, page) in pages() {
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|part| part.split('"').next()).collect();
        let unique: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: an id is given twice");
        for part in ["href=\"#", "labelledby=\""] {
            for target in page.split(part).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(unique.contains(target), "{name}: {target} is nowhere");
            }
        }
    }
}

#[test]
fn the_first_screen_says_what_it_has_to() {
    let page = page(&sample::recycle());
    let verdict = page.split("id=\"findings\"").next().expect("a beginning");
    for said in [
        "drops SYNs from 203.0.113.9",
        "<strong>critical</strong>",
        "high</span>",
        "2026-11-22 07:41:11.434 UTC (3.1 s into the capture)",
        "203.0.113.9 → 192.0.2.80:443, seen at capture point p1",
        "sysctl -w net.ipv4.tcp_tw_recycle=0</code>",
    ] {
        assert!(verdict.contains(said), "{said}");
    }
}

#[test]
fn a_page_without_findings_says_what_was_looked_at() {
    let mut report = sample::empty();
    let page = page(&report);
    assert!(page.contains("No trouble found</h1>"));
    assert!(page.contains("Looked at 1 capture and 1 snapshot: 48,213 packets"));
    report.not_judged = sample::recycle().not_judged;
    let unsure = self::page(&report);
    assert!(unsure.contains("2 questions could not be decided"));
    report.inputs.clear();
    report.totals.packets = 0;
    assert!(self::page(&report).contains("Nothing could be looked at</h1>"));
}

#[test]
fn many_findings_are_all_there() {
    let page = page(&sample::many(200));
    assert!(page.contains("200 findings: 67 critical, 67 warning, 66 info"));
    assert_eq!(page.matches("<article class=\"finding").count(), OPEN_FINDINGS);
    assert_eq!(page.matches("<details class=\"finding").count(), 200 - OPEN_FINDINGS);
    assert!(page.len() < 5_000_000, "{}", page.len());
}

#[test]
fn a_long_connection_table_is_cut_and_says_so() {
    let page = render(&sample::recycle(), &[], &sample::connections(12_000)).expect("memory takes it");
    assert!(page.len() < 5_000_000, "{}", page.len());
    assert!(page.contains("The first 10,000 rows are shown; 2,000 more are in connections.csv."));
    assert!(page.contains("<td>2026-11-22 07:41:08.345 UTC"));
    assert!(page.contains("left out: close_wait_s, reuse_interval_s, reuse_outcome."));
    let wide = ConnectionTable {
        columns: vec!["a".to_owned(), "b".to_owned()],
        rows: vec![vec!["x".repeat(1000), "y".repeat(1000)]; 10_000],
        total: 10_000,
    };
    let page = render(&sample::recycle(), &[], &wide).expect("memory takes it");
    assert!(page.len() < 5_000_000, "{}", page.len());
    assert!(page.contains("more are in connections.csv"));
}

#[test]
fn a_chart_has_words_and_stands_where_it_belongs() {
    let page = page(&sample::recycle());
    let whole = page.find("id=\"seen\"").expect("the section");
    let places: Vec<usize> =
        page.match_indices("role=\"img\" aria-label=\"TSval of each SYN").map(|(at, _)| at).collect();
    assert_eq!(places.len(), 2);
    assert_eq!(page.matches("<figcaption>Three rising lines of TSvals").count(), 2);
    assert!(places[0] < whole && whole < places[1]);
}

#[test]
fn more_charts_than_a_page_takes_are_named() {
    let (entry, svg) = sample::charts(None).remove(0);
    let big = svg.replace("</svg>", &format!("<text>{}</text></svg>", "x".repeat(400_000)));
    let charts = vec![(entry, big); 10];
    let page = render(&sample::recycle(), &charts, &sample::connections(12_000)).expect("memory takes it");
    assert!(page.len() < 5_000_000, "{}", page.len());
    assert!(page.contains("(the picture is whole beside this page)"));
}

#[test]
fn the_command_names_the_file_only_where_it_is_one() {
    let mut report = sample::recycle();
    assert!(page(&report).contains("tshark -r case-7/server-eth0.pcapng -Y"));
    report.inputs[0].name = "sos.tar.xz!capture.pcap".to_owned();
    assert!(page(&report).contains("tshark -r FILE -Y"));
}

#[test]
fn the_same_report_is_the_same_page() {
    assert_eq!(page(&sample::many(20)), page(&sample::many(20)));
}
