//! Single connections drawn packet by packet: the second look at the files that a report takes.

mod support;

use lastack::diagnosis::{Case, Thresholds, run_all};
use lastack::ingest;
use lastack::input;
use lastack::report::Material;
use lastack::report::chart::{Chart, Ladder, Picture};
use support::analysis::{evidence, evidence_of_stream, fixture};

fn ladders(capture: &str) -> Vec<(String, Ladder)> {
    let path = fixture(capture);
    let evidence = evidence(&[&path], 2);
    let (sources, errors) = input::expand(&[path]);
    assert!(errors.is_empty());
    let thresholds = Thresholds::default();
    let case = Case::new(&evidence, &thresholds);
    let again = |wanted: &[ingest::Wanted]| ingest::look_again(&sources, &evidence.inputs, wanted, None);
    let material = Material::with_packets(&case, run_all(&case), true, &again);
    let drawn = material.charts.into_iter().filter_map(|(entry, Chart { picture, .. })| match picture {
        Picture::Ladder(ladder) => Some((entry.finding.unwrap(), ladder)),
        _ => None,
    });
    drawn.collect()
}

#[test]
fn a_connection_of_each_finding_is_drawn() {
    let ladders = ladders("tw_reuse_sa_ts0_lowisn.pcap");
    let (finding, ladder) = ladders.iter().find(|(id, _)| id.starts_with("SYN008") || id.starts_with("TW001")).unwrap();
    assert!(ladder.rows.len() >= 8, "{finding}: {ladder:?}");
    assert!(ladder.rows.iter().any(|row| row.label.contains("quoted")), "{finding}: {ladder:?}");
    assert!(ladder.rows.windows(2).all(|pair| pair[0].frame < pair[1].frame));
    assert!(ladder.rows.iter().any(|row| row.flags == "SYN, ACK" && !row.from_client));
}

#[test]
fn packed_files_are_read_again_and_standard_input_is_not() {
    assert!(!ladders("max_tw_buckets_server_close.pcap.gz").is_empty());
    let evidence = evidence_of_stream(&std::fs::read(fixture("tw_reuse_sa_ts1.pcap")).unwrap(), 1);
    let sources: Vec<input::Source> =
        vec![input::Source { name: "-".to_owned(), origin: input::Origin::StandardInput, named: true }];
    let thresholds = Thresholds::default();
    let case = Case::new(&evidence, &thresholds);
    let again = |wanted: &[ingest::Wanted]| ingest::look_again(&sources, &evidence.inputs, wanted, None);
    let material = Material::with_packets(&case, run_all(&case), true, &again);
    assert!(material.charts.iter().all(|(_, chart)| !matches!(chart.picture, Picture::Ladder(_))));
}
