//! New connector crates: which files they have, and which SDK they are built with.
//!
//! Invariant: nothing that is there already is overwritten.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use trunnion_core::manifest::Manifest;

const CARGO_TOML: &str = include_str!("template/Cargo.toml.txt");
const LIB: &str = include_str!("template/lib.rs.txt");
const GITIGNORE: &str = "/target\n";

/// The SDK that a crate depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// Its folder on this machine.
    Folder(PathBuf),
    /// A released version.
    Version(semver::Version),
}

/// A crate that was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is no app's id.
    #[error("`{name}` is not an app's id: {why}")]
    Name {
        /// What was given.
        name: String,
        /// Why not.
        why: String,
    },
    /// Something is there.
    #[error("`{}` exists already; choose another name or folder, or remove it", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// Neither a folder nor a version.
    #[error("`{given}` is neither the SDK's folder (with its Cargo.toml) nor a version such as 0.1.0")]
    Sdk {
        /// What was given.
        given: String,
    },
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Sdk {
    /// The given one; where absent, that of the source tree which this program was built from, while it exists, else
    /// the release of this program's version.
    pub fn find(given: Option<&str>) -> Result<Self, Error> {
        let folder =
            |path: PathBuf| path.join("Cargo.toml").is_file().then(|| path.canonicalize().ok()).flatten();
        match given {
            Some(given) => match (folder(given.into()), given.parse()) {
                (Some(path), _) => Ok(Self::Folder(path)),
                (None, Ok(version)) => Ok(Self::Version(version)),
                (None, Err(_)) => Err(Error::Sdk { given: given.to_owned() }),
            },
            None => match folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk")) {
                Some(path) => Ok(Self::Folder(path)),
                None => Self::released(),
            },
        }
    }

    fn released() -> Result<Self, Error> {
        let own = env!("CARGO_PKG_VERSION");
        own.parse().map(Self::Version).map_err(|_| Error::Sdk { given: own.to_owned() })
    }

    /// As a dependency in a Cargo.toml.
    fn dependency(&self) -> String {
        let text = |text: &str| toml::Value::from(text).to_string();
        match self {
            Self::Folder(path) => format!("{{ path = {} }}", text(&path.to_string_lossy())),
            Self::Version(version) => text(&version.to_string()),
        }
    }

    /// The versions of dependencies that this SDK was tested with.
    fn lock(&self) -> Option<Vec<u8>> {
        let Self::Folder(path) = self else { return None };
        fs::read(path.parent()?.join("Cargo.lock")).ok()
    }
}

/// A connector crate to be.
#[derive(Debug)]
pub struct Crate {
    /// The app's id.
    pub name: String,
    /// `src/lib.rs`.
    pub lib: String,
    /// Further files, by their path inside the crate.
    pub files: Vec<(PathBuf, String)>,
}

impl Crate {
    /// The crate of a new connector for the app `name`.
    pub fn new(name: &str) -> Result<Self, Error> {
        check_name(name)?;
        let lib = LIB.replace("__NAME__", name).replace("__TITLE__", &title(name));
        Ok(Self { name: name.to_owned(), lib, files: Vec::new() })
    }

    /// Writes it into `folder`, which must not exist yet.
    pub fn write(&self, folder: &Path, sdk: &Sdk) -> Result<(), Error> {
        if folder.exists() {
            return Err(Error::Taken { path: folder.to_owned() });
        }
        let cargo = CARGO_TOML.replace("__NAME__", &self.name).replace("__SDK__", &sdk.dependency());
        put(&folder.join("Cargo.toml"), cargo.as_bytes())?;
        put(&folder.join("src/lib.rs"), self.lib.as_bytes())?;
        put(&folder.join(".gitignore"), GITIGNORE.as_bytes())?;
        for (path, text) in &self.files {
            put(&folder.join(path), text.as_bytes())?;
        }
        // Otherwise the first build would take whatever is newest today.
        match sdk.lock() {
            Some(lock) => put(&folder.join("Cargo.lock"), &lock),
            None => Ok(()),
        }
    }
}

/// Whether an app may be called so, by the manifest's own rule.
pub fn check_name(name: &str) -> Result<(), Error> {
    let wrong = |why: String| Error::Name { name: name.to_owned(), why };
    let document = serde_json::json!({
        "manifest_version": 1, "id": name, "version": "0.1.0", "title": "x", "hosts": [], "connection": {},
    });
    match Manifest::parse(&document.to_string()) {
        Ok(_) => Ok(()),
        Err(problems) => match problems.0.iter().find(|problem| problem.at == "/id") {
            Some(problem) => Err(wrong(problem.message.clone())),
            None => Ok(()),
        },
    }
}

/// `acme-crm` as `Acme crm`.
#[must_use]
pub fn title(name: &str) -> String {
    let text = name.replace('-', " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn put(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_judged_as_the_manifest_judges_it() {
        for name in ["acme", "acme-crm", "a2"] {
            check_name(name).unwrap();
        }
        for name in ["Acme", "acme crm", "", "../acme", "acme_crm"] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }

    #[test]
    fn the_template_is_short_and_names_the_app_everywhere() {
        let new = Crate::new("acme-crm").unwrap();
        let lines = new.lib.lines().count() + CARGO_TOML.lines().count();
        assert!(lines < 150, "{lines} lines");
        assert!(!new.lib.contains("__"), "something is left to fill in: {}", new.lib);
        assert!(new.lib.contains("title: \"Acme crm\"") && new.lib.contains("id: \"acme-crm\""));
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme");
        let sdk = Sdk::Version(semver::Version::new(0, 1, 0));
        Crate::new("acme").unwrap().write(&path, &sdk).unwrap();
        let written = fs::read_to_string(path.join("Cargo.toml")).unwrap();
        assert!(written.contains("trunnion-sdk = \"0.1.0\"") && written.contains("trunnion-connector-acme"));
        let error = Crate::new("acme").unwrap().write(&path, &sdk).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
    }

    #[test]
    fn the_sdk_is_a_folder_or_a_version() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk").canonicalize().unwrap();
        assert_eq!(Sdk::find(None).unwrap(), Sdk::Folder(folder.clone()));
        assert_eq!(Sdk::find(folder.to_str()).unwrap(), Sdk::Folder(folder));
        assert_eq!(Sdk::find(Some("1.2.3")).unwrap(), Sdk::Version(semver::Version::new(1, 2, 3)));
        let error = Sdk::find(Some("no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}
