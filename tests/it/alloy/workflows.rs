//! `/workflows`: what there is, who has it, its versions, and the way from one to the next.

use serde_json::{Value, json};
use trunnion_tests::{
    host::Client,
    scenario::{Merchant, Scenario, fulfilment},
};

use super::asked;

async fn workflow(client: &Client, id: &str, user: &str) -> Value {
    client.get(&format!("/2024-03/workflows/{id}?userId={user}")).await.unwrap().ok().unwrap()["data"].clone()
}

#[tokio::test]
async fn released_workflows_are_listed_with_what_a_user_has_of_them() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, .. } = &scenario;
    scenario.merchant("ada").await.unwrap();
    client.create_user("bob", "Bob").await.unwrap();
    let list = async |query: &str| {
        let path = format!("/2023-12/workflows/?userId={query}");
        client.get(&path).await.unwrap().ok().unwrap()["data"].as_array().unwrap().clone()
    };
    let of_bob = list("bob").await;
    let ids: Vec<_> = of_bob.iter().map(|it| it["workflowId"].as_str().unwrap()).collect();
    assert_eq!(ids, [&catalogue.order_created, &catalogue.fulfilment]);
    let first = &of_bob[0];
    assert_eq!(first["integrationId"], json!(catalogue.integration));
    assert_eq!(
        (&first["name"], &first["installed"], &first["active"]),
        (&json!("Order created"), &json!(false), &json!(false))
    );
    assert_eq!((&first["version"], first.get("installedVersion")), (&json!(1), Some(&Value::Null)));
    assert_eq!(first["blocks"][0]["type"], "bigcommerce");
    assert_eq!(list("ada").await[0]["installedVersion"], 1);
    assert_eq!(list("ada&integration=bigcommerce").await.len(), 2);
    assert_eq!(list(&format!("ada&integration={}", catalogue.integration)).await.len(), 2);
    assert_eq!(list("ada&integration=shopify").await, Vec::<Value>::new());

    let one = workflow(client, &catalogue.fulfilment, "bob").await;
    assert_eq!(one, of_bob[1], "one by one as in the list");
    let refused = client.get("/2024-03/workflows/nothing?userId=bob").await.unwrap();
    assert_eq!((refused.status, refused.message().contains("nothing")), (404, true), "{}", refused.text);
    let token = client.user_token("ada").await.unwrap();
    let seen = client.as_user(&token).get("/2024-03/workflows").await.unwrap().ok().unwrap();
    assert_eq!(seen["data"].as_array().unwrap(), &list("ada").await, "a browser names no user");
}

#[tokio::test]
async fn those_who_have_a_workflow_are_named() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, .. } = &scenario;
    let path = format!("/2023-01/workflows/{}/users/", catalogue.fulfilment);
    let nobody = client.get(&path).await.unwrap();
    assert_eq!(
        (nobody.status, nobody.message().contains(&catalogue.fulfilment)),
        (404, true),
        "{}",
        nobody.text
    );
    let ada = scenario.merchant("ada").await.unwrap();
    client.set_active("ada", &catalogue.fulfilment, false).await.unwrap();
    let shown = json!({ "data": [{
        "username": "ada", "fullName": "Merchant ada", "userId": ada.user, "workflowActive": false, "installedVersion": 1,
    }] });
    assert_eq!(client.get(&path).await.unwrap().ok().unwrap(), shown);
}

async fn versions(client: &Client, id: &str, user: &str) -> Vec<(String, String)> {
    let path = format!("/2023-06/workflows/{id}/versions?userId={user}");
    let listed = client.get(&path).await.unwrap().ok().unwrap();
    let text = |version: &Value, name: &str| version[name].as_str().unwrap().to_owned();
    let listed = listed["data"].as_array().unwrap();
    assert!(
        listed.iter().all(|it| text(it, "versionId").len() == 24 && !text(it, "lastModified").is_empty())
    );
    listed.iter().map(|it| (text(it, "versionName"), text(it, "status"))).collect()
}

#[tokio::test]
async fn a_copy_goes_to_the_newest_version_with_what_it_has() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, .. } = &scenario;
    let Merchant { user, store, .. } = scenario.merchant("ada").await.unwrap();
    let id = &catalogue.order_created;
    let said = |status: &str| ("Version 1".to_owned(), status.to_owned());
    assert_eq!(versions(client, id, "ada").await, [said("active")]);
    let upgrade = format!("/2023-12/workflows/{id}/upgrade?userId=ada");
    let upgraded = json!({ "upgraded": true });
    assert_eq!(
        client.put(&upgrade, &json!({})).await.unwrap().ok().unwrap(),
        upgraded,
        "it is there already"
    );
    let hooks = scenario.bigcommerce.hooks(&store).len();

    client.set_active("ada", id, false).await.unwrap();
    client.release_again(id, &trunnion_tests::scenario::order_created()).await.unwrap();
    let newer = workflow(client, id, "ada").await;
    assert_eq!(
        (&newer["version"], &newer["installedVersion"]),
        (&json!(2), &json!(1)),
        "users stay where they are"
    );
    // Without a body, and with the content type of a form, as axios sends it.
    let sent = reqwest::Client::new().put(format!("{}{upgrade}", scenario.host.base_url()));
    let sent = sent.header("content-type", "application/x-www-form-urlencoded");
    let sent = sent.bearer_auth(&scenario.host.keys().development).send().await.unwrap();
    assert_eq!((sent.status().as_u16(), sent.text().await.unwrap()), (200, upgraded.to_string()));
    let newer = workflow(client, id, "ada").await;
    assert_eq!((&newer["installedVersion"], &newer["active"]), (&json!(2), &json!(false)), "it stays paused");
    client.set_active("ada", id, true).await.unwrap();
    assert_eq!(
        versions(client, id, &user).await,
        [said("inactive"), ("Version 2".to_owned(), "active".to_owned())]
    );
    assert_eq!(scenario.bigcommerce.hooks(&store).len(), hooks, "the webhook is the same");
    let order = scenario.bigcommerce.create_order(&store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
}

#[tokio::test]
async fn an_upgrade_that_would_have_to_ask_is_refused_with_what_it_would_ask() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, .. } = &scenario;
    let ada = scenario.merchant("ada").await.unwrap();
    let mut definition = fulfilment();
    definition["fields"] =
        json!([{ "name": "note", "title": "Note", "kind": { "type": "text" }, "default": "x" }]);
    client.release_again(&catalogue.fulfilment, &definition).await.unwrap();
    let upgrade = format!("/2023-12/workflows/{}/upgrade?userId=ada", catalogue.fulfilment);
    let refused = client.put(&upgrade, &json!({})).await.unwrap();
    assert_eq!(
        (refused.status, refused.message().contains("field `note` is new")),
        (400, true),
        "{}",
        refused.text
    );
    let kept = workflow(client, &catalogue.fulfilment, "ada").await;
    assert_eq!((&kept["installedVersion"], &kept["active"]), (&json!(1), &json!(true)));
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.fulfil(&ada, order, "FULFILLED").await.unwrap().ok().unwrap();
    client.runs_ended(&catalogue.fulfilment, &ada.user, 1).await.unwrap();

    client.create_user("bob", "Bob").await.unwrap();
    let absent = client.put(&upgrade.replace("ada", "bob"), &json!({})).await.unwrap();
    assert_eq!(
        (absent.status, absent.message().contains("has not installed")),
        (404, true),
        "{}",
        absent.text
    );
}

#[tokio::test]
async fn a_workflow_that_requests_start_is_run_by_id_or_name() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, .. } = &scenario;
    let ada = scenario.merchant("ada").await.unwrap();
    let id = client.release_workflow(&catalogue.integration, &asked()).await.unwrap();
    client.install(&ada.user, &catalogue.integration, &ada.credential, &[&id]).await.unwrap();
    let run = async |body: Value| client.post("/2023-01/run/workflow", &body).await.unwrap();
    for body in [
        json!({ "workflowId": id, "userId": "ada", "data": { "by": "id" } }),
        json!({ "workflowName": "Asked", "userId": ada.user, "data": { "by": "name" } }),
        json!({ "workflowId": id, "userId": "ada", "data": "{\"by\": \"text\"}" }),
    ] {
        assert_eq!(run(body).await.ok().unwrap(), json!({ "message": "success" }));
    }
    let runs = client.runs_ended(&id, "ada", 3).await.unwrap();
    let mut kept: Vec<_> = runs.iter().map(|run| run.step("keep").unwrap()["output"]["by"].clone()).collect();
    kept.sort_by_key(ToString::to_string);
    assert_eq!(kept, ["id", "name", "text"]);

    let refused = run(json!({ "workflowName": "Fulfilment", "userId": "ada", "data": {} })).await;
    assert_eq!((refused.status, refused.message().contains("/run/event")), (400, true), "{}", refused.text);
    let refused = run(json!({ "workflowName": "Nothing", "userId": "ada", "data": {} })).await;
    assert_eq!((refused.status, refused.message().contains("Nothing")), (404, true), "{}", refused.text);
    let refused = run(json!({ "userId": "ada", "data": {} })).await;
    assert_eq!((refused.status, refused.message().contains("workflowId")), (400, true), "{}", refused.text);
    let refused = run(json!({ "workflowId": id, "data": {} })).await;
    assert_eq!((refused.status, refused.message().contains("userId")), (400, true), "{}", refused.text);
}
