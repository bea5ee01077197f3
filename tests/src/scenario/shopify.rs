//! The second app, set up: AcmeCo, a marketplace, offers Shopify to its customers.
//!
//! Two workflows: an order placed at AcmeCo becomes an order at the shop; an order created at the shop reaches
//! AcmeCo, with the same stream as BigCommerce's.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::{STREAM, stream};
use crate::{
    component,
    host::{Answer, Client, HostOptions, TestHost},
    isv::Isv,
    shopify::Shopify,
};

/// The custom event of the first workflow.
pub const ORDER_PLACED: &str = "Order Placed";

/// AcmeCo, its host and the vendor, running.
#[derive(Debug)]
pub struct ShopifyScenario {
    /// The vendor.
    pub shopify: Shopify,
    /// AcmeCo's receiver.
    pub isv: Isv,
    /// The host.
    pub host: TestHost,
    /// AcmeCo's client of the host.
    pub client: Client,
    /// What AcmeCo made in the host.
    pub catalogue: ShopCatalogue,
}

/// What AcmeCo made in the host.
#[derive(Clone, Debug)]
pub struct ShopCatalogue {
    /// The integration around Shopify.
    pub integration: String,
    /// The workflow "Shop order created".
    pub order_created: String,
    /// The workflow "Order placed".
    pub order_placed: String,
}

/// A customer of AcmeCo with a connected shop.
#[derive(Clone, Debug)]
pub struct Shopkeeper {
    /// AcmeCo's name for it.
    pub username: String,
    /// Its id in the host.
    pub user: String,
    /// The NAME of its `NAME.myshopify.com`.
    pub shop: String,
    /// Its app's token.
    pub token: String,
    /// Its app's secret.
    pub client_secret: String,
    /// Its credential's id.
    pub credential: String,
}

/// Workflow 1: an order placed at AcmeCo is created at the shop.
#[must_use]
pub fn order_placed() -> Value {
    json!({
        "name": "Order placed",
        "trigger": { "type": "event", "event": ORDER_PLACED },
        "steps": [{
            "id": "create",
            "type": "action",
            "app": "shopify",
            "action": "create_order",
            "input": {
                "email": "{{ trigger.email }}",
                "phone": "{{ trigger.phone }}",
                "currency": "EUR",
                "note": "AcmeCo order {{ trigger.number }}",
                "line_items": "{{ trigger.items }}",
            },
        }],
    })
}

/// Workflow 2: an order created at the shop is streamed to AcmeCo.
#[must_use]
pub fn order_created() -> Value {
    json!({
        "name": "Shop order created",
        "trigger": { "type": "app", "app": "shopify", "trigger": "order_created" },
        "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" }],
    })
}

/// An order as AcmeCo has it.
#[must_use]
pub fn placed(number: &str) -> Value {
    json!({
        "number": number,
        "email": "wilhelmina.q@example.net",
        "phone": "+351210000123",
        "items": [
            { "title": "Mug \"Harbour\"", "sku": "MUG-1", "quantity": 2,
              "price": { "amount": "12.50", "currency": "EUR" } },
            { "title": "Lamp", "sku": "LAMP-7", "quantity": 1,
              "price": { "amount": "54.84", "currency": "EUR" } },
        ],
    })
}

/// Makes event, integration and both released workflows; the stream is there already.
pub async fn set_up(client: &Client) -> Result<ShopCatalogue> {
    client.define_event(ORDER_PLACED, "Somebody has ordered at AcmeCo.", &placed("A-1")).await?;
    let integration = client.create_integration("shopify").await?;
    let order_created = client.release_workflow(&integration, &order_created()).await?;
    let order_placed = client.release_workflow(&integration, &order_placed()).await?;
    Ok(ShopCatalogue { integration, order_created, order_placed })
}

/// A customer: user, shop, credential, both workflows installed.
pub async fn welcome(
    client: &Client,
    shopify: &Shopify,
    catalogue: &ShopCatalogue,
    name: &str,
) -> Result<Shopkeeper> {
    let user = client.create_user(name, &format!("Shopkeeper {name}")).await?;
    connect(client, shopify, catalogue, name, user).await
}

/// As `welcome`, for somebody who is a user already.
pub async fn connect(
    client: &Client,
    shopify: &Shopify,
    catalogue: &ShopCatalogue,
    name: &str,
    user: String,
) -> Result<Shopkeeper> {
    let shop = format!("shop-{name}");
    let token = format!("shpat_canary-{name}-2d84b067f3a9c51e");
    let client_secret = format!("shpss_canary-{name}-c51e2d84b067f3a9");
    shopify.add_shop(&shop, &token, &client_secret);
    let data = json!({ "shop": shop, "access_token": token, "client_secret": client_secret });
    let credential = client.create_credential(&user, "shopify", &data).await?;
    client.install(&user, &catalogue.integration, &credential, &[]).await?;
    Ok(Shopkeeper { username: name.to_owned(), user, shop, token, client_secret, credential })
}

/// AcmeCo says that somebody ordered: what the host answered.
pub async fn place(client: &Client, shopkeeper: &Shopkeeper, order: &Value) -> Result<Answer> {
    client.run_event(ORDER_PLACED, &shopkeeper.user, order).await
}

/// Where the vendor's traffic goes.
#[must_use]
pub fn rewrite(shopify: &Shopify) -> String {
    format!("*.myshopify.com={}", shopify.base_url())
}

impl ShopifyScenario {
    /// Everything running, without customers yet.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// As `start`, with host options changed.
    pub async fn start_with(change: impl FnOnce(&mut HostOptions)) -> Result<Self> {
        let components: Vec<PathBuf> = vec![component::shopify().await?];
        let shopify = Shopify::start().await?;
        let isv = Isv::start().await?;
        let rewrites = vec![rewrite(&shopify)];
        let mut options = HostOptions { rewrites, components, ..HostOptions::default() };
        change(&mut options);
        let host = TestHost::start(options).await?;
        shopify.route(host.public_url(), host.base_url());
        let client = host.client()?;
        stream(&client, &isv).await?;
        let catalogue = set_up(&client).await?;
        Ok(Self { shopify, isv, host, client, catalogue })
    }

    /// A customer with both workflows installed.
    pub async fn shopkeeper(&self, name: &str) -> Result<Shopkeeper> {
        welcome(&self.client, &self.shopify, &self.catalogue, name).await
    }

    /// AcmeCo says that somebody ordered: what the host answered.
    pub async fn place(&self, shopkeeper: &Shopkeeper, number: &str) -> Result<Answer> {
        place(&self.client, shopkeeper, &placed(number)).await
    }

    /// SIGKILL and a new start on the same data.
    pub async fn crash(&mut self) -> Result<()> {
        self.host.kill9().await?;
        self.start_again().await
    }

    /// Starts a stopped host again and lets vendor and client know where it is now.
    pub async fn start_again(&mut self) -> Result<()> {
        self.host.start_again().await?;
        self.shopify.route(self.host.public_url(), self.host.base_url());
        self.client = self.host.client()?;
        Ok(())
    }
}
