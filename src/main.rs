//! The `lastack` program: see `lastack::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lastack::cli::main(std::env::args_os())
}
