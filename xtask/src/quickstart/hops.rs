//! Fires BigCommerce's workflows, follows them from hop to hop, verifies and prints what it finds.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use trunnion_tests::{
    host::{Client, RunView},
    record::Recorded,
    scenario::{FULFILMENT_EVENT, Merchant, Scenario},
};

use crate::report::{Elapsed, fact};

/// A shopper orders: delivery, run, enriched order, signed stream. Gives the order.
pub(crate) async fn order_created(scenario: &Scenario, merchant: &Merchant) -> Result<u64> {
    println!("\n   {}: a shopper orders at {}", merchant.username, merchant.store);
    let clock = Elapsed::start();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11)?;
    let delivery = scenario.bigcommerce.delivered(order, "store/order/created").await?;
    let status = delivery.attempts.last().and_then(|attempt| attempt.status).unwrap_or_default();
    fact(
        "delivery",
        format!("{} about order {order} answered {status} after {} ms", delivery.id, clock.millis()),
    );

    let post = scenario.isv.wait_for_order(order).await?;
    let arrived = clock.millis();
    let run = succeeded(&scenario.client, &scenario.catalogue.order_created, &merchant.user).await?;
    fact("run", format!("{} {}", run.id(), run.status()));
    let fetched = vendor_call(scenario, "GET", &merchant.store, order)?;
    fact("vendor", format!("{} answered {}", fetched.line(), fetched.status));
    let body = post.json();
    let total = body.get("total_inc_tax").and_then(Value::as_str).unwrap_or_default();
    fact("fields", format!("id {order}, status {}, total {total}", text(&body, "status")));
    ensure!(post.signature.is_ok(), "AcmeCo rejects the stream's signature: {:?}", post.signature);
    fact("stream", format!("{} {}, signature verified, after {arrived} ms", post.request.line(), post.key()));
    Ok(order)
}

/// AcmeCo fulfils: event, run, mapped fields, the vendor's answer.
pub(crate) async fn fulfilled(scenario: &Scenario, merchant: &Merchant, order: u64) -> Result<()> {
    println!("\n   {}: AcmeCo has fulfilled order {order}", merchant.username);
    let clock = Elapsed::start();
    let answer = scenario.fulfil(merchant, order, "FULFILLED").await?;
    answer.ok()?;
    fact("event", format!("\"{FULFILMENT_EVENT}\" answered {} after {} ms", answer.status, clock.millis()));
    let run = succeeded(&scenario.client, &scenario.catalogue.fulfilment, &merchant.user).await?;
    let took = clock.millis();
    fact("run", format!("{} {}", run.id(), run.status()));
    let input =
        run.step("update").and_then(|step| step.get("input")).context("the run shows the step's input")?;
    fact("mapped", format!("FULFILLED → {input}"));
    let put = vendor_call(scenario, "PUT", &merchant.store, order)?;
    ensure!(put.json().get("status_id") == Some(&Value::from(2)), "the vendor was sent {}", put.json());
    fact("vendor", format!("{} {} answered {}", put.line(), put.json(), put.status));
    let status = scenario.bigcommerce.status_of(&merchant.store, order);
    ensure!(status == Some(2), "order {order} of {} has status {status:?}", merchant.store);
    fact("order", format!("{order} is now Shipped, after {took} ms"));
    Ok(())
}

/// What one customer did touched no other's store: each request carried its own store's token.
pub(crate) fn nobody_else<'a>(
    scenario: &Scenario,
    merchants: impl Iterator<Item = &'a Merchant> + Clone,
) -> Result<()> {
    for request in scenario.bigcommerce.requests() {
        let path = request.uri.path();
        let owner = merchants.clone().find(|merchant| path.contains(&format!("/{}/", merchant.store)));
        let owner = owner.with_context(|| format!("{} is nobody's store", request.line()))?;
        ensure!(
            request.header("x-auth-token") == owner.token,
            "{} carried another store's token",
            request.line()
        );
    }
    Ok(())
}

/// The newest run of a workflow and user, which must have succeeded.
pub(crate) async fn succeeded(client: &Client, workflow: &str, user: &str) -> Result<RunView> {
    let runs = client.runs_ended(workflow, user, 1).await?;
    let run = runs.into_iter().next().context("a run has ended")?;
    ensure!(run.status() == "succeeded", "run {} is `{}`: {}", run.id(), run.status(), run.text());
    Ok(run)
}

fn vendor_call(scenario: &Scenario, method: &str, store: &str, order: u64) -> Result<Recorded> {
    let path = format!("/stores/{store}/v2/orders/{order}");
    let calls = scenario.bigcommerce.requests();
    let call = calls.into_iter().find(|request| request.method == method && request.uri.path() == path);
    call.with_context(|| format!("the connector made no {method} {path}"))
}

fn text(body: &Value, field: &str) -> String {
    body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}
