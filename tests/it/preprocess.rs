//! Pre-process flows: one address whose workflow says which workflow and user a request is for.

use serde_json::{Value, json};
use trunnion_tests::{
    isv::Isv,
    scenario::{STREAM, Scenario},
    wait,
};

/// A router of AcmeCo's own, and a workflow that it hands requests to.
struct Routing {
    scenario: Scenario,
    target: String,
    router: String,
    /// AcmeCo's own user, for whom the router is installed.
    own: String,
    url: String,
    secret: String,
}

async fn routing() -> Routing {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let Scenario { client, catalogue, .. } = &scenario;
    let target = json!({
        "name": "Inventory", "trigger": { "type": "call" }, "steps": [
            { "id": "each", "type": "for_each", "items": "{{ trigger.updates }}", "steps": [
                { "id": "send", "type": "stream", "destination": STREAM,
                  "body": { "id": "{{ item.id }}", "user": "{{ user.username }}" } } ] },
            { "id": "told", "type": "respond", "status": 201,
              "body": { "taken": "{{ steps.each.succeeded }}", "by": "{{ user.username }}" } },
        ],
    });
    let target = client.release_workflow(&catalogue.integration, &target).await.unwrap();
    let router = json!({
        "name": "Router", "trigger": { "type": "preprocess" }, "steps": [
            { "id": "known", "type": "filter", "condition": "trigger.body.topic == 'INVENTORY_UPDATE'" },
            { "id": "to", "type": "set", "value": { "workflow": "{{ trigger.body.flow | default('Inventory') }}",
                "user": "{{ trigger.body.shop }}", "data": { "updates": "{{ trigger.body.updates }}" } } },
        ],
    });
    let router = client.release_workflow(&catalogue.integration, &router).await.unwrap();
    let own = install_for(&scenario, "acme-router", &router).await;
    let (url, secret) = scenario.client.entrance(&own, &router).await.unwrap();
    Routing { scenario, target, router, own, url, secret }
}

/// A new user with a workflow that needs no credential: the user's id.
async fn install_for(scenario: &Scenario, name: &str, workflow: &str) -> String {
    let Scenario { client, catalogue, .. } = scenario;
    let user = client.create_user(name, name).await.unwrap();
    let start = json!({ "userId": user, "integrationId": catalogue.integration, "workflowIds": [workflow] });
    let started = client.post("/2023-12/headless/startInstallation", &start).await.unwrap().ok().unwrap();
    let complete = json!({ "installationId": started["installationId"], "data": [] });
    client.post("/2023-12/headless/completeInstallation", &complete).await.unwrap().ok().unwrap();
    user
}

impl Routing {
    async fn ask(&self, body: &Value, headers: &[(&str, &str)]) -> (u16, Value) {
        let url = self.url.replace(self.scenario.host.public_url(), self.scenario.host.base_url());
        let mut request = reqwest::Client::new().post(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// A customer with the target installed: the user's id.
    async fn customer(&self, name: &str) -> String {
        install_for(&self.scenario, name, &self.target).await
    }
}

fn update(shop: &str, ids: &[u64]) -> Value {
    let updates: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    json!({ "topic": "INVENTORY_UPDATE", "shop": shop, "updates": updates })
}

#[tokio::test]
async fn requests_to_one_address_start_the_workflows_of_the_users_they_are_for() {
    let routing = routing().await;
    let (ada, bob) = (routing.customer("ada").await, routing.customer("bob").await);
    let told = routing.ask(&update("ada", &[41, 42]), &[]).await;
    assert_eq!(told, (201, json!({ "taken": 2, "by": "ada" })), "the answer is the target's");
    let told = routing.ask(&update(&bob, &[43]), &[]).await;
    assert_eq!(told, (201, json!({ "taken": 1, "by": "bob" })), "a user is named by id, too");
    for (order, user) in [(41, "ada"), (42, "ada"), (43, "bob")] {
        let posts = routing.scenario.isv.orders(order);
        assert_eq!(posts.len(), 1);
        assert_eq!(posts[0].json()["user"], user);
    }
    let client = &routing.scenario.client;
    assert_eq!(client.runs_ended(&routing.target, &ada, 1).await.unwrap().len(), 1);
    let runs = client.runs_ended(&routing.router, &routing.own, 2).await.unwrap();
    for run in runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
        let steps: Vec<_> =
            run.0["steps"].as_array().unwrap().iter().map(|step| step["id"].clone()).collect();
        assert_eq!(steps, ["routed-to"], "{}", run.text());
        assert_eq!(run.0["event"]["data"], Value::Null, "the request is kept with the user it was for alone");
        assert!(!run.text().contains("INVENTORY"), "{}", run.text());
    }
}

#[tokio::test]
async fn a_request_whose_run_fails_as_it_is_accepted_is_answered_at_once() {
    let routing = routing().await;
    let target = json!({
        "name": "Unordered", "trigger": { "type": "call" },
        "concurrency": { "type": "ordered", "by": "{{ trigger.key }}" },
        "steps": [{ "id": "told", "type": "respond", "status": 201, "body": {} }],
    });
    let Scenario { client, catalogue, .. } = &routing.scenario;
    let target = client.release_workflow(&catalogue.integration, &target).await.unwrap();
    install_for(&routing.scenario, "ada", &target).await;
    let mut keyless = update("ada", &[1]);
    keyless["flow"] = json!("Unordered");
    let (status, body) = routing.ask(&keyless, &[]).await;
    assert_eq!(status, 500, "it waited in vain: {body}");
    assert!(body["message"].as_str().unwrap().contains("/concurrency/by"), "{body}");
}

#[tokio::test]
async fn a_request_that_is_for_nobody_says_so() {
    let routing = routing().await;
    let ada = routing.customer("ada").await;
    let (status, body) = routing.ask(&update("nobody", &[1]), &[]).await;
    assert_eq!(status, 500);
    assert!(body["message"].as_str().unwrap().contains("there is no user `nobody`"), "{body}");
    let mut elsewhere = update("ada", &[1]);
    elsewhere["flow"] = json!("Elsewhere");
    let (status, body) = routing.ask(&elsewhere, &[]).await;
    assert_eq!(status, 500);
    assert!(body["message"].as_str().unwrap().contains("there is no workflow `Elsewhere`"), "{body}");
    elsewhere["flow"] = json!("Router");
    let (status, body) = routing.ask(&elsewhere, &[]).await;
    assert_eq!(status, 500);
    assert!(body["message"].as_str().unwrap().contains("no active copy of workflow"), "{body}");
    let (status, _) = routing.ask(&json!({ "topic": "OTHER" }), &[]).await;
    assert_eq!(status, 204, "a filter says that it is nobody's business");
    let runs = routing.scenario.client.runs(&routing.target, &ada).await.unwrap();
    assert!(runs.is_empty(), "{runs:?}");
}

#[tokio::test]
async fn killed_on_its_way_a_request_reaches_its_user_once_and_is_called_back() {
    let mut routing = routing().await;
    let ada = routing.customer("ada").await;
    let receiver = Isv::start().await.unwrap();
    receiver.trust(&routing.secret);
    let (url, held) = (receiver.url("/answers"), routing.scenario.isv.hold_next());
    let headers =
        [("trunnion-callback", url.as_str()), ("prefer", "respond-async"), ("idempotency-key", "k")];
    let (status, told) = routing.ask(&update("ada", &[44]), &headers).await;
    assert_eq!(status, 202, "{told}");
    held.arrived().await;
    routing.scenario.crash().await.unwrap();
    held.release();
    let post = receiver.wait_for("the answer", |post| post.json()["run_id"] == told["run_id"]).await.unwrap();
    assert_eq!((post.signature.clone(), &post.json()["body"]["by"]), (Ok(()), &json!("ada")));
    let again = wait::until("the same answer", || async {
        let (status, body) = routing.ask(&update("ada", &[44]), &[("idempotency-key", "k")]).await;
        (status == 201).then_some(body)
    });
    assert_eq!(again.await.unwrap(), json!({ "taken": 1, "by": "ada" }));
    let runs = routing.scenario.client.runs_ended(&routing.target, &ada, 1).await.unwrap();
    assert_eq!(runs.len(), 1);
}
