//! `alloy-node` 2.2.1 as npm has it, every method of it, sent to a host by nothing but `HTTPS_PROXY`: what a switcher's
//! server does on the first day. Its HTTP library then writes requests in absolute form.

use serde_json::{Value, json};
use trunnion_tests::{
    host::workspace,
    node::Script,
    scenario::{Merchant, STREAM, Scenario},
};

use super::{Official, asked, register};

/// The client, and what it is called on.
struct Node(Official);

impl Node {
    async fn start(scenario: &Scenario) -> Self {
        let environment = [
            ("HTTPS_PROXY", scenario.host.base_url()),
            ("ALLOY_KEY", scenario.host.keys().development.as_str()),
        ];
        let folder = workspace().join("tests/alloy-node");
        let script = Script::start_in("alloy-node", &folder, "calls.mjs", &environment).await.unwrap();
        Self(Official::new(script))
    }

    /// What a method gave.
    async fn call(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.0.ask(name.to_owned(), &json!({ "call": name, "args": arguments })).await;
        answer.get("value").unwrap_or_else(|| panic!("{name}: {answer}")).clone()
    }

    /// What a method threw.
    async fn thrown(&mut self, name: &str, arguments: Value) -> String {
        let answer = self.0.ask(name.to_owned(), &json!({ "call": name, "args": arguments })).await;
        answer["thrown"].as_str().unwrap_or_else(|| panic!("{name}: {answer}")).to_owned()
    }
}

/// Ada with both workflows and one that requests start.
async fn ready() -> (Scenario, Merchant, String) {
    let scenario = Scenario::start().await.unwrap();
    register(&scenario).await;
    let ada = scenario.merchant("ada").await.unwrap();
    let asked = scenario.client.release_workflow(&scenario.catalogue.integration, &asked()).await.unwrap();
    let client = &scenario.client;
    client.install(&ada.user, &scenario.catalogue.integration, &ada.credential, &[&asked]).await.unwrap();
    (scenario, ada, asked)
}

#[tokio::test]
async fn every_method_of_the_node_client_gives_what_it_should() {
    let (scenario, ada, asked) = ready().await;
    let Scenario { client, catalogue, bigcommerce, .. } = &scenario;
    let mut node = Node::start(&scenario).await;
    let methods = node.0.script.ask(&json!({ "methods": true })).await.unwrap()["value"].clone();

    // Users.
    let made = node.call("createUser", json!([{ "username": "bob", "fullName": "Bob" }])).await;
    let bob = made["userId"].as_str().unwrap().to_owned();
    let shown = json!({ "userId": bob, "username": "bob", "fullName": "Bob" });
    assert_eq!(made, json!({ "userId": bob }));
    assert_eq!(node.call("getUser", json!(["bob"])).await, shown);
    assert_eq!(node.call("getUser", json!([bob])).await, shown);
    let listed = node.call("getUsers", json!([])).await;
    let names: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|user| user["username"].clone()).collect();
    assert_eq!(names, ["ada", "bob"]);
    let unknown = node.thrown("identify", json!(["carol"])).await;
    assert!(unknown.starts_with("there is no user `carol`"), "the message itself is thrown: {unknown}");
    assert_eq!(node.call("identify", json!(["bob"])).await, Value::Null);
    let shown = json!({ "userId": bob, "username": "bob", "fullName": "Bob B." });
    assert_eq!(node.call("updateUser", json!([{ "fullName": "Bob B." }])).await, shown);
    assert_eq!(node.call("deleteUser", json!([])).await, json!({ "success": true }));
    assert_eq!(node.call("clear", json!([])).await, Value::Null);
    assert_eq!(node.call("identify", json!([ada.user])).await, Value::Null);
    let token = node.call("getUserToken", json!([])).await["token"].as_str().unwrap().to_owned();
    let seen = client.as_user(&token).get("/2023-01/integrations").await.unwrap().ok().unwrap();

    // Integrations and workflows.
    assert_eq!(node.call("getIntegrations", json!([])).await, seen, "the browser sees what the server sees");
    let integration = &seen["data"][0];
    assert_eq!(integration["integrationId"], json!(catalogue.integration));
    for name in ["bigcommerce", &catalogue.integration] {
        assert_eq!(node.call("getIntegration", json!([name])).await["data"], *integration);
    }
    let workflows = node.call("getWorkflows", json!([])).await["data"].as_array().unwrap().clone();
    let of = |id: &str| workflows.iter().find(|it| it["workflowId"] == json!(id)).unwrap().clone();
    assert_eq!(
        (workflows.len(), &of(&asked)["installed"], &of(&asked)["active"]),
        (3, &json!(true), &json!(true))
    );
    assert_eq!(node.call("getWorkflow", json!([asked])).await["data"], of(&asked));
    let versions = node.call("getVersions", json!([asked])).await["data"].clone();
    assert_eq!(
        (&versions[0]["versionName"], &versions[0]["status"]),
        (&json!("Version 1"), &json!("active"))
    );
    let who = node.call("getWorkflowDetails", json!([asked])).await;
    let shown = json!({ "username": "ada", "fullName": "Merchant ada", "userId": ada.user, "workflowActive": true, "installedVersion": 1 });
    assert_eq!(who, json!({ "data": [shown] }));
    let which = json!([{ "workflowId": asked }]);
    assert_eq!(node.call("deactivate", which.clone()).await, json!({ "activated": false }));
    assert_eq!(node.call("getWorkflow", json!([asked])).await["data"]["active"], false);
    assert_eq!(
        node.call("reactivate", json!([{ "workflowName": "Asked" }])).await,
        json!({ "activated": true })
    );

    // Running.
    assert_eq!(node.call("run", json!([asked, { "by": "id" }])).await, json!({ "message": "success" }));
    assert_eq!(node.call("run", json!(["Asked", { "by": "name" }])).await, json!({ "message": "success" }));
    client.runs_ended(&asked, "ada", 2).await.unwrap();
    let order = bigcommerce.create_order(&ada.store, 11).unwrap();
    let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
    let told = node.call("event", json!([trunnion_tests::scenario::FULFILMENT_EVENT, data])).await;
    assert_eq!(told, json!({ "message": "Event successfully triggered" }));
    client.runs_ended(&catalogue.fulfilment, "ada", 1).await.unwrap();
    assert_eq!(bigcommerce.status_of(&ada.store, order), Some(2), "the event did its work");
    let unfit = node.thrown("event", json!(["No Such Event", {}])).await;
    assert!(unfit.contains("No Such Event"), "{unfit}");

    // Logs.
    let logs = node.call("getLogs", json!([asked])).await["data"].as_array().unwrap().clone();
    let mut by: Vec<_> = logs.iter().map(|it| it["results"][0]["data"][0][0]["json"]["by"].clone()).collect();
    by.sort_by_key(ToString::to_string);
    assert_eq!(by, ["id", "name"]);
    let figures = json!({ "totalAppActions": 1, "totalWorkflowRuns": 1, "totalErrors": 0 });
    assert_eq!(node.call("getAnalytics", json!([catalogue.fulfilment])).await, figures);
    assert_eq!(node.call("deleteLogs", json!([])).await, json!({ "message": "Success" }));
    assert_eq!(node.call("getLogs", json!([asked])).await, json!({ "data": [] }));

    // Apps and credentials.
    assert_eq!(node.call("getApps", json!([])).await["data"][0]["name"], "bigcommerce");
    let asks = node.call("getCredential", json!(["bigcommerce"])).await["data"].clone();
    assert_eq!((&asks["isOauth"], &asks["properties"][0]["name"]), (&json!(true), &json!("store_hash")));
    let redirect = node.call("getUserOauthRedirect", json!([{ "credentialName": "bigcommerce" }])).await;
    let url = redirect["redirectUrl"].as_str().unwrap();
    assert!(url.starts_with("https://login.bigcommerce.com/") && url.contains(super::CLIENT), "{url}");
    assert_eq!((&redirect["oauthUrl"], &redirect["url"]), (&json!(url), &json!(url)));
    let link =
        node.call("generateLink", json!([catalogue.integration])).await["url"].as_str().unwrap().to_owned();
    assert!(
        link.starts_with(&format!(
            "{}/embedded-install?integrationId={}",
            scenario.host.public_url(),
            catalogue.integration
        )),
        "{link}"
    );

    // Leaving.
    assert_eq!(node.call("deleteWorkflow", json!([asked])).await, json!({ "deleted": true }));
    assert_eq!(node.call("getWorkflow", json!([asked])).await["data"]["installed"], false);
    assert_eq!(node.call("disableAllWorkflows", json!([])).await, json!({ "message": "Success" }));
    let workflows = node.call("getWorkflows", json!([])).await["data"].as_array().unwrap().clone();
    assert!(workflows.iter().all(|it| it["active"] == false), "{workflows:?}");

    unified(&mut node).await;
    node.0.has_called(methods.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()));
    assert!(client.put_stream(STREAM, "https://acme.example/orders").await.is_ok(), "the host is well");
}

/// The unified API is another product of Alloy's: the host says that it is not there, in words that the client can
/// throw.
async fn unified(node: &mut Node) {
    let one = json!([{ "userId": "ada", "credentialId": "1", "customerId": "1", "orderId": "1", "productId": "1", "subscriptionId": "1", "variantId": "1" }]);
    for name in [
        "listCustomers",
        "createCustomer",
        "updateCustomer",
        "deleteCustomer",
        "listOrders",
        "createOrder",
        "updateOrder",
        "deleteOrder",
        "listProducts",
        "createProduct",
        "updateProduct",
        "deleteProduct",
        "createProductVariant",
        "updateProductVariant",
        "deleteProductVariant",
        "createSubscription",
        "deleteSubscription",
    ] {
        let thrown = node.thrown(name, one.clone()).await;
        assert!(thrown.starts_with("there is no `") && thrown.contains("/2023-03/one/"), "{name}: {thrown}");
    }
    for (name, arguments) in [
        ("getCustomer", json!(["1", "1"])),
        ("getOrder", json!(["1", "1"])),
        ("getProduct", json!(["1", "1"])),
        ("listProductVariants", json!(["1", one[0]])),
        ("getProductVariant", json!(["1", "1", "1"])),
        ("getSubscription", json!(["1", "1"])),
    ] {
        let thrown = node.thrown(name, arguments).await;
        assert!(thrown.starts_with("there is no `"), "{name}: {thrown}");
    }
    // The client's own fault: it never sends anything.
    assert!(node.thrown("listSubscriptions", json!([])).await.starts_with("ReferenceError"));
}
