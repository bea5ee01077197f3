//! Alloy's Quick Start, from the first call to the last, as an ISV's engineer follows it: only the address differs.
//!
//! AcmeCo has defined its integration already; `Scenario` shows how. Without Chromium this test says that it is skipped.

use serde_json::{Value, json};
use trunnion_tests::{
    browser::{Browser, Sdk, chromium},
    host::Client,
    scenario::{FULFILMENT_EVENT, Scenario},
};

/// The host, as AcmeCo's page knows it.
const PUBLIC: &str = "trunnion.example";
const STORE: &str = "adastore";

/// AcmeCo's server: it has an API key, and takes JSON for granted.
struct AcmeCo(Client);

impl AcmeCo {
    async fn get(&self, path: &str) -> Value {
        self.0.get(&format!("/2023-12{path}")).await.unwrap().ok().unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.0.post(&format!("/2023-12{path}"), &body).await.unwrap().ok().unwrap()
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        self.0.put(&format!("/2023-12{path}"), &body).await.unwrap().ok().unwrap()
    }

    async fn delete(&self, path: &str) -> Value {
        self.0.delete(&format!("/2023-12{path}")).await.unwrap().ok().unwrap()
    }

    /// Whether a user's copy of a workflow is installed, active, and which version it is.
    async fn copy(&self, workflow: &str, user: &str) -> Value {
        let told = self.get(&format!("/workflows/{workflow}?userId={user}")).await["data"].clone();
        json!([told["installed"], told["active"], told["installedVersion"]])
    }
}

/// What AcmeCo does when it has shipped an order; the customer says which status that is.
fn ship_orders(name: &str) -> Value {
    json!({
        "name": name,
        "trigger": { "type": "event", "event": FULFILMENT_EVENT },
        "fields": [{ "name": "status", "title": "Status of shipped orders", "kind": { "type": "number" }, "required": true }],
        "steps": [{
            "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
            "input": { "order_id": "{{ trigger.orderId }}", "status_id": "{{ config.status }}" },
        }],
    })
}

#[tokio::test]
async fn the_quick_start_from_a_first_user_to_their_erasure() {
    let Some(chromium) = chromium() else {
        println!("SKIPPED the_quick_start: there is no Chromium; install it (Debian: chromium)");
        return;
    };
    let scenario = Scenario::start().await.unwrap();
    let Scenario { host, bigcommerce, catalogue, .. } = &scenario;
    let acme = AcmeCo(host.client().unwrap());

    // Once, before the first customer: AcmeCo is known to BigCommerce, and its workflow is released.
    bigcommerce.add_client("acmeco-app", "acmeco-secret");
    let registration = json!({ "client_id": "acmeco-app", "client_secret": "acmeco-secret" });
    acme.0.put("/v1/apps/bigcommerce/oauth-client", &registration).await.unwrap().ok().unwrap();
    let ship = acme.0.release_workflow(&catalogue.integration, &ship_orders("Ship orders")).await.unwrap();

    // 1. Create a user, for a customer of AcmeCo.
    let made = acme.post("/users", json!({ "username": "ada@engines.example", "fullName": "Ada" })).await;
    let user = made["userId"].as_str().unwrap();
    let shown = json!({ "userId": user, "username": "ada@engines.example", "fullName": "Ada" });
    assert_eq!(acme.get(&format!("/users/{user}")).await, shown);

    // 2. List the integrations, to know what to offer.
    let offered = acme.get(&format!("/integrations?userId={user}")).await;
    let integration = offered["data"][0]["integrationId"].as_str().unwrap();
    assert_eq!(
        (&offered["data"][0]["app"], &offered["data"][0]["installed"]),
        (&json!("bigcommerce"), &json!(false))
    );
    let names: Vec<_> =
        offered["data"][0]["workflows"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert!(names.contains(&&json!("Ship orders")), "{offered}");

    // 3. Get a token, for the customer's browser.
    let token = acme.get(&format!("/users/{user}/token")).await["token"].as_str().unwrap().to_owned();

    // 4. The customer installs in the modal, on AcmeCo's page: connects the store, says what AcmeCo cannot know.
    bigcommerce.add_store(STORE, "the-stores-own-token");
    bigcommerce.sign_in(STORE);
    let web = [(PUBLIC, host.base_url()), ("login.bigcommerce.com", bigcommerce.base_url())];
    let mut browser = Browser::start(&chromium, &web).await.unwrap();
    let what = json!({ "integrationId": integration, "workflowIds": [ship] });
    browser.open(Sdk::Embed, &token, ("install", what), json!({})).await.unwrap();
    browser.see("Connect your account").await.unwrap();
    browser.click("Connect BigCommerce").await.unwrap();
    browser.see("Choose your options").await.unwrap();
    let status = json!({ "label": "Status of shipped orders", "search": "ship", "choice": "Shipped" });
    browser.act("pick", &status).await.unwrap();
    browser.click("Install").await.unwrap();
    browser.see("All set").await.unwrap();
    let (outcomes, _) = browser.outcomes(1).await.unwrap();
    assert_eq!(outcomes, json!([{ "success": true }]), "AcmeCo's callback hears it");
    assert_eq!(acme.copy(&ship, user).await, json!([true, true, 1]));

    // 5. Run an event: AcmeCo has shipped an order, and the store shows it.
    let order = bigcommerce.create_order(STORE, 11).unwrap();
    let shipped = |order: u64| json!({ "event": FULFILMENT_EVENT, "userId": user, "data": { "orderId": order.to_string(), "status": "x" } });
    assert_eq!(acme.post("/run/event", shipped(order)).await["message"], "Event successfully triggered");
    acme.0.runs_ended(&ship, user, 1).await.unwrap();
    assert_eq!(bigcommerce.status_of(STORE, order), Some(2), "Shipped");

    // 6. Read the logs.
    let logs = acme.get(&format!("/workflows/{ship}/logs?userId={user}")).await;
    assert_eq!((&logs["data"][0]["status"], &logs["data"][0]["finished"]), (&json!("success"), &json!(true)));

    // 7. Read the errors: one order was never there.
    acme.post("/run/event", shipped(987_654)).await;
    acme.0.runs_ended(&ship, user, 2).await.unwrap();
    let errors = acme.get(&format!("/workflows/{ship}/errors?userId={user}")).await;
    assert_eq!(
        (errors["data"].as_array().unwrap().len(), &errors["data"][0]["block"]),
        (1, &json!("update"))
    );

    // 8. Deactivate: nothing runs until it is activated again.
    let copy = json!({ "userId": user, "workflowId": ship });
    assert_eq!(acme.put("/workflows/deactivate", copy.clone()).await, json!({ "activated": false }));
    let order = bigcommerce.create_order(STORE, 11).unwrap();
    acme.0.post("/2023-12/run/event", &shipped(order)).await.unwrap();
    assert_eq!(acme.0.runs(&ship, user).await.unwrap().len(), 2, "nothing runs");
    assert_eq!(bigcommerce.status_of(STORE, order), Some(11));
    assert_eq!(acme.copy(&ship, user).await, json!([true, false, 1]));
    assert_eq!(acme.put("/workflows/activate", copy).await, json!({ "activated": true }));

    // 9. Upgrade: AcmeCo releases a second version, and moves the customer to it.
    acme.0.release_again(&ship, &ship_orders("Ship orders faster")).await.unwrap();
    assert_eq!(acme.copy(&ship, user).await, json!([true, true, 1]), "nobody is moved unasked");
    let upgraded = acme.put(&format!("/workflows/{ship}/upgrade?userId={user}"), json!({})).await;
    assert_eq!(upgraded, json!({ "upgraded": true }));
    assert_eq!(acme.copy(&ship, user).await, json!([true, true, 2]));
    acme.post("/run/event", shipped(order)).await;
    acme.0.runs_ended(&ship, user, 3).await.unwrap();
    assert_eq!(bigcommerce.status_of(STORE, order), Some(2), "with the status that was chosen before");

    // 10. Erase: the customer leaves, with everything of theirs.
    assert_eq!(acme.delete(&format!("/users/{user}")).await, json!({ "success": true }));
    assert_eq!(acme.0.get(&format!("/2023-12/users/{user}")).await.unwrap().status, 404);
    assert_eq!(acme.get(&format!("/workflows/{ship}/logs")).await, json!({ "data": [] }));
    assert_eq!(
        acme.0.as_user(&token).get("/2023-12/workflows").await.unwrap().status,
        401,
        "the token is void"
    );
}
