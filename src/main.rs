//! The binary: harden the process, run the command line, end with its code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::harden();
    ExitCode::from(portcullis::cli::run(std::env::args_os()))
}
