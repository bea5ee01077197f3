//! The work of most scenarios: custom event → `update_order_status` at the vendor, for two merchants.
//!
//! One merchant carries the load. The other's few events are looked at one by one.

use std::sync::Arc;

use anyhow::{Context, Result};
use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Value, json};

use super::{component::APP, host::Host, load::Requests, reference::Direct};
use crate::client::Client;

const EVENT: &str = "Fulfillment Updated";

/// What is set up in the host.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    /// The merchant that carries the load.
    pub(super) busy: String,
    /// The merchant whose events are looked at one by one.
    pub(super) quiet: String,
}

impl Shop {
    /// Defines event and workflow, and installs them for both merchants.
    pub(super) async fn open(host: &Host) -> Result<Self> {
        let client = host.vendor_client()?;
        let integration = integrate(&client).await?;
        Ok(Self {
            busy: merchant(&client, &integration, "busy").await?,
            quiet: merchant(&client, &integration, "quiet").await?,
        })
    }
}

/// Defines event, integration and workflow; answers the integration.
pub(super) async fn integrate(client: &Client) -> Result<String> {
    let sample = json!({ "orderId": "1", "status": "FULFILLED" });
    let event = format!("/v1/events/{}", EVENT.replace(' ', "%20"));
    client.put(&event, &json!({ "sample": sample })).await?;
    release(client, APP, &definition()).await
}

/// An integration around `app` with one released workflow; answers the integration.
pub(super) async fn release(client: &Client, app: &str, definition: &Value) -> Result<String> {
    let integration = client.post("/v1/integrations", &json!({ "app": app })).await?;
    let integration = member(&integration, "id")?;
    let workflow = json!({ "integration_id": integration, "definition": definition });
    let workflow = client.post("/v1/workflows", &workflow).await?;
    client.post(&format!("/v1/workflows/{}/releases", member(&workflow, "id")?), &json!({})).await?;
    Ok(integration.to_owned())
}

/// A merchant of this name with a store of this name, and the workflow installed; answers the user.
pub(super) async fn merchant(client: &Client, integration: &str, name: &str) -> Result<String> {
    install(client, integration, name, (APP, credential(name))).await
}

/// The credential of the store of this name.
pub(super) fn credential(name: &str) -> Value {
    json!({ "store_hash": name, "access_token": format!("token-of-{name}") })
}

/// A user of this name with a credential for an app, and the integration installed; answers the user.
pub(super) async fn install(
    client: &Client,
    integration: &str,
    name: &str,
    (app, credential): (&str, Value),
) -> Result<String> {
    let user = client.post("/users", &json!({ "username": name })).await?;
    let user = member(&user, "userId")?;
    let credential = json!({ "userId": user, "credential": { "type": app, "data": credential } });
    client.post("/headless/credentials", &credential).await?;
    let start = json!({ "userId": user, "integrationId": integration });
    let started = client.post("/headless/startInstallation", &start).await?;
    let complete = json!({ "installationId": member(&started, "installationId")?, "data": [] });
    client.post("/headless/completeInstallation", &complete).await?;
    Ok(user.to_owned())
}

/// The events that one merchant shipped orders.
#[derive(Debug)]
pub(super) struct Shipped {
    url: String,
    authorization: String,
    merchant: String,
}

impl Shipped {
    /// Of `merchant`, to `host`.
    pub(super) fn new(host: &Host, merchant: &str) -> Result<Arc<Self>> {
        let url = format!("{}/run/event", host.base());
        let authorization = format!("Bearer {}", host.key()?);
        Ok(Arc::new(Self { url, authorization, merchant: merchant.to_owned() }))
    }

    /// The event that it shipped `order`.
    pub(super) fn body(&self, order: u64) -> String {
        let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
        json!({ "event": EVENT, "userId": self.merchant, "data": data }).to_string()
    }
}

impl Requests for Shipped {
    fn request(&self, http: &reqwest::Client, order: u64) -> RequestBuilder {
        let request = http.post(&self.url).header(AUTHORIZATION, &self.authorization);
        request.header(CONTENT_TYPE, "application/json").body(self.body(order))
    }
}

impl Direct for Shipped {
    fn direct(&self, http: &reqwest::Client, base: &str, order: u64) -> RequestBuilder {
        let request = http.put(format!("{base}/stores/direct/v2/orders/{order}"));
        request.header(CONTENT_TYPE, "application/json").body(self.body(order))
    }
}

fn definition() -> Value {
    json!({
        "name": "Fulfilment",
        "trigger": { "type": "event", "event": EVENT },
        "maps": { "order_status": { "entries": { "FULFILLED": 2 } } },
        "steps": [{
            "id": "update",
            "type": "action",
            "app": APP,
            "action": "update_order_status",
            "input": {
                "order_id": "{{ trigger.orderId }}",
                "status_id": { "$map": "order_status", "of": "{{ trigger.status }}" },
            },
        }],
    })
}

/// A text of an answer.
pub(super) fn member<'a>(answer: &'a Value, name: &str) -> Result<&'a str> {
    answer
        .get(name)
        .and_then(Value::as_str)
        .with_context(|| format!("the host answered without `{name}`: {answer}"))
}
