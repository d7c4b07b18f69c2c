//! What is split and merged says the same as the whole: captures as rows, rows by socket pair, parts, one report.
//!
//! This is what a cluster does, without one: every capture is extracted, in one piece or in ranges; captures are put in
//! order from a few of the rows; all rows are dealt out by socket pair; each hand is tracked by a process of its own.
#![cfg(feature = "columns")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type, Int64Type};
use arrow_array::{
    Array as _, ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use lastack::columns::Kind;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use support::capture_file::{self, Variant};
use support::flow;
use support::property::Numbers;
use tempfile::TempDir;

fn fixtures() -> Vec<PathBuf> {
    let folder = fs::read_dir("fixtures/captures").unwrap().map(|entry| entry.unwrap().path());
    let mut captures: Vec<PathBuf> =
        folder.filter(|path| path.is_file() && path.to_string_lossy().contains(".pcap")).collect();
    captures.sort();
    captures
}

#[test]
fn every_capture_in_hands_of_socket_pairs_says_what_the_whole_says() {
    let captures = fixtures();
    assert!(captures.len() >= 20, "{} captures", captures.len());
    for (number, capture) in captures.iter().enumerate() {
        let split = Split { hands: 2 + number % 4, ranges: 1, seed: number as u64 + 1 };
        same(std::slice::from_ref(capture), split);
    }
}

#[test]
fn captures_in_ranges_say_what_the_whole_says() {
    let plain: Vec<PathBuf> =
        fixtures().into_iter().filter(|path| path.extension().is_some_and(|e| e != "gz")).collect();
    for (number, capture) in plain.iter().enumerate() {
        for ranges in [2, 5] {
            let split = Split { hands: 3, ranges, seed: number as u64 * 7 + ranges };
            same(std::slice::from_ref(capture), split);
        }
    }
}

#[test]
fn rotated_sets_and_several_points_say_what_the_whole_says() {
    let mut rotated: Vec<PathBuf> =
        fs::read_dir("fixtures/captures/rotated").unwrap().map(|e| e.unwrap().path()).collect();
    rotated.retain(|path| path.to_string_lossy().contains("pcap"));
    rotated.sort();
    assert!(rotated.len() > 1);
    same(&rotated, Split { hands: 4, ranges: 1, seed: 3 });
    let folder = TempDir::new().unwrap();
    let unpacked: Vec<PathBuf> = rotated.iter().map(|path| unpack(path, folder.path())).collect();
    same(&unpacked, Split { hands: 3, ranges: 2, seed: 5 });
    // Whatever the order in which they are named.
    let mut mixed = rotated.clone();
    mixed.reverse();
    mixed.extend(fixtures().into_iter().filter(|path| path.to_string_lossy().contains("close_variety")));
    same(&mixed, Split { hands: 5, ranges: 1, seed: 11 });
}

#[test]
fn damaged_captures_in_hands_and_ranges_say_what_the_whole_says() {
    let plain = fixtures().into_iter().filter(|path| path.extension().is_some_and(|e| e == "pcap"));
    for (number, capture) in plain.enumerate() {
        let folder = TempDir::new().unwrap();
        let (records, link) = capture_file::records(&fs::read(&capture).unwrap());
        let damaged = folder.path().join(capture.file_name().unwrap());
        let seed = number as u64 * 31 + 5;
        let records = capture_file::damaged(&mut Numbers(seed), records);
        fs::write(&damaged, capture_file::pcap(&records, Variant::LittleNano, link)).unwrap();
        same(&[damaged], Split { hands: 2 + number % 3, ranges: 1 + number as u64 % 3, seed });
    }
}

fn unpack(path: &Path, folder: &Path) -> PathBuf {
    let unpacked = folder.join(path.file_stem().unwrap());
    let mut reader = flate2::read::GzDecoder::new(File::open(path).unwrap());
    std::io::copy(&mut reader, &mut File::create(&unpacked).unwrap()).unwrap();
    unpacked
}

#[test]
fn parquet_and_arrow_are_read_as_the_captures_they_came_from() {
    let folder = TempDir::new().unwrap();
    let mut captures: Vec<PathBuf> =
        fixtures().into_iter().filter(|path| path.to_string_lossy().contains("tw_reuse")).collect();
    // Copies are told by all that they carry: where that is no timestamps, what others carry must not stand in their place.
    captures.insert(0, folder.path().join("copies.pcap"));
    let copies = "
repeat 30 every 0.05 ports+1
  1.0     198.51.100.7:40000 > 192.0.2.80:80   S   ts=900000
  +0.001  192.0.2.80:80 > 198.51.100.7:40000   S.  ts=5000
  +0.001  198.51.100.7:50000 > 192.0.2.80:80   S   copy
  +0.001  198.51.100.7:40000 > 192.0.2.80:80   .
  +0.001  192.0.2.80:80 > 198.51.100.7:50000   S.  copy
  +0.001  198.51.100.7:40000 > 192.0.2.80:80   P.  len=100
  +0.001  198.51.100.7:50000 > 192.0.2.80:80   .   copy
end
";
    fs::write(&captures[0], flow::pcap(copies).unwrap()).unwrap();
    let expected = report(&folder.path().join("whole"), "analyze", &captures);
    assert!(expected.contains("\"duplicates\": 90,"));
    for format in ["arrow", "parquet"] {
        let rows = folder.path().join(format!("rows.{format}"));
        let mut extract = lastack();
        extract.args(["extract", "--format", format, "-o"]).arg(&rows).args(&captures);
        assert!(extract.status().unwrap().success());
        let read = report(&folder.path().join(format), "analyze", &[rows]);
        agree(&read, &expected, format);
    }
}

/// Others write rows anew: in small batches, those of several captures in turn, with columns of their own.
#[test]
fn rows_of_a_capture_are_found_wherever_they_lie() {
    let folder = TempDir::new().unwrap();
    // The storm lies between the others, and is more than what is read at once of Parquet.
    let wanted = ["short_conn_storm_reuse0.pcap", "tw_reuse", "close_variety"];
    let among = |path: &PathBuf| wanted.iter().any(|name| path.to_string_lossy().contains(name));
    let mut captures: Vec<PathBuf> = fixtures().into_iter().filter(among).collect();
    captures.push(PathBuf::from("fixtures/captures/emulated_recycle_nat2.pcap"));
    let expected = report(&folder.path().join("whole"), "analyze", &captures);
    let one = |(number, capture): (usize, &PathBuf)| read(&extract(capture, None, folder.path(), number));
    let mut all: Vec<RecordBatch> = captures.iter().enumerate().map(one).collect();
    let behind = all.pop().unwrap();
    let (mut out, mut state) = (vec![0; all.len()], 1);
    let mut pieces = Vec::new();
    while out.iter().zip(&all).any(|(out, rows)| *out < rows.num_rows()) {
        // Captures are listed in the order of their first rows.
        let place = if pieces.len() < all.len() { pieces.len() } else { next(&mut state) as usize % all.len() };
        let rows = all[place].num_rows();
        let length = (1 + next(&mut state) as usize % (8 + rows / 20)).min(rows - out[place]);
        pieces.push(noted(&all[place].slice(out[place], length), pieces.len()));
        out[place] += length;
    }
    pieces.push(noted(&behind, pieces.len()));
    assert!(pieces.len() > 100, "{} batches", pieces.len());

    let arrow = folder.path().join("rows.arrow");
    let mut writer = StreamWriter::try_new(File::create(&arrow).unwrap(), &pieces[0].schema()).unwrap();
    pieces.iter().for_each(|piece| writer.write(piece).unwrap());
    writer.finish().unwrap();
    agree(&report(&folder.path().join("noted"), "analyze", &[arrow]), &expected, "arrow with a dictionary");

    let plain: Vec<RecordBatch> = pieces.iter().map(without_notes).collect();
    let arrow = folder.path().join("plain.arrow");
    let mut writer = StreamWriter::try_new(File::create(&arrow).unwrap(), &plain[0].schema()).unwrap();
    plain.iter().for_each(|piece| writer.write(piece).unwrap());
    writer.finish().unwrap();
    agree(&report(&folder.path().join("arrow"), "analyze", std::slice::from_ref(&arrow)), &expected, "arrow");
    let packed = folder.path().join("packed.arrow.zst");
    fs::write(&packed, zstd::encode_all(fs::read(&arrow).unwrap().as_slice(), 1).unwrap()).unwrap();
    agree(&report(&folder.path().join("packed"), "analyze", &[packed]), &expected, "packed arrow");

    let parquet = folder.path().join("rows.parquet");
    let small = WriterProperties::builder().set_max_row_group_row_count(Some(700)).build();
    let mut writer = ArrowWriter::try_new(File::create(&parquet).unwrap(), plain[0].schema(), Some(small)).unwrap();
    plain.iter().for_each(|piece| writer.write(piece).unwrap());
    writer.close().unwrap();
    agree(&report(&folder.path().join("parquet"), "analyze", &[parquet]), &expected, "parquet");
}

/// With a column in front whose dictionary is written once, in front of the first batch.
fn noted(batch: &RecordBatch, number: usize) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["even", "odd"]));
    let keys = Int32Array::from(vec![i32::try_from(number % 2).unwrap(); batch.num_rows()]);
    let notes = DictionaryArray::<Int32Type>::try_new(keys, texts).unwrap();
    let mut fields = vec![Field::new("note", notes.data_type().clone(), true)];
    fields.extend(batch.schema().fields().iter().map(|field| field.as_ref().clone()));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(notes)];
    columns.extend(batch.columns().iter().cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn without_notes(batch: &RecordBatch) -> RecordBatch {
    batch.project(&(1..batch.num_columns()).collect::<Vec<usize>>()).unwrap()
}

#[test]
fn what_cannot_be_merged_is_refused_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let part = folder.path().join("a.part");
    fs::write(&part, b"lastack-part/0\nx").unwrap();
    let told = refused(lastack().arg("merge").arg(&part).arg("-o").arg(folder.path().join("out")));
    assert!(told.contains("part of version 0") && told.contains("merges version"), "{told}");
    fs::write(&part, b"lastack-part/2\nx").unwrap();
    let told = refused(lastack().arg("merge").arg(&part).arg("-o").arg(folder.path().join("out")));
    assert!(told.contains("damaged part"), "{told}");
    // Rows that lack their facts come from an extraction that broke off.
    let capture = &fixtures()[0];
    let rows = extract(capture, None, folder.path(), 0);
    let cut = folder.path().join("cut.arrow");
    let batch = read(&rows);
    write(&cut, &batch.slice(0, batch.num_rows() - 1));
    let told = refused(lastack().arg("analyze").arg(&cut).arg("-o").arg(folder.path().join("out")));
    assert!(told.contains("without their facts"), "{told}");
    // A range that is missing is told, and so are rows out of order.
    let size = fs::metadata(capture).unwrap().len();
    let half = extract(capture, Some((0, size / 2)), folder.path(), 1);
    let told = refused(lastack().arg("analyze").arg(&half).arg("-o").arg(folder.path().join("out")));
    assert!(told.contains("no rows of the octets from"), "{told}");
}

#[test]
fn what_is_no_regular_file_is_written_to_and_stays() {
    let capture = &fixtures()[0];
    let written = |out: &str| {
        let run = lastack().args(["extract", "--format", "arrow", "-o", out]).arg(capture).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        run.stdout
    };
    let expected = written("-");
    assert!(!expected.is_empty());
    // A pipe, here.
    assert!(written("/dev/stdout") == expected);
}

/// How a run is split.
#[derive(Clone, Copy, Debug)]
struct Split {
    hands: usize,
    ranges: u64,
    seed: u64,
}

#[track_caller]
fn same(captures: &[PathBuf], split: Split) {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let expected = report(&path("whole"), "analyze", captures);
    let mut chance = split.seed;
    let mut rows = Vec::new();
    for capture in captures {
        let size = fs::metadata(capture).unwrap().len();
        let mut cuts: Vec<u64> = (1..split.ranges).map(|_| next(&mut chance) % size.max(2)).collect();
        cuts.extend([0, size]);
        cuts.sort_unstable();
        cuts.dedup();
        for range in cuts.windows(2) {
            let range = (split.ranges > 1).then(|| (range[0], range[1] - range[0]));
            rows.push(extract(capture, range, folder.path(), rows.len()));
        }
    }
    let all: Vec<RecordBatch> = rows.iter().map(|rows| read(rows)).collect();
    let plan = plan(&all, folder.path());
    fs::create_dir(path("parts")).unwrap();
    let mut parts = vec![folder.path().join("plan/inputs.part")];
    for (hand, rows) in deal(&all, &plan, split, folder.path()).into_iter().enumerate() {
        parts.push(path(&format!("parts/{hand}.part")));
        track(&rows, parts.last().unwrap());
    }
    // Parts come in any order.
    for place in (1..parts.len()).rev() {
        parts.swap(place, (next(&mut chance) % (place as u64 + 1)) as usize);
    }
    let merged = report(&path("merged"), "merge", &parts);
    if split.seed.is_multiple_of(4) {
        let folders = [folder.path().join("plan/inputs.part"), path("parts")];
        agree(&report(&path("merged"), "merge", &folders), &merged, "a folder of parts");
    }
    agree(&merged, &expected, &format!("{captures:?} {split:?}"));
}

/// Of reports that differ the first lines that do are enough.
#[track_caller]
fn agree(one: &str, other: &str, what: &str) {
    let differing = one.lines().zip(other.lines()).zip(1..).find(|((one, other), _)| one != other);
    assert!(one == other, "{what}: {differing:?}");
}

fn lastack() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lastack"))
}

fn report(out: &Path, command: &str, inputs: &[PathBuf]) -> String {
    let run = lastack().args([command, "--quiet", "--format", "json", "-o"]).arg(out).args(inputs).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    fs::read_to_string(out.join("report.json")).unwrap()
}

fn refused(command: &mut Command) -> String {
    let run = command.output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    String::from_utf8_lossy(&run.stderr).into_owned()
}

fn extract(capture: &Path, range: Option<(u64, u64)>, folder: &Path, number: usize) -> PathBuf {
    let rows = folder.join(format!("{number:05}.arrow"));
    let mut command = lastack();
    command.args(["extract", "--format", "arrow", "-o"]).arg(&rows).arg(capture);
    if let Some((from, length)) = range {
        command.args(["--range", &format!("{from}:{length}")]);
    }
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    rows
}

/// Capture, range, input, point and base of every range.
type Plan = Vec<(i64, i64, i32, i32, i64)>;

/// Puts captures in order from facts, fragments, and the socket pairs that the fronts name.
fn plan(all: &[RecordBatch], folder: &Path) -> Plan {
    let mut pairs: Vec<i32> = Vec::new();
    for batch in all {
        let facts = batch.column_by_name("facts").unwrap().as_string::<i32>();
        for row in rows_of(batch, |kind, _| kind == Kind::Front as i8) {
            let front: serde_json::Value = serde_json::from_str(facts.value(row as usize)).unwrap();
            pairs.extend(front["pairs"].as_array().unwrap().iter().map(|pair| pair.as_i64().unwrap() as i32));
        }
    }
    let few = folder.join("few");
    fs::create_dir(&few).unwrap();
    for (number, batch) in all.iter().enumerate() {
        let wanted = rows_of(batch, |kind, pair| kind >= Kind::Fragment as i8 || pairs.contains(&pair));
        write(&few.join(format!("{number:05}.arrow")), &take(batch, wanted));
    }
    let made = lastack()
        .args(["analyze", "--from", "arrow", "--emit", "plan", "-o"])
        .arg(folder.join("plan"))
        .arg(&few)
        .output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let lines = fs::read_to_string(folder.join("plan/plan.jsonl")).unwrap();
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| value[key].as_i64().unwrap();
        (number("file"), number("from"), number("input") as i32, number("point") as i32, number("base"))
    };
    lines.lines().map(line).collect()
}

/// Deals out rows by socket pair, each hand in the order of points and frames.
fn deal(all: &[RecordBatch], plan: &Plan, split: Split, folder: &Path) -> Vec<RecordBatch> {
    let joined = read(&folder.join("plan/joined.arrow"));
    let tracked = |batch: &RecordBatch| take(batch, rows_of(batch, |kind, _| kind < Kind::Fragment as i8));
    let placed: Vec<RecordBatch> = all.iter().chain([&joined]).map(|batch| place(&tracked(batch), plan)).collect();
    let whole = arrow_select::concat::concat_batches(&placed[0].schema(), &placed).unwrap();
    let long = |name: &str| whole.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec();
    let word = |name: &str| whole.column_by_name(name).unwrap().as_primitive::<Int32Type>().values().to_vec();
    let (pairs, points, frames, pieces) = (word("pair"), word("point"), long("frame"), word("piece"));
    let hand_of =
        |pair: i32| (u64::from(pair.cast_unsigned()).wrapping_mul(split.seed | 1) >> 3) as usize % split.hands;
    let mut hands: Vec<Vec<u64>> = vec![Vec::new(); split.hands];
    for row in 0..whole.num_rows() {
        hands[hand_of(pairs[row])].push(row as u64);
    }
    let sorted = hands.into_iter().map(|mut rows| {
        rows.sort_by_key(|row| (points[*row as usize], frames[*row as usize], pieces[*row as usize]));
        take(&whole, rows)
    });
    sorted.collect()
}

/// Adds point and input, and counts frames at the point; rows of ranges that nobody reads are left out.
fn place(batch: &RecordBatch, plan: &Plan) -> RecordBatch {
    let long = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
    let (files, froms, frames) = (long("file"), long("from"), long("frame"));
    let of = |row: usize| plan.iter().find(|range| (range.0, range.1) == (files.value(row), froms.value(row)));
    let kept: Vec<u64> = (0..batch.num_rows()).filter(|row| of(*row).is_some()).map(|row| row as u64).collect();
    let ranges: Vec<&(i64, i64, i32, i32, i64)> = kept.iter().filter_map(|row| of(*row as usize)).collect();
    let frame = kept.iter().zip(&ranges).map(|(row, range)| frames.value(*row as usize) + range.4);
    let frame: ArrayRef = Arc::new(Int64Array::from_iter_values(frame));
    let kept = take(batch, kept);
    let column = |name: &str| kept.schema().index_of(name).unwrap();
    let mut columns = kept.columns().to_vec();
    columns[column("frame")] = frame;
    columns.push(Arc::new(Int32Array::from_iter_values(ranges.iter().map(|range| range.3))));
    columns.push(Arc::new(Int32Array::from_iter_values(ranges.iter().map(|range| range.2))));
    let mut fields: Vec<Field> = kept.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.extend(["point", "input"].map(|name| Field::new(name, DataType::Int32, false)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn track(rows: &RecordBatch, part: &Path) {
    let mut tracker = lastack();
    tracker.args(["analyze", "--from", "arrow", "--emit", "part", "-o"]).arg(part).arg("-");
    let mut running = tracker.stdin(Stdio::piped()).spawn().unwrap();
    let mut octets = Vec::new();
    let mut stream = StreamWriter::try_new(&mut octets, &rows.schema()).unwrap();
    // Batches as small as they come.
    for first in (0..rows.num_rows()).step_by(1000) {
        stream.write(&rows.slice(first, 1000.min(rows.num_rows() - first))).unwrap();
    }
    stream.finish().unwrap();
    drop(stream);
    running.stdin.take().unwrap().write_all(&octets).unwrap();
    assert!(running.wait().unwrap().success());
}

fn read(path: &Path) -> RecordBatch {
    let reader = StreamReader::try_new_buffered(File::open(path).unwrap(), None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let mut writer = StreamWriter::try_new(File::create(path).unwrap(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
}

fn take(batch: &RecordBatch, rows: Vec<u64>) -> RecordBatch {
    arrow_select::take::take_record_batch(batch, &UInt64Array::from(rows)).unwrap()
}

/// Rows whose kind and socket pair are wanted.
fn rows_of(batch: &RecordBatch, wanted: impl Fn(i8, i32) -> bool) -> Vec<u64> {
    let kinds = batch.column_by_name("kind").unwrap().as_primitive::<Int8Type>();
    let pairs = batch.column_by_name("pair").unwrap().as_primitive::<Int32Type>();
    let rows = (0..kinds.len()).filter(|row| wanted(kinds.value(*row), pairs.value(*row)));
    rows.map(|row| row as u64).collect()
}

/// A number like any other, the same in every run.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
