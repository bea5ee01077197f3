//! The setting: AcmeCo with a workflow of every kind, two vendors, and customers that have it all.

use anyhow::Result;
use serde_json::{Value, json};
use trunnion_core::clock::Timestamp;

use super::{
    load::{ACTION, DELAYED, EVENT, LOOP, REQUEST},
    verdict::RECORD,
};
use crate::{
    component,
    eventual::Eventual,
    host::Client,
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

/// Customers, each with every kind of workflow.
pub(super) const CUSTOMERS: usize = 5;

/// The app that is polled.
const POLLER: &str = "poller";

/// Everything that the torture is about.
pub(super) struct Setting {
    pub(super) scenario: Scenario,
    /// The vendor that is polled.
    pub(super) listing: Eventual,
    pub(super) customers: Vec<Customer>,
}

/// A customer; the account at the vendor that is polled is called as it is.
pub(super) struct Customer {
    pub(super) merchant: Merchant,
    /// From when on its schedule ticks.
    pub(super) ticks_from: Timestamp,
    /// The path that its requests take.
    pub(super) entrance: String,
}

impl Setting {
    /// Everything running.
    pub(super) async fn start(seed: u64) -> Result<Self> {
        let listing = Eventual::start(seed).await?;
        let poller = component::guest(POLLER).await?;
        let rewrite = format!("api.poller.example={}", listing.base_url());
        let scenario = Scenario::start_with(|options| {
            options.rewrites.push(rewrite);
            options.components.push(poller);
        })
        .await?;
        scenario.bigcommerce.pause_deliveries(true);
        let mut setting = Self { scenario, listing, customers: Vec::new() };
        setting.keep_time();
        let client = &setting.scenario.client;
        let request = set_up(client, &setting.scenario.catalogue.integration).await?;
        let polled = client.create_integration(POLLER).await?;
        client.release_workflow(&polled, &records()).await?;
        for number in 0..CUSTOMERS {
            let customer = setting.customer(&format!("customer{number}"), &request, &polled).await?;
            setting.customers.push(customer);
        }
        Ok(setting)
    }

    /// Lets the vendors' clocks show the present.
    pub(super) fn keep_time(&self) {
        let now = wait::wall_clock();
        self.scenario.bigcommerce.advance(now.since(self.scenario.bigcommerce.now()));
        self.listing.advance(now.since(self.listing.now()));
    }

    async fn customer(&self, name: &str, request: &str, polled: &str) -> Result<Customer> {
        let client = &self.scenario.client;
        let merchant = self.scenario.merchant(name).await?;
        let ticks_from = wait::wall_clock();
        let (url, _) = client.entrance(&merchant.user, request).await?;
        let entrance = url.trim_start_matches(self.scenario.host.public_url()).to_owned();
        let key = format!("canary-key-{name}-0c5be1f7a9");
        self.listing.add_account(name, &key);
        let credential = client.create_credential(&merchant.user, POLLER, &json!({ "api_key": key })).await?;
        client.install(&merchant.user, polled, &credential, &[]).await?;
        Ok(Customer { merchant, ticks_from, entrance })
    }
}

fn told(id: &str, body: &Value) -> Value {
    json!({ "id": id, "type": "stream", "destination": STREAM, "body": body })
}

/// Events and workflows of every kind beside AcmeCo's own two; answers the one that requests start.
async fn set_up(client: &Client, integration: &str) -> Result<String> {
    let said = |kind: &str| json!({ "kind": kind, "number": "{{ trigger.number }}" });
    let sample = json!({ "number": 1, "order": 1, "items": [1] });
    let item = json!({ "kind": "item", "number": "{{ trigger.number }}", "item": "{{ item }}" });
    let workflows = [
        (EVENT, json!([told("send", &said("event"))])),
        (
            DELAYED,
            json!([{ "id": "pause", "type": "delay", "seconds": 0.7 }, told("send", &said("delayed"))]),
        ),
        (
            LOOP,
            json!([
                { "id": "each", "type": "for_each", "items": "{{ trigger.items }}", "concurrency": 2,
                  "steps": [told("one", &item)] },
                told("send", &said("loop")),
            ]),
        ),
        (
            ACTION,
            json!([
                { "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
                  "input": { "order_id": "{{ trigger.order }}", "status_id": 2 } },
                told("send", &said("action")),
            ]),
        ),
    ];
    for (event, steps) in workflows {
        client.define_event(event, "", &sample).await?;
        let definition =
            json!({ "name": event, "trigger": { "type": "event", "event": event }, "steps": steps });
        client.release_workflow(integration, &definition).await?;
    }
    let tick = json!({
        "kind": "tick", "user": "{{ user.username }}", "at": "{{ trigger.scheduled_at }}",
        "count": "{{ trigger.count }}",
    });
    let every_minute = json!({
        "name": "Every minute", "trigger": { "type": "schedule", "every": "1m", "missed": "catch_up" },
        "steps": [told("send", &tick)],
    });
    client.release_workflow(integration, &every_minute).await?;
    let answered = json!({ "number": "{{ trigger.body.number }}" });
    let asked = json!({ "kind": REQUEST, "number": "{{ trigger.body.number }}" });
    let request = json!({
        "name": "Asked", "trigger": { "type": "request" },
        "steps": [{ "id": "answer", "type": "respond", "body": answered }, told("send", &asked)],
    });
    client.release_workflow(integration, &request).await
}

/// Every record that changes at the vendor that is polled is streamed.
fn records() -> Value {
    let record = json!({
        "kind": RECORD, "user": "{{ user.username }}", "item": "{{ trigger.id }}",
        "version": "{{ trigger.version }}",
    });
    json!({
        "name": "Records", "trigger": { "type": "app", "app": POLLER, "trigger": "item_soon", "every": "2s" },
        "steps": [told("send", &record)],
    })
}
