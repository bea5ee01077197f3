//! Builds connectors, crates and npm packages, into WebAssembly components: one implementation for `trunnion connector build`,
//! xtask and tests.
//!
//! Owns: finding or installing a wasm32 standard library ([`toolchain`]), driving cargo, and making and
//! checking the component. A component is compiled twice: quickly, to be asked for its manifest (`describe`), then as it is
//! used, with that text, packed, in it. It does not run components otherwise; the host judges what they import and say.
//!
//! Invariants: a component is written whole or not at all (written beside its place, then renamed), and the
//! caller's own build is never touched: guests have a target directory of their own.

#![warn(missing_docs)]

mod component;
mod describe;
mod error;
mod npm;
mod package;
mod packed;
pub mod toolchain;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use semver::Version;

pub use crate::error::BuildError;
use crate::{
    package::{Package, Stage},
    toolchain::Toolchain,
};

/// The prefix of a connector crate's name, which its component's name does without.
pub const PACKAGE_PREFIX: &str = "trunnion-connector-";

/// What to build, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// Connectors: their directories, or their `Cargo.toml` or `package.json`.
    pub paths: Vec<PathBuf>,
    /// Where the components go; made where it does not exist.
    pub out_dir: PathBuf,
    /// Where guests are compiled. Absent: `connectors` inside the target directory of the crate's workspace.
    pub target_dir: Option<PathBuf>,
    /// Whether the dependencies may differ from `Cargo.lock` or `package-lock.json`.
    pub lock: Lock,
    /// The version the components bear, as a release pipeline stamps it. Absent: that of their `Cargo.toml`.
    pub version: Option<Version>,
    /// What the components say about their source.
    pub symbols: Symbols,
}

/// What a component says about its source. It does the same either way, and both come from one compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Symbols {
    /// Nothing: what is shipped.
    #[default]
    Stripped,
    /// Functions and lines, so that a trap can name its place: for whoever is writing it. Several times as large.
    SourceLines,
}

/// What `Cargo.lock` means to the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lock {
    /// Cargo may add what is missing.
    #[default]
    Flexible,
    /// Anything missing is an error (`--locked`).
    Exact,
}

impl BuildOptions {
    /// Builds `paths` into `out_dir`, everything else as usual.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>, out_dir: impl Into<PathBuf>) -> Self {
        Self {
            paths,
            out_dir: out_dir.into(),
            target_dir: None,
            lock: Lock::Flexible,
            version: None,
            symbols: Symbols::Stripped,
        }
    }
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The connector's name: the package's, without `trunnion-connector-`.
    pub name: String,
}

/// Builds components, saying on `progress` what is being done, line by line.
///
/// # Errors
/// Names the crate at fault, or all ways to obtain the standard library where none worked.
pub fn build(options: &BuildOptions, progress: &mut dyn FnMut(&str)) -> Result<Vec<Built>, BuildError> {
    let sources = options.paths.iter().map(|path| Source::read(path)).collect::<Result<Vec<_>, _>>()?;
    std::fs::create_dir_all(&options.out_dir)
        .map_err(|source| BuildError::io("make", &options.out_dir, source))?;
    // Found, or installed, only where something needs it.
    let mut toolchain = None;
    let mut built = Vec::with_capacity(sources.len());
    for source in &sources {
        built.push(match source {
            Source::Crate(package) => {
                let toolchain = match &mut toolchain {
                    Some(found) => found,
                    missing => missing.insert(toolchain::find(progress)?),
                };
                build_one(package, options, toolchain, progress)?
            }
            Source::Npm(package) => build_npm(package, options, progress)?,
        });
    }
    Ok(built)
}

/// What a connector is written in.
enum Source {
    Crate(Package),
    Npm(npm::Package),
}

impl Source {
    fn read(path: &Path) -> Result<Self, BuildError> {
        if npm::is_package(path) {
            npm::read(path).map(Self::Npm)
        } else {
            package::read(path).map(Self::Crate)
        }
    }
}

fn build_npm(
    package: &npm::Package,
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Built, BuildError> {
    let name = package.connector_name();
    progress(&format!("building connector `{name}` (npm)"));
    let path = options.out_dir.join(format!("{name}.wasm"));
    let size = package.build(&path, options, progress)?;
    progress(&format!("wrote {} ({} KB)", path.display(), size.div_ceil(1000)));
    Ok(Built { path, size, name: name.to_owned() })
}

fn build_one(
    package: &Package,
    options: &BuildOptions,
    toolchain: &Toolchain,
    progress: &mut dyn FnMut(&str),
) -> Result<Built, BuildError> {
    let name = package.connector_name();
    progress(&format!("building connector `{name}` ({toolchain})"));
    let base = options.target_dir.clone().unwrap_or_else(|| package.target_dir.join("connectors"));
    let target_dir = base.join(toolchain.key());
    let mut compile = |stage| package.compile(toolchain, &target_dir, stage, options, progress);
    let draft = compile(Stage::Describing)?;
    component::declares(&draft, &package.name)?;
    let manifest = keep(&target_dir, name, &packed::pack(&describe::manifest(&draft, &package.name)?))?;
    let module = compile(Stage::Described(&manifest))?;
    let path = options.out_dir.join(format!("{name}.wasm"));
    let size = component::write(&module, &path, &package.name, options.symbols)?;
    progress(&format!("wrote {} ({} KB)", path.display(), size.div_ceil(1000)));
    Ok(Built { path, size, name: name.to_owned() })
}

/// Puts a packed manifest where the compiler reads it: under a name of its own content, so that cargo compiles again when the
/// text changes, and only then, and two builds at once do not write into one file.
fn keep(target_dir: &Path, name: &str, manifest: &[u8]) -> Result<PathBuf, BuildError> {
    let mut hasher = DefaultHasher::new();
    manifest.hash(&mut hasher);
    let path = target_dir.join("manifests").join(format!("{name}-{:016x}.packed", hasher.finish()));
    if std::fs::read(&path).is_ok_and(|kept| kept == manifest) {
        return Ok(path);
    }
    let directory = target_dir.join("manifests");
    std::fs::create_dir_all(&directory).map_err(|source| BuildError::io("make", &directory, source))?;
    let draft = path.with_extension(format!("packed.{}.part", std::process::id()));
    std::fs::write(&draft, manifest).map_err(|source| BuildError::io("write", &draft, source))?;
    std::fs::rename(&draft, &path).map_err(|source| BuildError::io("put in place", &path, source))?;
    Ok(path)
}

/// The path cargo and messages can use on any platform.
fn display(path: &Path) -> String {
    path.display().to_string()
}
