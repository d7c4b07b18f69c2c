//! Manners: full and read-only disks, closed pipes, unreadable files, loops of folders, names that are no text, files
//! that grow while they are read, Ctrl-C.

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use support::program::{capture, cases, folder, json, lastack, runs, text, tree};

const CAPTURE: &str = "a_recycle_on_snat.pcap";

/// Why a test was not run, where a machine cannot run it.
fn not_run(what: &str) {
    eprintln!("NOT RUN: {what}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_with_the_file_and_the_earlier_report_stays() {
    let home = folder();
    let Some(disk) = Disk::of(home.path(), "size=1m") else { return not_run("no tmpfs can be mounted here") };
    let capture = capture(CAPTURE);
    let capture = capture.to_str().unwrap();
    runs(home.path(), 0, &["analyze", capture, "-o", "disk/out", "--format", "json"]);
    let before = tree(&home.path().join("disk/out"));
    // What is left is less than a report with charts.
    fill(&disk.path.join("filler"), 65_536);
    let output = runs(home.path(), 2, &["analyze", capture, "-o", "disk/out", "--format", "json,png,html,csv"]);
    let message = text(&output.stderr);
    assert!(message.contains("disk/out/") && message.contains("No space left on device"), "{message}");
    assert!(before == tree(&home.path().join("disk/out")), "the earlier report, and nothing half written");
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_on_a_full_disk_keeps_what_is_finished() {
    let home = folder();
    let Some(disk) = Disk::of(home.path(), "size=1m") else { return not_run("no tmpfs can be mounted here") };
    cases(home.path(), &[("in/a", "tw_reuse_sa_ts1.pcap"), ("in/b", CAPTURE)]);
    runs(home.path(), 0, &["batch", "in/a", "-o", "disk/out", "--format", "json"]);
    let filler = disk.path.join("filler");
    fill(&filler, 4096);
    let batch = ["batch", "in", "-o", "disk/out", "--format", "json", "--jobs", "1"];
    let full = runs(home.path(), 2, &batch);
    let said = text(&full.stdout) + &text(&full.stderr);
    assert!(said.contains("No space left on device") && said.contains("disk/out"), "{said}");
    assert!(home.path().join("disk/out/cases/a/report.json").is_file(), "{said}");
    fs::remove_file(filler).unwrap();
    let output = runs(home.path(), 0, &batch);
    assert_eq!(text(&output.stderr), "1/1 b: analysed\n", "only what is not finished");
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk_is_told_with_the_folder() {
    let home = folder();
    let Some(disk) = Disk::of(home.path(), "ro") else { return not_run("no tmpfs can be mounted here") };
    let capture = capture(CAPTURE);
    for command in ["analyze", "batch"] {
        let output = runs(home.path(), 2, &[command, capture.to_str().unwrap(), "-o", "disk/out"]);
        let message = text(&output.stderr);
        assert!(message.contains("disk/out") && message.contains("Read-only file system"), "{message}");
    }
    drop(disk);
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_takes_nothing_is_told() {
    let home = folder();
    let capture = capture(CAPTURE);
    let output = runs(home.path(), 2, &["connections", capture.to_str().unwrap(), "-o", "/dev/full"]);
    let message = text(&output.stderr);
    assert!(message.contains("/dev/full") && message.contains("No space left on device"), "{message}");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output =
        lastack(home.path()).args(["rules"]).stdout(Stdio::from(full)).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("cannot write to standard output: No space left"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    let home = folder();
    cases(home.path(), &[("in/a", CAPTURE)]);
    let capture = capture(CAPTURE);
    let capture = capture.to_str().unwrap();
    for arguments in [
        &["analyze", capture, "--format", "jsonl", "-o", "-"][..],
        &["analyze", capture],
        &["connections", capture, "--format", "jsonl"],
        &["syns", capture],
        &["batch", "in", "--format", "json"],
        &["explain", "SYN001"],
        &["completions", "bash"],
        &["man"],
    ] {
        let mut child =
            lastack(home.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said: String = text(&output.stderr).lines().filter(|line| !line.ends_with(": analysed")).collect();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_noted_where_it_was_found_and_told_where_it_was_named() {
    use std::os::unix::fs::PermissionsExt;
    let home = folder();
    cases(home.path(), &[("in", CAPTURE)]);
    let secret = home.path().join("in/secret.pcap");
    fs::copy(capture("tw_reuse_sa_ts1.pcap"), &secret).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&secret).is_ok() {
        // Root reads anything; a file that nobody can read is one whose reading fails.
        fs::remove_file(&secret).unwrap();
        if !Path::new("/proc/self/mem").exists() {
            return not_run("nothing is unreadable here");
        }
        std::os::unix::fs::symlink("/proc/self/mem", &secret).unwrap();
    }
    runs(home.path(), 0, &["analyze", "in", "--format", "json"]);
    let report = json(&home.path().join("lastack-report/report.json"));
    let input = report["inputs"].as_array().unwrap().iter().find(|input| input["name"] == "in/secret.pcap").unwrap();
    assert_eq!(input["kind"], "other");
    assert!(input["notes"][0].as_str().unwrap().contains("in/secret.pcap: cannot "), "{input}");
    assert_eq!(report["findings"][0]["rule"], "SYN001", "the rest is analysed");
    let output = runs(home.path(), 2, &["analyze", "in/secret.pcap"]);
    assert!(text(&output.stderr).starts_with("lastack: in/secret.pcap: cannot "), "{}", text(&output.stderr));
    assert!(!home.path().join("lastack-report/report.html").exists());
}

#[cfg(unix)]
#[test]
fn folders_in_a_circle_are_walked_once() {
    let home = folder();
    cases(home.path(), &[("in/a", CAPTURE), ("in/b", "tw_reuse_sa_ts1.pcap")]);
    std::os::unix::fs::symlink("..", home.path().join("in/a/up")).unwrap();
    std::os::unix::fs::symlink(".", home.path().join("in/here")).unwrap();
    runs(home.path(), 0, &["analyze", "in", "--format", "json"]);
    let report = json(&home.path().join("lastack-report/report.json"));
    assert_eq!(report["inputs"].as_array().unwrap().len(), 2, "{:?}", report["inputs"]);
    runs(home.path(), 0, &["batch", "in", "--format", "json"]);
    let index = json(&home.path().join("lastack-batch/index.json"));
    assert_eq!(index["totals"]["cases"], 2);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_read_and_shown() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let home = folder();
    let name = OsStr::from_bytes(b"caf\xe9 \xff");
    fs::create_dir_all(home.path().join("in").join(name)).unwrap();
    fs::copy(capture(CAPTURE), home.path().join("in").join(name).join(name)).unwrap();
    let file = Path::new("in").join(name).join(name);
    let run = |arguments: &[&OsStr]| {
        let output = lastack(home.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    };
    let all = OsStr::new("--format=html,png,json,md,csv,jsonl,junit,sarif,github");
    run(&[OsStr::new("analyze"), file.as_os_str(), all, OsStr::new("--out"), name]);
    let report = json(&home.path().join(name).join("report.json"));
    assert_eq!(report["inputs"][0]["name"], "in/caf\u{fffd} \u{fffd}/caf\u{fffd} \u{fffd}");
    assert_eq!(report["findings"][0]["rule"], "SYN001");
    run(&[OsStr::new("batch"), OsStr::new("in"), OsStr::new("--format=json")]);
    let index = json(&home.path().join("lastack-batch/index.json"));
    assert_eq!(index["cases"][0]["name"], "caf\u{fffd} \u{fffd}");
    assert_eq!(index["cases"][0]["verdict"], "critical");
    run(&[OsStr::new("connections"), file.as_os_str(), OsStr::new("-o"), OsStr::from_bytes(b"rows\xff.csv")]);
    assert!(home.path().join(OsStr::from_bytes(b"rows\xff.csv")).is_file());
}

#[test]
fn a_file_that_grows_while_it_is_read_gives_whole_packets() {
    let home = folder();
    let bytes = fs::read(capture(CAPTURE)).unwrap();
    let path = home.path().join("growing.pcap");
    fs::write(&path, &bytes[..bytes.len() / 8]).unwrap();
    let grows = path.clone();
    let all = bytes.clone();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let mut file = fs::File::options().append(true).open(grows).unwrap();
        for piece in all[all.len() / 8..].chunks(997) {
            file.write_all(piece).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    });
    let whole = json_of(home.path(), capture(CAPTURE).to_str().unwrap())["inputs"][0]["packets"].as_u64().unwrap();
    let mut last = 0;
    while !writer.is_finished() {
        let report = json_of(home.path(), "growing.pcap");
        let packets = report["inputs"][0]["packets"].as_u64().unwrap();
        assert!((last..=whole).contains(&packets), "{packets} after {last}, of {whole}");
        let bytes = report["inputs"][0]["bytes"].as_u64().unwrap();
        assert!(bytes <= whole * 1600, "{bytes}");
        last = packets;
    }
    writer.join().unwrap();
    let report = json_of(home.path(), "growing.pcap");
    assert_eq!(report["inputs"][0]["packets"], whole);
    assert_eq!(report["inputs"][0]["truncated"], serde_json::Value::Null);
}

fn json_of(folder: &Path, input: &str) -> serde_json::Value {
    let output = runs(folder, 0, &["analyze", input, "--format", "json", "--out", "-"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_earlier_report_and_nothing_half_written() {
    let home = folder();
    runs(home.path(), 0, &["analyze", capture(CAPTURE).to_str().unwrap(), "-o", "out", "--format", "json"]);
    let before = tree(&home.path().join("out"));
    // A pipe that nobody fills keeps the program waiting while its folder is open.
    let mut child = lastack(home.path())
        .args(["analyze", "-", capture(CAPTURE).to_str().unwrap(), "-o", "out"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(before == tree(&home.path().join("out")));
}

#[test]
fn what_an_interrupted_run_left_is_no_stranger() {
    let home = folder();
    fs::create_dir(home.path().join("out")).unwrap();
    fs::write(home.path().join("out/report.html.part"), "half").unwrap();
    runs(home.path(), 0, &["analyze", capture(CAPTURE).to_str().unwrap(), "-o", "out", "--format", "json"]);
    assert_eq!(tree(&home.path().join("out")).len(), 1, "it is gone");
}

#[test]
fn one_format_goes_to_standard_output_and_only_one() {
    let home = folder();
    let capture = capture(CAPTURE);
    let capture = capture.to_str().unwrap();
    let output = runs(home.path(), 0, &["analyze", capture, "--format", "jsonl", "--out", "-"]);
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["kind"] == "finding" && line["rule"] == "SYN001"));
    let output = runs(home.path(), 2, &["analyze", capture, "--format", "json,md", "--out", "-"]);
    assert!(text(&output.stderr).contains("one format that is one file"), "{}", text(&output.stderr));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn the_log_tells_what_was_done() {
    let home = folder();
    cases(home.path(), &[("in/a", CAPTURE)]);
    runs(home.path(), 0, &["analyze", "in/a", "--log", "log", "--format", "json"]);
    runs(home.path(), 0, &["batch", "in", "--log", "log", "--format", "json"]);
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    for says in [
        "begin    lastack ",
        "read     in/a/a_recycle_on_snat.pcap: ",
        "written  lastack-report/report.json",
        "done     1/1 a: analysed",
    ] {
        assert!(log.contains(says), "{says:?} is missing in\n{log}");
    }
    let times: Vec<f64> = log.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(times.iter().all(|seconds| (0.0..600.0).contains(seconds)), "{times:?}");
}

#[test]
fn progress_is_plain_lines_where_no_terminal_is() {
    let home = folder();
    // As many copies as make it worth telling; each is a capture point of its own.
    let one = fs::read(capture(CAPTURE)).unwrap();
    let (head, packets) = one.split_at(24);
    let copies = 70 * 1024 * 1024 / packets.len();
    let mut large = head.to_vec();
    (0..copies).for_each(|_| large.extend_from_slice(packets));
    fs::write(home.path().join("large.pcap"), &large).unwrap();
    let output = runs(home.path(), 0, &["connections", "large.pcap", "--format", "csv", "-o", "/dev/null"]);
    let said = text(&output.stderr);
    assert!(said.lines().any(|line| line.starts_with("read 50 % of ")), "{said}");
    assert!(!said.contains(['\x1b', '\r']), "{said}");
    let quiet = runs(home.path(), 0, &["connections", "large.pcap", "--format", "csv", "-o", "/dev/null", "--quiet"]);
    assert!(quiet.stderr.is_empty());
}

/// Fills a disk up to so many octets.
#[cfg(target_os = "linux")]
fn fill(path: &Path, left: u64) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    file.set_len(file.metadata().unwrap().len() - left).unwrap();
}

/// A small disk, where one can be had.
#[cfg(target_os = "linux")]
struct Disk {
    path: std::path::PathBuf,
}

#[cfg(target_os = "linux")]
impl Disk {
    fn of(home: &Path, options: &str) -> Option<Self> {
        let path = home.join("disk");
        fs::create_dir(&path).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then_some(Self { path })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.path).status();
    }
}
