//! A connector is swapped while a call is held by the vendor, and rolled back: what ran on which version.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use trunnion_tests::{
    bigcommerce::Match,
    host::{Client, RunView},
    scenario::{Merchant, Scenario},
    wait,
};

use crate::report::{Elapsed, fact};

const APP: &str = "bigcommerce";

/// Pushes `next` while a call is under way, uses it, rolls back, and uses the old one again.
pub(super) async fn swap(scenario: &Scenario, merchant: &Merchant, next: &Path) -> Result<()> {
    let operator = scenario.host.client_with(&scenario.host.keys().operator)?;
    // The orders' own deliveries are an earlier stage's matter.
    scenario.bigcommerce.pause_deliveries(true);
    let old = operator.active_digest(APP).await?;
    fact("active", short(&old));

    let held = scenario.bigcommerce.hold_next(Match::call("PUT", "/v2/orders/"));
    let first = fulfil(scenario, merchant).await?;
    held.arrived().await;
    fact("held", format!("the vendor keeps the answer about order {first} waiting"));

    let component = fs::read(next).with_context(|| format!("reading {}", next.display()))?;
    let clock = Elapsed::start();
    let answer = operator.push_connector(APP, component).await?.ok()?;
    let took = clock.millis();
    let new = text(&answer, "digest")?;
    ensure!(new != old, "the next version has the digest of the one before");
    ensure!(text(&answer, "previous")? == old, "the push does not say what it replaced: {answer}");
    fact(
        "pushed",
        format!("{} {} is active after {took} ms: {}", APP, text(&answer, "version")?, short(&new)),
    );
    fact("stages", stages(&answer));

    let second = fulfil(scenario, merchant).await?;
    shown(scenario, merchant, second, &new, "accepted after the swap").await?;
    held.release();
    shown(scenario, merchant, first, &old, "under way during the swap").await?;

    let answer = operator.roll_back(APP).await?.ok()?;
    ensure!(operator.active_digest(APP).await? == old, "the rollback brought {answer}");
    fact("rolled back", format!("to {} {}, {}", APP, text(&answer, "version")?, short(&old)));
    let third = fulfil(scenario, merchant).await?;
    shown(scenario, merchant, third, &old, "accepted after the rollback").await?;
    history(&operator).await?;
    scenario.bigcommerce.pause_deliveries(false);
    scenario.bigcommerce.settled().await
}

/// AcmeCo fulfils a new order; gives the order.
async fn fulfil(scenario: &Scenario, merchant: &Merchant) -> Result<u64> {
    let order = scenario.bigcommerce.create_order(&merchant.store, 11)?;
    scenario.fulfil(merchant, order, "FULFILLED").await?.ok()?;
    Ok(order)
}

/// The ended run about `order`: that it succeeded, on `digest`, and what the store has of it.
async fn shown(
    scenario: &Scenario,
    merchant: &Merchant,
    order: u64,
    digest: &str,
    which: &str,
) -> Result<()> {
    let run = wait::until(&format!("the run of order {order} to end"), || async {
        run_of(scenario, merchant, order).await.ok().flatten().filter(RunView::ended)
    })
    .await?;
    ensure!(run.status() == "succeeded", "run {} is `{}`: {}", run.id(), run.status(), run.text());
    let used = run.0.pointer(&format!("/digests/{APP}")).and_then(Value::as_str).unwrap_or_default();
    ensure!(used == digest, "run {} ({which}) used {used}, not {digest}", run.id());
    let status = scenario.bigcommerce.status_of(&merchant.store, order);
    ensure!(status == Some(2), "order {order} of {} has status {status:?}", merchant.store);
    fact("run", format!("{} {} on {}: {which}", run.id(), run.status(), short(digest)));
    Ok(())
}

async fn run_of(scenario: &Scenario, merchant: &Merchant, order: u64) -> Result<Option<RunView>> {
    let order = Value::from(order.to_string());
    for run in scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await? {
        let run = scenario.client.run(run.id()).await?;
        if run.0.pointer("/event/data/orderId") == Some(&order) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

async fn history(operator: &Client) -> Result<()> {
    let listed = operator.get(&format!("/v1/connectors/{APP}/history")).await?.ok()?;
    let lines = listed.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    ensure!(lines.len() >= 3, "the history lacks what was done: {listed}");
    for line in lines.iter().rev() {
        let by = line.pointer("/by/name").or_else(|| line.get("reason")).and_then(Value::as_str);
        let what =
            format!("{} {} {}", text(line, "change")?, text(line, "version")?, short(&text(line, "digest")?));
        fact("history", format!("{what}, by {}", by.unwrap_or("the host")));
    }
    Ok(())
}

fn stages(answer: &Value) -> String {
    let stages = answer.get("stages_ms").and_then(Value::as_object).into_iter().flatten();
    stages
        .map(|(stage, took)| format!("{stage} {:.1} ms", took.as_f64().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The beginning of a digest, as people compare it.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn text(body: &Value, name: &str) -> Result<String> {
    let text = body.get(name).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("no `{name}` in {body}"))
}
