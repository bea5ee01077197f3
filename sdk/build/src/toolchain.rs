//! Where the wasm32 standard library comes from, in this order:
//!
//! 1. the active toolchain, if it has the target;
//! 2. `rustup target add`, where rustup can download;
//! 3. Debian's `rustc-web` with `rust-web-src`, installed by apt-get where we are root: cargo drives that
//!    compiler and builds std from its source;
//! 4. otherwise an error that says all of this.

pub(crate) mod command;

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::BuildError;

use command::{capture, run};

/// The target connectors are built for: no system interface is even possible.
pub const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A compiler that can build for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The active toolchain has the target's standard library.
    Active,
    /// Debian's compiler, building std from source.
    Debian {
        /// A linker for wasm, where the active toolchain has one.
        linker: Option<PathBuf>,
    },
}

impl Toolchain {
    /// A directory name: two compilers share nothing.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Debian { .. } => "debian",
        }
    }

    /// Adds what makes cargo build with this toolchain.
    pub(crate) fn apply(&self, cargo: &mut Command) {
        cargo.args(["--target", TARGET]);
        if let Self::Debian { linker } = self {
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
            if let Some(linker) = linker {
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            }
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "standard library of the active toolchain",
            Self::Debian { .. } => "Debian's rustc, building the standard library from source",
        })
    }
}

/// Finds or installs a standard library for the target, saying on `progress` what is being done.
///
/// # Errors
/// Says what was tried, how each attempt ended, and what a person can do.
pub fn find(progress: &mut dyn FnMut(&str)) -> Result<Toolchain, BuildError> {
    let mut tried = Vec::new();
    if active_has_target() {
        return Ok(Toolchain::Active);
    }
    tried.push(format!(
        "the active toolchain (`rustc --print target-libdir --target {TARGET}`) has no such target"
    ));
    match rustup_add(progress) {
        Ok(()) if active_has_target() => return Ok(Toolchain::Active),
        Ok(()) => tried.push("`rustup target add` ended well, but the active rustc is not rustup's".into()),
        Err(reason) => tried.push(format!("`rustup target add {TARGET}`: {reason}")),
    }
    match debian(progress) {
        Ok(toolchain) => Ok(toolchain),
        Err(reason) => {
            tried.push(format!("Debian's {}: {reason}", DEBIAN_PACKAGES.join(" and ")));
            Err(BuildError::NoStandardLibrary { tried })
        }
    }
}

fn active_has_target() -> bool {
    capture(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_ok_and(|directory| holds_std(Path::new(directory.trim())))
}

fn holds_std(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

fn rustup_add(progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    progress(&format!("installing the standard library for {TARGET}: rustup target add {TARGET}"));
    run(Command::new("rustup").args(["target", "add", TARGET]), progress)
}

fn debian(progress: &mut dyn FnMut(&str)) -> Result<Toolchain, String> {
    if !debian_has_source() {
        install_debian(progress)?;
        if !debian_has_source() {
            return Err(format!("installed, but {DEBIAN_RUSTC} has no source of std below its sysroot"));
        }
    }
    Ok(Toolchain::Debian { linker: rust_lld() })
}

fn debian_has_source() -> bool {
    sysroot(DEBIAN_RUSTC)
        .is_some_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").exists())
}

fn install_debian(progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    let packages = DEBIAN_PACKAGES.join(" ");
    capture(Command::new("apt-get").arg("--version")).map_err(|_| "this system has no apt-get".to_owned())?;
    let user = capture(Command::new("id").arg("-u"))?;
    if user.trim() != "0" {
        return Err(format!("not installed, and only root can; run: sudo apt-get install {packages}"));
    }
    progress("reading the lists of packages: apt-get update");
    run(Command::new("apt-get").args(["update", "--quiet"]), progress)?;
    progress(&format!("installing Debian's compiler and std source beside the active toolchain: {packages}"));
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(DEBIAN_PACKAGES);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"), progress)
}

/// rustup's linker for wasm; Debian's own `lld` is used where there is none.
fn rust_lld() -> Option<PathBuf> {
    let rustlib = sysroot("rustc")?.join("lib/rustlib");
    let hosts = std::fs::read_dir(rustlib).ok()?;
    hosts.flatten().map(|host| host.path().join("bin/rust-lld")).find(|linker| linker.exists())
}

fn sysroot(rustc: &str) -> Option<PathBuf> {
    let path = capture(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(path.trim()))
}
