//! The native API for switchers and builders, over a real process: requests through a connection, calls that come again
//! after a crash, and users and workflows taken over from Alloy.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::{self, Answer, Client},
    scenario::{Merchant, Scenario, fulfilment},
};

async fn request(client: &Client, merchant: &Merchant, mut body: Value) -> Answer {
    body["user_id"] = json!(merchant.username);
    client.post(&format!("/v1/connections/{}/request", merchant.credential), &body).await.unwrap()
}

/// A POST with an Idempotency-Key.
async fn once(scenario: &Scenario, path: &str, key: &str, body: &Value) -> (u16, Value, bool) {
    let request = reqwest::Client::new().post(format!("{}{path}", scenario.host.base_url()));
    let request = request.bearer_auth(&scenario.host.keys().development).header("idempotency-key", key);
    let answer = request.body(body.to_string()).send().await.unwrap();
    let replayed = answer.headers().contains_key("idempotent-replayed");
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap(), replayed)
}

#[tokio::test]
async fn a_request_goes_through_a_connection_and_no_secret_comes_back() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let bob = scenario.merchant("bob").await.unwrap();
    let (client, fake) = (&scenario.client, &scenario.bigcommerce);
    // No delivery has the host ask the vendor beside what is tested.
    fake.pause_deliveries(true);
    let order = fake.create_order(&ada.store, 11).unwrap();
    let path = format!("/stores/{}/v2/orders/{order}", ada.store);

    fake.set_echo(true);
    let got = request(client, &ada, json!({ "method": "GET", "path": path })).await;
    assert!(!got.text.contains(&ada.token), "{}", got.text);
    let got = got.ok().unwrap();
    assert_eq!((&got["status"], &got["body"]["id"]), (&json!(200), &json!(order)), "{got}");
    assert!(got["headers"].get("content-type").is_some(), "{got}");
    let put = json!({ "method": "PUT", "url": format!("https://api.bigcommerce.com{path}"),
        "query": { "note": "a b" }, "body": { "status_id": 2 } });
    assert_eq!(request(client, &ada, put).await.ok().unwrap()["status"], 200);
    assert_eq!(fake.status_of(&ada.store, order), Some(2));
    let last = fake.requests().pop().unwrap();
    assert_eq!(last.uri.query(), Some("note=a+b"));
    assert_eq!(last.headers["x-auth-token"], ada.token.as_str(), "the credential is added");
    fake.set_echo(false);

    // What the vendor refuses is its answer.
    let missing = json!({ "method": "GET", "path": format!("/stores/{}/v2/orders/999999", ada.store) });
    assert_eq!(request(client, &ada, missing).await.ok().unwrap()["status"], 404);
    fake.change_token(&ada.store, "canary-token-new-77aa");
    let refused = request(client, &ada, json!({ "method": "GET", "path": path })).await.ok().unwrap();
    assert_eq!(refused["status"], 401, "{refused}");
    fake.change_token(&ada.store, &ada.token);

    // What the host refuses is not sent.
    let sent = fake.requests().len();
    for (body, status, code) in [
        (json!({ "method": "GET", "url": "https://api.other.example/x" }), 400, "request-denied"),
        (json!({ "method": "GET", "url": "http://api.bigcommerce.com/x" }), 400, "request-denied"),
        (json!({ "method": "GET", "path": path, "headers": { "Host": "x" } }), 400, "request-denied"),
        (json!({ "method": "GET" }), 400, "request-place-invalid"),
        (json!({ "method": "PUT", "path": path, "body": 1, "body_base64": "" }), 400, "request-body-invalid"),
    ] {
        let answer = request(client, &ada, body).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{answer:?}");
    }
    let stolen = Merchant { username: bob.username.clone(), ..ada.clone() };
    let answer = request(client, &stolen, json!({ "method": "GET", "path": path })).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (404, Some("credential-unknown")),
        "{answer:?}"
    );
    let token = client.user_token(&ada.user).await.unwrap();
    let answer = request(&client.as_user(&token), &ada, json!({ "method": "GET", "path": path })).await;
    assert_eq!(answer.status, 401, "a browser sends no requests of its own: {answer:?}");
    let operator = scenario.host.client_with(&scenario.host.keys().operator).unwrap();
    assert_eq!(request(&operator, &ada, json!({ "method": "GET", "path": path })).await.status, 403);
    assert_eq!(fake.requests().len(), sent);

    // A vendor that asks to slow down is not asked while its limit is closed.
    let reset = Duration::from_secs(60);
    fake.fail_next(1, Match::call("GET", "/orders"), Fault::RateLimited { reset });
    let limited = request(client, &ada, json!({ "method": "GET", "path": path })).await.ok().unwrap();
    assert_eq!(limited["status"], 429, "{limited}");
    let closed = request(client, &ada, json!({ "method": "GET", "path": path })).await;
    assert_eq!(closed.status, 429, "{closed:?}");
    assert!(closed.headers.contains_key("retry-after"), "{closed:?}");
    let others = json!({ "method": "GET", "path": format!("/stores/{}/v2/order_statuses", bob.store) });
    assert_eq!(request(client, &bob, others).await.ok().unwrap()["status"], 200);

    let log = scenario.host.log();
    assert!(log.contains("a request was sent through a connection"), "{log}");
    assert!(!log.contains(&ada.token) && !log.contains(&path), "{log}");
}

#[tokio::test]
async fn a_call_that_comes_again_after_a_crash_is_answered_the_same() {
    let mut scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let integration = json!({ "integration_id": scenario.catalogue.integration, "definition": fulfilment() });
    let (status, made, replayed) = once(&scenario, "/v1/workflows", "k1", &integration).await;
    assert_eq!((status, replayed), (200, false), "{made}");
    let path = format!("/v1/connections/{}/request", ada.credential);
    scenario.bigcommerce.pause_deliveries(true);
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    let order = format!("/stores/{}/v2/orders/{order}", ada.store);
    let body = json!({ "user_id": ada.user, "method": "PUT", "path": order, "body": { "status_id": 2 } });
    let (_, first, _) = once(&scenario, &path, "k2", &body).await;
    assert_eq!(first["status"], 200, "{first}");
    let check = format!("/v1/users/{}/connections/{}/check", ada.user, ada.credential);
    let (status, checked, _) = once(&scenario, &check, "k3", &json!({})).await;
    assert_eq!(status, 200, "{checked}");
    let sent = scenario.bigcommerce.requests().len();

    scenario.crash().await.unwrap();
    assert_eq!(once(&scenario, "/v1/workflows", "k1", &integration).await, (200, made, true));
    assert_eq!(once(&scenario, &path, "k2", &body).await, (200, first, true));
    assert_eq!(once(&scenario, &check, "k3", &json!({})).await, (200, checked, true));
    assert_eq!(scenario.bigcommerce.requests().len(), sent, "the vendor was asked once");
    let (status, reused, _) = once(&scenario, &path, "k2", &json!({ "method": "GET" })).await;
    assert_eq!((status, reused["code"].as_str()), (422, Some("idempotency-key-reused")), "{reused}");

    // What a user's answer shows goes with the user.
    scenario
        .client
        .send(Method::DELETE, &format!("/2023-12/users/{}", ada.user), None)
        .await
        .unwrap()
        .ok()
        .unwrap();
    for (path, key, body) in [(&path, "k2", &body), (&check, "k3", &json!({}))] {
        let (status, gone, _) = once(&scenario, path, key, body).await;
        assert_eq!(status, 404, "{path}: {gone}");
    }
}

#[tokio::test]
async fn users_and_workflows_of_alloy_keep_their_ids() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let client = &scenario.client;
    let (eve, erased) = ("64f0c0ffee00000000000001", "64f0c0ffee00000000000009");
    let (integration, workflow) = ("64f0c0ffee0000000000000a", "64f0c0ffee0000000000000b");
    let users = json!({ "data": [
        { "userId": eve, "username": "eve", "fullName": "Merchant Eve", "plan": "gold" },
        { "userId": ada.user, "username": "ada" },
        { "userId": "64f0c0ffee00000000000002", "username": "ada" },
        { "userId": "not-an-id", "username": "ida" },
        { "userId": "64f0c0ffee00000000000003" },
        { "userId": "64f0c0ffee00000000000004", "username": "eve" },
        { "userId": erased, "username": "former" },
    ] });
    let told = client.post("/v1/import/users", &users).await.unwrap().ok().unwrap();
    let results = |told: &Value| -> Vec<String> {
        let rows = told["rows"].as_array().unwrap().iter();
        rows.map(|row| row["result"].as_str().unwrap().to_owned()).collect()
    };
    let expected = ["created", "unchanged", "refused", "refused", "refused", "refused", "created"];
    assert_eq!(results(&told), expected, "{told}");
    for (row, named) in [(2, "`ada`"), (3, "not-an-id"), (4, "username"), (5, "earlier row")] {
        assert!(told["rows"][row]["message"].as_str().unwrap().contains(named), "{told}");
    }
    let found = client.get("/2023-12/users/eve").await.unwrap().ok().unwrap();
    assert_eq!((&found["userId"], &found["fullName"]), (&json!(eve), &json!("Merchant Eve")));
    client.send(Method::DELETE, &format!("/2023-12/users/{erased}"), None).await.unwrap().ok().unwrap();
    let again = client.post("/v1/import/users", &users).await.unwrap().ok().unwrap();
    assert_eq!(
        (&again["created"], &again["unchanged"], &again["refused"]),
        (&json!(0), &json!(2), &json!(5))
    );
    assert!(again["rows"][6]["message"].as_str().unwrap().contains("deleted here"), "{again}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alloy.json");
    let mut content = json!({
        "users": [users["data"][0]],
        "integrations": { "data": [{ "integrationId": integration, "app": "bigcommerce", "icon": "", "installed": true,
            "workflows": [
                { "workflowId": workflow, "name": "Fulfilment", "version": 3, "active": true,
                  "blocks": [{ "name": "Fulfillment Updated", "type": "customEvent", "id": "b", "icon": "" }],
                  "users": [{ "userId": eve, "workflowActive": true }, { "userId": ada.user }, { "userId": erased }] },
                { "workflowId": "nonsense", "name": "Broken" },
            ] }] },
    });
    std::fs::write(&file, content.to_string()).unwrap();
    let import = async || {
        let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
        let mut command = Command::new(binary);
        command.arg("import").arg(&file).args(["--host", scenario.host.base_url()]);
        let output = command.env("TRUNNION_KEY", &scenario.host.keys().development).output().await.unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (done, said) = import().await;
    assert!(!done, "{said}");
    for line in [
        "users: 0 taken over, 1 here already, 0 refused",
        "integrations and workflows: 2 taken over, 0 here already, 1 refused",
        "refused: workflow `nonsense`",
        &format!("reconnect: `eve` ({eve}) connects `bigcommerce` again, then 1 workflows are installed"),
        "1 rows were not taken",
    ] {
        assert!(said.contains(line), "`{line}` is not in: {said}");
    }
    assert!(said.contains(&format!("unknown: user \"{erased}\"")), "{said}");
    assert!(!said.contains("reconnect: `ada`"), "ada has an account connected: {said}");
    content["integrations"]["data"][0]["workflows"].as_array_mut().unwrap().pop();
    std::fs::write(&file, content.to_string()).unwrap();
    let (done, said) = import().await;
    assert!(done && said.contains("0 taken over, 2 here already, 0 refused"), "{said}");
    // One of Alloy's answers alone will do, and the key of a host on this machine.
    std::fs::write(&file, users.to_string()).unwrap();
    let mut command = Command::new(tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap());
    command.arg("import").arg(&file).args(["--host", scenario.host.base_url(), "--data-dir"]);
    let output = command.arg(scenario.host.data_dir()).env_remove("TRUNNION_KEY").output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("users: 0 taken over, 2 here already, 5 refused"), "{said}");

    // The draft has the trigger, and says what is missing; written, it is that very workflow.
    let path = format!("/v1/workflows/{workflow}");
    let draft = client.get(&path).await.unwrap().ok().unwrap();
    assert_eq!(draft["definition"]["trigger"], json!({ "type": "event", "event": "Fulfillment Updated" }));
    let refused = client.post(&format!("{path}/releases"), &json!({})).await.unwrap();
    assert!(refused.status == 400 && refused.message().contains("no step"), "{refused:?}");
    client.release_again(workflow, &fulfilment()).await.unwrap();
    let listed =
        client.get(&format!("/2023-12/workflows/{workflow}?userId=eve")).await.unwrap().ok().unwrap();
    assert_eq!(
        (&listed["data"]["workflowId"], &listed["data"]["integrationId"]),
        (&json!(workflow), &json!(integration))
    );
}
