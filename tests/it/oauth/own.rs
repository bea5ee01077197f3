//! The environment's own connections: steps that users neither see nor give a credential for.

use serde_json::{Value, json};
use trunnion_tests::wait;

use super::{EVENT, Setting};

const EMAIL: &str = "robot@acme.example";

fn hidden(connection: &str) -> Value {
    json!({
        "name": "to the warehouse",
        "trigger": { "type": "event", "event": EVENT },
        "steps": [{
            "id": "say", "type": "action", "app": "tokens", "action": "say", "connection": connection,
            "input": { "text": "{{ trigger.text }}" },
        }],
    })
}

#[tokio::test]
async fn a_hidden_step_uses_the_environments_own_connection_and_asks_no_user_for_anything() {
    let mut setting = Setting::start().await;
    let body = json!({ "integration_id": setting.integration, "definition": hidden("warehouse") });
    let draft = setting.client.post("/v1/workflows", &body).await.unwrap().ok().unwrap();
    let releases = format!("/v1/workflows/{}/releases", draft["id"].as_str().unwrap());
    let refused = setting.client.post(&releases, &json!({})).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(
        refused.text.contains("/steps/0/connection")
            && refused.text.contains("PUT /v1/connections/warehouse")
    );

    let (key, _) = setting.issuer.service_account(EMAIL).unwrap();
    let data =
        json!({ "app": "tokens", "data": { "service_account": key, "shop": "acmeco", "portal": "1" } });
    let made = setting.client.put("/v1/connections/warehouse", &data).await.unwrap().ok().unwrap();
    assert_eq!((made["account"].as_str(), made["name"].as_str()), (Some(EMAIL), Some("warehouse")));
    let wrong = setting.client.put("/v1/connections/Ware%20house", &data).await.unwrap();
    assert_eq!((wrong.status, wrong.json()["code"].as_str()), (400, Some("connection-name-invalid")));
    setting.client.post(&releases, &json!({})).await.unwrap().ok().unwrap();
    setting.workflow = draft["id"].as_str().unwrap().to_owned();

    // The user has no credential at all, sees no step, and is served all the same.
    setting.install().await;
    let integrations =
        setting.client.get(&format!("/2024-03/integrations/{}", setting.integration)).await.unwrap();
    assert!(!integrations.text.contains("\"say\""), "{}", integrations.text);
    setting.say("hello").await;
    let runs = setting.client.runs_ended(&setting.workflow, &setting.user, 1).await.unwrap();
    assert_eq!(runs[0].step("say").unwrap()["output"]["account"], EMAIL, "{}", runs[0].text());

    // A key that is withdrawn makes runs wait; another one of the same account lets them go on.
    setting.issuer.distrust(true);
    setting.issuer.end_access(EMAIL);
    setting.say("again").await;
    wait::until("the run to wait for the connection", || async {
        let runs = setting.client.runs(&setting.workflow, &setting.user).await.ok()?;
        runs.iter().any(|run| run.status() == "waiting").then_some(())
    })
    .await
    .unwrap();
    let listed = setting.client.get("/v1/connections").await.unwrap().ok().unwrap();
    assert!(listed["data"][0]["needs_attention"].is_string(), "{listed}");
    setting.issuer.distrust(false);
    setting.client.put("/v1/connections/warehouse", &data).await.unwrap().ok().unwrap();
    let runs = setting.client.runs_ended(&setting.workflow, &setting.user, 2).await.unwrap();
    assert!(runs.iter().all(|run| run.status() == "succeeded"), "{runs:?}");
    setting.client.post("/v1/connections/warehouse/check", &json!({})).await.unwrap().ok().unwrap();

    setting
        .client
        .send(reqwest::Method::DELETE, "/v1/connections/warehouse", None)
        .await
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(setting.client.get("/v1/connections").await.unwrap().ok().unwrap()["data"], json!([]));
    let gone = setting.client.post("/v1/connections/warehouse/check", &json!({})).await.unwrap();
    assert_eq!((gone.status, gone.json()["code"].as_str()), (404, Some("connection-unknown")));
}

#[tokio::test]
async fn the_environment_consents_like_a_user() {
    let setting = Setting::start().await;
    let asked = json!({ "app": "tokens", "parameters": { "shop": "acmeco" } });
    let answer = setting.client.post("/v1/connections/shop/consent", &asked).await.unwrap().ok().unwrap();
    let page = setting.issuer.connect(&setting.host, answer["url"].as_str().unwrap()).await.unwrap();
    assert_eq!(page.status(), 200);
    let listed = setting.client.get("/v1/connections").await.unwrap().ok().unwrap();
    assert_eq!(listed["data"][0]["account"], "acmeco", "{listed}");
}
