//! Batches: every case for itself, ranked in one index, resumed where they were interrupted, compared with earlier ones.

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use support::program::{capture, cases, folder, json, lastack, run, runs, text, tree};

/// Two faults, two controls, and folders that hold nothing.
const CASES: [(&str, &str); 5] = [
    ("in/control-a", "b_recycle_off_snat.pcap"),
    ("in/fault-nat", "a_recycle_on_snat.pcap"),
    ("in/fault-queue", "f_listen_overflow.pcap"),
    ("in/control-b", "ping_control_jitter_100ms.pcap"),
    ("in/reuse", "tw_reuse_sa_ts1.pcap"),
];

fn names(index: &serde_json::Value) -> Vec<(String, String)> {
    let cases = index["cases"].as_array().unwrap().iter();
    cases
        .map(|case| (case["name"].as_str().unwrap().to_owned(), case["verdict"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn true_faults_come_first_and_controls_are_clean() {
    let home = folder();
    cases(home.path(), &CASES);
    fs::create_dir_all(home.path().join("in/notes")).unwrap();
    fs::write(home.path().join("in/notes/readme.txt"), "nothing to analyse").unwrap();
    fs::write(home.path().join("in/readme.txt"), "nothing to analyse").unwrap();
    let output = runs(home.path(), 0, &["batch", "in"]);
    let index = json(&home.path().join("lastack-batch/index.json"));
    let names = names(&index);
    let verdicts: Vec<(&str, &str)> = names.iter().map(|(name, verdict)| (&**name, &**verdict)).collect();
    assert_eq!(verdicts[0].1, "critical");
    assert_eq!(verdicts[1].1, "critical");
    assert!(verdicts[..2].iter().all(|(name, _)| name.starts_with("fault-")), "{verdicts:?}");
    assert!(verdicts.contains(&("control-a", "clean")) && verdicts.contains(&("control-b", "clean")), "{verdicts:?}");
    assert_eq!(verdicts[5], ("notes", "empty"));
    assert!(text(&output.stdout).ends_with("Index: lastack-batch/index.html\n"), "{}", text(&output.stdout));
    for (place, case) in index["cases"].as_array().unwrap().iter().enumerate() {
        assert_eq!(case["rank"], place + 1);
        let report = home.path().join("lastack-batch").join(case["folder"].as_str().unwrap()).join("report.html");
        assert_eq!(report.is_file(), case["verdict"] != "empty", "{}", report.display());
    }
    let page = fs::read_to_string(home.path().join("lastack-batch/index.html")).unwrap();
    assert!(page.contains("href=\"cases/fault-nat/report.html\""));
    let valid = jsonschema::validator_for(&serde_json::from_str(&lastack::report::index::Index::schema()).unwrap());
    assert!(valid.unwrap().is_valid(&index));
}

#[test]
fn a_case_is_what_the_analysis_of_its_folder_is() {
    let home = folder();
    cases(home.path(), &CASES[..2]);
    runs(home.path(), 0, &["analyze", "--each", "in", "--msl", "60", "-o", "out", "--jobs", "2"]);
    runs(home.path(), 0, &["analyze", "in/fault-nat", "--msl", "60", "-o", "one"]);
    let mut case = tree(&home.path().join("out/cases/fault-nat"));
    case.retain(|(name, _)| name != "case.json");
    assert!(case == tree(&home.path().join("one")), "the same files, byte for byte");
}

#[test]
fn folders_are_cases_or_hold_them() {
    let home = folder();
    cases(
        home.path(),
        &[
            ("split/one", "tw_reuse_sa_ts1.pcap"),
            ("split/two", "tw_reuse_sa_ts1.pcap"),
            ("whole", "tw_reuse_sa_ts1.pcap"),
            ("whole/deep", "tw_reuse_ca_ts1_reuse1.pcap"),
        ],
    );
    fs::copy(capture("tw_reuse_sa_ts1.pcap"), home.path().join("one")).unwrap();
    let found = |arguments: &[&str]| {
        runs(home.path(), 0, &[&["batch", "--format", "json", "-o", "out"], arguments].concat());
        let mut names: Vec<String> =
            names(&json(&home.path().join("out/index.json"))).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    };
    assert_eq!(found(&["split", "whole"]), ["one", "two", "whole"]);
    assert_eq!(found(&["split", "whole", "--cases", "subfolders"]), ["deep", "one", "two"]);
    assert_eq!(found(&["split", "whole", "--cases", "arguments"]), ["split", "whole"]);
    let apart = found(&["split", "one"]);
    assert_eq!((apart.len(), apart.iter().filter(|name| name.ends_with("/one")).count()), (3, 2), "{apart:?}");
    assert_eq!(found(&["sp*", "split/one"]), ["one", "two"], "patterns, and nothing twice");
    assert_eq!(tree(&home.path().join("out/cases")).iter().filter(|(name, _)| name.ends_with("case.json")).count(), 2);
}

#[test]
fn a_case_that_fails_stops_no_other() {
    let home = folder();
    cases(home.path(), &CASES[..2]);
    fs::write(home.path().join("in/fault-nat/odd.pcap"), [0xd4, 0xc3, 0xb2, 0xa1, 2]).unwrap();
    let output = runs(home.path(), 2, &["batch", "in/control-a", "missing", "in/fault-nat", "--fail-on", "critical"]);
    let names = names(&json(&home.path().join("lastack-batch/index.json")));
    let verdicts: Vec<(&str, &str)> = names.iter().map(|(name, verdict)| (&**name, &**verdict)).collect();
    assert_eq!(verdicts, [("fault-nat", "critical"), ("control-a", "clean"), ("missing", "failed")]);
    assert!(text(&output.stdout).contains("FAILED   missing: missing: cannot open"), "{}", text(&output.stdout));
    runs(home.path(), 1, &["batch", "in/control-a", "in/fault-nat", "--fail-on", "critical"]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_is_not_there_fails_one_case() {
    let home = folder();
    cases(home.path(), &CASES[..1]);
    fs::create_dir_all(home.path().join("in/large")).unwrap();
    // A packed capture that grows to 1 GB of connections is more than 700 MB of address space.
    let large = flood(3_000_000);
    fs::write(home.path().join("in/large/flood.pcap.zst"), zstd::stream::encode_all(large.as_slice(), 1).unwrap())
        .unwrap();
    drop(large);
    let program = assert_cmd::cargo::cargo_bin!("lastack");
    let script = format!("ulimit -v 700000; exec {} batch in --jobs 1 -j 1 --format json --quiet", program.display());
    let output = std::process::Command::new("sh").current_dir(home.path()).args(["-c", &script]).output().unwrap();
    let names = names(&json(&home.path().join("lastack-batch/index.json")));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(names[0], ("control-a".to_owned(), "clean".to_owned()));
    assert_eq!(names[1].1, "failed", "{names:?}");
    let index = fs::read_to_string(home.path().join("lastack-batch/index.json")).unwrap();
    assert!(index.contains("memory allocation of"), "{index}");
}

/// A capture of so many SYNs, each of its own socket pair.
#[cfg(target_os = "linux")]
fn flood(packets: u32) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for number in 0..packets {
        bytes.extend([(number / 1_000_000).to_le_bytes(), (number % 1_000_000).to_le_bytes()].concat());
        bytes.extend([40_u32.to_le_bytes(), 40_u32.to_le_bytes()].concat());
        bytes.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 198, 18]);
        bytes.extend(((number >> 14) as u16).to_be_bytes());
        bytes.extend([192, 0, 2, 1]);
        bytes.extend((1024 + (number & 0x3fff) as u16).to_be_bytes());
        bytes.extend([0, 80]);
        bytes.extend(number.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    }
    bytes
}

#[test]
fn what_is_finished_is_not_done_again_and_what_changed_is() {
    let home = folder();
    cases(home.path(), &CASES);
    let batch = ["batch", "in", "--format", "json,md", "-o", "out"];
    let told = |output: &std::process::Output| text(&output.stderr).lines().count();
    assert_eq!(told(&runs(home.path(), 0, &batch)), 5, "a line a case");
    let first = tree(&home.path().join("out"));
    assert_eq!(told(&runs(home.path(), 0, &batch)), 0);
    assert!(first == tree(&home.path().join("out")));
    fs::copy(capture("g_firewall_drop.pcap"), home.path().join("in/control-b/more.pcap")).unwrap();
    let output = runs(home.path(), 0, &batch);
    assert_eq!(text(&output.stderr), "1/1 control-b: analysed\n");
    let other = ["batch", "in", "--format", "json,md", "-o", "out", "--msl", "60"];
    assert_eq!(told(&runs(home.path(), 0, &other)), 5, "other options, other reports");
    fs::write(home.path().join("out/cases/reuse/case.json"), "{}").unwrap();
    fs::remove_dir_all(home.path().join("in/fault-nat")).unwrap();
    assert_eq!(text(&runs(home.path(), 0, &other).stderr), "1/1 reuse: analysed\n");
    assert!(!home.path().join("out/cases/fault-nat").exists(), "what is no case any more goes");
}

#[test]
fn only_what_is_new_since_the_baseline_fails() {
    let home = folder();
    cases(home.path(), &CASES);
    runs(home.path(), 0, &["batch", "in", "-o", "first", "--format", "json"]);
    let again = ["batch", "in", "-o", "second", "--format", "json,github", "--baseline", "first/index.json"];
    runs(home.path(), 0, &again);
    // The same fault as in another case, and still a new one.
    cases(home.path(), &[("in/new", "a_recycle_on_snat.pcap")]);
    let output = text(&runs(home.path(), 1, &[&again[..], &["--quiet"]].concat()).stdout);
    let errors: Vec<&str> = output.lines().filter(|line| line.starts_with("::error")).collect();
    assert_eq!(errors.len(), 1, "{output}");
    let output = text(&runs(home.path(), 1, &again[..]).stdout);
    let told: Vec<&str> = output.lines().filter(|line| !line.starts_with("::")).collect();
    assert!(told[0].starts_with("CRITICAL SYN001  new: "), "{output}");
    assert!(told[1].starts_with("1 failing since the baseline, "), "named alone: {output}");
    let diff = runs(home.path(), 1, &["diff", "first/index.json", "second/index.json"]);
    let diff = text(&diff.stdout);
    assert!(
        diff.starts_with("new    CRITICAL  SYN001  new: ") && diff.contains("\n1 new, 0 worse, 0 gone, "),
        "{diff}"
    );
    let back = runs(home.path(), 0, &["diff", "second/index.json", "first/index.json"]);
    assert!(text(&back.stdout).starts_with("gone   CRITICAL  SYN001  new: "), "{}", text(&back.stdout));
}

#[test]
fn redacted_batches_name_nobody() {
    let home = folder();
    cases(home.path(), &[("in/customer-a", "a_recycle_on_snat.pcap"), ("in/customer-b", "tw_reuse_sa_ts1.pcap")]);
    fs::write(home.path().join("in/customer-b/broken.zip"), b"PK\x03\x04 broken").unwrap();
    runs(home.path(), 0, &["batch", "in", "--redact", "--format", "json,md,junit,sarif,github,jsonl"]);
    for (name, bytes) in tree(&home.path().join("lastack-batch")) {
        let told = text(&bytes);
        for secret in ["customer", "192.0.2.10", "a_recycle_on_snat"] {
            assert!(!told.contains(secret) && !name.contains(secret), "{name} names {secret}");
        }
    }
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let home = folder();
    cases(home.path(), &CASES[..1]);
    fs::create_dir(home.path().join("out")).unwrap();
    fs::write(home.path().join("out/thesis.md"), "mine").unwrap();
    let output = runs(home.path(), 2, &["batch", "in", "-o", "out"]);
    assert!(text(&output.stderr).contains("thesis.md"), "{}", text(&output.stderr));
    assert_eq!(tree(&home.path().join("out")).len(), 1);
}

#[test]
fn killed_fifty_times_it_ends_as_if_it_never_was() {
    killed(50, 2026);
}

#[allow(clippy::disallowed_methods)] // How long a batch takes says when it can be killed.
/// Kills a batch at moments that a seed chooses, each time in the state that the last one left, and lets the next one end.
fn killed(times: u32, seed: u64) {
    let home = folder();
    cases(home.path(), &CASES);
    cases(home.path(), &[("in/drop", "g_firewall_drop.pcap"), ("in/buckets", "tw_reuse_ca_ts1_reuse1.pcap")]);
    let batch = |out: &str| {
        let mut command = lastack(home.path());
        command.args(["batch", "in", "--quiet", "--format", "json,md,csv,sarif", "--jobs", "2", "-o", out]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let begun = std::time::Instant::now();
    assert!(batch("whole").status().unwrap().success());
    let takes = begun.elapsed();
    let expected = tree(&home.path().join("whole"));
    let mut random = seed;
    let (mut interrupted, mut resumed) = (0, 0);
    for _ in 0..times {
        // A linear congruential generator is random enough for moments.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = batch("out").spawn().unwrap();
        std::thread::sleep(takes.mul_f64(0.9 * (random >> 33) as f64 / f64::from(u32::MAX >> 1)));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        interrupted += u32::from(!ended.success());
        if ended.success() || random >> 20 & 3 == 0 {
            // Sometimes it goes on to the end, and the next one begins anew.
            assert!(batch("out").status().unwrap().success());
            assert!(expected == tree(&home.path().join("out")), "after {interrupted} interruptions");
            fs::remove_dir_all(home.path().join("out")).unwrap();
            resumed += 1;
        }
    }
    assert!(batch("out").status().unwrap().success());
    assert!(expected == tree(&home.path().join("out")), "after {interrupted} interruptions");
    println!("{interrupted} of {times} interrupted, {} compared", resumed + 1);
    assert!(interrupted * 4 >= times, "only {interrupted} of {times} were interrupted");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_cases_and_batch_and_leaves_nothing_half_written() {
    let home = folder();
    cases(home.path(), &CASES);
    let command = || {
        let mut command = lastack(home.path());
        command
            .args(["batch", "in", "--quiet", "--jobs", "1", "-j", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    };
    let child = command().spawn().unwrap();
    let first = home.path().join("lastack-batch/cases");
    let is_done = || {
        fs::read_dir(&first)
            .is_ok_and(|mut all| all.any(|e| !e.unwrap().file_name().to_string_lossy().starts_with('.')))
    };
    while !is_done() {
        std::thread::sleep(Duration::from_millis(2));
    }
    interrupt(child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("of 5 cases are finished, and the same command goes on"));
    let left = tree(&home.path().join("lastack-batch"));
    assert!(
        left.iter().all(|(name, _)| !name.contains(".part")),
        "{:?}",
        left.iter().map(|l| &l.0).collect::<Vec<_>>()
    );
    assert!(!home.path().join("lastack-batch/index.json").exists());
    let again = run(home.path(), &["batch", "in", "--jobs", "1", "-j", "1"]);
    let done = text(&again.stderr).lines().count();
    assert!(again.status.success() && done < 5, "{done} done again");
}

#[cfg(unix)]
fn interrupt(process: u32) {
    assert!(std::process::Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap().success());
}

#[test]
fn two_batches_do_not_share_a_folder() {
    let home = folder();
    cases(home.path(), &CASES[..1]);
    fs::create_dir(home.path().join("out")).unwrap();
    let lock = fs::File::create(Path::new(home.path()).join("out/.lock")).unwrap();
    lock.lock().unwrap();
    let output = runs(home.path(), 2, &["batch", "in", "-o", "out"]);
    assert!(text(&output.stderr).contains("another batch is at work in out"), "{}", text(&output.stderr));
    drop(lock);
    runs(home.path(), 0, &["batch", "in", "-o", "out"]);
}
