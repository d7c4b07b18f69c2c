//! The stages of the pipeline, timed apart: walking records, decoding them, tracking, diagnosing, the whole.
//!
//! `cargo bench --bench stages`. Input is a fixture repeated in memory to a few megabytes; for whole files and
//! other tools see `compare.sh`.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lastack::capture::pcap::{HEADER, Pcap};
use lastack::capture::{Blind, Format};
use lastack::connection::Tracker;
use lastack::diagnosis::{Case, Thresholds, run_all};
use lastack::segment::{Batch, Decoder, PairHasher};
use lastack::{evidence, ingest, input};

const SEED: &str = "fixtures/captures/emulated_recycle_nat2.pcap";
const COPIES: usize = 16;

/// The seed's records, `COPIES` times.
fn capture() -> Vec<u8> {
    let seed = std::fs::read(SEED).expect("the fixture is there");
    let mut bytes = seed[..HEADER].to_vec();
    (0..COPIES).for_each(|_| bytes.extend_from_slice(&seed[HEADER..]));
    bytes
}

fn stages(criterion: &mut Criterion) {
    let bytes = capture();
    let pcap = Pcap::open(&bytes).expect("a classic pcap");
    let hasher = PairHasher::default();
    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("walk", |b| b.iter(|| pcap.clone().walk(&bytes, HEADER, bytes.len(), &mut Blind)));
    let mut batch = Batch::default();
    group.bench_function("decode", |b| {
        b.iter(|| pcap.clone().walk(&bytes, HEADER, bytes.len(), &mut Decoder::new(&hasher, &mut batch)))
    });
    group.bench_function("track", |b| {
        b.iter(|| {
            let mut tracker = Tracker::default();
            batch.shards.iter().for_each(|shard| tracker.feed(shard, &batch.tunnels, 0));
            tracker.connections()
        })
    });
    let path = write(&bytes);
    let (sources, _) = input::expand(std::slice::from_ref(&path));
    let read = || ingest::read(&sources, 1, &|_| {}).expect("threads");
    group.bench_function("read", |b| b.iter(|| read().inputs.len()));
    let reading = read();
    let evidence = evidence::Evidence::new(reading.inputs, reading.parts);
    let thresholds = Thresholds::default();
    group.bench_function("diagnose", |b| b.iter(|| run_all(&Case::new(&evidence, &thresholds)).found.len()));
    group.finish();
    let _ = std::fs::remove_file(path);
}

fn write(bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("lastack-stages-{}.pcap", std::process::id()));
    File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("a temporary file");
    path
}

criterion_group!(benches, stages);
criterion_main!(benches);
