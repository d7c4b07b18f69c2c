//! What `lastack --version` tells of the build: compiler, target, profile, commit.
//!
//! The commit is that of the sources' repository, or `LASTACK_COMMIT` where there is none, as in an archive; builds for
//! development leave it out, since it would have them built anew after each commit.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LASTACK_COMMIT");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let rustc = variable("RUSTC");
    let compiler = output(&rustc, &["--version"]).unwrap_or_else(|| "an unknown compiler".to_owned());
    let commit = env::var("LASTACK_COMMIT").ok().or_else(|| (variable("PROFILE") == "release").then(commit).flatten());
    println!("cargo::rustc-env=LASTACK_COMPILER={compiler}");
    println!("cargo::rustc-env=LASTACK_TARGET={}", variable("TARGET"));
    println!("cargo::rustc-env=LASTACK_PROFILE={}", variable("PROFILE"));
    println!("cargo::rustc-env=LASTACK_BUILT_FROM={}", commit.as_deref().unwrap_or("not recorded"));
}

/// The commit, with a mark where files were changed since.
fn commit() -> Option<String> {
    let head = output("git", &["rev-parse", "--git-path", "HEAD"])?;
    println!("cargo::rerun-if-changed={head}");
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed =
        output("git", &["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    Some(if changed { commit + ", changed since" } else { commit })
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
