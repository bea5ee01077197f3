//! `alloy-python` 1.0.0 as PyPI has it, every method of its clients for Embedded, with nothing set but the address.

use serde_json::{Value, json};
use trunnion_tests::{
    host::workspace,
    node::Script,
    python,
    scenario::{FULFILMENT_EVENT, Scenario},
};

use super::{Official, register};

/// The client, and what is called on it.
struct Python(Official);

impl Python {
    async fn start(scenario: &Scenario) -> Self {
        let dir = python::installed("alloy-python", &["alloy-python==1.0.0"], None).await.unwrap();
        let mut command = python::command(&dir, "python");
        command.arg(workspace().join("tests/alloy-python/calls.py"));
        command.env("ALLOY_URL", format!("{}/2023-12", scenario.host.base_url()));
        command.env("ALLOY_KEY", &scenario.host.keys().development);
        Self(Official::new(Script::of(command).unwrap()))
    }

    async fn ask(&mut self, name: &str, arguments: Value) -> Value {
        let (client, call) = name.split_once('.').unwrap();
        let question = json!({ "client": client, "call": call, "args": arguments });
        self.0.ask(name.to_owned(), &question).await
    }

    /// What a method gave.
    async fn call(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.ask(name, arguments).await;
        answer.get("value").unwrap_or_else(|| panic!("{name}: {answer}")).clone()
    }

    /// What a method raised, and with which words.
    async fn raised(&mut self, name: &str, arguments: Value) -> (String, String) {
        let answer = self.ask(name, arguments).await;
        let text =
            |member: &str| answer[member].as_str().unwrap_or_else(|| panic!("{name}: {answer}")).to_owned();
        (text("raised"), text("message"))
    }

    /// Every client acts for this user from here on.
    async fn acts_for(&mut self, user: &str) {
        self.0.script.ask(&json!({ "user": user })).await.unwrap();
    }
}

#[tokio::test]
async fn every_method_of_the_python_client_gives_what_it_should() {
    let scenario = Scenario::start().await.unwrap();
    register(&scenario).await;
    let Scenario { client, catalogue, bigcommerce, .. } = &scenario;
    let mut python = Python::start(&scenario).await;
    let methods = python.0.script.ask(&json!({ "methods": true })).await.unwrap()["value"].clone();

    // Users.
    let made = python.call("User.create_user", json!([{ "username": "ada", "fullName": "Ada" }])).await;
    let ada = made["userId"].as_str().unwrap().to_owned();
    python.acts_for(&ada).await;
    let shown = json!({ "userId": ada, "username": "ada", "fullName": "Ada" });
    assert_eq!(python.call("User.get_user", json!([])).await, shown);
    let batch = json!([{ "users": [{ "username": "bob" }, { "fullName": "Nameless" }] }]);
    let told = json!({ "message": "success", "invalidUsers": [{ "fullName": "Nameless" }] });
    assert_eq!(python.call("User.create_batch_users", batch).await, told);
    let listed = python.call("User.list_users", json!([])).await;
    let names: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|user| user["username"].clone()).collect();
    assert_eq!(names, ["ada", "bob"]);
    let shown = json!({ "userId": ada, "username": "ada", "fullName": "Ada L." });
    assert_eq!(python.call("User.update_user", json!([{ "fullName": "Ada L." }])).await, shown);
    let token = python.call("Tokens.get", json!([])).await["token"].as_str().unwrap().to_owned();
    let browser = client.as_user(&token);
    browser.get("/2023-12/integrations").await.unwrap().ok().unwrap();

    // Apps and credentials.
    assert_eq!(python.call("App.get_apps", json!([])).await["data"][0]["name"], "bigcommerce");
    let asks = python.call("Credentials.get_metadata", json!([])).await;
    assert_eq!(asks["data"][0]["properties"][1]["name"], "access_token");
    bigcommerce.add_store("storeada", "canary-token-ada-7f3a9c51");
    let data = json!({ "store_hash": "storeada", "access_token": "canary-token-ada-7f3a9c51" });
    let made = python
        .call("Credentials.create", json!([{ "credential": { "type": "bigcommerce", "data": data } }]))
        .await;
    let credential = made["credentialId"].as_str().unwrap().to_owned();
    assert_eq!(made, json!({ "success": true, "credentialId": credential }));
    let listed = python.call("Credentials.list_user_credentials", json!([])).await;
    assert_eq!(
        (&listed["data"][0]["credentialId"], &listed["data"][0]["type"]),
        (&json!(credential), &json!("bigcommerce"))
    );
    let redirect =
        python.call("Credentials.generate_oauth_link", json!(["bigcommerce", catalogue.integration])).await;
    let url = redirect["oauthUrl"].as_str().unwrap();
    assert!(url.starts_with("https://login.bigcommerce.com/") && url.contains(super::CLIENT), "{url}");

    // Integrations, workflows and links.
    client.install(&ada, &catalogue.integration, &credential, &[]).await.unwrap();
    let seen = browser.get("/2023-12/integrations").await.unwrap().ok().unwrap();
    assert_eq!(python.call("Integration.list_integrations", json!([])).await, seen);
    assert_eq!(python.call("Tokens.list_integrations", json!([])).await, seen);
    let one = python.call("Integration.get_integration", json!([catalogue.integration])).await;
    assert_eq!((&one["data"], &one["data"]["installed"]), (&seen["data"][0], &json!(true)));
    let link = python.call("Link.generate", json!([catalogue.integration])).await["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(link.contains("/embedded-install?integrationId="), "{link}");
    let (kind, words) = python.raised("Link.generate", json!(["000000000000000000000000"])).await;
    assert_eq!(
        (kind.as_str(), words.starts_with("there is no integration")),
        ("ValueError", true),
        "{words}"
    );
    let listed = python.call("Workflows.list", json!([])).await["data"].as_array().unwrap().clone();
    let ids: Vec<_> = listed.iter().map(|it| it["workflowId"].clone()).collect();
    assert_eq!(ids, [json!(catalogue.order_created), json!(catalogue.fulfilment)]);
    let fulfilment = json!([catalogue.fulfilment]);
    assert_eq!(python.call("Workflows.get", fulfilment.clone()).await["data"], listed[1]);
    client.release_again(&catalogue.fulfilment, &trunnion_tests::scenario::fulfilment()).await.unwrap();
    assert_eq!(python.call("Workflows.upgrade", fulfilment.clone()).await, json!({ "upgraded": true }));
    let versions = python.call("Workflows.list_versions", fulfilment.clone()).await["data"].clone();
    assert_eq!((&versions[0]["status"], &versions[1]["status"]), (&json!("inactive"), &json!("active")));
    assert_eq!(python.call("Workflows.deactivate", fulfilment.clone()).await, json!({ "activated": false }));
    assert_eq!(python.call("Workflows.activate", fulfilment.clone()).await, json!({ "activated": true }));

    // Events and logs.
    let listed = python.call("Events.list", json!([])).await["data"].clone();
    assert_eq!(
        (&listed[0]["name"], &listed[0]["body"]["status"]),
        (&json!(FULFILMENT_EVENT), &json!("FULFILLED"))
    );
    let order = bigcommerce.create_order("storeada", 11).unwrap();
    for (count, order) in [order, 999_999].into_iter().enumerate() {
        let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
        let told = python.call("Events.run", json!([FULFILMENT_EVENT, data])).await;
        assert_eq!(told, json!({ "message": "Event successfully triggered" }));
        client.runs_ended(&catalogue.fulfilment, &ada, count + 1).await.unwrap();
    }
    let (kind, words) = python.raised("Events.run", json!(["No Such Event", {}])).await;
    assert_eq!((kind.as_str(), words.contains("No Such Event")), ("ValueError", true), "{words}");
    let logs = python.call("Logs.get_workflow_logs", fulfilment.clone()).await["data"].clone();
    assert_eq!((&logs[0]["status"], &logs[1]["status"]), (&json!("error"), &json!("success")));
    let errors =
        python.call("Logs.get_workflow_errors", fulfilment.clone()).await["data"].as_array().unwrap().clone();
    assert_eq!((errors.len(), &errors[0]["block"]), (1, &json!("update")));
    let execution = logs[1]["executionId"].clone();
    let again = python.call("Logs.rerun_workflow_execution", json!([catalogue.fulfilment, execution])).await;
    assert_eq!(again["message"], "success");
    let runs = client.runs_ended(&catalogue.fulfilment, &ada, 3).await.unwrap();
    assert_eq!(json!(runs[0].id()), again["executionUuid"]);
    let figures = json!({ "totalAppActions": 3, "totalWorkflowRuns": 3, "totalErrors": 1 });
    assert_eq!(python.call("Analytics.get", fulfilment.clone()).await, figures);
    assert_eq!(python.call("Compliance.delete_user_logs", json!([])).await, json!({ "message": "Success" }));
    assert_eq!(python.call("Logs.get_workflow_logs", fulfilment.clone()).await, json!({ "data": [] }));

    // Leaving.
    assert_eq!(python.call("Workflows.deactivate_all", json!([])).await, json!({ "message": "Success" }));
    assert_eq!(python.call("Workflows.delete", fulfilment).await, json!({ "deleted": true }));
    assert_eq!(python.call("Credentials.delete", json!([credential])).await, json!({ "success": true }));
    assert_eq!(python.call("User.delete_user", json!([])).await, json!({ "success": true }));
    let (kind, words) = python.raised("User.get_user", json!([])).await;
    assert_eq!((kind.as_str(), words.contains("404")), ("HTTPError", true), "{words}");
    assert_eq!(python.call("Embedded.identify", json!(["ada"])).await, Value::Null);
    assert_eq!(python.call("Embedded.clear", json!([])).await, Value::Null);

    let settings = ["set_user_id", "set_username"];
    let every = methods.as_object().unwrap().iter().flat_map(|(name, calls)| {
        let calls = calls.as_array().unwrap().iter().map(|call| call.as_str().unwrap());
        calls.filter(|call| !settings.contains(call)).map(|call| format!("{name}.{call}")).collect::<Vec<_>>()
    });
    python.0.has_called(every);
}
