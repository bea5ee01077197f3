//! Fires Shopify's workflows, follows them from hop to hop, verifies and prints what it finds.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use trunnion_tests::{
    scenario::shopify::{ORDER_PLACED, Shopkeeper, place, placed},
    shopify::Shopify,
};

use super::World;
use crate::{
    quickstart::hops::succeeded,
    report::{Elapsed, fact},
};

/// A shopper orders at the shop: delivery, run, signed stream.
pub(super) async fn order_created(world: &World, shopkeeper: &Shopkeeper) -> Result<()> {
    let World { scenario, shopify, shops, .. } = world;
    println!("\n   {}: a shopper orders at {}.myshopify.com", shopkeeper.username, shopkeeper.shop);
    let clock = Elapsed::start();
    let order = shopify.create_order(&shopkeeper.shop)?;
    let delivery = shopify.delivered(order).await?;
    let status = delivery.attempts.last().and_then(|attempt| attempt.status).unwrap_or_default();
    fact(
        "delivery",
        format!("{} of {} answered {status} after {} ms", delivery.id, delivery.topic, clock.millis()),
    );
    fact(
        "signature",
        format!("HMAC of the body with the app's secret: {}", delivery.header("X-Shopify-Hmac-SHA256")),
    );

    let post = scenario.isv.wait_for_order(order).await?;
    let arrived = clock.millis();
    let run = succeeded(&scenario.client, &shops.order_created, &shopkeeper.user).await?;
    fact("run", format!("{} {}", run.id(), run.status()));
    let body = post.json();
    let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    ensure!(member("total_price") == "79.84", "AcmeCo got another order than the shop sent: {body}");
    fact("fields", format!("id {order}, name {}, total {}", member("name"), member("total_price")));
    ensure!(post.signature.is_ok(), "AcmeCo rejects the stream's signature: {:?}", post.signature);
    fact("stream", format!("{} {}, signature verified, after {arrived} ms", post.request.line(), post.key()));
    Ok(())
}

/// Somebody orders at AcmeCo: event, run, the mutation, the order at the shop.
pub(super) async fn order_placed(world: &World, shopkeeper: &Shopkeeper) -> Result<()> {
    let World { scenario, shopify, shops, .. } = world;
    println!("\n   {}: somebody orders at AcmeCo", shopkeeper.username);
    let clock = Elapsed::start();
    let answer = place(&scenario.client, shopkeeper, &placed("A-1001")).await?;
    answer.ok()?;
    fact("event", format!("\"{ORDER_PLACED}\" answered {} after {} ms", answer.status, clock.millis()));
    let run = succeeded(&scenario.client, &shops.order_placed, &shopkeeper.user).await?;
    let took = clock.millis();
    fact("run", format!("{} {}", run.id(), run.status()));
    let calls = shopify.calls(&shopkeeper.shop, "orderCreate");
    let call = calls.last().context("the connector sent no orderCreate")?;
    let key = call.json().pointer("/variables/order/sourceIdentifier").cloned().unwrap_or_default();
    fact("vendor", format!("{} orderCreate answered {}, idempotency key {key}", call.line(), call.status));
    let output =
        run.step("create").and_then(|step| step.get("output")).context("the run shows the output")?;
    let id = output.get("id").and_then(Value::as_str).unwrap_or_default();
    let orders = shopify.orders(&shopkeeper.shop);
    let order =
        orders.iter().find(|order| order.gid() == id).context("the shop has the order of the output")?;
    ensure!(
        order.email.as_deref() == Some("wilhelmina.q@example.net"),
        "the order's e-mail is {:?}",
        order.email
    );
    ensure!(order.lines.len() == 2, "the order has {} lines", order.lines.len());
    fact("order", format!("{} ({id}) with {} lines, after {took} ms", order.name(), order.lines.len()));
    Ok(())
}

/// What one customer did touched no other's shop: each request carried its own shop's token.
pub(super) fn nobody_else(world: &World) -> Result<()> {
    for request in world.shopify.requests() {
        let shop = Shopify::shop_of(&request).unwrap_or_default();
        let mut shopkeepers = world.customers.iter().map(|customer| &customer.shopkeeper);
        let owner = shopkeepers.find(|shopkeeper| shopkeeper.shop == shop);
        let owner = owner.with_context(|| format!("`{shop}` is nobody's shop"))?;
        let token = request.header("x-shopify-access-token");
        ensure!(token == owner.token, "a request to {shop} carried another shop's token");
    }
    Ok(())
}
