//! Streams that gather: several runs' items in one request, by count, bytes and time; in order, over failures, kills and
//! erasure.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunnion_tests::{
    host::Client,
    isv::{Isv, Post},
    scenario::Scenario,
    wait,
};

use crate::inside::Inside;

const EVENT: &str = "Order Packed";
const STREAM: &str = "packed";
const HOUR_MS: u64 = 3_600_000;

fn rule(max_items: u64, max_bytes: u64, max_wait_ms: u64) -> Value {
    json!({ "max_items": max_items, "max_bytes": max_bytes, "max_wait_ms": max_wait_ms })
}

/// Makes the stream and a workflow that sends what it is given there, installed for `user`.
async fn gathering(client: &Client, isv: &Isv, user: &str, batch: Value) -> String {
    let wanted = json!({ "url": isv.url("/packed"), "batch": batch });
    let stream = client.put(&format!("/v1/streams/{STREAM}"), &wanted).await.unwrap().ok().unwrap();
    assert_eq!(stream["batch"], batch);
    isv.trust(stream["secret"].as_str().unwrap());
    client.define_event(EVENT, "An order is packed.", &json!({ "id": 1, "note": "" })).await.unwrap();
    let definition = json!({
        "name": "Packed", "trigger": { "type": "event", "event": EVENT },
        "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" }],
    });
    let integration = client.create_integration("bigcommerce").await.unwrap();
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    client.install(user, &integration, "", &[]).await.unwrap();
    workflow
}

async fn send(client: &Client, user: &str, id: usize) {
    send_long(client, user, id, 0).await;
}

async fn send_long(client: &Client, user: &str, id: usize, length: usize) {
    let data = json!({ "id": id, "note": "x".repeat(length) });
    client.run_event(EVENT, user, &data).await.unwrap().ok().unwrap();
}

/// What every accepted request brought, in the order they came.
fn batches(isv: &Isv) -> Vec<Vec<u64>> {
    isv.posts().iter().filter(|post| post.accepted()).map(numbers).collect()
}

fn numbers(post: &Post) -> Vec<u64> {
    post.json().as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect()
}

async fn come(isv: &Isv, expected: &[&[u64]]) {
    wait::until("the batches", || async { (batches(isv).len() >= expected.len()).then_some(()) })
        .await
        .unwrap();
    assert_eq!(batches(isv), expected);
}

#[tokio::test]
async fn items_go_together_by_count_by_bytes_and_by_time_whichever_comes_first() {
    let inside = Inside::start("2026-11-02T08:00:00Z").await;
    let (client, isv) = (&inside.client, Isv::start().await.unwrap());
    let user = client.create_user("ada", "Ada").await.unwrap();
    let workflow = gathering(client, &isv, &user, rule(3, 2_000, HOUR_MS)).await;
    for id in 1..=4 {
        send(client, &user, id).await;
        let runs = client.runs_ended(&workflow, &user, id).await.unwrap();
        assert_eq!(runs[0].status(), "succeeded", "its run goes on: {}", runs[0].text());
        assert_eq!(runs[0].step("send").unwrap()["output"]["batched"], true);
    }
    come(&isv, &[&[1, 2, 3]]).await;
    // The fourth waits alone; one that is too large for it goes after it, alone, and a small one behind that.
    send_long(client, &user, 5, 3_000).await;
    client.runs_ended(&workflow, &user, 5).await.unwrap();
    come(&isv, &[&[1, 2, 3], &[4], &[5]]).await;
    send(client, &user, 6).await;
    client.runs_ended(&workflow, &user, 6).await.unwrap();
    assert_eq!(batches(&isv).len(), 3);
    inside.pass(Duration::from_secs(3_601));
    // The clock that is moved by hand wakes nobody by itself; anything that happens does.
    let elsewhere = json!({ "url": isv.url("/elsewhere") });
    client.put("/v1/streams/elsewhere", &elsewhere).await.unwrap().ok().unwrap();
    come(&isv, &[&[1, 2, 3], &[4], &[5], &[6]]).await;
    let mut ids: Vec<_> = isv.posts().iter().map(|post| post.key().to_owned()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

#[tokio::test]
async fn a_batch_that_is_refused_keeps_its_id_and_those_behind_it_wait() {
    let scenario = Scenario::start().await.unwrap();
    let (client, isv) = (&scenario.client, Isv::start().await.unwrap());
    let user = client.create_user("ada", "Ada").await.unwrap();
    isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE]);
    let workflow = gathering(client, &isv, &user, rule(2, 100_000, HOUR_MS)).await;
    for id in 1..=6 {
        send(client, &user, id).await;
        client.runs_ended(&workflow, &user, id).await.unwrap();
    }
    come(&isv, &[&[1, 2], &[3, 4], &[5, 6]]).await;
    let posts = isv.posts();
    assert!(posts.iter().all(|post| post.signature == Ok(())), "{posts:?}");
    assert_eq!(posts.len(), 4, "refused once");
    assert_eq!(posts[0].key(), posts[1].key(), "and sent again under its id before the next");
    let wrong = json!({ "url": isv.url("/"), "batch": rule(0, 1, 1) });
    let refused = client.put(&format!("/v1/streams/{STREAM}"), &wrong).await.unwrap();
    assert_eq!((refused.status, refused.json()["code"].as_str()), (400, Some("stream-batch-invalid")));
    // Where it gathers no more, what waits goes, and each by itself from then on.
    send(client, &user, 7).await;
    client.runs_ended(&workflow, &user, 7).await.unwrap();
    let single = json!({ "url": isv.url("/packed"), "batch": null });
    client.put(&format!("/v1/streams/{STREAM}"), &single).await.unwrap().ok().unwrap();
    wait::until("the last one", || async { (isv.posts().len() == 5).then_some(()) }).await.unwrap();
    assert_eq!(numbers(&isv.posts()[4]), [7]);
    send(client, &user, 8).await;
    let last = isv.wait_for("the single one", |post| post.json()["id"] == 8).await.unwrap();
    assert!(last.json().is_object());
}

#[tokio::test]
async fn kills_lose_no_item_and_send_none_in_two_batches() {
    let mut scenario = Scenario::start().await.unwrap();
    let isv = Isv::start().await.unwrap();
    let user = scenario.client.create_user("ada", "Ada").await.unwrap();
    let workflow = gathering(&scenario.client, &isv, &user, rule(3, 100_000, 2_000)).await;
    let mut sent = 0;
    for round in 0..8 {
        // Some kills meet a batch that AcmeCo has in hand, some one that gathers, some what is accepted only.
        let held = (round % 3 == 0).then(|| isv.hold_next());
        for _ in 0..4 {
            sent += 1;
            send(&scenario.client, &user, sent).await;
        }
        if let Some(held) = &held {
            held.arrived().await;
        }
        scenario.host.kill9().await.unwrap();
        drop(held);
        scenario.start_again().await.unwrap();
    }
    scenario.client.runs_ended(&workflow, &user, sent).await.unwrap();
    let all: Vec<u64> = (1..=u64::try_from(sent).unwrap()).collect();
    wait::until("every item", || async {
        let mut come: Vec<u64> = batches(&isv).concat();
        come.sort_unstable();
        come.dedup();
        (come == all).then_some(())
    })
    .await
    .unwrap();
    assert!(isv.posts().iter().all(|post| post.signature == Ok(())));
    let mut by_id = std::collections::BTreeMap::new();
    for post in isv.posts() {
        let before = by_id.insert(post.key().to_owned(), numbers(&post));
        assert!(before.is_none_or(|before| before == numbers(&post)), "an id names one batch");
    }
    let mut once: Vec<u64> = by_id.values().flatten().copied().collect();
    once.sort_unstable();
    assert_eq!(once, all, "each item is in one batch");
}

#[tokio::test]
async fn a_batch_is_given_up_and_redriven_as_a_whole_without_those_who_were_erased() {
    let scenario = Scenario::start().await.unwrap();
    let (client, isv) = (&scenario.client, Isv::start().await.unwrap());
    let ada = client.create_user("ada", "Ada").await.unwrap();
    let bob = client.create_user("bob", "Bob").await.unwrap();
    let workflow = gathering(client, &isv, &ada, rule(4, 100_000, HOUR_MS)).await;
    let listed = client.get("/v1/workflows").await.unwrap().ok().unwrap();
    let of_it = listed["data"].as_array().unwrap().iter().find(|known| known["id"] == *workflow).unwrap();
    client.install(&bob, of_it["integration_id"].as_str().unwrap(), "", &[]).await.unwrap();
    isv.answer_next(&[StatusCode::GONE]);
    for id in 1..=2 {
        send(client, &ada, id).await;
        client.runs_ended(&workflow, &ada, id).await.unwrap();
        send(client, &bob, id + 10).await;
        client.runs_ended(&workflow, &bob, id).await.unwrap();
    }
    let letter = wait::until("the dead letter", || async {
        let listed = client.get("/v1/dead-letters?kind=batch").await.ok()?.ok().ok()?;
        listed["data"].get(0).cloned()
    })
    .await
    .unwrap();
    assert_eq!(
        (&letter["work"]["stream"], &letter["work"]["items"]),
        (&json!(STREAM), &json!(4)),
        "{letter}"
    );
    assert_eq!(letter["error"]["kind"], "disabled");
    assert_eq!(
        client.get(&format!("/v1/dead-letters?user_id={ada}")).await.unwrap().json()["data"],
        json!([])
    );

    client.delete(&format!("/2024-03/users/{bob}")).await.unwrap().ok().unwrap();
    client.post(&format!("/v1/streams/{STREAM}/enable"), &json!({})).await.unwrap().ok().unwrap();
    client.post("/v1/dead-letters/redrive", &json!({ "kind": "batch" })).await.unwrap().ok().unwrap();
    come(&isv, &[&[1, 2]]).await;
    let posts = isv.posts();
    assert_eq!(posts[0].key(), posts[1].key(), "a redrive keeps the id");
    assert_eq!(client.get("/v1/dead-letters").await.unwrap().json()["data"], json!([]));
}

#[tokio::test]
async fn an_erased_users_items_are_taken_out_of_what_waits() {
    let scenario = Scenario::start().await.unwrap();
    let (client, isv) = (&scenario.client, Isv::start().await.unwrap());
    let ada = client.create_user("ada", "Ada").await.unwrap();
    let bob = client.create_user("bob", "Bob").await.unwrap();
    let workflow = gathering(client, &isv, &ada, rule(100, 100_000, HOUR_MS)).await;
    let listed = client.get("/v1/workflows").await.unwrap().ok().unwrap();
    let of_it = listed["data"].as_array().unwrap().iter().find(|known| known["id"] == *workflow).unwrap();
    client.install(&bob, of_it["integration_id"].as_str().unwrap(), "", &[]).await.unwrap();
    for (user, id) in [(&bob, 1), (&ada, 2), (&bob, 3)] {
        send(client, user, id).await;
    }
    client.runs_ended(&workflow, &bob, 2).await.unwrap();
    client.runs_ended(&workflow, &ada, 1).await.unwrap();
    client.delete(&format!("/2024-03/users/{bob}")).await.unwrap().ok().unwrap();
    let single = json!({ "url": isv.url("/packed"), "batch": null });
    client.put(&format!("/v1/streams/{STREAM}"), &single).await.unwrap().ok().unwrap();
    come(&isv, &[&[2]]).await;
}

#[tokio::test]
async fn items_of_a_loop_are_gathered_with_what_the_loop_did() {
    let scenario = Scenario::start().await.unwrap();
    let (client, isv) = (&scenario.client, Isv::start().await.unwrap());
    let user = client.create_user("ada", "Ada").await.unwrap();
    let wanted = json!({ "url": isv.url("/packed"), "batch": rule(5, 100_000, HOUR_MS) });
    let stream = client.put(&format!("/v1/streams/{STREAM}"), &wanted).await.unwrap().ok().unwrap();
    isv.trust(stream["secret"].as_str().unwrap());
    client.define_event(EVENT, "Orders are packed.", &json!({ "orders": [{ "id": 1 }] })).await.unwrap();
    let definition = json!({
        "name": "Each", "trigger": { "type": "event", "event": EVENT },
        "steps": [{
            "id": "each", "type": "for_each", "items": "{{ trigger.orders }}",
            "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ item }}" }],
        }],
    });
    let integration = client.create_integration("bigcommerce").await.unwrap();
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    client.install(&user, &integration, "", &[]).await.unwrap();
    let orders: Vec<_> = (1..=5).map(|id| json!({ "id": id })).collect();
    client.run_event(EVENT, &user, &json!({ "orders": orders })).await.unwrap().ok().unwrap();
    let runs = client.runs_ended(&workflow, &user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    wait::until("the batch", || async { (!batches(&isv).is_empty()).then_some(()) }).await.unwrap();
    let mut come = batches(&isv).concat();
    come.sort_unstable();
    assert_eq!(come, [1, 2, 3, 4, 5]);
}
