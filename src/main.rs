//! The binary: harden the process, run the command line, end with its code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The gateway asks for a few small pieces of memory for each request; this allocator gives them sooner than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::harden();
    ExitCode::from(portcullis::cli::run(std::env::args_os()))
}
