//! Tokens: how people and services are connected, and that a token that ends costs nobody a run.

mod connecting;
mod own;
mod renewing;
mod secrecy;

use serde_json::{Value, json};
use trunnion_tests::{
    component,
    host::{Client, HostOptions, TestHost},
    issuer::{Issuer, sent_to},
};

const CLIENT: &str = "acmeco-client";
const CLIENT_SECRET: &str = "cnry-client-secret-%/+\"91f4c8d20b7a";
const EVENT: &str = "something to say";

/// A host with the guest `tokens`, its vendor, and a user.
struct Setting {
    issuer: Issuer,
    host: TestHost,
    client: Client,
    user: String,
    workflow: String,
    integration: String,
}

impl Setting {
    async fn start() -> Self {
        Self::start_with("").await
    }

    async fn start_with(config: &str) -> Self {
        let issuer = Issuer::start().await.unwrap();
        issuer.add_client(CLIENT, CLIENT_SECRET);
        let dir = tempfile::tempdir().unwrap().keep();
        let file = dir.join("trunnion.toml");
        std::fs::write(&file, config).unwrap();
        let options = HostOptions {
            rewrites: vec![format!("*.tokens.example={}", issuer.base_url())],
            components: vec![component::guest("tokens").await.unwrap()],
            arguments: vec!["--config".to_owned(), file.to_str().unwrap().to_owned()],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let client = host.client().unwrap();
        let user = client.create_user("ada", "Ada").await.unwrap();
        let registration = json!({ "client_id": CLIENT, "client_secret": CLIENT_SECRET });
        client.put("/v1/apps/tokens/oauth-client", &registration).await.unwrap().ok().unwrap();
        client.define_event(EVENT, "Says it.", &json!({ "text": "hello" })).await.unwrap();
        let integration = client.create_integration("tokens").await.unwrap();
        let definition = json!({
            "name": "say it",
            "trigger": { "type": "event", "event": EVENT },
            "steps": [{
                "id": "say", "type": "action", "app": "tokens", "action": "say",
                "input": { "text": "{{ trigger.text }}" },
            }],
        });
        let workflow = client.release_workflow(&integration, &definition).await.unwrap();
        Self { issuer, host, client, user, workflow, integration }
    }

    /// Where the user consents.
    async fn consent_url(&self, more: &str) -> String {
        let path = format!("/2024-03/headless/oauthUrl?userId={}&app=tokens&shop=ada{more}", self.user);
        let answer = self.client.get(&path).await.unwrap().ok().unwrap();
        assert_eq!(answer["oauthUrl"], answer["data"]["oauthUrl"]);
        answer["oauthUrl"].as_str().unwrap().to_owned()
    }

    /// Connects the user by consent: the credential's id.
    async fn connect(&self) -> String {
        let url = self.consent_url("&redirectUrl=https://acmeco.example/done?step=2").await;
        let to = sent_to(self.issuer.connect(&self.host, &url).await.unwrap()).await.unwrap();
        assert!(to.as_str().starts_with("https://acmeco.example/done?step=2&success=true&"), "{to}");
        to.query_pairs().find(|(name, _)| name == "credentialId").unwrap().1.into_owned()
    }

    /// Connects the user by values.
    async fn give(&self, mut data: Value) -> String {
        data["shop"] = json!("ada");
        data["portal"] = json!("1");
        self.client.create_credential(&self.user, "tokens", &data).await.unwrap()
    }

    async fn install(&self) {
        let start = json!({
            "userId": self.user, "integrationId": self.integration, "workflowIds": [self.workflow]
        });
        let started =
            self.client.post("/2023-12/headless/startInstallation", &start).await.unwrap().ok().unwrap();
        let complete = json!({ "installationId": started["installationId"], "data": [] });
        self.client.post("/2023-12/headless/completeInstallation", &complete).await.unwrap().ok().unwrap();
    }

    async fn say(&self, text: &str) {
        self.client.run_event(EVENT, &self.user, &json!({ "text": text })).await.unwrap().ok().unwrap();
    }

    /// The user's only connection, as it is shown.
    async fn connection(&self) -> Value {
        let path = format!("/v1/users/{}/connections", self.user);
        let shown = self.client.get(&path).await.unwrap().ok().unwrap();
        assert_eq!(shown["data"].as_array().unwrap().len(), 1, "{shown}");
        shown["data"][0].clone()
    }
}
