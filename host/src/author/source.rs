//! Which connector a command is about: a component's file, or a crate, which is built first.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use trunnion_connector_build::{BuildError, BuildOptions, Symbols, build};

/// A component, and the crate that it was built from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The component.
    pub component: Bytes,
    /// The crate's folder, where it was built here.
    pub crate_dir: Option<PathBuf>,
}

/// A component that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("`{}` could not be read; name a component (FILE.wasm) or a connector crate's folder", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// No room for what is built.
    #[error("no temporary directory could be made; is there room, and is TMPDIR right?")]
    NoFolder(#[source] std::io::Error),
    /// The crate does not build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A build without an outcome.
    #[error("`{}` was built without a component; name one connector crate", path.display())]
    Nothing {
        /// What was built.
        path: PathBuf,
    },
}

/// Reads a component, or builds one with these `symbols`, saying on `progress` what is being done.
pub fn read(path: &Path, symbols: Symbols, progress: &mut dyn FnMut(&str)) -> Result<Source, Error> {
    let is_crate = path.is_dir() || path.file_name().is_some_and(|name| name == "Cargo.toml");
    if !is_crate {
        return Ok(Source { component: bytes(path)?, crate_dir: None });
    }
    let out = tempfile::tempdir().map_err(Error::NoFolder)?;
    let options = BuildOptions { symbols, ..BuildOptions::new(vec![path.to_owned()], out.path()) };
    let built = build(&options, progress)?;
    let Some(first) = built.first() else { return Err(Error::Nothing { path: path.to_owned() }) };
    let crate_dir = if path.is_dir() { Some(path) } else { path.parent() };
    Ok(Source { component: bytes(&first.path)?, crate_dir: crate_dir.map(Path::to_owned) })
}

fn bytes(path: &Path) -> Result<Bytes, Error> {
    let read = std::fs::read(path);
    read.map(Bytes::from).map_err(|source| Error::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_file_nor_crate_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("acme.wasm");
        let error = read(&absent, Symbols::Stripped, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("acme.wasm") && error.contains("connector crate's folder"), "{error}");
        let error = read(folder.path(), Symbols::Stripped, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("no Cargo.toml"), "{error}");
    }

    #[test]
    fn a_file_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("acme.wasm");
        std::fs::write(&file, b"bytes").unwrap();
        let source = read(&file, Symbols::Stripped, &mut |_| {}).unwrap();
        assert_eq!((source.component.as_ref(), source.crate_dir), (b"bytes".as_slice(), None));
    }
}
