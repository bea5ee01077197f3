//! Components for tests: our connector and the hostile guests, built by the connector build that authors use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tokio::sync::OnceCell;

use crate::host::{target_dir, workspace};

/// The BigCommerce connector's component.
pub async fn bigcommerce() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(|| built(workspace().join("connectors/bigcommerce"), "components")).await.cloned()
}

/// A guest of `tests/guests`, by its folder's name.
pub async fn guest(name: &str) -> Result<PathBuf> {
    built(workspace().join("tests/guests").join(name), "guests").await
}

async fn built(crate_dir: PathBuf, into: &str) -> Result<PathBuf> {
    let out_dir = target_dir().join(into);
    tokio::task::spawn_blocking(move || build(&crate_dir, &out_dir, &mut |line| report(line))).await?
}

/// Builds one connector crate into `out_dir`.
pub fn build(crate_dir: &Path, out_dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let options = trunnion_connector_build::BuildOptions::new(vec![crate_dir.to_owned()], out_dir);
    let built = trunnion_connector_build::build(&options, progress)?;
    let first = built.into_iter().next();
    Ok(first.with_context(|| format!("{} built nothing", crate_dir.display()))?.path)
}

#[expect(clippy::print_stderr, reason = "whoever waits for a test wants to see what is being built")]
fn report(line: &str) {
    eprintln!("{line}");
}
