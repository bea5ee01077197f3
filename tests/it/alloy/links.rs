//! Install links: one integration, one user, once.

use serde_json::{Value, json};
use trunnion_tests::{
    host::Client,
    scenario::{Catalogue, Scenario},
};
use url::Url;

/// A link's token.
async fn link(client: &Client, user: &str, integration: &str) -> (Url, String) {
    let path = format!("/2023-01/users/{user}/integrations/{integration}/install-url");
    let answer = client.get(&path).await.unwrap().ok().unwrap();
    let url = Url::parse(answer["url"].as_str().unwrap()).unwrap();
    let token = url.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    (url, token)
}

/// Installs as a page does: without ever naming the user.
async fn install(page: &Client, catalogue: &Catalogue, credential: &Value) -> (u16, String) {
    let wish = json!({ "integrationId": catalogue.integration, "credentialId": credential });
    let started = page.post("/2024-03/headless/startInstallation", &wish).await.unwrap();
    if started.status != 200 {
        return (started.status, started.message());
    }
    let complete = json!({ "installationId": started.json()["installationId"] });
    let completed = page.post("/2024-03/headless/completeinstallation", &complete).await.unwrap();
    (completed.status, completed.message())
}

#[tokio::test]
async fn a_link_connects_and_installs_its_integration_once_and_nothing_else() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, bigcommerce, host, .. } = &scenario;
    let ada = client.create_user("ada", "Ada").await.unwrap();
    let other = client.create_integration("bigcommerce").await.unwrap();
    let (url, token) = link(client, "ada", &catalogue.integration).await;
    assert!(
        url.as_str().starts_with(&format!("{}/embedded-install?integrationId=", host.public_url())),
        "{url}"
    );
    assert_eq!(url.query_pairs().find(|(name, _)| name == "forgeMode").unwrap().1, "engaged");
    let page = client.as_user(&token);
    let seen = page.get("/2024-03/integrations").await.unwrap().ok().unwrap();
    assert_eq!(seen["data"].as_array().unwrap().len(), 1, "only what it installs: {seen}");
    let hidden = page.get(&format!("/2024-03/integrations/{other}")).await.unwrap();
    assert_eq!(hidden.status, 404, "{}", hidden.text);

    bigcommerce.add_store("linked", "canary-token-linked-7f3a9c51");
    let data = json!({ "store_hash": "linked", "access_token": "canary-token-linked-7f3a9c51" });
    let body = json!({ "credential": { "type": "bigcommerce", "data": data } });
    let made = page.post("/2024-03/headless/credentials", &body).await.unwrap().ok().unwrap();
    for (method, path) in [
        (reqwest::Method::PUT, "/2024-03/workflows/deactivate".to_owned()),
        (reqwest::Method::DELETE, format!("/2024-03/workflows/{}", catalogue.fulfilment)),
        (
            reqwest::Method::DELETE,
            format!("/2024-03/users/{ada}/credentials/{}", made["credentialId"].as_str().unwrap()),
        ),
        (reqwest::Method::GET, "/2024-03/workflows".to_owned()),
    ] {
        let refused = page.send(method.clone(), &path, Some(b"{}".to_vec())).await.unwrap();
        assert_eq!(
            (refused.status, refused.message().contains("install link")),
            (403, true),
            "{method} {path}: {}",
            refused.text
        );
    }
    let elsewhere = json!({ "integrationId": other });
    let refused = page.post("/2024-03/headless/startInstallation", &elsewhere).await.unwrap();
    assert_eq!(refused.status, 404, "{}", refused.text);

    // Two begin; the one that is completed first uses the link up.
    let wish = json!({ "integrationId": catalogue.integration });
    let late = page.post("/2024-03/headless/startInstallation", &wish).await.unwrap().ok().unwrap();
    assert_eq!(install(&page, catalogue, &made["credentialId"]).await.0, 200);
    assert!(!bigcommerce.hooks("linked").is_empty());
    let complete = json!({ "installationId": late["installationId"] });
    let (used, by_key) = (
        page.post("/2024-03/headless/completeInstallation", &complete).await.unwrap(),
        client.post("/2024-03/headless/completeInstallation", &complete).await.unwrap(),
    );
    assert_eq!((used.status, used.message().contains("used already")), (401, true), "{}", used.text);
    assert_eq!((by_key.status, by_key.message().contains("used already")), (400, true), "{}", by_key.text);
    let (status, message) = install(&page, catalogue, &Value::Null).await;
    assert_eq!((status, message.contains("used already")), (401, true), "{message}");
    let installed = client.get("/2024-03/workflows?userId=ada").await.unwrap().ok().unwrap();
    assert!(installed["data"].as_array().unwrap().iter().all(|it| it["installed"] == true), "{installed}");
}

#[tokio::test]
async fn nobody_completes_anothers_installation() {
    let scenario = Scenario::start().await.unwrap();
    let Scenario { client, catalogue, .. } = &scenario;
    let ada = scenario.merchant("ada").await.unwrap();
    client.create_user("bob", "Bob").await.unwrap();
    let wish =
        json!({ "userId": "ada", "integrationId": catalogue.integration, "credentialIds": [ada.credential] });
    let started = client.post("/2024-03/headless/startInstallation", &wish).await.unwrap().ok().unwrap();
    let complete = json!({ "installationId": started["installationId"], "data": [] });
    let bob = client.as_user(&client.user_token("bob").await.unwrap());
    let refused = bob.post("/2024-03/headless/completeInstallation", &complete).await.unwrap();
    assert_eq!(refused.status, 404, "{}", refused.text);
    let (_, token) = link(client, "bob", &catalogue.integration).await;
    let refused =
        client.as_user(&token).post("/2024-03/headless/completeInstallation", &complete).await.unwrap();
    assert_eq!(refused.status, 404, "{}", refused.text);
    let own = client.as_user(&client.user_token("ada").await.unwrap());
    let done = own.post("/2024-03/headless/completeInstallation", &complete).await.unwrap().ok().unwrap();
    assert_eq!(done, json!({ "message": "Installation completed successfully" }));
    let unknown =
        client.get("/2024-03/users/bob/integrations/000000000000000000000000/install-url").await.unwrap();
    assert_eq!(unknown.status, 404, "{}", unknown.text);
}
