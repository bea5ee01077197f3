//! A person at a real browser, who sees the ISV's page and the modal on it: Chromium, driven by `tests/browser`.
//!
//! The browser reaches nothing but what a test names: the host under its public name, the vendors' fakes, and the ISV's own
//! page at `https://acmeco.example`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use crate::{
    host::{target_dir, workspace},
    node::Script,
};

/// Where browsers may be; the variable names another one.
const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const VARIABLE: &str = "TRUNNION_CHROMIUM";

/// A running browser.
#[derive(Debug)]
pub struct Browser {
    script: Script,
}

/// Which SDK the ISV's page uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// The host's own `/embed.js`.
    Embed,
    /// Alloy's package, as it is published.
    Alloy,
}

/// The browser of this machine; none where there is none.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    named.or_else(|| CHROMIUM.iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned))
}

impl Browser {
    /// Starts `chromium`, for which each of these names leads to its URL. Pictures go below the target directory.
    pub async fn start(chromium: &Path, web: &[(&str, &str)]) -> Result<Self> {
        let script =
            Script::start("browser-tests", &workspace().join("tests/browser"), "browser.mjs").await?;
        let web: Map<_, _> = web.iter().map(|(name, url)| ((*name).to_owned(), json!(url))).collect();
        let mut browser = Self { script };
        let shots = target_dir().join("modal-screenshots");
        browser.act("begin", &json!({ "chromium": chromium, "web": web, "shots": shots })).await?;
        Ok(browser)
    }

    /// Does one thing, and waits until it is done.
    pub async fn act(&mut self, what: &str, how: &Value) -> Result<Value> {
        let mut asked = how.as_object().cloned().unwrap_or_default();
        asked.insert("do".to_owned(), json!(what));
        let answer = self.script.ask(&Value::Object(asked)).await?;
        if let Some(failed) = answer.get("failed").and_then(Value::as_str) {
            bail!("{failed}");
        }
        answer.get("ok").cloned().context("an answer is `ok` or `failed`")
    }

    /// Opens the ISV's page and calls `method` of the SDK with `params`; `look` says what the browser is like.
    pub async fn open(
        &mut self,
        sdk: Sdk,
        token: &str,
        (method, params): (&str, Value),
        look: Value,
    ) -> Result<()> {
        let mut asked = look.as_object().cloned().unwrap_or_default();
        let sdk = if sdk == Sdk::Embed { "embed" } else { "alloy" };
        for (name, value) in [
            ("sdk", json!(sdk)),
            ("host", json!("trunnion.example")),
            ("token", json!(token)),
            ("method", json!(method)),
            ("params", params),
        ] {
            asked.insert(name.to_owned(), value);
        }
        self.act("open", &Value::Object(asked)).await.map(drop)
    }

    /// Waits until the modal shows this text.
    pub async fn see(&mut self, text: &str) -> Result<()> {
        self.act("see", &json!({ "text": text })).await.map(drop)
    }

    /// Presses the modal's button of this name.
    pub async fn click(&mut self, name: &str) -> Result<()> {
        self.act("click", &json!({ "name": name })).await.map(drop)
    }

    /// Fills in the field of this label.
    pub async fn fill(&mut self, label: &str, value: &str) -> Result<()> {
        self.act("fill", &json!({ "label": label, "value": value })).await.map(drop)
    }

    /// What the callback has heard, once it has heard so much, and every message that the page got.
    pub async fn outcomes(&mut self, count: usize) -> Result<(Value, Vec<Value>)> {
        let heard = self.act("outcomes", &json!({ "count": count })).await?;
        let said = heard.get("said").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok((heard.get("outcomes").cloned().unwrap_or_default(), said))
    }

    /// Takes a picture, and fails where the page breaks a rule of accessibility, overflows, or the browser complains.
    pub async fn look(&mut self, name: &str) -> Result<()> {
        self.act("shot", &json!({ "name": name })).await?;
        let found = self.act("axe", &json!({})).await?;
        anyhow::ensure!(found.get("violations") == Some(&json!([])), "{name}: {found}");
        let wide = self.act("overflows", &json!({})).await?;
        anyhow::ensure!(wide.get("sideways") == Some(&json!(false)), "{name} is wider than its window");
        let toll = self.act("toll", &json!({})).await?;
        anyhow::ensure!(toll.get("complaints") == Some(&json!([])), "{name}: {toll}");
        Ok(())
    }
}
