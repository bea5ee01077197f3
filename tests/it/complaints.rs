//! What users of other systems complain about, each as a test that says that it does not happen here. Numbers are those
//! of the list of complaints that the project keeps.
//!
//! Proven elsewhere: 7, an accepted webhook is lost (`crash::killed_after_each_2xx_on_a_webhook_every_order_streams`);
//! 14, retries end before a per-minute quota does (`limits`, and `core::limit`'s tests).

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use trunnion_tests::{
    bigcommerce::Match,
    scenario::{STREAM, Scenario},
};

use crate::hostile::Hostile;

fn setting() -> Match {
    Match::call("PUT", "/v2/orders/")
}

/// 5: a run is stuck as running for ever after its worker died; cancelling it answers 200 and does nothing.
#[tokio::test]
async fn complaint_05_a_cancel_that_was_answered_ends_the_run_even_over_a_kill() {
    let mut scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let held = scenario.bigcommerce.hold_next(setting());
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    held.arrived().await;
    let runs = scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    assert_eq!(runs[0].status(), "running", "{}", runs[0].text());
    let cancel = format!("/v1/runs/{}/cancel", runs[0].id());
    scenario.client.post(&cancel, &json!({})).await.unwrap().ok().unwrap();
    scenario.host.kill9().await.unwrap();
    held.release();
    scenario.start_again().await.unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "cancelled", "{}", runs[0].text());
    let again = scenario.client.post(&cancel, &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(again["status"], "cancelled");
}

/// 6: a job that kills its process is delivered again for hours, over the whole fleet.
#[tokio::test]
async fn complaint_06_a_run_that_keeps_killing_its_process_stops_and_says_why() {
    let mut scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let mut held = scenario.bigcommerce.hold_next(setting());
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    let deliveries = trunnion_core::machine::MAX_RECOVERIES + 1;
    for delivery in 1..=deliveries {
        held.arrived().await;
        scenario.host.kill9().await.unwrap();
        held.release();
        if delivery < deliveries {
            held = scenario.bigcommerce.hold_next(setting());
            scenario.start_again().await.unwrap();
        } else {
            scenario.start_again().await.unwrap();
            break;
        }
    }
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "failed", "{}", runs[0].text());
    let letters = scenario.client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
    let reason = letters["data"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("the host process died more than 5 times"), "{letters}");

    let other = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, other, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    assert_eq!(scenario.bigcommerce.status_of(&merchant.store, other), Some(2));
}

/// 8: runs started by webhooks sit in the queue, silently, until somebody restarts the process.
#[tokio::test]
async fn complaint_08_webhook_runs_go_on_by_themselves_after_an_outage_of_what_they_call() {
    const ORDERS: usize = 20;
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE; ORDERS]);
    for _ in 0..ORDERS {
        scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    }
    let runs =
        scenario.client.runs_ended(&scenario.catalogue.order_created, &merchant.user, ORDERS).await.unwrap();
    assert!(runs.iter().all(|run| run.status() == "succeeded"), "{runs:?}");
}

/// 9: a restart turns runs that had succeeded into crashed ones.
#[tokio::test]
async fn complaint_09_a_restart_leaves_what_has_ended_as_it_is() {
    let mut scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.fulfil(&merchant, 999_999, "FULFILLED").await.unwrap().ok().unwrap();
    let before = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    scenario.crash().await.unwrap();
    scenario.host.stop().await.unwrap();
    scenario.start_again().await.unwrap();
    let after = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    let shown =
        |runs: &[trunnion_tests::host::RunView]| -> Vec<_> { runs.iter().map(|run| run.0.clone()).collect() };
    assert_eq!(shown(&before), shown(&after));
    let mut statuses: Vec<_> = after.iter().map(|run| run.status().to_owned()).collect();
    statuses.sort();
    assert_eq!(statuses, ["failed", "succeeded"]);
}

/// 11: deliveries out that were answered 4xx, 429 included, are never tried again.
#[tokio::test]
async fn complaint_11_streams_are_tried_again_after_a_4xx_and_wait_as_a_429_asks() {
    let scenario = Scenario::start().await.unwrap();
    let event = "Parcel Packed";
    scenario.client.define_event(event, "A parcel.", &json!({ "id": 1 })).await.unwrap();
    let definition = json!({
        "name": "Parcel", "trigger": { "type": "event", "event": event },
        "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}",
            "retry": { "attempts": 3, "delay_ms": 50, "backoff": 1, "max_delay_ms": 50 } }],
    });
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let asked = 3;
    scenario.isv.answer_next(&[StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND]);
    scenario.isv.limit_next(Duration::from_secs(asked));
    scenario.client.run_event(event, &merchant.user, &json!({ "id": 7 })).await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&workflow, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(runs[0].step("send").unwrap()["attempts"], 3, "a 429 is no attempt: {}", runs[0].text());
    let posts = scenario.isv.posts();
    let statuses: Vec<_> = posts.iter().map(|post| post.request.status.as_u16()).collect();
    assert_eq!(statuses, [400, 404, 429, 200]);
    assert!(posts.iter().all(|post| post.key() == posts[0].key() && post.signature == Ok(())));
    let seconds = |at: usize| posts[at].request.header("webhook-timestamp").parse::<u64>().unwrap();
    assert!(seconds(3) >= seconds(2) + asked - 1, "it came {} s later", seconds(3) - seconds(2));
}

/// 12: the worker is silently dead after trouble below it, and nothing is done any more.
#[tokio::test]
async fn complaint_12_the_worker_outlives_whatever_it_works_on() {
    let hostile = Hostile::start("any-key").await;
    let sample = json!({ "go": true });
    for action in ["broken", "hoard", "spin"] {
        hostile.workflow(action, &json!({}), &sample).await;
        for _ in 0..5 {
            hostile.client.run_event(action, &hostile.user, &sample).await.unwrap().ok().unwrap();
        }
    }
    let address = json!({ "url": "https://api.hostile.example/after" });
    let workflow = hostile.workflow("fetch", &json!({ "url": "{{ trigger.url }}" }), &address).await;
    let run = hostile.run(&workflow, "fetch", &address, 0).await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
}
