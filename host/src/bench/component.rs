//! The connector that the scenarios run: a given component, or the BigCommerce connector of this source tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use trunnion_connector_build::{BuildOptions, build};

use super::progress;

/// The app that the scenarios speak to.
pub(super) const APP: &str = "bigcommerce";

const SOURCE: &str = "connectors/bigcommerce";

/// The component's bytes.
pub(super) async fn bytes(given: Option<&Path>) -> Result<Vec<u8>> {
    if let Some(path) = given {
        return std::fs::read(path)
            .with_context(|| format!("the component `{}` could not be read", path.display()));
    }
    let here = std::env::current_dir().context("the current directory is unknown")?;
    let source = upwards(&here).with_context(|| {
        format!(
            "there is no `{SOURCE}` in `{}` or above it; name the BigCommerce connector's component with --component PATH",
            here.display()
        )
    })?;
    tokio::task::spawn_blocking(move || built(source)).await?
}

fn upwards(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(SOURCE)).find(|source| source.join("Cargo.toml").is_file())
}

fn built(source: PathBuf) -> Result<Vec<u8>> {
    let out = tempfile::tempdir().context("no temporary directory could be made")?;
    let components = build(&BuildOptions::new(vec![source], out.path()), &mut |line| progress(line))?;
    let first = components.first().context("the connector build gave no component")?;
    std::fs::read(&first.path).with_context(|| format!("reading `{}`", first.path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_found_from_deep_inside_the_tree_and_not_outside() {
        let deep = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench");
        assert!(upwards(&deep).unwrap().ends_with(SOURCE));
        assert_eq!(upwards(tempfile::tempdir().unwrap().path()), None);
    }
}
