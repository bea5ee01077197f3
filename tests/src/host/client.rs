//! A small typed client of the host's HTTP API, and views of what it answers.

use std::{fmt, time::Duration};

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use crate::wait;

/// Calls with one API key, or as a user's browser.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
    user_token: Option<String>,
}

/// What the host answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `METHOD path`, for messages.
    pub call: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

/// A run as `/v1/runs/{id}` shows it.
#[derive(Clone, Debug)]
pub struct RunView(pub Value);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Answer {
    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The error's message: `message` on the Alloy paths, `detail` of a problem.
    #[must_use]
    pub fn message(&self) -> String {
        let body = self.json();
        let text = ["message", "detail", "title"]
            .iter()
            .find_map(|name| body.get(name)?.as_str().map(str::to_owned));
        text.unwrap_or_default()
    }

    /// The body of a 2xx answer.
    pub fn ok(&self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("{} answered {}: {}", self.call, self.status, self.text);
        }
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text)
            .with_context(|| format!("{} answered no JSON: {}", self.call, self.text))
    }
}

impl RunView {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// `queued`, `running`, `succeeded`, `failed`, …
    #[must_use]
    pub fn status(&self) -> &str {
        self.0.get("status").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is over.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.status(), "succeeded" | "failed" | "cancelled" | "filtered" | "dead_letter")
    }

    /// Everything that the run's page says, as text to look for a phrase in.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// A finished step by its id, with input, output, error and attempts.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Value> {
        self.0
            .get("steps")?
            .as_array()?
            .iter()
            .find(|step| step.get("id").and_then(Value::as_str) == Some(id))
    }
}

impl Client {
    /// Calls the host at `base` with `key`.
    pub fn new(base: &str, key: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, base: base.to_owned(), key: key.to_owned(), user_token: None })
    }

    /// The same without a key, as a browser with this token calls.
    #[must_use]
    pub fn as_user(&self, token: &str) -> Self {
        Self { key: String::new(), user_token: Some(token.to_owned()), ..self.clone() }
    }

    /// `GET /users/{id}/token`.
    pub async fn user_token(&self, user: &str) -> Result<String> {
        text_of(&self.get(&format!("/2023-12/users/{user}/token")).await?.ok()?, "/token")
    }

    /// A request with any body.
    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Answer> {
        let call = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        if let Some(token) = &self.user_token {
            request = request.header("x-alloy-user-token", token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.with_context(|| call.clone())?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.with_context(|| format!("reading the answer of {call}"))?;
        Ok(Answer { call, status, headers, text })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, Some(body.to_string().into_bytes())).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, Some(body.to_string().into_bytes())).await
    }

    /// `POST /users`: the new user's id.
    pub async fn create_user(&self, username: &str, full_name: &str) -> Result<String> {
        let answer =
            self.post("/2023-12/users", &json!({ "username": username, "fullName": full_name })).await?;
        text_of(&answer.ok()?, "/userId")
    }

    /// `POST /headless/credentials` for an app: the credential's id.
    pub async fn create_credential(&self, user: &str, app: &str, data: &Value) -> Result<String> {
        let body = json!({ "userId": user, "credential": { "type": app, "data": data } });
        text_of(&self.post("/2023-12/headless/credentials", &body).await?.ok()?, "/credentialId")
    }

    /// startInstallation and completeInstallation of these workflows, or of all the integration's; with no
    /// credential where it is empty.
    pub async fn install(
        &self,
        user: &str,
        integration: &str,
        credential: &str,
        workflows: &[&str],
    ) -> Result<()> {
        let credentials: Vec<_> = [credential].into_iter().filter(|id| !id.is_empty()).collect();
        let mut body = json!({ "userId": user, "integrationId": integration, "credentialIds": credentials });
        if !workflows.is_empty()
            && let Some(members) = body.as_object_mut()
        {
            members.insert("workflowIds".to_owned(), json!(workflows));
        }
        let started = self.post("/2023-12/headless/startInstallation", &body).await?.ok()?;
        let complete = json!({ "installationId": text_of(&started, "/installationId")?, "data": [] });
        self.post("/2023-12/headless/completeInstallation", &complete).await?.ok().map(drop)
    }

    /// `PUT /workflows/activate`, or `deactivate`.
    pub async fn set_active(&self, user: &str, workflow: &str, active: bool) -> Result<()> {
        let path = if active { "/2023-12/workflows/activate" } else { "/2023-12/workflows/deactivate" };
        let answer = self.put(path, &json!({ "userId": user, "workflowId": workflow })).await?.ok()?;
        if answer.get("activated") != Some(&json!(active)) {
            bail!("PUT {path} answered {answer}");
        }
        Ok(())
    }

    /// `DELETE /workflows/{id}`: a user's copy of a workflow.
    pub async fn uninstall(&self, user: &str, workflow: &str) -> Result<()> {
        let path = format!("/2023-12/workflows/{workflow}?userId={user}");
        self.send(Method::DELETE, &path, None).await?.ok().map(drop)
    }

    /// Where requests to a user's copy of a workflow come in, and the key that its callbacks are signed with.
    pub async fn entrance(&self, user: &str, workflow: &str) -> Result<(String, String)> {
        let listed = self.get(&format!("/v1/installations?user_id={user}")).await?.ok()?;
        let of_workflow = |row: &&Value| row.get("workflow_id").and_then(Value::as_str) == Some(workflow);
        let rows = rows(&listed);
        let row =
            rows.iter().find(of_workflow).with_context(|| format!("`{workflow}` is not in {listed}"))?;
        Ok((text_of(row, "/request/url")?, text_of(row, "/request/secret")?))
    }

    /// `POST /run/event`, whatever the answer.
    pub async fn run_event(&self, event: &str, user: &str, data: &Value) -> Result<Answer> {
        self.post("/2023-12/run/event", &json!({ "event": event, "userId": user, "data": data })).await
    }

    /// `PUT /v1/events/{name}`.
    pub async fn define_event(&self, name: &str, description: &str, sample: &Value) -> Result<()> {
        let path = format!("/v1/events/{}", name.replace(' ', "%20"));
        self.put(&path, &json!({ "description": description, "sample": sample })).await?.ok().map(drop)
    }

    /// `POST /v1/integrations`: its id.
    pub async fn create_integration(&self, app: &str) -> Result<String> {
        text_of(&self.post("/v1/integrations", &json!({ "app": app })).await?.ok()?, "/id")
    }

    /// `POST /v1/workflows` and a first release: the workflow's id.
    pub async fn release_workflow(&self, integration: &str, definition: &Value) -> Result<String> {
        let body = json!({ "integration_id": integration, "definition": definition });
        let id = text_of(&self.post("/v1/workflows", &body).await?.ok()?, "/id")?;
        self.post(&format!("/v1/workflows/{id}/releases"), &json!({})).await?.ok()?;
        Ok(id)
    }

    /// Another draft of a workflow, and its release.
    pub async fn release_again(&self, workflow: &str, definition: &Value) -> Result<()> {
        let path = format!("/v1/workflows/{workflow}");
        self.put(&path, &json!({ "definition": definition })).await?.ok()?;
        self.post(&format!("{path}/releases"), &json!({})).await?.ok().map(drop)
    }

    /// `PUT /v1/connectors/{app}/versions`, whatever the answer; needs an operator's key.
    pub async fn push_connector(&self, app: &str, component: Vec<u8>) -> Result<Answer> {
        self.send(Method::PUT, &format!("/v1/connectors/{app}/versions"), Some(component)).await
    }

    /// `POST /v1/connectors/{app}/rollback`, whatever the answer; needs an operator's key.
    pub async fn roll_back(&self, app: &str) -> Result<Answer> {
        self.post(&format!("/v1/connectors/{app}/rollback"), &json!({})).await
    }

    /// The digest of an app's active connector.
    pub async fn active_digest(&self, app: &str) -> Result<String> {
        let listed = self.get("/v1/connectors").await?.ok()?;
        let of_app = |row: &&Value| row.get("app").and_then(Value::as_str) == Some(app);
        let rows = rows(&listed);
        let row = rows.iter().find(of_app).with_context(|| format!("no connector of `{app}`: {listed}"))?;
        text_of(row, "/digest")
    }

    /// `PUT /v1/streams/{name}`: the signing secret.
    pub async fn put_stream(&self, name: &str, url: &str) -> Result<String> {
        text_of(&self.put(&format!("/v1/streams/{name}"), &json!({ "url": url })).await?.ok()?, "/secret")
    }

    /// Runs of a workflow and user, newest first.
    pub async fn runs(&self, workflow: &str, user: &str) -> Result<Vec<RunView>> {
        let path = format!("/v1/runs?workflow_id={workflow}&user_id={user}&limit=100");
        Ok(rows(&self.get(&path).await?.ok()?).into_iter().map(RunView).collect())
    }

    /// One run with its steps and log.
    pub async fn run(&self, id: &str) -> Result<RunView> {
        Ok(RunView(self.get(&format!("/v1/runs/{id}")).await?.ok()?))
    }

    /// Waits until every run of a workflow and user is over, and there are `count`; gives them with all
    /// their steps.
    pub async fn runs_ended(&self, workflow: &str, user: &str, count: usize) -> Result<Vec<RunView>> {
        let what = format!("{count} ended runs of workflow {workflow}");
        let ended = wait::until(&what, || async {
            let runs = self.runs(workflow, user).await.ok()?;
            (runs.len() >= count && runs.iter().all(RunView::ended)).then_some(runs)
        });
        let mut runs = Vec::new();
        for run in ended.await? {
            runs.push(self.run(run.id()).await?);
        }
        Ok(runs)
    }

    /// `GET /workflows/{id}/errors`.
    pub async fn errors(&self, workflow: &str, user: &str) -> Result<Vec<Value>> {
        Ok(rows(&self.get(&format!("/2023-12/workflows/{workflow}/errors?userId={user}")).await?.ok()?))
    }

    /// `GET /workflows/{id}/logs`.
    pub async fn logs(&self, workflow: &str, user: &str) -> Result<Vec<Value>> {
        Ok(rows(&self.get(&format!("/2023-12/workflows/{workflow}/logs?userId={user}")).await?.ok()?))
    }
}

/// The rows of a listing.
fn rows(body: &Value) -> Vec<Value> {
    body.get("data").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn text_of(body: &Value, pointer: &str) -> Result<String> {
    let text = body.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("no text at `{pointer}` of {body}"))
}
