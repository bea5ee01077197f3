//! Deploy-time flows: what they are told, how often, and what they can still do.

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::Match,
    host::RunView,
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

/// A scenario whose integration also has these flows: their workflows' ids.
async fn with_flows(triggers: [&str; 2]) -> (Scenario, [String; 2]) {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let flow = |trigger: &str, steps: Value| json!({ "name": format!("Told of {trigger}"), "trigger": { "type": trigger }, "steps": steps });
    let told = json!({ "id": "send", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" });
    let looks = json!({
        "id": "order", "type": "action", "app": "bigcommerce", "action": "get_order", "input": { "order_id": 7 },
        "on_error": "continue",
    });
    let integration = scenario.catalogue.integration.clone();
    let mut ids = Vec::new();
    for trigger in triggers {
        let definition = flow(trigger, json!([looks, told]));
        ids.push(scenario.client.release_workflow(&integration, &definition).await.unwrap());
    }
    (scenario, ids.try_into().unwrap())
}

async fn only(scenario: &Scenario, flow: &str, merchant: &Merchant) -> RunView {
    let runs = scenario.client.runs_ended(flow, &merchant.user, 1).await.unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    runs.into_iter().next().unwrap()
}

fn named<'a>(told: &'a Value, list: &str, name: &str) -> &'a Value {
    let copies = told[list].as_array().unwrap();
    copies.iter().find(|copy| copy["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {told}"))
}

#[tokio::test]
async fn an_installed_flow_runs_once_and_knows_its_siblings_addresses() {
    let (scenario, [installed, _]) = with_flows(["installed", "removed"]).await;
    let ada = scenario.merchant("ada").await.unwrap();
    let run = only(&scenario, &installed, &ada).await;
    let told = &run.0["event"]["data"];
    assert_eq!(told["integration"], json!({ "id": scenario.catalogue.integration, "app": "bigcommerce" }));
    assert_eq!((told["workflows"].as_array().unwrap().len(), &told["removed"]), (4, &json!([])), "{told}");
    let hook = scenario.bigcommerce.hooks(&ada.store).remove(0).destination;
    let sibling = named(told, "workflows", "Order created");
    assert_eq!(
        *sibling,
        json!({
            "id": scenario.catalogue.order_created, "name": "Order created", "trigger": "app", "release": 1,
            "previous_release": null, "active": true, "webhook_url": hook, "request_url": null,
        })
    );
    assert_eq!(named(told, "workflows", "Fulfilment")["webhook_url"], Value::Null);

    // An upgrade of one of them is told of, with what was there before.
    scenario
        .client
        .install("ada", &scenario.catalogue.integration, &ada.credential, &[&scenario.catalogue.fulfilment])
        .await
        .unwrap();
    let runs = scenario.client.runs_ended(&installed, &ada.user, 2).await.unwrap();
    assert_eq!(runs.len(), 2);
    let told = &runs[0].0["event"]["data"];
    assert_eq!(named(told, "workflows", "Fulfilment")["previous_release"], 1);
    assert_eq!(named(told, "workflows", "Order created")["webhook_url"], hook);
}

#[tokio::test]
async fn a_removed_flow_runs_once_for_each_removal_its_own_too_and_still_reaches_the_vendor() {
    let (scenario, [_, removed]) = with_flows(["installed", "removed"]).await;
    let ada = scenario.merchant("ada").await.unwrap();
    let order_created = &scenario.catalogue.order_created;
    let both =
        (scenario.client.uninstall("ada", order_created), scenario.client.uninstall("ada", order_created));
    let (one, other) = tokio::join!(both.0, both.1);
    assert!(one.is_ok() != other.is_ok(), "one of two removals counts: {one:?}, {other:?}");
    let run = only(&scenario, &removed, &ada).await;
    let told = &run.0["event"]["data"];
    assert_eq!(named(told, "removed", "Order created")["id"], *order_created);
    assert_eq!(told["workflows"].as_array().unwrap().len(), 3, "{told}");

    scenario.client.uninstall("ada", &removed).await.unwrap();
    let runs = scenario.client.runs_ended(&removed, &ada.user, 2).await.unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(named(&runs[0].0["event"]["data"], "removed", "Told of removed")["id"], *removed);
    let gets = scenario.bigcommerce.requests();
    let gets = gets.iter().filter(|request| {
        request.line() == format!("GET /stores/{}/v2/orders/7", ada.store)
            && request.header("x-auth-token") == ada.token
    });
    assert_eq!(
        gets.count(),
        3,
        "once for the installation and twice for removals, with the user's own token"
    );

    scenario.client.uninstall("ada", &scenario.catalogue.fulfilment).await.unwrap();
    let bob = scenario.merchant("bob").await.unwrap();
    scenario.client.uninstall("bob", order_created).await.unwrap();
    only(&scenario, &removed, &bob).await;
    let runs = scenario.client.runs(&removed, &ada.user).await.unwrap();
    assert_eq!(runs.len(), 2, "whoever does not have the flow is not told of");
}

#[tokio::test]
async fn a_paused_flow_is_told_of_nothing_and_a_failed_installation_tells_nobody() {
    let (scenario, [installed, removed]) = with_flows(["installed", "removed"]).await;
    let ada = scenario.merchant("ada").await.unwrap();
    only(&scenario, &installed, &ada).await;
    scenario.client.set_active("ada", &removed, false).await.unwrap();
    scenario.client.uninstall("ada", &scenario.catalogue.order_created).await.unwrap();
    assert_eq!(scenario.client.runs(&removed, &ada.user).await.unwrap().len(), 0);

    let hooks = format!("/stores/{}/v3/hooks", ada.store);
    scenario.bigcommerce.fail_next(
        20,
        Match::call("POST", &hooks),
        trunnion_tests::bigcommerce::Fault::Unavailable,
    );
    let again = scenario.client.install("ada", &scenario.catalogue.integration, &ada.credential, &[]).await;
    assert!(again.is_err(), "the webhook could not be registered");
    assert_eq!(scenario.client.runs(&installed, &ada.user).await.unwrap().len(), 1);
}

#[tokio::test]
async fn killed_after_the_answer_the_flows_of_an_installation_and_a_removal_run_once() {
    let (mut scenario, [installed, removed]) = with_flows(["installed", "removed"]).await;
    let ada = scenario.merchant("ada").await.unwrap();
    scenario.crash().await.unwrap();
    only(&scenario, &installed, &ada).await;
    scenario.client.uninstall("ada", &scenario.catalogue.fulfilment).await.unwrap();
    scenario.crash().await.unwrap();
    only(&scenario, &removed, &ada).await;
    wait::until("every run to be over", || async {
        let runs = scenario.client.get("/v1/runs?limit=100").await.ok()?.ok().ok()?;
        (runs["data"].as_array()?.iter().all(|run| run["status"] == "succeeded")).then_some(())
    })
    .await
    .unwrap();
}
