//! The host's own account of the work: waits until nothing is left, and finds what failed.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::time::Instant;

use crate::client::Client;

/// How long work that is left may take. A run that failed in passing waits longer than this for its next try.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the runs ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// Runs that ended as failed, with their errors.
    pub(super) failed: Vec<String>,
    /// Runs that did not end, with what they wait for.
    pub(super) unfinished: Vec<String>,
}

/// Waits until the host has nothing left to do.
pub(super) async fn account(client: &Client) -> Result<Account> {
    let start = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let unfinished = loop {
        look.tick().await;
        let mut left = runs(client, "queued").await?;
        left.extend(runs(client, "running").await?);
        if left.is_empty() || start.elapsed() > PATIENCE {
            break left;
        }
    };
    Ok(Account { failed: runs(client, "failed").await?, unfinished })
}

/// The newest run of a user, whole, once it has ended or had time enough to.
pub(super) async fn newest(client: &Client, user: &str) -> Result<Value> {
    let start = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let run = listed(client, &format!("user_id={user}"), Some(1)).await?;
    let run = run.first().and_then(|run| run.get("id")?.as_str().map(str::to_owned));
    let run = run.with_context(|| format!("user {user} has no run"))?;
    loop {
        look.tick().await;
        let run = client.get(&format!("/v1/runs/{run}")).await?;
        if run.get("ended_at").is_some() || start.elapsed() > PATIENCE {
            return Ok(run);
        }
    }
}

/// Every run with this status, as a line each.
async fn runs(client: &Client, status: &str) -> Result<Vec<String>> {
    let line = |run: &Value| {
        let member = |pointer| run.pointer(pointer).and_then(Value::as_str);
        let error = member("/error/message").unwrap_or("no error yet");
        format!("run {} {status}: {error}", member("/id").unwrap_or("?"))
    };
    Ok(listed(client, &format!("status={status}"), None).await?.iter().map(line).collect())
}

/// The runs that fit, newest first; at most `wanted`. One page ends after as many runs as the host looks at for
/// one, so a page without any may be followed by others.
async fn listed(client: &Client, filter: &str, wanted: Option<usize>) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/v1/runs?{filter}&limit=100{cursor}")).await?;
        found.extend(page.get("data").and_then(Value::as_array).into_iter().flatten().cloned());
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) if wanted.is_none_or(|wanted| found.len() < wanted) => {
                cursor = format!("&cursor={next}")
            }
            _ => return Ok(found),
        }
    }
}
