//! The program as it is handed on: alone, with nothing beside it, and as a Debian package.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::program::{capture, folder, json, text, tree};

const FORMATS: &str = "html,png,json,md,csv,jsonl,junit,sarif,github";

/// Runs a program with an empty environment.
fn alone(program: &Path, home: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).current_dir(home).env_clear().output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

#[test]
fn the_binary_runs_without_anything_beside_it() {
    let home = folder();
    let program = home.path().join("moved");
    fs::copy(assert_cmd::cargo::cargo_bin!("lastack"), &program).unwrap();
    fs::copy(capture("tw_reuse_sa_ts1.pcap"), home.path().join("a.pcap")).unwrap();
    alone(&program, home.path(), &["analyze", "a.pcap", "--format", FORMATS]);
    assert!(tree(&home.path().join("lastack-report")).len() > 8);
    alone(&program, home.path(), &["batch", "a.pcap", "--format", "json"]);
    assert_eq!(json(&home.path().join("lastack-batch/index.json"))["totals"]["cases"], 1);
    assert!(!text(&alone(&program, home.path(), &["explain", "SYN001"]).stdout).is_empty());
    let Ok(output) = Command::new("ldd").arg(&program).output() else { return eprintln!("NOT RUN: ldd is missing") };
    let libraries = text(&output.stdout);
    let names = libraries.lines().filter_map(|line| line.split_whitespace().next());
    let strange: Vec<&str> = names
        .filter(|name| {
            !["linux-vdso", "libc.", "libm.", "libgcc_s.", "ld-linux"].iter().any(|known| name.contains(known))
        })
        .collect();
    assert!(strange.is_empty(), "it needs {strange:?}");
}

#[test]
fn the_debian_package_holds_program_pages_completions_and_licences() {
    let home = folder();
    if ["dpkg-deb", "objdump", "gzip"].iter().any(|tool| Command::new(tool).arg("--version").output().is_err()) {
        return eprintln!("NOT RUN: dpkg-deb, objdump or gzip is missing");
    }
    let build = |out: &str| {
        let mut script = Command::new("packaging/deb");
        script.arg("--binary").arg(assert_cmd::cargo::cargo_bin!("lastack")).arg("--out").arg(home.path().join(out));
        let output = script.output().unwrap();
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        let files = tree(&home.path().join(out));
        assert_eq!(files.len(), 1);
        files.into_iter().next().unwrap()
    };
    let (name, package) = build("one");
    assert!(name.starts_with(concat!("lastack_", env!("CARGO_PKG_VERSION"), "_")), "{name}");
    assert!(package == build("other").1, "the same package again");
    let tool = |option: &str, more: &[&Path]| {
        let output = Command::new("dpkg-deb").arg(option).arg(home.path().join("one").join(&name)).args(more).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(tool("--info", &[]).contains("Depends: libc6 (>= 2."), "{}", tool("--info", &[]));
    let root = home.path().join("root");
    tool("-x", &[&root]);
    for file in [
        "usr/share/man/man1/lastack.1.gz",
        "usr/share/man/man1/lastack-batch.1.gz",
        "usr/share/bash-completion/completions/lastack",
        "usr/share/zsh/vendor-completions/_lastack",
        "usr/share/fish/vendor_completions.d/lastack.fish",
        "usr/share/doc/lastack/copyright",
        "usr/share/doc/lastack/THIRD-PARTY.md.gz",
        "usr/share/doc/lastack/ci.md",
    ] {
        assert!(root.join(file).metadata().is_ok_and(|file| file.len() > 100), "{file} is missing");
    }
    let version = text(&alone(&root.join("usr/bin/lastack"), home.path(), &["-V"]).stdout);
    assert_eq!(version.trim(), concat!("lastack ", env!("CARGO_PKG_VERSION")));
}
