//! Completions and manual pages: they name what the program has, and the tools they are for take them.

mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::program::{folder, runs, text};

fn commands() -> Vec<String> {
    let program = lastack::cli::command();
    program.get_subcommands().map(|command| command.get_name().to_owned()).filter(|name| name != "help").collect()
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("NOT RUN: {program} is not installed");
    }
    found
}

#[test]
fn completions_name_every_command_and_option() {
    let home = folder();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = text(&runs(home.path(), 0, &["completions", shell]).stdout);
        for command in commands() {
            assert!(script.contains(&command), "{shell} lacks {command}");
        }
        for option in ["fail-on", "baseline", "format", "memory"] {
            assert!(script.contains(option), "{shell} lacks --{option}");
        }
        let checked = if shell == "powershell" { "pwsh" } else { shell };
        if checked != "pwsh" && has(checked) {
            fs::write(home.path().join(shell), &script).unwrap();
            let status = Command::new(checked).arg("-n").arg(home.path().join(shell)).status().unwrap();
            assert!(status.success(), "{shell} does not take its completions");
        }
    }
    let wrong = runs(home.path(), 2, &["completions", "csh"]);
    assert!(text(&wrong.stderr).contains("bash, elvish, fish, powershell, zsh"), "{}", text(&wrong.stderr));
}

#[test]
fn bash_completes_commands_options_and_values() {
    if !has("bash") {
        return;
    }
    let home = folder();
    let script = text(&runs(home.path(), 0, &["completions", "bash"]).stdout);
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ask = format!(
            "COMP_WORDS=({}); COMP_CWORD={}; _lastack lastack '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let output = Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output().unwrap();
        text(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("lastack ba"), ["batch"]);
    assert_eq!(complete("lastack batch --base"), ["--baseline"]);
    assert_eq!(complete("lastack batch --fail-on w"), ["warning"]);
    assert_eq!(complete("lastack analyze --format j"), ["json", "jsonl", "junit"]);
    assert_eq!(complete("lastack explain per-host"), ["per-host-paws-drop"]);
    assert_eq!(complete("lastack explain 2"), ["2msl"]);
}

#[test]
fn every_command_has_a_manual_page_that_man_takes() {
    let home = folder();
    runs(home.path(), 0, &["man", "--out", "pages"]);
    let mut names: Vec<String> = fs::read_dir(home.path().join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let mut expected: Vec<String> = commands().iter().map(|command| format!("lastack-{command}.1")).collect();
    expected.push("lastack.1".to_owned());
    expected.sort();
    assert_eq!(names, expected);
    for name in &names {
        let page = fs::read_to_string(home.path().join("pages").join(name)).unwrap();
        assert!(page.contains(".SH EXIT STATUS") && page.contains(".SH SYNOPSIS"), "{name}:\n{page}");
    }
    let alone = text(&runs(home.path(), 0, &["man", "batch"]).stdout);
    assert_eq!(alone, fs::read_to_string(home.path().join("pages/lastack-batch.1")).unwrap());
    assert!(alone.contains("baseline") && alone.contains("\\-\\-memory"), "{alone}");
    runs(home.path(), 2, &["man", "unravel"]);
    if has("man") {
        let page = home.path().join("pages/lastack-batch.1");
        let output = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8"])
            .arg(&page)
            .env("MANWIDTH", "100")
            .output()
            .unwrap();
        let (shown, said) = (text(&output.stdout), text(&output.stderr));
        if !shown.contains("EXIT STATUS") {
            return eprintln!("NOT RUN: man cannot format pages here: {said}");
        }
        assert_eq!(said, "", "man warns of nothing");
        assert!(shown.contains("--fail-on"), "{shown}");
    }
}
