//! What the host tells the ISV of its own accord: operational events and errors, over kills, to a receiver that verifies
//! them with a library that shares no code with the host.

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    isv::{Isv, Post},
    scenario::{Merchant, Scenario},
    wait,
};

const OPS: &str = "acmeco-ops";

/// A receiver of AcmeCo's for what an outlet sends.
async fn receiver(scenario: &Scenario, outlet: &str, more: Value) -> Isv {
    let isv = Isv::start().await.unwrap();
    let wanted = json!({ "url": isv.url("/ops"), "signatures": ["standard", "alloy"] });
    let stream = scenario.client.put(&format!("/v1/streams/{OPS}"), &wanted).await.unwrap().ok().unwrap();
    isv.trust(stream["secret"].as_str().unwrap());
    let mut body = json!({ "stream": OPS });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let set = scenario.client.put(&format!("/v1/outlets/{outlet}"), &body).await.unwrap().ok().unwrap();
    assert_eq!(set[outlet]["stream"], OPS, "{set}");
    isv
}

async fn told(isv: &Isv, kind: &str) -> Post {
    let post = isv.wait_for(kind, |post| post.json()["type"] == kind).await.unwrap();
    assert_eq!(post.signature, Ok(()), "{post:?}");
    post
}

fn kinds(isv: &Isv) -> Vec<String> {
    let accepted = isv.posts().into_iter().filter(Post::accepted);
    accepted.map(|post| post.json()["type"].as_str().unwrap_or_default().to_owned()).collect()
}

/// An order whose update fails for good.
async fn fail(scenario: &Scenario, merchant: &Merchant) -> String {
    let before = scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap().len();
    scenario.fulfil(merchant, 987_654, "FULFILLED").await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, before + 1).await;
    runs.unwrap()[0].id().to_owned()
}

#[tokio::test]
async fn connections_and_installations_are_told_of_from_connecting_to_removing() {
    let scenario = Scenario::start().await.unwrap();
    let isv = receiver(&scenario, "events", json!({})).await;
    let merchant = scenario.merchant("ada").await.unwrap();
    let connected = told(&isv, "connection.connected").await.json();
    assert!(connected["timestamp"].as_str().unwrap().ends_with('Z'), "{connected}");
    let data =
        json!({ "connection_id": merchant.credential, "app": "bigcommerce", "user_id": merchant.user });
    assert_eq!(connected["data"], data, "ids, and nothing more of a person");

    let installed = told(&isv, "installation.installed").await.json();
    assert_eq!(installed["data"]["user_id"], *merchant.user);
    assert_eq!((&installed["data"]["release"], &installed["data"]["active"]), (&json!(1), &json!(true)));

    let client = &scenario.client;
    let fulfilment = &scenario.catalogue.fulfilment;
    client.release_again(fulfilment, &trunnion_tests::scenario::fulfilment()).await.unwrap();
    let path = format!("/2024-03/workflows/{fulfilment}/upgrade?userId={}", merchant.user);
    client.put(&path, &json!({})).await.unwrap().ok().unwrap();
    let upgraded = told(&isv, "installation.upgraded").await.json();
    assert_eq!(upgraded["data"]["workflow_id"], **fulfilment);
    assert_eq!(upgraded["data"]["previous_release"], 1);
    assert_eq!(upgraded["data"]["release"], 2);

    client.uninstall(&merchant.user, fulfilment).await.unwrap();
    let removed = told(&isv, "installation.removed").await.json();
    assert_eq!(removed["data"]["installation_id"], upgraded["data"]["installation_id"]);
    let ids: Vec<_> = isv.posts().iter().map(|post| post.key().to_owned()).collect();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len(), "each event has an id of its own: {ids:?}");
}

#[tokio::test]
async fn only_the_types_that_are_named_are_told_and_none_once_the_outlet_is_closed() {
    let scenario = Scenario::start().await.unwrap();
    let client = &scenario.client;
    let unknown = client.put("/v1/outlets/events", &json!({ "stream": "none" })).await.unwrap();
    assert_eq!((unknown.status, unknown.json()["code"].as_str()), (404, Some("stream-unknown")));
    let isv = receiver(&scenario, "events", json!({ "types": ["connection.needs_attention"] })).await;
    let odd = json!({ "stream": OPS, "types": ["connection.odd"] });
    assert_eq!(client.put("/v1/outlets/events", &odd).await.unwrap().status, 400);

    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.change_token(&merchant.store, "canary-token-new-0f6d2b7719ce4a58");
    let path = format!("/v1/users/{}/connections/{}/check", merchant.user, merchant.credential);
    client.post(&path, &json!({})).await.unwrap();
    scenario.fulfil(&merchant, 1, "FULFILLED").await.unwrap().ok().unwrap();
    let told = told(&isv, "connection.needs_attention").await.json();
    assert_eq!(told["data"]["connection_id"], *merchant.credential);
    assert_eq!(kinds(&isv), ["connection.needs_attention"]);

    let closed = client.delete("/v1/outlets/events").await.unwrap().ok().unwrap();
    assert_eq!(closed, json!({ "events": null, "errors": null, "event_bridge": null }));
    scenario.merchant("bob").await.unwrap();
    assert_eq!(kinds(&isv), ["connection.needs_attention"]);
}

#[tokio::test]
async fn killed_after_each_change_every_event_comes_with_one_id() {
    let mut scenario = Scenario::start().await.unwrap();
    let isv = receiver(&scenario, "events", json!({ "types": ["connection.connected"] })).await;
    for round in 0..10 {
        // Half of the kills meet an attempt that AcmeCo has in hand.
        let held = (round % 2 == 0).then(|| isv.hold_next());
        let merchant = scenario.merchant(&format!("m{round}")).await.unwrap();
        if let Some(held) = &held {
            held.arrived().await;
        }
        scenario.host.kill9().await.unwrap();
        drop(held);
        scenario.start_again().await.unwrap();
        let is = |post: &Post| post.json()["data"]["connection_id"] == *merchant.credential;
        isv.wait_for("the connection", is).await.unwrap();
    }
    let posts: Vec<_> = isv.posts().into_iter().filter(Post::accepted).collect();
    let mut events: Vec<_> = posts
        .iter()
        .map(|post| (post.json()["data"]["connection_id"].to_string(), post.key().to_owned()))
        .collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), 10, "one id for each, however often it came: {events:?}");
    assert!(posts.iter().all(|post| post.signature == Ok(())));
    let letters = scenario.client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
    assert_eq!(letters["data"], json!([]));
}

#[tokio::test]
async fn a_failed_runs_error_comes_as_alloy_streams_it() {
    let scenario = Scenario::start().await.unwrap();
    let isv = receiver(&scenario, "errors", json!({})).await;
    let merchant = scenario.merchant("ada").await.unwrap();
    isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE]);
    let run = fail(&scenario, &merchant).await;
    let post = isv.wait_for("the error", |post| post.json()["executionId"] == *run).await.unwrap();
    let body = post.json();
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let documented = [
        "__v",
        "_id",
        "blockId",
        "blockType",
        "createdAt",
        "error",
        "executionId",
        "updatedAt",
        "workflowId",
    ];
    let mut sorted = members.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, documented);
    assert_eq!(body["workflowId"], *scenario.catalogue.fulfilment);
    assert_eq!(body["blockType"], "alloy.bigcommerce");
    assert!(body["error"].as_str().unwrap().starts_with("Error: not found"), "{body}");
    let logged = scenario.client.logs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    assert!(logged[0]["error"].as_str().is_some_and(|error| body["error"] == format!("Error: {error}")));

    assert_eq!(post.signature, Ok(()));
    assert_eq!(post.key(), body["_id"].as_str().unwrap());
    let header = |name: &str| post.request.header(name).to_owned();
    assert_eq!(header("x-alloy-workflowid"), scenario.catalogue.fulfilment);
    assert_eq!(header("x-alloy-userid"), merchant.user);
    assert_eq!(header("x-alloy-blockname"), "Fulfillment Updated");
    assert_eq!(header("x-alloy-blocktype"), "customEvent");
    assert_eq!(header("x-alloy-executionuuid"), run);
    let keys: Vec<_> = isv.posts().iter().map(|post| post.key().to_owned()).collect();
    assert_eq!(keys, [post.key(), post.key()], "refused once, tried again under the same id");
}

#[tokio::test]
async fn killed_after_each_failure_every_error_comes() {
    let mut scenario = Scenario::start().await.unwrap();
    let isv = receiver(&scenario, "errors", json!({})).await;
    let merchant = scenario.merchant("ada").await.unwrap();
    for round in 1..=8 {
        scenario.fulfil(&merchant, 900_000 + round, "FULFILLED").await.unwrap().ok().unwrap();
        scenario.host.kill9().await.unwrap();
        scenario.start_again().await.unwrap();
        let count = usize::try_from(round).unwrap();
        scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, count).await.unwrap();
    }
    let runs = scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    for run in &runs {
        let is = |post: &Post| post.json()["executionId"] == *run.id();
        let first = isv.wait_for("the error", is).await.unwrap();
        assert!(isv.posts().iter().filter(|post| is(post)).all(|post| post.key() == first.key()));
    }
}

#[tokio::test]
async fn a_dead_letter_is_told_of_and_what_tells_of_it_can_be_redriven() {
    let scenario = Scenario::start().await.unwrap();
    let isv = receiver(&scenario, "events", json!({ "types": ["dead_letter.created"] })).await;
    let merchant = scenario.merchant("ada").await.unwrap();
    let mut impatient = trunnion_tests::scenario::fulfilment();
    impatient["steps"][0]["retry"] = json!({ "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 });
    scenario.client.release_again(&scenario.catalogue.fulfilment, &impatient).await.unwrap();
    let path =
        format!("/2024-03/workflows/{}/upgrade?userId={}", scenario.catalogue.fulfilment, merchant.user);
    scenario.client.put(&path, &json!({})).await.unwrap().ok().unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.bigcommerce.fail_next(1, Match::call("PUT", "/v2/orders/"), Fault::Unavailable);
    // AcmeCo's receiver of events is gone: the stream is disabled, and the event itself is a dead letter.
    isv.answer_next(&[StatusCode::GONE]);
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    let letters = wait::until("two dead letters", || async {
        let listed = scenario.client.get("/v1/dead-letters").await.ok()?.ok().ok()?;
        let listed = listed["data"].as_array()?.clone();
        (listed.len() == 2).then_some(listed)
    })
    .await
    .unwrap();
    let notice = letters.iter().find(|letter| letter["work"]["kind"] == "notice").unwrap();
    assert_eq!(notice["work"]["type"], "dead_letter.created", "{notice}");
    assert_eq!(notice["error"]["kind"], "disabled", "{notice}");
    let shown = scenario.client.get(&format!("/v1/streams/{OPS}")).await.unwrap().ok().unwrap();
    assert!(shown["disabled"]["reason"].as_str().unwrap().contains("HTTP 410"), "{shown}");

    let enable = format!("/v1/streams/{OPS}/enable");
    let enabled = scenario.client.post(&enable, &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(enabled["disabled"], Value::Null);
    let redrive = json!({ "kind": "notice", "error": "disabled" });
    let redriven = scenario.client.post("/v1/dead-letters/redrive", &redrive).await.unwrap().ok().unwrap();
    assert_eq!(redriven["redriven"], json!([notice["id"]]));
    let post = told(&isv, "dead_letter.created").await;
    assert_eq!(post.key(), notice["id"].as_str().unwrap(), "a redrive keeps the id");
    assert_eq!(post.json()["data"]["kind"], "run");
    assert_eq!(post.json()["data"]["error"], "unavailable");
    let run = letters.iter().find(|letter| letter["work"]["kind"] == "run").unwrap();
    assert_eq!(post.json()["data"]["dead_letter_id"], run["id"]);
}
