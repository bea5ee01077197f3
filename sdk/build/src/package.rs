//! A connector crate: what cargo knows of it, and compiling it to a core module.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{BuildOptions, Lock, PACKAGE_PREFIX, display, error::BuildError, toolchain::Toolchain};

/// Small and fast to start: sizes matter more than the last tenth of speed, and a panic is a trap. What goes through every
/// byte (reading and writing JSON) may be a little larger, or calls of some KB would take half as long again. Names and
/// lines are there for whoever wants them; what is shipped is stripped when the component is made.
const PROFILE: [&str; 8] = [
    "profile.release.opt-level=\"z\"",
    "profile.release.package.serde_json.opt-level=\"s\"",
    "profile.release.package.trunnion-sdk.opt-level=\"s\"",
    "profile.release.lto=\"fat\"",
    "profile.release.panic=\"abort\"",
    "profile.release.codegen-units=1",
    "profile.release.strip=\"none\"",
    "profile.release.debug=\"line-tables-only\"",
];

/// A module that is only asked for its manifest: quick to compile. With a profile, and so a directory, of its own.
const DRAFT: [&str; 5] = [
    "profile.dev.opt-level=0",
    "profile.dev.panic=\"abort\"",
    "profile.dev.debug=false",
    "profile.dev.incremental=false",
    "profile.dev.strip=\"none\"",
];

/// Tells the SDK that the manifest is there already, and where.
const DESCRIBED: &str = "--cfg=trunnion_described";
const MANIFEST: &str = "TRUNNION_CONNECTOR_MANIFEST";

/// What a crate is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage<'a> {
    /// To be asked for its manifest.
    Describing,
    /// To be used; its manifest is in this file.
    Described(&'a Path),
}

/// The variable that `connector!` of the SDK takes the version from, before the package's own.
const VERSION: &str = "TRUNNION_CONNECTOR_VERSION";

/// A connector crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) target_dir: PathBuf,
    module: String,
}

/// Reads the crate at `path`.
pub(crate) fn read(path: &Path) -> Result<Package, BuildError> {
    let manifest = if path.is_dir() { path.join("Cargo.toml") } else { path.to_owned() };
    if !manifest.is_file() || manifest.file_name().is_none_or(|name| name != "Cargo.toml") {
        return Err(BuildError::NotACrate { path: path.to_owned() });
    }
    let manifest = manifest.canonicalize().map_err(|source| BuildError::io("find", &manifest, source))?;
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"])
        .arg(&manifest)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::Start { program: "cargo".into(), source })?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(BuildError::Metadata { path: manifest, output });
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| BuildError::Metadata { path: manifest.clone(), output: error.to_string() })?;
    from_metadata(manifest, &metadata)
}

fn from_metadata(manifest: PathBuf, metadata: &Value) -> Result<Package, BuildError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let packages = metadata.pointer("/packages").and_then(Value::as_array).into_iter().flatten();
    let own = |package: &&Value| {
        package.get("manifest_path").and_then(Value::as_str).is_some_and(|path| Path::new(path) == manifest)
    };
    let package = packages.into_iter().find(own);
    let Some((package, name)) = package.and_then(|package| Some((package, text(package.get("name")?)?)))
    else {
        return Err(BuildError::OnlyAWorkspace { path: manifest });
    };
    let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
    let cdylib = targets.into_iter().find(|target| {
        let kinds = target.get("crate_types").and_then(Value::as_array).into_iter().flatten();
        kinds.into_iter().any(|kind| kind == "cdylib")
    });
    let Some(module) = cdylib.and_then(|target| text(target.get("name")?)) else {
        return Err(BuildError::NotACdylib { package: name });
    };
    let target_dir = metadata.get("target_directory").and_then(Value::as_str).unwrap_or("target");
    Ok(Package { name, target_dir: target_dir.into(), manifest, module })
}

/// Where cargo unpacks dependencies. Panic messages name their files; left as it is, the same source would give
/// another component on another machine.
fn registry() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).map(|home| home.join("registry/src"))
}

impl Package {
    /// The package's name without the prefix.
    pub(crate) fn connector_name(&self) -> &str {
        self.name.strip_prefix(PACKAGE_PREFIX).unwrap_or(&self.name)
    }

    /// Compiles the crate and answers its core module.
    pub(crate) fn compile(
        &self,
        toolchain: &Toolchain,
        target_dir: &Path,
        stage: Stage<'_>,
        options: &BuildOptions,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Vec<u8>, BuildError> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--lib", "--message-format=json-render-diagnostics", "--manifest-path"]);
        cargo.arg(&self.manifest).arg("--target-dir").arg(target_dir);
        let settings = match stage {
            Stage::Describing => DRAFT.as_slice(),
            Stage::Described(_) => {
                cargo.arg("--release");
                PROFILE.as_slice()
            }
        };
        for setting in settings {
            cargo.args(["--config", setting]);
        }
        if options.lock == Lock::Exact {
            cargo.arg("--locked");
        }
        // Flags meant for the caller's own build (coverage, sanitizers, linkers) do not fit the guest's target.
        for flags in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            cargo.env_remove(flags);
        }
        let mut flags = vec!["--check-cfg=cfg(trunnion_described)".to_owned()];
        flags.extend(registry().map(|path| format!("--remap-path-prefix={}=registry", path.display())));
        match stage {
            Stage::Describing => cargo.env_remove(MANIFEST),
            Stage::Described(manifest) => {
                flags.push(DESCRIBED.to_owned());
                cargo.env(MANIFEST, manifest)
            }
        };
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        // Only what the caller asked for counts, never what happens to be in the environment.
        match &options.version {
            Some(version) => cargo.env(VERSION, version.to_string()),
            None => cargo.env_remove(VERSION),
        };
        toolchain.apply(&mut cargo);
        let module = self.drive(cargo, progress)?;
        std::fs::read(&module).map_err(|source| BuildError::io("read", &module, source))
    }

    fn drive(&self, mut cargo: Command, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
        let start = |source| BuildError::Start { program: "cargo".into(), source };
        let mut child = cargo
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        // Artifacts come on one pipe while diagnostics fill the other, so the first has a thread of its own.
        let artifacts = child.stdout.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = String::new();
                pipe.read_to_string(&mut text).map(|_| text)
            })
        });
        let mut said = String::new();
        for line in child.stderr.take().map(|pipe| BufReader::new(pipe).lines()).into_iter().flatten() {
            let line = line.map_err(start)?;
            progress(&format!("  {line}"));
            said.push_str(&line);
            said.push('\n');
        }
        let status = child.wait().map_err(start)?;
        let artifacts = match artifacts.map(std::thread::JoinHandle::join) {
            Some(Ok(artifacts)) => artifacts.map_err(start)?,
            Some(Err(_)) | None => String::new(),
        };
        if !status.success() {
            return Err(BuildError::Compile { package: self.name.clone(), output: said });
        }
        self.module_among(&artifacts).ok_or_else(|| BuildError::NotACdylib { package: self.name.clone() })
    }

    /// The path of our module among cargo's messages, which also name the artifacts of every dependency.
    fn module_among(&self, messages: &str) -> Option<PathBuf> {
        let manifest = display(&self.manifest);
        let ours =
            messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|message| {
                message.pointer("/target/name").and_then(Value::as_str) == Some(self.module.as_str())
                    && message.get("manifest_path").and_then(Value::as_str) == Some(manifest.as_str())
            });
        let files: Vec<String> = ours
            .filter_map(|message| message.get("filenames").and_then(Value::as_array).cloned())
            .flatten()
            .filter_map(|file| file.as_str().map(str::to_owned))
            .collect();
        files.into_iter().find(|file| file.ends_with(".wasm")).map(PathBuf::from)
    }
}
