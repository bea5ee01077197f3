//! The first import of a user's history, as WORKFLOWS.md shows it: what the store already had comes by the same steps as
//! what it sells from now on, page by page, and whoever asks sees how far it has come.

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::Match,
    host::RunView,
    scenario::{STREAM, Scenario},
    wait,
};

/// AcmeCo takes each order by one workflow, which both others call.
async fn integration(scenario: &Scenario) -> (String, String) {
    let client = &scenario.client;
    let integration = client.create_integration("bigcommerce").await.unwrap();
    let order = json!({
        "name": "Order",
        "trigger": { "type": "call", "sample": { "id": 118 } },
        "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" }],
    });
    let order = client.release_workflow(&integration, &order).await.unwrap();
    let take = |from: &str| json!({ "id": "take", "type": "call", "workflow": order, "input": from });
    let new = json!({
        "name": "New orders",
        "trigger": { "type": "app", "app": "bigcommerce", "trigger": "order_created" },
        "steps": [take("{{ trigger }}")],
    });
    client.release_workflow(&integration, &new).await.unwrap();
    let import = json!({
        "name": "First import",
        "trigger": { "type": "installed" },
        "steps": [
            { "id": "first", "type": "filter", "condition": "trigger.workflows | selectattr('previous_release') | list | length == 0" },
            {
                "id": "orders", "type": "for_each", "concurrency": 4, "on_error": "continue",
                "from": { "app": "bigcommerce", "action": "list_orders", "input": { "limit": 2 } },
                "steps": [take("{{ item }}")],
            },
        ],
    });
    let import = client.release_workflow(&integration, &import).await.unwrap();
    (integration, import)
}

async fn run_of(scenario: &Scenario, workflow: &str) -> RunView {
    let listed = wait::until("the first import to begin", || async {
        let path = format!("/v1/runs?workflow_id={workflow}");
        let runs = scenario.client.get(&path).await.ok()?.ok().ok()?;
        runs["data"][0]["id"].as_str().map(str::to_owned)
    })
    .await
    .unwrap();
    RunView(scenario.client.get(&format!("/v1/runs/{listed}")).await.unwrap().ok().unwrap())
}

#[tokio::test]
async fn what_the_store_already_had_comes_page_by_page_and_shows_how_far_it_is() {
    let mut scenario = Scenario::start().await.unwrap();
    let (integration, import) = integration(&scenario).await;
    let token = "canary-token-ada-5b1d77";
    scenario.bigcommerce.add_store("storeada", token);
    let before: Vec<u64> =
        (0..5).map(|_| scenario.bigcommerce.create_order("storeada", 11).unwrap()).collect();
    let user = scenario.client.create_user("ada", "Ada").await.unwrap();
    let data = json!({ "store_hash": "storeada", "access_token": token });
    let credential = scenario.client.create_credential(&user, "bigcommerce", &data).await.unwrap();

    let pages = || Match::call("GET", "/stores/storeada/v2/orders");
    let first = scenario.bigcommerce.hold_next(pages());
    scenario.client.install(&user, &integration, &credential, &[]).await.unwrap();
    first.arrived().await;
    let second = scenario.bigcommerce.hold_next(pages());
    first.release();
    second.arrived().await;
    // The first page is done before the second is asked for.
    let run = run_of(&scenario, &import).await;
    assert_eq!(run.status(), "running");
    let so_far = json!([{ "step": "orders", "pages": 1, "succeeded": 2, "failed": 0, "filtered": 0 }]);
    assert_eq!(run.0["progress"], so_far, "{}", run.text());

    // Killed there, it goes on there.
    scenario.crash().await.unwrap();
    second.release();
    for order in &before {
        scenario.isv.wait_for_order(*order).await.unwrap();
    }
    let runs = scenario.client.runs_ended(&import, &user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(runs[0].0.get("progress"), None, "its steps say it now");
    let output: &Value = &runs[0].step("orders").unwrap()["output"];
    assert_eq!((&output["pages"], &output["succeeded"]), (&json!(3), &json!(5)), "{output}");
    for order in before {
        assert_eq!(scenario.isv.orders(order).len(), 1, "order {order} comes once");
    }

    let new = scenario.bigcommerce.create_order("storeada", 11).unwrap();
    scenario.isv.wait_for_order(new).await.unwrap();
    assert_eq!(scenario.client.runs(&import, &user).await.unwrap().len(), 1, "nothing is imported again");
}
