//! A connector in JavaScript: a folder with a `package.json` whose `build` script makes the component.
//!
//! The script gets the contract's directory in `TRUNNION_WIT` and must leave the component at `TRUNNION_OUT`; what a
//! release pipeline stamps is in `TRUNNION_CONNECTOR_VERSION`. Packages are installed where they changed since the
//! last build. Invariant: one build of a folder at a time, since npm does not mind a second one.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    BuildOptions, Lock, PACKAGE_PREFIX, component,
    error::BuildError,
    toolchain::command::{capture, run},
};

/// What this build keeps beside the sources.
const OWN: &str = ".trunnion";
/// The contract, so that a connector's folder needs no copy of it.
const CONTRACT: [(&str, &str); 4] = [
    ("exports.wit", include_str!("../../../wit/connector/v1/exports.wit")),
    ("imports.wit", include_str!("../../../wit/connector/v1/imports.wit")),
    ("types.wit", include_str!("../../../wit/connector/v1/types.wit")),
    ("world.wit", include_str!("../../../wit/connector/v1/world.wit")),
];

/// A connector's npm package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    name: String,
    dir: PathBuf,
}

/// Whether the path is an npm package and no crate.
pub(crate) fn is_package(path: &Path) -> bool {
    if path.is_dir() {
        path.join("package.json").is_file() && !path.join("Cargo.toml").is_file()
    } else {
        path.file_name().is_some_and(|name| name == "package.json")
    }
}

/// Reads the package at `path`.
pub(crate) fn read(path: &Path) -> Result<Package, BuildError> {
    let manifest = if path.is_dir() { path.join("package.json") } else { path.to_owned() };
    let manifest = manifest.canonicalize().map_err(|source| BuildError::io("find", &manifest, source))?;
    let text = fs::read(&manifest).map_err(|source| BuildError::io("read", &manifest, source))?;
    let unfit = |reason: String| BuildError::NotAPackage { path: manifest.clone(), reason };
    let package: Value = serde_json::from_slice(&text).map_err(|error| unfit(error.to_string()))?;
    if package.pointer("/scripts/build").and_then(Value::as_str).is_none() {
        return Err(unfit("it has no script `build`".to_owned()));
    }
    let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
    let name = name.strip_prefix(PACKAGE_PREFIX).unwrap_or(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(unfit(format!("its name is not one such as `{PACKAGE_PREFIX}acme`")));
    }
    let dir = manifest.parent().unwrap_or(Path::new(".")).to_owned();
    Ok(Package { name: name.to_owned(), dir })
}

impl Package {
    /// The package's name without the prefix.
    pub(crate) fn connector_name(&self) -> &str {
        &self.name
    }

    /// Installs what is missing, runs the script, and puts the component at `path`; answers its size.
    pub(crate) fn build(
        &self,
        path: &Path,
        options: &BuildOptions,
        progress: &mut dyn FnMut(&str),
    ) -> Result<u64, BuildError> {
        for program in ["node", "npm"] {
            capture(Command::new(program).arg("--version"))
                .map_err(|reason| BuildError::NoNode { reason })?;
        }
        let own = self.dir.join(OWN);
        let wit = own.join("wit");
        fs::create_dir_all(&wit).map_err(|source| BuildError::io("make", &wit, source))?;
        let lock = own.join("building");
        let guard = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _guard = guard.map_err(|source| BuildError::io("lock", &lock, source))?;
        for (name, text) in CONTRACT {
            let file = wit.join(name);
            fs::write(&file, text).map_err(|source| BuildError::io("write", &file, source))?;
        }
        self.install(&own.join("installed"), options.lock, progress)?;

        let path = std::path::absolute(path).map_err(|source| BuildError::io("find", path, source))?;
        let draft = component::draft(&path);
        let mut script = self.npm(&["run", "--silent", "build"]);
        script.env("TRUNNION_WIT", &wit).env("TRUNNION_OUT", &draft);
        match &options.version {
            Some(version) => script.env("TRUNNION_CONNECTOR_VERSION", version.to_string()),
            None => script.env_remove("TRUNNION_CONNECTOR_VERSION"),
        };
        self.run(&mut script, "npm run build", progress)?;
        let missing = || BuildError::NoComponent { package: self.name.clone() };
        let component = fs::read(&draft).map_err(|_| missing())?;
        if !component.starts_with(component::MAGIC) {
            fs::remove_file(&draft).map_err(|source| BuildError::io("remove", &draft, source))?;
            return Err(missing());
        }
        component::put_in_place(&draft, &path)?;
        Ok(component.len().try_into().unwrap_or(u64::MAX))
    }

    /// Installs the packages, unless these very ones are.
    fn install(&self, marker: &Path, lock: Lock, progress: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
        let read = |name: &str| fs::read(self.dir.join(name)).ok();
        let locked = read("package-lock.json");
        let wanted =
            [read("package.json"), locked.clone()].into_iter().flatten().collect::<Vec<_>>().concat();
        if self.dir.join("node_modules").is_dir()
            && fs::read(marker).is_ok_and(|installed| installed == wanted)
        {
            return Ok(());
        }
        if locked.is_none() && lock == Lock::Exact {
            let output =
                "there is no package-lock.json; make one with `npm install --package-lock-only`".to_owned();
            return Err(self.failed("npm ci", output));
        }
        // Where the author keeps no lock, none must appear that the next build would be held to.
        let (step, how): (_, &[&str]) = match locked {
            Some(_) => ("npm ci", &["ci"]),
            None => ("npm install", &["install", "--no-package-lock"]),
        };
        progress(&format!("installing the packages of `{}` ({step})", self.name));
        // What npm leaves of a failed installation must not pass for one.
        if let Err(error) = fs::remove_file(marker)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(BuildError::io("remove", marker, error));
        }
        let mut npm = self.npm(how);
        npm.args(["--no-audit", "--no-fund"]);
        self.run(&mut npm, step, progress)?;
        // A package without dependencies gets no folder from npm.
        let folder = self.dir.join("node_modules");
        fs::create_dir_all(&folder).map_err(|source| BuildError::io("make", &folder, source))?;
        fs::write(marker, wanted).map_err(|source| BuildError::io("write", marker, source))
    }

    fn npm(&self, arguments: &[&str]) -> Command {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(&self.dir);
        npm
    }

    fn run(
        &self,
        command: &mut Command,
        step: &'static str,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), BuildError> {
        run(command, progress).map_err(|output| self.failed(step, output))
    }

    fn failed(&self, step: &'static str, output: String) -> BuildError {
        BuildError::Npm { package: self.name.clone(), step, output }
    }
}
