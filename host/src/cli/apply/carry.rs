//! Does what a plan says, thing by thing; then asks about every draft, and releases what is to be where none has a
//! problem.

use std::{collections::BTreeMap, rc::Rc};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use trunnion_core::problem::Problem;
use url::form_urlencoded::byte_serialize;

use super::{
    files::{Fault, Said},
    plan::{Act, Plan, What},
};
use crate::{
    cli::say,
    client::{Client, Error},
};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// What the host refused, and the problems of drafts.
    pub(super) faults: Vec<Fault>,
    /// Of streams that are new, by their names.
    pub(super) secrets: Map<String, Value>,
}

/// A draft that is there.
struct Draft {
    id: String,
    name: String,
    said: Rc<Said>,
    release: bool,
}

/// What the host made of a workflow.
#[derive(Debug, Deserialize)]
struct Made {
    id: String,
}

/// Does all of it. What the host refuses is told with the rest, and keeps nothing else from being done.
pub(super) async fn out(client: &Client, plan: &Plan) -> anyhow::Result<Carried> {
    let mut carried = Carried::default();
    let mut integrations = plan.integrations.clone();
    let mut drafts = Vec::new();
    for act in &plan.acts {
        match one(client, act, &mut integrations, &mut carried.secrets).await {
            Ok(draft) => drafts.extend(draft),
            Err(error) => carried.faults.push(refused(&act.said, error)?),
        }
    }
    for draft in &drafts {
        let problems: Vec<Problem> = client.list(&format!("/v1/workflows/{}/problems", draft.id)).await?;
        carried.faults.extend(problems.iter().map(|problem| {
            draft.said.fault(&format!("/definition{}", problem.at), format!("{}: {problem}", draft.name))
        }));
    }
    if !carried.faults.is_empty() {
        return Ok(carried);
    }
    for draft in drafts.iter().filter(|draft| draft.release) {
        match client.post(&format!("/v1/workflows/{}/releases", draft.id), &json!({})).await {
            Ok(release) => {
                let number = release.get("number").and_then(Value::as_u64).unwrap_or_default();
                say(&format!("released {} as version {number}", draft.name));
            }
            Err(error) => carried.faults.push(refused(&draft.said, error)?),
        }
    }
    Ok(carried)
}

/// Does one thing; gives the draft that came of it.
async fn one(
    client: &Client,
    Act { what, name, said, .. }: &Act,
    integrations: &mut BTreeMap<String, String>,
    secrets: &mut Map<String, Value>,
) -> Result<Option<Draft>, Error> {
    let draft = |id: String, release: bool| Draft { id, name: name.clone(), said: Rc::clone(said), release };
    let done = match what {
        What::Integrate { app } => {
            let made = make(client, "/v1/integrations", &json!({ "app": app })).await?;
            integrations.insert(app.clone(), made);
            None
        }
        What::SetEvent { name, body } => {
            client.put(&format!("/v1/events/{}", encoded(name)), body).await?;
            None
        }
        What::SetStream { name, body, new } => {
            let set = client.put(&format!("/v1/streams/{}", encoded(name)), body).await?;
            if let Some(secret) = set.get("secret").filter(|_| *new) {
                secrets.insert(name.clone(), secret.clone());
            }
            None
        }
        What::NewWorkflow { app, integration, definition, release } => {
            // Absent only where making it was refused, which was told.
            let Some(integration) = integration.as_ref().or_else(|| integrations.get(app)) else {
                return Ok(None);
            };
            let body = json!({ "integration_id": integration, "definition": definition });
            Some(draft(make(client, "/v1/workflows", &body).await?, *release))
        }
        What::Draft { id, definition, release } => {
            client.put(&format!("/v1/workflows/{id}"), &json!({ "definition": definition })).await?;
            Some(draft(id.clone(), *release))
        }
        What::Release { id } => Some(draft(id.clone(), true)),
    };
    say(&format!("done: {name}"));
    Ok(done)
}

/// POST of something new: its id.
async fn make(client: &Client, path: &str, body: &Value) -> Result<String, Error> {
    let made = serde_json::from_value::<Made>(client.post(path, body).await?);
    made.map(|made| made.id).map_err(|source| Error::Unknown { call: format!("POST {path}"), source })
}

/// A refusal at the place of what was refused; anything else ends the command.
fn refused(said: &Said, error: Error) -> Result<Fault, Error> {
    match error {
        Error::Refused(refusal) if refusal.status < 500 => Ok(said.fault("", refusal.to_string())),
        error => Err(error),
    }
}

/// A name as a part of a path.
fn encoded(name: &str) -> String {
    byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
