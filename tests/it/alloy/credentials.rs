//! What connecting an app asks for, and connections as they come and go.

use serde_json::{Value, json};
use trunnion_tests::{host::Client, scenario::Scenario};

async fn get(client: &Client, path: &str) -> Value {
    client.get(path).await.unwrap().ok().unwrap()
}

#[tokio::test]
async fn apps_and_what_they_ask_for_are_told() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, .. } = &scenario;
    for path in ["/2023-12/apps", "/2024-03/metadata/apps"] {
        let apps = get(client, path).await;
        let [app] = apps["data"].as_array().unwrap().as_slice() else { panic!("{apps}") };
        assert_eq!(
            (&app["name"], &app["displayName"]),
            (&json!("bigcommerce"), &json!("BigCommerce")),
            "{path}"
        );
        assert_eq!((&app["type"], &app["oauth"]), (&json!(["action", "trigger"]), &json!(true)), "{path}");
        assert!(app["icon"].is_string(), "{path}");
    }
    let one = get(client, "/2024-03/metadata/credentials/bigcommerce").await["data"].clone();
    let names: Vec<_> =
        one["properties"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        (&one["name"], &one["isOauth"], names),
        (&json!("bigcommerce"), &json!(true), vec!["store_hash", "access_token"])
    );
    let first = &one["properties"][0];
    assert!(
        !first["displayName"].as_str().unwrap().is_empty() && first["description"].is_string(),
        "{first}"
    );
    assert_eq!(get(client, "/2023-01/credentials/bigcommerce").await["data"], one);
    assert_eq!(get(client, "/2024-03/metadata/credentials").await, json!({ "data": [one] }));
    assert_eq!(get(client, "/2023-12/credentials?userId=ada").await, json!({ "data": [one] }));
    let unknown = client.get("/2023-01/credentials/shopify").await.unwrap();
    assert_eq!((unknown.status, unknown.message().contains("shopify")), (404, true), "{}", unknown.text);
}

#[tokio::test]
async fn a_deleted_credential_stops_what_stood_on_it_until_another_is_connected() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, bigcommerce, .. } = &scenario;
    let ada = scenario.merchant("ada").await.unwrap();
    let bob = scenario.merchant("bob").await.unwrap();
    let hooks = bigcommerce.hooks(&ada.store).len();
    assert!(hooks > 0);
    let path = format!("/2024-03/users/ada/credentials/{}", ada.credential);
    let others = client.delete(&path.replace("/ada/", "/bob/")).await.unwrap();
    assert_eq!(others.status, 404, "{}", others.text);
    assert_eq!(client.delete(&path).await.unwrap().ok().unwrap(), json!({ "success": true }));
    assert_eq!(get(client, "/2024-03/users/ada/credentials").await, json!({ "data": [] }));
    assert_eq!(bigcommerce.hooks(&ada.store).len(), 0, "its webhook is removed at the vendor");
    assert_eq!(bigcommerce.hooks(&bob.store).len(), hooks);
    assert_eq!(client.delete(&path).await.unwrap().status, 404);
    let refused = scenario.fulfil(&ada, 1, "FULFILLED").await.unwrap();
    assert_eq!(refused.status, 400, "it is paused: {}", refused.text);
    for workflow in [&catalogue.order_created, &catalogue.fulfilment] {
        let body = json!({ "userId": "ada", "workflowId": workflow });
        let refused = client.put("/2024-03/workflows/activate", &body).await.unwrap();
        assert_eq!(
            (refused.status, refused.message().contains("connect `bigcommerce`")),
            (400, true),
            "{}",
            refused.text
        );
    }

    // By the older path, and by a browser.
    let token = client.user_token("ada").await.unwrap();
    let data = json!({ "store_hash": ada.store, "access_token": ada.token });
    let body = json!({ "credential": { "type": "bigcommerce", "data": data } });
    let path = format!("/2023-12/users/{}/credentials", ada.user);
    let made = client.as_user(&token).post(&path, &body).await.unwrap().ok().unwrap();
    assert_eq!(made["success"], true);
    let credential = made["credentialId"].as_str().unwrap();
    let listed = get(client, "/2024-03/users/ada/credentials").await;
    let listed = listed["data"].as_array().unwrap().clone();
    assert_eq!(
        (listed.len(), &listed[0]["credentialId"], &listed[0]["type"]),
        (1, &json!(credential), &json!("bigcommerce"))
    );
    client.install(&ada.user, &catalogue.integration, credential, &[]).await.unwrap();
    assert_eq!(bigcommerce.hooks(&ada.store).len(), hooks);
    let order = bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    scenario.fulfil(&ada, order, "FULFILLED").await.unwrap().ok().unwrap();
    let runs = client.runs_ended(&catalogue.fulfilment, "ada", 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
}
