//! What can go wrong, each with its remedy.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why no component was built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The path is no crate.
    #[error("`{}` is no connector: it has no Cargo.toml and no package.json; name the connector's directory", path.display())]
    NotACrate {
        /// What was given.
        path: PathBuf,
    },
    /// Cargo cannot read the crate.
    #[error("cargo cannot read the crate at `{}`:\n{output}", path.display())]
    Metadata {
        /// Its `Cargo.toml`.
        path: PathBuf,
        /// What cargo said.
        output: String,
    },
    /// The path holds a workspace without a package of its own.
    #[error("`{}` is a workspace, not a crate; name the directory of one of its connectors", path.display())]
    OnlyAWorkspace {
        /// Its `Cargo.toml`.
        path: PathBuf,
    },
    /// The crate makes no module.
    #[error(
        "package `{package}` makes no WebAssembly module; put `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]` in its Cargo.toml"
    )]
    NotACdylib {
        /// The package.
        package: String,
    },
    /// The compiler refused; what it said has been passed on.
    #[error("package `{package}` does not compile for wasm32-unknown-unknown:\n{output}")]
    Compile {
        /// The package.
        package: String,
        /// The compiler's errors.
        output: String,
    },
    /// The module says nothing about the contract.
    #[error(
        "package `{package}` compiles, but exports no connector; declare one in its lib.rs with `trunnion_sdk::connector! {{ … }}`"
    )]
    NoDeclaration {
        /// The package.
        package: String,
    },
    /// The module does not say what it is.
    #[error("package `{package}` does not describe itself: {reason}; correct what its `connector!` declares")]
    NotDescribed {
        /// The package.
        package: String,
        /// Why not.
        reason: String,
    },
    /// The module does not fit the contract.
    #[error(
        "package `{package}` cannot be made a component: {reason}; a connector may import nothing but the contract (`wit/connector`), so look for a dependency that needs the operating system or JavaScript"
    )]
    NotAComponent {
        /// The package.
        package: String,
        /// What the encoder said.
        reason: String,
    },
    /// The npm package does not say how it is built.
    #[error(
        "`{}` is no connector in JavaScript: {reason}; see `connectors/examples/parcels-js` for one",
        path.display()
    )]
    NotAPackage {
        /// Its `package.json`.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Node.js or npm is missing.
    #[error(
        "a connector in JavaScript is built with Node.js 20 or newer and npm, and one of them is missing ({reason}); install them (Debian: nodejs npm) and run this again"
    )]
    NoNode {
        /// What was tried and how it ended.
        reason: String,
    },
    /// npm, or the script it ran, failed; what it said has been passed on.
    #[error("`{step}` of connector `{package}` failed: {output}")]
    Npm {
        /// The connector.
        package: String,
        /// What was run.
        step: &'static str,
        /// Its last words.
        output: String,
    },
    /// The script made no component.
    #[error(
        "the script `build` of connector `{package}` ended well, but left no WebAssembly component at the path in TRUNNION_OUT"
    )]
    NoComponent {
        /// The connector.
        package: String,
    },
    /// A file could not be handled.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run `{program}`: {source}; is it installed and in PATH?")]
    Start {
        /// Which.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// No standard library for the target.
    #[error(
        "no standard library for wasm32-unknown-unknown was found or could be installed:\n{}\nDo one of these and run again:\n  - rustup target add wasm32-unknown-unknown   (where rustup can download)\n  - apt-get install rustc-web rust-web-src     (on Debian, as root)\n  - install a Rust toolchain that brings the target wasm32-unknown-unknown",
        tried.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n")
    )]
    NoStandardLibrary {
        /// What was tried and how it ended.
        tried: Vec<String>,
    },
}

impl BuildError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}
