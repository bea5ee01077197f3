//! Components for tests: our connector and the hostile guests, built by the connector build that authors use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::OnceCell;

use crate::host::{target_dir, workspace};

/// The BigCommerce connector's component.
pub async fn bigcommerce() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(|| built(workspace().join("connectors/bigcommerce"), "components")).await.cloned()
}

/// The BigQuery connector's component.
pub async fn bigquery() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(|| built(workspace().join("connectors/bigquery"), "components")).await.cloned()
}

/// The HTTP connector's component.
pub async fn http() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(|| built(workspace().join("connectors/http"), "components")).await.cloned()
}

/// The Shopify connector's component.
pub async fn shopify() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(|| built(workspace().join("connectors/shopify"), "components")).await.cloned()
}

/// The HubSpot connector's component.
pub async fn hubspot() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(|| built(workspace().join("connectors/hubspot"), "components")).await.cloned()
}

/// A guest of `tests/guests`, by its folder's name.
pub async fn guest(name: &str) -> Result<PathBuf> {
    built(workspace().join("tests/guests").join(name), "guests").await
}

/// Any connector crate, built into this folder of the target directory.
pub async fn built(crate_dir: PathBuf, into: &str) -> Result<PathBuf> {
    let out_dir = target_dir().join(into);
    tokio::task::spawn_blocking(move || build(&crate_dir, &out_dir, &mut |line| report(line))).await?
}

/// A guest of `tests/guests`, built as `version`.
pub async fn guest_as(name: &str, version: &str) -> Result<PathBuf> {
    stamped(workspace().join("tests/guests").join(name), target_dir().join("guests").join(version), version)
        .await
}

/// The connector crate of `connectors/NAME`, built as `version`: what a release pipeline would publish next.
pub async fn built_as(name: &str, version: &str) -> Result<PathBuf> {
    let out_dir = target_dir().join("components").join(version);
    stamped(workspace().join("connectors").join(name), out_dir, version).await
}

async fn stamped(crate_dir: PathBuf, out_dir: PathBuf, version: &str) -> Result<PathBuf> {
    let mut options = trunnion_connector_build::BuildOptions::new(vec![crate_dir], out_dir);
    options.version = Some(version.parse().with_context(|| format!("`{version}` is not a version"))?);
    tokio::task::spawn_blocking(move || only(trunnion_connector_build::build(&options, &mut report)?)).await?
}

/// The same component with another digest: a custom section, which means nothing to anybody, is added.
#[must_use]
pub fn variant(component: &[u8], number: u64) -> Vec<u8> {
    const NAME: &[u8; 16] = b"trunnion:variant";
    // Section 0 (custom) of 25 bytes: the name's length, the name, the number.
    let header = [0, 25, 16];
    [component, &header, NAME, &number.to_le_bytes()].concat()
}

/// The component with a text in its data replaced by another of the same length, as a manifest that says
/// something else.
pub fn patched(component: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len(), "`{from}` and `{to}` differ in length");
    let (mut rest, mut bytes) = (component, Vec::with_capacity(component.len()));
    while let Some(at) = rest.windows(from.len()).position(|window| window == from.as_bytes()) {
        let (before, found) = rest.split_at(at);
        bytes.extend_from_slice(before);
        bytes.extend_from_slice(to.as_bytes());
        rest = found.split_at(from.len()).1;
    }
    ensure!(!bytes.is_empty(), "the component does not contain `{from}`");
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

/// Builds one connector crate into `out_dir`.
pub fn build(crate_dir: &Path, out_dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let options = trunnion_connector_build::BuildOptions::new(vec![crate_dir.to_owned()], out_dir);
    only(trunnion_connector_build::build(&options, progress)?)
}

fn only(built: Vec<trunnion_connector_build::Built>) -> Result<PathBuf> {
    Ok(built.into_iter().next().context("the connector build built nothing")?.path)
}

#[expect(clippy::print_stderr, reason = "whoever waits for a test wants to see what is being built")]
fn report(line: &str) {
    eprintln!("{line}");
}
