//! The modal at work: a person in Chromium, on an ISV's page with a strict policy of its own, against a real host and the
//! vendors' fakes; by the host's own `/embed.js` and by Alloy's package as it is published.
//!
//! Without Chromium these tests say that they are skipped.

mod connections;
mod installing;
mod looks;
mod pages;

use serde_json::{Value, json};
use trunnion_tests::{
    browser::{Browser, Sdk, chromium},
    scenario::Scenario,
};

const CLIENT: &str = "acmeco-app";
const SECRET: &str = "cnry-app-secret-71d0c4be52";
const STORE: &str = "adastore";
const TOKEN: &str = "cnry-store-token-5d1e";
/// The host, as browsers and vendors call it.
const PUBLIC: &str = "trunnion.example";

/// AcmeCo, a customer of it, and the customer's browser.
struct Stage {
    scenario: Scenario,
    browser: Browser,
    /// The customer.
    user: String,
    /// A workflow with fields.
    shipping: String,
}

/// What AcmeCo does when it has shipped an order; the customer says which status that is.
fn shipping(more: &[Value]) -> Value {
    let mut fields = vec![
        json!({ "name": "status", "title": "Status of shipped orders", "help": "Orders get it when they are shipped.",
                "kind": { "type": "number" }, "required": true }),
        json!({ "name": "note", "title": "Note for your staff", "kind": { "type": "text" } }),
    ];
    fields.extend_from_slice(more);
    json!({
        "name": "Ship orders",
        "trigger": { "type": "event", "event": trunnion_tests::scenario::FULFILMENT_EVENT },
        "fields": fields,
        "steps": [{
            "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
            "input": { "order_id": "{{ trigger.orderId }}", "status_id": "{{ config.status }}" },
        }],
    })
}

impl Stage {
    /// Everything running, and the customer's store, which BigCommerce knows the owner of; none without a browser.
    async fn set(test: &str) -> Option<Self> {
        let Some(chromium) = chromium() else {
            println!("SKIPPED {test}: there is no Chromium; install it (Debian: chromium)");
            return None;
        };
        let scenario = Scenario::start().await.unwrap();
        let Scenario { bigcommerce, client, catalogue, host, .. } = &scenario;
        bigcommerce.add_client(CLIENT, SECRET);
        bigcommerce.add_store(STORE, TOKEN);
        bigcommerce.sign_in(STORE);
        let registration = json!({ "client_id": CLIENT, "client_secret": SECRET });
        client.put("/v1/apps/bigcommerce/oauth-client", &registration).await.unwrap().ok().unwrap();
        let shipping = client.release_workflow(&catalogue.integration, &shipping(&[])).await.unwrap();
        let user = client.create_user("ada", "Ada").await.unwrap();
        let web = [
            (PUBLIC, host.base_url()),
            ("app.runalloy.com", host.base_url()),
            ("embedded.runalloy.com", host.base_url()),
            ("login.bigcommerce.com", bigcommerce.base_url()),
        ];
        let browser = Browser::start(&chromium, &web).await.unwrap();
        Some(Self { scenario, browser, user, shipping })
    }

    /// A token for the customer's browser.
    async fn token(&self) -> String {
        self.token_for("").await
    }

    async fn token_for(&self, origins: &str) -> String {
        let path = format!("/2024-03/users/{}/token{origins}", self.user);
        let answer = self.scenario.client.get(&path).await.unwrap().ok().unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Opens the modal on AcmeCo's page.
    async fn open(&mut self, sdk: Sdk, method: &str, params: Value) {
        self.open_with(sdk, method, params, json!({})).await;
    }

    async fn open_with(&mut self, sdk: Sdk, method: &str, params: Value, look: Value) {
        let token = self.token().await;
        self.browser.open(sdk, &token, (method, params), look).await.unwrap();
    }

    fn integration(&self) -> &str {
        &self.scenario.catalogue.integration
    }

    /// The customer's store, connected by its API account.
    async fn connect(&self) -> String {
        let data = json!({ "store_hash": STORE, "access_token": TOKEN });
        self.scenario.client.create_credential(&self.user, "bigcommerce", &data).await.unwrap()
    }

    /// What the customer has installed.
    async fn installed(&self) -> Vec<Value> {
        let path = format!("/v1/installations?user_id={}", self.user);
        let listed = self.scenario.client.get(&path).await.unwrap().ok().unwrap();
        listed["data"].as_array().unwrap().clone()
    }

    async fn see(&mut self, text: &str) {
        self.browser.see(text).await.unwrap();
    }

    async fn click(&mut self, name: &str) {
        self.browser.click(name).await.unwrap();
    }

    async fn fill(&mut self, label: &str, value: &str) {
        self.browser.fill(label, value).await.unwrap();
    }

    async fn look(&mut self, name: &str) {
        self.browser.look(name).await.unwrap();
    }

    async fn act(&mut self, what: &str, how: Value) -> Value {
        self.browser.act(what, &how).await.unwrap()
    }

    /// Chooses the status of shipped orders, which only the store knows.
    async fn pick_status(&mut self, search: &str, choice: &str) -> Value {
        let how = json!({ "label": "Status of shipped orders", "search": search, "choice": choice });
        self.act("pick", how).await
    }

    async fn outcomes(&mut self, count: usize) -> (Value, Vec<Value>) {
        self.browser.outcomes(count).await.unwrap()
    }

    async fn gone(&mut self) -> Value {
        self.act("gone", json!({})).await
    }
}

/// What the page was told, without what others said.
fn told(said: &[Value], origin: &str) -> Vec<Value> {
    assert!(said.iter().all(|message| message["origin"] == origin), "{said:?}");
    said.iter().map(|message| message["data"].clone()).collect()
}
