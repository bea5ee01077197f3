//! `trunnion connector run`: one call in the real sandbox, on behalf of a connection from the environment.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use trunnion_core::{
    clock::Clock,
    manifest::{Manifest, TriggerSource, TriggerSpec},
};
use trunnion_sandbox::{Answer, Broker, EgressOptions, Exchange, Failed, LogLine, Poll, broker::Rewrite};

use super::{block_on, component_with_lines, open, print, print_json};
use crate::{
    author::{
        credential::{Credential, Obtained, REFRESH_TOKEN, Replaced},
        workshop::Workshop,
    },
    cli::say,
    real::SystemClock,
};

/// Calls one action, one poll, or the connection check.
#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// A component (FILE.wasm), or a connector crate's folder, which is built first.
    #[arg(value_name = "FILE|PATH")]
    connector: PathBuf,
    /// The action or polling trigger; `check` asks whether the connection works.
    #[arg(value_name = "ACTION|TRIGGER|check")]
    what: String,
    /// An action's input or a poll's options as JSON, `@FILE` or `-` for standard input; the sample where absent.
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    /// Where a listing or poll starts, as an earlier one answered it; the beginning where absent.
    #[arg(long, value_name = "JSON")]
    cursor: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Prints everything as one JSON document.
    #[arg(long)]
    json: bool,
}

/// As whom, and to where.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reach {
    /// A file with the connection: {"scheme", "parameters", "secrets", "account"}, all optional; where absent, variables
    /// of the environment, TRUNNION_CONNECTION_ and the parameter's or secret's name in capitals. Where the vendor issues
    /// tokens: ACCESS_TOKEN; or what one is obtained with: REFRESH_TOKEN, CLIENT_ID and CLIENT_SECRET after consent,
    /// CLIENT_ID and CLIENT_SECRET for client credentials, or a service account's whole key file under the key's name.
    #[arg(long, value_name = "FILE")]
    connection: Option<PathBuf>,
    /// Sends a host's requests elsewhere, as in `api.acme.com=http://127.0.0.1:4110`: for trying on a fake.
    #[arg(long, value_name = "HOST=URL")]
    base_url: Vec<Rewrite>,
}

impl Reach {
    /// Whether anything of it was said.
    pub(super) const fn is_given(&self) -> bool {
        self.connection.is_some() || !self.base_url.is_empty()
    }

    /// What may leave.
    pub(super) fn egress(&self) -> EgressOptions {
        EgressOptions { rewrites: self.base_url.clone(), ..EgressOptions::default() }
    }

    /// On whose behalf, with a token that was obtained where the vendor issues them.
    pub(super) async fn credential(&self, manifest: &Manifest) -> Result<Credential> {
        let credential = match &self.connection {
            Some(path) => {
                let text = read(path)?;
                Credential::of_json(manifest, &text).with_context(|| format!("`{}`", path.display()))?
            }
            None => Credential::of_variables(manifest, variable)?,
        };
        if !credential.lacks_token() {
            return Ok(credential);
        }
        let broker = Broker::new(self.egress())?;
        let manifest = Arc::new(manifest.clone());
        let Obtained { credential, replaced } =
            credential.obtained(&manifest, &broker, SystemClock.now()).await?;
        if let Some(Replaced(token)) = replaced {
            self.keep_refresh_token(token)?;
        }
        Ok(credential)
    }

    /// The vendor may take the former one no more, so the new one is kept before the token is used: in the file, which
    /// is the author's; what stands in the environment nobody else can change.
    fn keep_refresh_token(&self, token: String) -> Result<()> {
        let Some(path) = &self.connection else {
            say(
                "the vendor replaced the refresh token, so the one in TRUNNION_CONNECTION_REFRESH_TOKEN may hold no longer; \
                 with --connection FILE the file is kept up to date",
            );
            return Ok(());
        };
        let mut document: Value = serde_json::from_str(&read(path)?)?;
        if let Some(secrets) = document.get_mut("secrets").and_then(Value::as_object_mut) {
            secrets.insert(REFRESH_TOKEN.to_owned(), Value::String(token));
        }
        let failed = || {
            format!(
                "the vendor replaced the refresh token, and the new one could not be written to `{}`",
                path.display()
            )
        };
        write_over(path, &serde_json::to_vec_pretty(&document)?).with_context(failed)?;
        say(&format!("the vendor replaced the refresh token; `{}` has the new one", path.display()));
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Puts other content in a file's place: whole, or not at all.
fn write_over(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    // It stays as closed to others as it was.
    file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("`{}` could not be read", path.display()))
}

/// What a call came to, as it is printed.
#[derive(Debug, Serialize)]
struct Told {
    /// What it answered; absent where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    log: Vec<LogLine>,
    exchanges: Vec<Exchange>,
    /// CPU time inside the connector, microseconds.
    cpu_us: u128,
}

pub(super) fn run(run: &Run) -> Result<()> {
    let source = component_with_lines(&run.connector)?;
    let told = block_on(async {
        let workshop = open(&source, run.reach.egress()).await?;
        let credential = run.reach.credential(workshop.manifest()).await?;
        call(run, &workshop, &credential).await
    })?;
    let failure = told.error.as_ref().map(|error| error["message"].as_str().unwrap_or_default().to_owned());
    if run.json {
        print_json(&told)?;
    } else {
        for exchange in &told.exchanges {
            say(&line(exchange));
        }
        for line in &told.log {
            say(&format!("log {:?}: {}", line.level, line.message).to_lowercase());
        }
        if let Some(output) = &told.output {
            print(&serde_json::to_string_pretty(output)?)?;
        }
    }
    match failure {
        Some(message) => bail!("{message}"),
        None => Ok(()),
    }
}

fn line(exchange: &Exchange) -> String {
    let Exchange { method, host, path, status, problem, duration_ms } = exchange;
    let what = match (status, problem) {
        (Some(status), _) => status.to_string(),
        (None, Some(problem)) => problem.clone(),
        (None, None) => "no answer".to_owned(),
    };
    format!("{method} https://{host}{path}: {what} ({duration_ms} ms)")
}

async fn call(run: &Run, workshop: &Workshop, credential: &Credential) -> Result<Told> {
    let (manifest, connector) = (workshop.manifest(), workshop.connector());
    let call = workshop.call(&run.what, credential);
    let cursor = run.cursor.as_deref();
    if run.what == "check" {
        let checked = connector.check_connection(call).await;
        return told(checked, |account| {
            Ok(json!({ "id": account.id, "title": account.title, "parameters": account.parameters }))
        });
    }
    if let Some(action) = manifest.action(&run.what) {
        let input = match &run.input {
            Some(given) => document(given)?,
            None => action.sample_input.to_string(),
        };
        if action.pages {
            return told(connector.page(call, &input, cursor).await, |page| {
                let items: Result<Vec<Value>> = page.items.iter().map(|item| parsed(item)).collect();
                let next = page.next.as_deref().map(parsed).transpose()?;
                Ok(json!({ "items": items?, "next": next }))
            });
        }
        return told(connector.run_action(call, &input).await, |output| parsed(&output));
    }
    let trigger = manifest.trigger(&run.what);
    match trigger.map(|trigger| &trigger.source) {
        Some(TriggerSource::Poll(_)) => {
            let options = match &run.input {
                Some(given) => Some(document(given)?),
                None => trigger.and_then(TriggerSpec::sample_options_text),
            };
            let poll = Poll { cursor, since: workshop.now(), look_back: None, options: options.as_deref() };
            told(connector.poll(call, poll).await, |polled| {
                let occurrences: Result<Vec<Value>> = polled
                    .occurrences
                    .iter()
                    .map(|one| Ok(json!({ "id": one.occurrence_id, "data": parsed(&one.data)? })))
                    .collect();
                Ok(
                    json!({ "occurrences": occurrences?, "cursor": parsed(&polled.cursor)?, "more": polled.more }),
                )
            })
        }
        Some(TriggerSource::Webhook(_)) => bail!(
            "`{}` is a webhook: the vendor calls it; try it in a host with `trunnion connector dev`, or in the crate's own tests",
            run.what
        ),
        None => bail!(
            "connector `{}` has no action or trigger `{}`; it has {}",
            manifest.id,
            run.what,
            known(manifest)
        ),
    }
}

fn known(manifest: &Manifest) -> String {
    let actions = manifest.actions.iter().map(|action| action.id.as_str());
    let triggers = manifest.triggers.iter().map(|trigger| trigger.id.as_str());
    actions.chain(triggers).chain(["check"]).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

fn told<T>(ended: Result<Answer<T>, Failed>, output: impl FnOnce(T) -> Result<Value>) -> Result<Told> {
    Ok(match ended {
        Ok(Answer { value, log, exchanges, cpu, .. }) => {
            Told { output: Some(output(value)?), error: None, log, exchanges, cpu_us: cpu.as_micros() }
        }
        Err(Failed { error, log, exchanges, cpu, .. }) => {
            let shown = json!({ "kind": error.kind(), "message": error.to_string() });
            Told { output: None, error: Some(shown), log, exchanges, cpu_us: cpu.as_micros() }
        }
    })
}

/// `JSON`, `@FILE`, or `-`.
pub(super) fn document(given: &str) -> Result<String> {
    let text = if given == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input could not be read")?;
        text
    } else if let Some(path) = given.strip_prefix('@') {
        read(Path::new(path))?
    } else {
        given.to_owned()
    };
    serde_json::from_str::<Value>(&text).context("the input is not JSON")?;
    Ok(text)
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .with_context(|| format!("the connector answered something that is not JSON: {text}"))
}
