//! The `trunnion` command.

use std::process::ExitCode;

use clap::Parser;
use trunnion::cli::{Cli, run};

/// A run makes and drops many small values on several threads, which is where the system's allocator spends
/// its time; `host/docs/PERFORMANCE.md` has the measurement.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator's option `mi_option_purge_delay`: how long it keeps freed memory before the system gets it back.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// In milliseconds. By default it is a second, in which payloads of many megabytes come and go: twice the memory.
const PURGE_DELAY_MS: std::ffi::c_long = 10;

fn main() -> ExitCode {
    #[expect(
        unsafe_code,
        reason = "the allocator's options have no safe interface; setting one is sound at any time"
    )]
    // SAFETY: the option exists, and the function only stores the number.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS);
    }
    run(Cli::parse())
}
