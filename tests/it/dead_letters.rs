//! Dead letters: what they tell, and how their work goes on or is let go; replays of runs that have ended.

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::{HostOptions, RunView},
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

const EVENT: &str = "Order Packed";

/// A scenario with a workflow that gives up at once: it streams the order, then sets it.
async fn impatient() -> (Scenario, String) {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    scenario.client.define_event(EVENT, "An order is packed.", &json!({ "orderId": "1" })).await.unwrap();
    let definition = json!({
        "name": "Impatient", "trigger": { "type": "event", "event": EVENT },
        "steps": [
            { "id": "send", "type": "stream", "destination": STREAM, "body": { "id": "{{ trigger.orderId }}" } },
            { "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
              "retry": { "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 },
              "input": { "order_id": "{{ trigger.orderId }}", "status_id": 10 } },
        ],
    });
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    (scenario, workflow)
}

async fn letters(scenario: &Scenario, query: &str) -> Vec<Value> {
    let listed = scenario.client.get(&format!("/v1/dead-letters{query}")).await.unwrap().ok().unwrap();
    listed["data"].as_array().unwrap().clone()
}

/// A run of the impatient workflow that is among the dead letters, and the order it is about.
async fn dead(scenario: &Scenario, merchant: &Merchant, workflow: &str) -> (String, u64) {
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let setting = Match::call("PUT", &format!("/stores/{}/v2/orders/{order}", merchant.store));
    scenario.bigcommerce.fail_next(1, setting, Fault::Unavailable);
    let data = json!({ "orderId": order.to_string() });
    scenario.client.run_event(EVENT, &merchant.user, &data).await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(workflow, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "failed", "{}", runs[0].text());
    (runs[0].id().to_owned(), order)
}

async fn ended(scenario: &Scenario, id: &str) -> RunView {
    wait::until(&format!("the end of run {id}"), || async {
        let run = scenario.client.run(id).await.ok()?;
        run.ended().then_some(run)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_redriven_run_goes_on_at_the_step_that_failed() {
    let (scenario, workflow) = impatient().await;
    let merchant = scenario.merchant("ada").await.unwrap();
    let (run, order) = dead(&scenario, &merchant, &workflow).await;
    let listed =
        letters(&scenario, &format!("?workflow_id={workflow}&app=bigcommerce&error=unavailable")).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((listed[0]["id"].as_str(), listed[0]["work"]["kind"].as_str()), (Some(&*run), Some("run")));
    let whole = scenario.client.get(&format!("/v1/dead-letters/{run}")).await.unwrap().ok().unwrap();
    assert_eq!(whole["run"]["steps"][1]["input"]["status_id"], 10, "{whole}");
    assert_eq!(letters(&scenario, "?kind=delivery").await, [] as [Value; 0]);
    assert_eq!(letters(&scenario, "?from=2999-01-01T00:00:00Z").await, [] as [Value; 0]);
    let wrong = scenario.client.get("/v1/dead-letters?from=yesterday").await.unwrap();
    assert_eq!((wrong.status, wrong.json()["code"].as_str()), (400, Some("filter-invalid")));

    let redrive = format!("/v1/dead-letters/{run}/redrive");
    scenario.client.post(&redrive, &json!({})).await.unwrap().ok().unwrap();
    let run = ended(&scenario, &run).await;
    assert_eq!((run.status(), &run.0["redrives"]), ("succeeded", &json!(1)), "{}", run.text());
    assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(10));
    assert_eq!(scenario.isv.posts().len(), 1, "what was done before is not done again");
    assert_eq!(letters(&scenario, &format!("?workflow_id={workflow}")).await, [] as [Value; 0]);
    let again = scenario.client.post(&redrive, &json!({})).await.unwrap();
    assert_eq!((again.status, again.json()["code"].as_str()), (404, Some("dead-letter-unknown")));
}

#[tokio::test]
async fn letters_are_redriven_and_removed_by_what_they_are_about() {
    let (scenario, workflow) = impatient().await;
    let (ada, bob) = (scenario.merchant("ada").await.unwrap(), scenario.merchant("bob").await.unwrap());
    let (adas, _) = dead(&scenario, &ada, &workflow).await;
    let (bobs, _) = dead(&scenario, &bob, &workflow).await;
    assert_eq!(letters(&scenario, &format!("?workflow_id={workflow}")).await.len(), 2);
    let filter = json!({ "workflow_id": workflow, "user_id": "ada" });
    let redriven = scenario.client.post("/v1/dead-letters/redrive", &filter).await.unwrap().ok().unwrap();
    assert_eq!(redriven["redriven"], json!([adas]), "{redriven}");
    assert_eq!(ended(&scenario, &adas).await.status(), "succeeded");

    let path = format!("/v1/dead-letters/{bobs}");
    let delete = || scenario.client.send(reqwest::Method::DELETE, &path, None);
    assert_eq!(delete().await.unwrap().status, 204);
    assert_eq!(delete().await.unwrap().status, 404);
    assert_eq!(scenario.client.run(&bobs).await.unwrap().status(), "failed", "the run stays in the log");
}

#[tokio::test]
async fn a_redriven_loop_does_only_the_items_that_failed() {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let event = "Batch Ready";
    scenario.client.define_event(event, "A batch.", &json!({ "orders": [1] })).await.unwrap();
    let definition = json!({
        "name": "Batch", "trigger": { "type": "event", "event": event },
        "steps": [{ "id": "each", "type": "for_each", "items": "{{ trigger.orders }}", "concurrency": 2, "steps": [{
            "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
            "retry": { "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 },
            "input": { "order_id": "{{ item }}", "status_id": 2 },
        }] }],
    });
    let integration = scenario.catalogue.integration.clone();
    let workflow = scenario.client.release_workflow(&integration, &definition).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let orders: Vec<_> =
        (0..4).map(|_| scenario.bigcommerce.create_order(&merchant.store, 11).unwrap()).collect();
    scenario.bigcommerce.fail_next(
        1,
        Match::call("PUT", &format!("/v2/orders/{}", orders[2])),
        Fault::Unavailable,
    );
    let data = json!({ "orders": orders });
    scenario.client.run_event(event, &merchant.user, &data).await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&workflow, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "failed", "{}", runs[0].text());
    let redrive = format!("/v1/dead-letters/{}/redrive", runs[0].id());
    scenario.client.post(&redrive, &json!({})).await.unwrap().ok().unwrap();
    let run = ended(&scenario, runs[0].id()).await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(run.step("each").unwrap()["output"]["succeeded"], 4, "{}", run.text());
    for (index, order) in orders.iter().enumerate() {
        let path = format!("/stores/{}/v2/orders/{order}", merchant.store);
        let requests = scenario.bigcommerce.requests();
        let sets =
            requests.iter().filter(|request| request.method == "PUT" && request.uri.path() == path).count();
        assert_eq!(sets, if index == 2 { 2 } else { 1 }, "item {index}");
    }
}

#[tokio::test]
async fn a_redriven_delivery_is_parsed_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("trunnion.toml");
    std::fs::write(&config, "attention_wait_ms = 500\n").unwrap();
    let arguments = vec!["--config".to_owned(), config.to_string_lossy().into_owned()];
    let change = |options: &mut HostOptions| options.arguments = arguments;
    let scenario = Scenario::start_with(change).await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let token = "canary-token-new-71c2e04d9b5f4a36";
    scenario.bigcommerce.change_token(&merchant.store, token);
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let letter = wait::until("the delivery among the dead letters", || async {
        letters(&scenario, "?kind=delivery&app=bigcommerce").await.into_iter().next()
    });
    let letter = letter.await.unwrap();
    assert_eq!(letter["error"]["kind"], "auth_expired", "{letter}");
    let id = letter["id"].as_str().unwrap();
    let whole = scenario.client.get(&format!("/v1/dead-letters/{id}")).await.unwrap().ok().unwrap();
    assert!(whole["delivery"]["body"]["text"].as_str().unwrap().contains(&order.to_string()), "{whole}");
    let data = json!({ "store_hash": merchant.store, "access_token": token });
    scenario.client.create_credential(&merchant.user, "bigcommerce", &data).await.unwrap();
    let redrive = format!("/v1/dead-letters/{id}/redrive");
    scenario.client.post(&redrive, &json!({})).await.unwrap().ok().unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
}

#[tokio::test]
async fn a_replay_is_a_new_run_of_the_same_event_and_both_say_so() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let first = scenario.isv.wait_for_order(order).await.unwrap();
    let workflow = scenario.catalogue.order_created.clone();
    let old = scenario.client.runs_ended(&workflow, &merchant.user, 1).await.unwrap().remove(0);
    let replay = format!("/v1/runs/{}/replay", old.id());
    let new = RunView(scenario.client.post(&replay, &json!({})).await.unwrap().ok().unwrap());
    assert_eq!(new.0["replay_of"], old.id());
    assert_eq!(new.0["event"]["id"], old.0["event"]["id"], "the original event");
    assert_eq!(ended(&scenario, new.id()).await.status(), "succeeded");
    let rerun = format!("/2023-12/workflows/{workflow}/rerun/{}?userId={}", old.id(), merchant.user);
    let rerun = scenario.client.post(&rerun, &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(rerun["message"], "success");
    let third = rerun["executionUuid"].as_str().unwrap();
    assert_eq!(ended(&scenario, third).await.status(), "succeeded");
    let old = scenario.client.run(old.id()).await.unwrap();
    assert_eq!(old.0["replays"], json!([new.id(), third]));

    let posts = scenario.isv.orders(order);
    assert_eq!(posts.len(), 3);
    let keys: std::collections::BTreeSet<_> = posts.iter().map(|post| post.key().to_owned()).collect();
    assert_eq!(keys.len(), 3, "a replay has keys of its own");
    assert!(posts.iter().all(|post| post.json() == first.json()));

    let pause = json!({ "userId": merchant.user, "workflowId": workflow });
    scenario.client.put("/2023-12/workflows/deactivate", &pause).await.unwrap().ok().unwrap();
    let paused = scenario.client.post(&replay, &json!({})).await.unwrap();
    assert_eq!((paused.status, paused.json()["code"].as_str()), (409, Some("installation-paused")));
}
