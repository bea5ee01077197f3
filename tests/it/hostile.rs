//! The hostile guest in the real host: what it does ends one call with a clear error, and the host goes on.

use serde_json::{Value, json};
use trunnion_tests::{
    component,
    host::{Client, HostOptions, RunView, TestHost},
    mirror::Mirror,
};

/// A host with the hostile guest, a user connected to it, and one workflow per action, each started by the
/// event of the action's name.
pub(crate) struct Hostile {
    pub(crate) host: TestHost,
    pub(crate) mirror: Mirror,
    pub(crate) client: Client,
    pub(crate) user: String,
    integration: String,
}

impl Hostile {
    pub(crate) async fn start(key: &str) -> Self {
        let component = component::guest("hostile").await.unwrap();
        let mirror = Mirror::start().await.unwrap();
        let options = HostOptions {
            rewrites: vec![format!("api.hostile.example={}", mirror.base_url())],
            components: vec![component],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let client = host.client().unwrap();
        let integration = client.create_integration("hostile").await.unwrap();
        let user = client.create_user("mallory", "Mallory").await.unwrap();
        Self { host, mirror, client, user, integration }.with_credential(key).await
    }

    async fn with_credential(self, key: &str) -> Self {
        let data = json!({ "name": "mallory", "api_key": key });
        self.client.create_credential(&self.user, "hostile", &data).await.unwrap();
        self
    }

    /// Releases and installs a workflow of this action; gives its id.
    pub(crate) async fn workflow(&self, action: &str, input: &Value, sample: &Value) -> String {
        self.client.define_event(action, "For the hostile guest.", sample).await.unwrap();
        let definition = json!({
            "name": action,
            "trigger": { "type": "event", "event": action },
            "steps": [{ "id": "act", "type": "action", "app": "hostile", "action": action, "input": input }],
        });
        let workflow = self.client.release_workflow(&self.integration, &definition).await.unwrap();
        let start =
            json!({ "userId": self.user, "integrationId": self.integration, "workflowIds": [workflow] });
        let started =
            self.client.post("/2023-12/headless/startInstallation", &start).await.unwrap().ok().unwrap();
        let complete = json!({ "installationId": started["installationId"], "data": [] });
        self.client.post("/2023-12/headless/completeInstallation", &complete).await.unwrap().ok().unwrap();
        workflow
    }

    /// Starts one run and waits for its end.
    pub(crate) async fn run(&self, workflow: &str, event: &str, data: &Value, earlier: usize) -> RunView {
        self.client.run_event(event, &self.user, data).await.unwrap().ok().unwrap();
        let runs = self.client.runs_ended(workflow, &self.user, earlier + 1).await.unwrap();
        runs.into_iter().next().unwrap()
    }
}

/// The error of the only step.
pub(crate) fn error_of(run: &RunView) -> &Value {
    &run.step("act").expect("the run shows its step")["error"]
}

#[tokio::test]
async fn a_guest_that_never_ends_hoards_or_breaks_ends_one_call() {
    let hostile = Hostile::start("any-key").await;
    let sample = json!({ "go": true });
    for (action, phrase) in [("spin", "CPU"), ("hoard", "memory"), ("broken", "broke on purpose")] {
        let workflow = hostile.workflow(action, &json!({}), &sample).await;
        hostile.client.run_event(action, &hostile.user, &sample).await.unwrap().ok().unwrap();
        // A trap is tried again, for about an hour; the run's page tells why in the meantime.
        let what = format!("`{action}` to be stopped");
        let told = trunnion_tests::wait::until(&what, || async {
            let runs = hostile.client.runs(&workflow, &hostile.user).await.ok()?;
            let run = hostile.client.run(runs.first()?.id()).await.ok()?;
            run.text().to_lowercase().contains(&phrase.to_lowercase()).then_some(run)
        });
        let run = told.await.unwrap();
        assert!(run.0["digests"]["hostile"].is_string(), "the run names the connector: {}", run.text());
        let id = run.id().to_owned();
        hostile.client.post(&format!("/v1/runs/{id}/cancel"), &json!({})).await.unwrap().ok().unwrap();
        let ended = hostile.client.runs_ended(&workflow, &hostile.user, 1).await.unwrap();
        assert_eq!(ended[0].status(), "cancelled", "cancel is terminal: {}", ended[0].text());
    }
    assert_eq!(hostile.client.get("/healthz").await.unwrap().status, 200);
}
