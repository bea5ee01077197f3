//! `trunnion import`: takes over users and workflows from a file of Alloy's own answers.
//!
//! What was taken before is left as it is, so the same command goes on after a row was mended or a host was away.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{remote::InEnvironment, say};
use crate::client::Client;

/// Users of one request.
const AT_ONCE: usize = 1_000;

/// Takes over users and workflows from Alloy Embedded, under the ids they have there.
///
/// FILE is JSON: `users` as GET /users answers them, `integrations` as GET /integrations?userId=… does, each workflow
/// with its `users` as GET /workflows/{id}/users does; or one of these answers alone. host/docs/ALLOY.md shows how to make
/// it. The key is that of the environment they go to.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file; `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    remote: InEnvironment,
}

pub(super) fn run(import: &Import) -> anyhow::Result<()> {
    let text = if import.file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input could not be read")?
    } else {
        std::fs::read_to_string(&import.file)
            .with_context(|| format!("`{}` could not be read", import.file.display()))?
    };
    let file: Value =
        serde_json::from_str(&text).with_context(|| format!("`{}` is not JSON", import.file.display()))?;
    let (users, integrations) =
        (list(&file, "users", "userId")?, list(&file, "integrations", "integrationId")?);
    if users.is_empty() && integrations.is_empty() {
        bail!(
            "`{}` has neither `users` nor `integrations`, nor is it Alloy's answer with either; there is nothing to import",
            import.file.display()
        );
    }
    let client = import.remote.client()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime did not start")?;
    let refused = runtime.block_on(take_over(&client, users, integrations))?;
    if refused > 0 {
        bail!("{refused} rows were not taken; mend them in the file and import it again");
    }
    Ok(())
}

/// Users first, since workflows name them. Answers how many rows were refused.
async fn take_over(client: &Client, users: Vec<Value>, integrations: Vec<Value>) -> anyhow::Result<u64> {
    let mut refused = 0;
    for users in users.chunks(AT_ONCE) {
        let answer = client.post("/v1/import/users", &json!({ "users": users })).await?;
        refused += tell(&answer, "users");
    }
    for integration in &integrations {
        let body = json!({ "integrations": [integration] });
        let answer = client.post("/v1/import/workflows", &body).await?;
        refused += tell(&answer, "integrations and workflows");
        for user in rows(&answer, "reconnect") {
            let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default();
            let count = rows(user, "workflow_ids").len();
            let (username, id, app) = (text("username"), text("user_id"), text("app"));
            say(&format!(
                "reconnect: `{username}` ({id}) connects `{app}` again, then {count} workflows are installed"
            ));
        }
        for user in rows(&answer, "unknown_users") {
            say(&format!("unknown: user {user} had workflows installed and is not in the file"));
        }
    }
    Ok(refused)
}

fn tell(answer: &Value, what: &str) -> u64 {
    let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (created, unchanged, refused) = (count("created"), count("unchanged"), count("refused"));
    say(&format!("{what}: {created} taken over, {unchanged} here already, {refused} refused"));
    for row in rows(answer, "rows") {
        if let Some(message) = row.get("message").and_then(Value::as_str) {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            say(&format!("refused: {} `{}`: {message}", text("kind"), text("id")));
        }
    }
    refused
}

fn rows<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A list of the file, also where it is Alloy's whole answer, `{"data": […]}`, or the file is that answer, whose rows have
/// `id`.
fn list(file: &Value, name: &str, id: &str) -> anyhow::Result<Vec<Value>> {
    let Some(value) = file.get(name) else {
        return Ok(rows(file, "data").iter().filter(|row| row.get(id).is_some()).cloned().collect());
    };
    let value = value.get("data").unwrap_or(value);
    match value.as_array() {
        Some(rows) => Ok(rows.clone()),
        None => bail!("`{name}` must be a list, or an answer with a list as its `data`"),
    }
}
