//! The work of the scenarios: custom event → `update_order_status` at the vendor, for two merchants.
//!
//! One merchant carries the load. The other's few events are looked at one by one.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{component::APP, host::Host};
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
        let sample = json!({ "orderId": "1", "status": "FULFILLED" });
        let event = format!("/v1/events/{}", EVENT.replace(' ', "%20"));
        client.put(&event, &json!({ "sample": sample })).await?;
        let integration = client.post("/v1/integrations", &json!({ "app": APP })).await?;
        let integration = member(&integration, "id")?;
        let workflow = json!({ "integration_id": integration, "definition": definition() });
        let workflow = client.post("/v1/workflows", &workflow).await?;
        client.post(&format!("/v1/workflows/{}/releases", member(&workflow, "id")?), &json!({})).await?;
        Ok(Self {
            busy: merchant(&client, integration, "busy").await?,
            quiet: merchant(&client, integration, "quiet").await?,
        })
    }
}

/// The event that `merchant` shipped `order`.
pub(super) fn shipped(merchant: &str, order: u64) -> String {
    json!({ "event": EVENT, "userId": merchant, "data": { "orderId": order.to_string(), "status": "FULFILLED" } })
        .to_string()
}

async fn merchant(client: &Client, integration: &str, name: &str) -> Result<String> {
    let user = client.post("/users", &json!({ "username": name })).await?;
    let user = member(&user, "userId")?;
    let data = json!({ "store_hash": name, "access_token": format!("token-of-{name}") });
    let credential = json!({ "userId": user, "credential": { "type": APP, "data": data } });
    client.post("/headless/credentials", &credential).await?;
    let start = json!({ "userId": user, "integrationId": integration });
    let started = client.post("/headless/startInstallation", &start).await?;
    let complete = json!({ "installationId": member(&started, "installationId")?, "data": [] });
    client.post("/headless/completeInstallation", &complete).await?;
    Ok(user.to_owned())
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

fn member<'a>(answer: &'a Value, name: &str) -> Result<&'a str> {
    answer
        .get(name)
        .and_then(Value::as_str)
        .with_context(|| format!("the host answered without `{name}`: {answer}"))
}
