//! The connectors that the scenarios run: given components, or those of this source tree, built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use trunnion_connector_build::{BuildOptions, build};

use super::progress;

/// The app that most scenarios speak to.
pub(super) const APP: &str = "bigcommerce";

/// A connector of the source tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// The app.
    pub(super) app: &'static str,
    /// What people call it.
    title: &'static str,
    /// Its crate, from the root of the source tree.
    folder: &'static str,
    /// The vendor's hosts.
    pub(super) hosts: &'static str,
    /// The option that names its component.
    option: &'static str,
}

/// The connector whose action writes an order.
pub(super) const BIGCOMMERCE: Source = Source {
    app: APP,
    title: "BigCommerce",
    folder: "connectors/bigcommerce",
    hosts: "*.bigcommerce.com",
    option: "--component",
};

/// The connector that takes rows, and gives them by pages.
pub(super) const BIGQUERY: Source = Source {
    app: "bigquery",
    title: "BigQuery",
    folder: "connectors/bigquery",
    hosts: "*.googleapis.com",
    option: "--component",
};

/// The connector whose deliveries carry the whole order.
pub(super) const SHOPIFY: Source = Source {
    app: "shopify",
    title: "Shopify",
    folder: "connectors/shopify",
    hosts: "*.myshopify.com",
    option: "--shopify",
};

/// The connector that sends back what it is given.
pub(super) const ECHO: Source = Source {
    app: "echo",
    title: "echo",
    folder: "host/echo",
    hosts: "api.echo.example",
    option: "--component",
};

/// The connector that polls.
pub(super) const POLLER: Source = Source {
    app: "poller",
    title: "polling",
    folder: "tests/guests/poller",
    hosts: "api.poller.example",
    option: "--component",
};

/// A component to run.
#[derive(Clone, Debug)]
pub(super) struct Component {
    /// Its app.
    pub(super) app: &'static str,
    /// The vendor's hosts, whose traffic goes to the bench.
    pub(super) hosts: &'static str,
    /// The component.
    pub(super) bytes: Vec<u8>,
}

impl Source {
    /// The component: the given one, or built from the source tree around the current directory.
    pub(super) async fn component(self, given: Option<&Path>) -> Result<Component> {
        let bytes = match given {
            Some(path) => std::fs::read(path)
                .with_context(|| format!("the component `{}` could not be read", path.display()))?,
            None => {
                let here = std::env::current_dir().context("the current directory is unknown")?;
                let source = self.upwards(&here).with_context(|| {
                    format!(
                        "there is no `{}` in `{}` or above it; name the {} connector's component with {} PATH",
                        self.folder,
                        here.display(),
                        self.title,
                        self.option,
                    )
                })?;
                tokio::task::spawn_blocking(move || built(source)).await??
            }
        };
        Ok(Component { app: self.app, hosts: self.hosts, bytes })
    }

    fn upwards(self, from: &Path) -> Option<PathBuf> {
        let sources = from.ancestors().map(|folder| folder.join(self.folder));
        sources.into_iter().find(|source| source.join("Cargo.toml").is_file())
    }
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
    fn the_sources_are_found_from_deep_inside_the_tree_and_not_outside() {
        let deep = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench");
        for source in [BIGCOMMERCE, BIGQUERY, SHOPIFY, ECHO, POLLER] {
            assert!(source.upwards(&deep).unwrap().ends_with(source.folder));
            assert_eq!(source.upwards(tempfile::tempdir().unwrap().path()), None);
        }
    }
}
