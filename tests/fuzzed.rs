//! Every input that fuzzing is begun with, or that once went wrong under it: `fixtures/fuzz/TARGET/`.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::PathBuf;

#[track_caller]
fn each(target: &str, least: usize, run: fn(&[u8])) {
    let Ok(folder) = fs::read_dir(format!("fixtures/fuzz/{target}")) else { return assert_eq!(least, 0, "{target}") };
    let paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    assert!(paths.len() >= least, "{target}: inputs are missing");
    for path in paths {
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
    }
}

#[test]
fn inputs() {
    each("inputs", 15, targets::inputs::run);
}

#[test]
fn readers() {
    each("readers", 6, targets::readers::run);
}

#[test]
fn decoder() {
    each("decoder", 0, targets::decoder::run);
}

#[test]
fn tracker() {
    each("tracker", 0, targets::tracker::run);
}

#[test]
fn snapshot() {
    each("snapshot", 1, targets::snapshot::run);
}

#[test]
fn analysis() {
    each("analysis", 1, targets::analysis::run);
}

/// Captures and archives of another target say as much here.
#[test]
fn the_whole_way() {
    each("inputs", 15, targets::analysis::run);
    each("readers", 6, targets::analysis::run);
}

/// Inputs under fuzzing are short, and what grows with the square of their length does not show: of
/// `date; netstat -s` every second, the time used to grow with the square of the seconds.
#[test]
fn a_host_asked_every_second_for_hours() {
    let second = |n: usize| {
        let clock = format!("Sun Nov 22 {:02}:{:02}:{:02} UTC 2026\n", n / 3600, n / 60 % 60, n % 60);
        clock + "Tcp:\n    1 resets sent\nTcpExt:\n    5 SYNs to LISTEN sockets dropped\n    2 delayed acks sent\n"
    };
    let text: String = (0..10_800).map(second).collect();
    targets::analysis::run(text.as_bytes());
}
