//! Alloy's endpoints as its documents and its own clients have them, over a real host: each answer by value.

mod credentials;
mod erasing;
mod links;
mod logs;
mod node_client;
mod python_client;
mod users;
mod workflows;

use serde_json::{Value, json};
use trunnion_tests::{node::Script, scenario::Scenario};

const CLIENT: &str = "acmeco-app";

/// A BigCommerce app's registration, so that users can connect by consent.
async fn register(scenario: &Scenario) {
    let registration = json!({ "client_id": CLIENT, "client_secret": "cnry-app-secret-5d1e" });
    scenario.client.put("/v1/apps/bigcommerce/oauth-client", &registration).await.unwrap().ok().unwrap();
}

/// A workflow that requests start, which keeps what it was sent.
fn asked() -> Value {
    json!({
        "name": "Asked",
        "trigger": { "type": "request" },
        "steps": [{ "id": "keep", "type": "set", "value": "{{ trigger.body }}" }],
    })
}

/// An official client in a process of its own, and the methods of it that were called.
struct Official {
    script: Script,
    called: Vec<String>,
}

impl Official {
    fn new(script: Script) -> Self {
        Self { script, called: Vec::new() }
    }

    async fn ask(&mut self, name: String, question: &Value) -> Value {
        self.called.push(name);
        self.script.ask(question).await.unwrap()
    }

    /// Fails unless every one of these was called.
    fn has_called(&self, methods: impl IntoIterator<Item = String>) {
        let missed: Vec<_> = methods.into_iter().filter(|method| !self.called.contains(method)).collect();
        assert!(missed.is_empty(), "not called: {missed:?}");
    }
}
