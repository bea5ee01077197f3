//! The commands that call a running host: what they ask, and in which form the answer goes to standard output.

use std::{
    future::Future,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::{To, show};
use crate::client::{Client, Error};

/// What becomes of a component that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It becomes the active version.
    Activate,
    /// It is kept for later.
    Keep,
}

pub(super) fn list(to: &To) -> anyhow::Result<()> {
    let client = to.remote.client()?;
    let answer = wait(client.get("/v1/connectors"))?;
    print(to, &answer, show::connectors)
}

pub(super) fn push(files: &[PathBuf], app: Option<&str>, then: Then, to: &To) -> anyhow::Result<()> {
    if app.is_some() && files.len() > 1 {
        bail!(
            "--app names the app of one component; push the files one by one, or name them after their apps"
        );
    }
    let client = to.remote.client()?;
    for file in files {
        let app = match app {
            Some(app) => app.to_owned(),
            None => app_of(file)?,
        };
        let answer = put(file, &app, then, &client)?;
        print(to, &answer, |answer| show::swap(&app, answer))?;
    }
    Ok(())
}

/// Pushes a component that is named after its app, and has it be the active one: what a person reads of it.
pub(super) fn swap_in(file: &Path, client: &Client) -> anyhow::Result<String> {
    let app = app_of(file)?;
    Ok(show::swap(&app, &put(file, &app, Then::Activate, client)?))
}

fn put(file: &Path, app: &str, then: Then, client: &Client) -> anyhow::Result<Value> {
    let component = std::fs::read(file).with_context(|| format!("`{}` could not be read", file.display()))?;
    let path = format!("{}/versions?activate={}", base(app), then == Then::Activate);
    let pushed = wait(client.put_component(&path, component.into()));
    pushed.with_context(|| format!("`{}` was not pushed", file.display()))
}

pub(super) fn activate(app: &str, which: &str, to: &To) -> anyhow::Result<()> {
    swap(app, "activate", &wanted(which), to)
}

pub(super) fn rollback(app: &str, to: &To) -> anyhow::Result<()> {
    swap(app, "rollback", &json!({}), to)
}

pub(super) fn history(app: &str, limit: u32, to: &To) -> anyhow::Result<()> {
    let client = to.remote.client()?;
    let answer = wait(client.get(&format!("{}/history?limit={limit}", base(app))))?;
    print(to, &answer, show::history)
}

fn swap(app: &str, how: &str, body: &Value, to: &To) -> anyhow::Result<()> {
    let client: Client = to.remote.client()?;
    let answer = wait(client.post(&format!("{}/{how}", base(app)), body))?;
    print(to, &answer, |answer| show::swap(app, answer))
}

/// The paths of an app. Whatever was typed stays one segment; the host says which apps it knows.
fn base(app: &str) -> String {
    format!("/v1/connectors/{}", byte_serialize(app.as_bytes()).collect::<String>())
}

/// Versions have dots, digests do not.
fn wanted(which: &str) -> Value {
    if which.contains('.') { json!({ "version": which }) } else { json!({ "digest": which }) }
}

fn app_of(file: &Path) -> anyhow::Result<String> {
    let name = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".wasm"));
    match name {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => bail!("`{}` does not tell its app: name the file APP.wasm, or give --app APP", file.display()),
    }
}

fn wait(call: impl Future<Output = Result<Value, Error>>) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("the runtime did not start")?.block_on(call)?)
}

fn print(to: &To, answer: &Value, person: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
    let text = if to.json { answer.to_string() } else { person(answer) };
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_name_is_the_app() {
        assert_eq!(app_of(Path::new("target/connectors/bigcommerce.wasm")).unwrap(), "bigcommerce");
        for nameless in ["target/connectors", "x/.wasm", "/", "component.wat"] {
            let error = app_of(Path::new(nameless)).unwrap_err().to_string();
            assert!(error.contains("--app") && error.contains(nameless), "{error}");
        }
    }

    #[test]
    fn digests_and_versions_are_told_apart() {
        assert_eq!(wanted("1.2.3"), json!({ "version": "1.2.3" }));
        assert_eq!(wanted("1.2.3-rc.1"), json!({ "version": "1.2.3-rc.1" }));
        assert_eq!(wanted("3f9ac0de"), json!({ "digest": "3f9ac0de" }));
    }

    #[test]
    fn an_app_stays_one_segment_of_the_path() {
        assert_eq!(base("bigcommerce"), "/v1/connectors/bigcommerce");
        assert_eq!(base("../keys?x"), "/v1/connectors/..%2Fkeys%3Fx");
    }
}
