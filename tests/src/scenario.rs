//! The main job, set up: AcmeCo, a fulfilment tool, offers BigCommerce to its customers.
//!
//! Two workflows: an order created at the store reaches AcmeCo; AcmeCo's fulfilment reaches the order. The
//! second app's two are in `shopify`.

pub mod shopify;

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    bigcommerce::BigCommerce,
    component,
    host::{Client, HostOptions, TestHost},
    isv::Isv,
};

/// The custom event of the second workflow.
pub const FULFILMENT_EVENT: &str = "Fulfillment Updated";
/// The stream of orders.
pub const STREAM: &str = "acmeco-orders";

/// AcmeCo, its host and the vendor, running.
#[derive(Debug)]
pub struct Scenario {
    /// The vendor.
    pub bigcommerce: BigCommerce,
    /// AcmeCo's receiver.
    pub isv: Isv,
    /// The host.
    pub host: TestHost,
    /// AcmeCo's client of the host.
    pub client: Client,
    /// What AcmeCo made in the host.
    pub catalogue: Catalogue,
}

/// What AcmeCo made in the host.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The integration around BigCommerce.
    pub integration: String,
    /// The workflow "Order created".
    pub order_created: String,
    /// The workflow "Fulfilment".
    pub fulfilment: String,
}

/// A customer of AcmeCo with a connected store.
#[derive(Clone, Debug)]
pub struct Merchant {
    /// AcmeCo's name for it.
    pub username: String,
    /// Its id in the host.
    pub user: String,
    /// Its store.
    pub store: String,
    /// Its store's token.
    pub token: String,
    /// Its credential's id.
    pub credential: String,
}

/// Workflow 1: an order created at the store is streamed to AcmeCo.
#[must_use]
pub fn order_created() -> Value {
    json!({
        "name": "Order created",
        "trigger": { "type": "app", "app": "bigcommerce", "trigger": "order_created" },
        "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" }],
    })
}

/// Workflow 2: AcmeCo's fulfilment sets the order's status.
#[must_use]
pub fn fulfilment() -> Value {
    json!({
        "name": "Fulfilment",
        "trigger": { "type": "event", "event": FULFILMENT_EVENT },
        "maps": { "order_status": { "entries": { "FULFILLED": 2 } } },
        "steps": [{
            "id": "update",
            "type": "action",
            "app": "bigcommerce",
            "action": "update_order_status",
            "input": {
                "order_id": "{{ trigger.orderId }}",
                "status_id": { "$map": "order_status", "of": "{{ trigger.status }}" },
            },
        }],
    })
}

/// Makes the stream that both apps' orders take to AcmeCo.
pub async fn stream(client: &Client, isv: &Isv) -> Result<()> {
    let secret = client.put_stream(STREAM, &isv.url("/orders")).await?;
    isv.trust(&secret);
    Ok(())
}

/// Makes event, stream, integration and both released workflows.
pub async fn set_up(client: &Client, isv: &Isv) -> Result<Catalogue> {
    let sample = json!({ "orderId": "123", "status": "FULFILLED" });
    client.define_event(FULFILMENT_EVENT, "AcmeCo has shipped or cancelled an order.", &sample).await?;
    stream(client, isv).await?;
    let integration = client.create_integration("bigcommerce").await?;
    let order_created = client.release_workflow(&integration, &order_created()).await?;
    let fulfilment = client.release_workflow(&integration, &fulfilment()).await?;
    Ok(Catalogue { integration, order_created, fulfilment })
}

/// A customer: user, store, credential, both workflows installed.
pub async fn welcome(
    client: &Client,
    bigcommerce: &BigCommerce,
    catalogue: &Catalogue,
    name: &str,
) -> Result<Merchant> {
    let store = format!("store{name}");
    let token = format!("canary-token-{name}-7f3a9c51e2d84b06");
    bigcommerce.add_store(&store, &token);
    let user = client.create_user(name, &format!("Merchant {name}")).await?;
    let data = json!({ "store_hash": store, "access_token": token });
    let credential = client.create_credential(&user, "bigcommerce", &data).await?;
    client.install(&user, &catalogue.integration, &credential, &[]).await?;
    Ok(Merchant { username: name.to_owned(), user, store, token, credential })
}

/// The host options that send the vendor's traffic to the fake.
#[must_use]
pub fn host_options(bigcommerce: &BigCommerce, component: PathBuf) -> HostOptions {
    HostOptions {
        rewrites: vec![format!("*.bigcommerce.com={}", bigcommerce.base_url())],
        components: vec![component],
        ..HostOptions::default()
    }
}

impl Scenario {
    /// Everything running, without customers yet.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// As `start`, with host options changed.
    pub async fn start_with(change: impl FnOnce(&mut HostOptions)) -> Result<Self> {
        let component = component::bigcommerce().await?;
        let bigcommerce = BigCommerce::start().await?;
        let isv = Isv::start().await?;
        let mut options = host_options(&bigcommerce, component);
        change(&mut options);
        let host = TestHost::start(options).await?;
        bigcommerce.route(host.public_url(), host.base_url());
        let client = host.client()?;
        let catalogue = set_up(&client, &isv).await?;
        Ok(Self { bigcommerce, isv, host, client, catalogue })
    }

    /// A customer with both workflows installed.
    pub async fn merchant(&self, name: &str) -> Result<Merchant> {
        welcome(&self.client, &self.bigcommerce, &self.catalogue, name).await
    }

    /// AcmeCo says that it fulfilled an order: what the host answered.
    pub async fn fulfil(&self, merchant: &Merchant, order: u64, status: &str) -> Result<crate::host::Answer> {
        let data = json!({ "orderId": order.to_string(), "status": status });
        self.client.run_event(FULFILMENT_EVENT, &merchant.user, &data).await
    }

    /// SIGKILL and a new start on the same data.
    pub async fn crash(&mut self) -> Result<()> {
        self.host.kill9().await?;
        self.start_again().await
    }

    /// Starts a stopped host again and lets vendor and client know where it is now.
    pub async fn start_again(&mut self) -> Result<()> {
        self.host.start_again().await?;
        self.bigcommerce.route(self.host.public_url(), self.host.base_url());
        self.client = self.host.client()?;
        Ok(())
    }
}
