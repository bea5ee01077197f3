//! The work of `webhook`: a shop's orders, delivered and signed as Shopify does it, streamed on to the software
//! vendor by a workflow.

use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};
use trunnion_core::records::Signature;

use super::{component::SHOPIFY, host::Host, load::Requests, reference::Direct, shop, vendor::Vendor};
use crate::client::Client;

const SHOP: &str = "bench";
const CLIENT_SECRET: &str = "shpss_of-the-bench";
const DESTINATION: &str = "orders";

/// The deliveries of one shop.
pub(super) struct Deliveries {
    url: String,
    signing: hmac::Key,
    /// What stands around an order's number.
    order: (String, String),
}

impl std::fmt::Debug for Deliveries {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliveries").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Deliveries {
    /// Sets everything up in the host: destination, workflow, and a merchant whose shop delivers.
    pub(super) async fn open(host: &Host, vendor: &Vendor) -> Result<Arc<Self>> {
        let client = host.vendor_client()?;
        stream_to(&client, &format!("{}/stream", vendor.url()), Signature::Standard).await?;
        let integration = shop::release(&client, SHOPIFY.app, &definition()).await?;
        let credential =
            json!({ "shop": SHOP, "access_token": "shpat_of-the-bench", "client_secret": CLIENT_SECRET });
        shop::install(&client, &integration, "merchant", (SHOPIFY.app, credential)).await?;
        let hook = url::Url::parse(vendor.hook()?).context("the registered webhook is no URL")?;
        let order = order().to_string();
        let (before, after) = order.split_once("{number}").context("the order has a number")?;
        Ok(Arc::new(Self {
            url: format!("{}{}", host.base(), hook.path()),
            signing: hmac::Key::new(hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes()),
            order: (before.trim_end_matches('"').to_owned(), after.trim_start_matches('"').to_owned()),
        }))
    }

    fn body(&self, number: u64) -> String {
        let (before, after) = &self.order;
        format!("{before}{number}{after}")
    }
}

impl Requests for Deliveries {
    fn request(&self, http: &reqwest::Client, number: u64) -> RequestBuilder {
        let body = self.body(number);
        let signature = BASE64_STANDARD.encode(hmac::sign(&self.signing, body.as_bytes()));
        http.post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Shopify-Topic", "orders/create")
            .header("X-Shopify-Shop-Domain", format!("{SHOP}.myshopify.com"))
            .header("X-Shopify-Webhook-Id", format!("b54557e4-7b1d-4d5e-8c7a-{number:012x}"))
            .header("X-Shopify-Hmac-Sha256", signature)
            .body(body)
    }
}

impl Direct for Deliveries {
    fn direct(&self, http: &reqwest::Client, base: &str, number: u64) -> RequestBuilder {
        let request = http.post(format!("{base}/stream")).header(CONTENT_TYPE, "application/json");
        request.body(self.body(number))
    }
}

/// Has the orders streamed to `url`, signed so.
pub(super) async fn stream_to(client: &Client, url: &str, signature: Signature) -> Result<()> {
    let destination = json!({ "url": url, "signatures": [signature] });
    client.put(&format!("/v1/streams/{DESTINATION}"), &destination).await?;
    Ok(())
}

fn definition() -> Value {
    json!({
        "name": "Orders",
        "trigger": { "type": "app", "app": SHOPIFY.app, "trigger": "order_created" },
        "steps": [{
            "id": "send",
            "type": "stream",
            "destination": DESTINATION,
            "body": { "number": "{{ trigger.id }}", "order": "{{ trigger }}" },
        }],
    })
}

/// An order as Shopify delivers it, shortened to what shops fill in most: 1.5 KB.
fn order() -> Value {
    let address = json!({
        "first_name": "Ann", "last_name": "Example", "address1": "Torstr. 1", "address2": null, "phone": "+4930123456",
        "city": "Berlin", "zip": "10115", "province": null, "country": "Germany", "country_code": "DE", "company": null,
    });
    let line = |number: u32, title: &str| {
        json!({
            "id": 466_157_049 + number, "title": title, "sku": format!("SKU-{number}"), "quantity": 2, "price": "12.50",
            "product_id": 632_910_392, "variant_id": 39_072_856, "fulfillment_status": null, "taxable": true, "grams": 200,
        })
    };
    json!({
        "id": "{number}", "admin_graphql_api_id": "gid://shopify/Order/820982911946154508", "name": "#1001",
        "order_number": 1001, "created_at": "2026-11-22T09:30:00+01:00", "updated_at": "2026-11-22T09:30:00+01:00",
        "email": "ann@example.com", "phone": null, "currency": "EUR", "total_price": "62.50", "subtotal_price": "62.50",
        "total_tax": "9.98", "financial_status": "paid", "fulfillment_status": null, "note": null, "tags": "", "test": false,
        "source_name": "web", "customer": { "id": 115_310_627, "email": "ann@example.com", "first_name": "Ann" },
        "billing_address": address, "shipping_address": address,
        "line_items": [line(1, "Mug \"Harbour\""), line(2, "Lamp")],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_bears_its_number_and_is_about_as_long_as_said() {
        let text = order().to_string();
        assert!((1_300..1_900).contains(&text.len()), "{}", text.len());
        assert!(text.contains(r#""id":"{number}","#));
    }
}
