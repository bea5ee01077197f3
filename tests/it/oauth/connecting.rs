//! The way to a credential: consent with state, proof key and signature, client credentials, a service account.

use serde_json::json;
use trunnion_tests::issuer::{come_back, sent_to};
use url::Url;

use super::{CLIENT_SECRET, Setting};

#[tokio::test]
async fn a_person_consents_and_the_connection_works() {
    let setting = Setting::start().await;
    let credential = setting.connect().await;
    let shown = setting.connection().await;
    assert_eq!((shown["id"].as_str(), shown["account"].as_str()), (Some(credential.as_str()), Some("ada")));
    setting.install().await;
    setting.say("hello").await;
    let runs = setting.client.runs_ended(&setting.workflow, &setting.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(runs[0].step("say").unwrap()["output"]["account"], "ada");

    let client = setting.client.get("/v1/apps/tokens/oauth-client").await.unwrap();
    let shown = client.ok().unwrap();
    assert_eq!(shown["client_id"], super::CLIENT);
    assert_eq!(shown["callback_url"], "https://trunnion.example/oauth/callback");
    assert!(!client.text.contains("secret"), "{}", client.text);
}

#[tokio::test]
async fn what_comes_back_is_believed_once_whole_and_from_the_vendor() {
    let setting = Setting::start().await;
    let (issuer, host) = (&setting.issuer, &setting.host);
    let says = |page: String, what: &str| assert!(page.contains(what), "{what}: {page}");

    // A changed member breaks the vendor's signature, and the state is used up by the attempt.
    let to = issuer.consent(&setting.consent_url("").await).await.unwrap();
    let changed = Url::parse(&to.as_str().replace("shop=ada", "shop=eve")).unwrap();
    let answer = come_back(host, &changed).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    says(answer.text().await.unwrap(), "its signature is not the vendor");
    let again = come_back(host, &to).await.unwrap();
    assert_eq!(again.status(), 404);
    says(again.text().await.unwrap(), "was used before");

    // Nobody's state.
    let unknown = Url::parse("https://trunnion.example/oauth/callback?code=1&state=00112233").unwrap();
    assert_eq!(come_back(host, &unknown).await.unwrap().status(), 404);

    // The right callback, once.
    let to = issuer.consent(&setting.consent_url("").await).await.unwrap();
    let page = come_back(host, &to).await.unwrap();
    assert_eq!(page.status(), 200);
    says(page.text().await.unwrap(), "You can close this window");
    assert_eq!(come_back(host, &to).await.unwrap().status(), 404);
    assert_eq!(issuer.asked().len(), 1, "only the believed one reached the vendor: {:?}", issuer.asked());

    // What the vendor says against it is shown as text, without what it was sent.
    issuer.add_client(super::CLIENT, "another secret of the vendor's side");
    let url = setting.consent_url("&redirectUrl=https://acmeco.example/").await;
    let refused = sent_to(issuer.connect(host, &url).await.unwrap()).await.unwrap();
    assert!(refused.as_str().contains("success=false"), "{refused}");
    assert!(refused.as_str().contains("oauth-callback-unsigned"), "the secret signs no longer: {refused}");
    assert!(!refused.as_str().contains("cnry"), "{refused}");
}

#[tokio::test]
async fn asking_for_consent_needs_a_client_and_what_the_address_is_made_of() {
    let setting = Setting::start().await;
    let path = |query: &str| format!("/headless/oauthUrl?userId={}&{query}", setting.user);
    for (query, status, says) in [
        ("app=tokens", 400, "needs `shop`"),
        ("app=tokens&shop=a.b", 400, "`shop` of `tokens` must be"),
        ("app=tokens&shop=ada&redirectUrl=javascript:alert(1)", 400, "not a URL"),
        ("app=tokens&shop=ada&scheme=user", 400, "not connected by consent by `user`"),
        ("app=nothing", 404, "no connector"),
        ("shop=ada", 400, "`app` is missing"),
    ] {
        let answer = setting.client.get(&path(query)).await.unwrap();
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        assert!(answer.message().contains(says), "{query}: {}", answer.text);
    }
    let body = json!({ "userId": setting.user, "app": "tokens", "shop": "ada" });
    let posted = setting.client.post("/headless/oauthUrl", &body).await.unwrap().ok().unwrap();
    assert!(posted["oauthUrl"].as_str().unwrap().starts_with("https://ada.tokens.example/authorize?"));
    let old =
        setting.client.get(&format!("/2023-12/users/{}/credentials/tokens?shop=ada", setting.user)).await;
    assert!(old.unwrap().ok().unwrap()["redirectUrl"].is_string());

    setting
        .client
        .send(reqwest::Method::DELETE, "/v1/apps/tokens/oauth-client", None)
        .await
        .unwrap()
        .ok()
        .unwrap();
    let answer = setting.client.get(&path("app=tokens&shop=ada")).await.unwrap();
    assert_eq!((answer.status, answer.message().contains("PUT /v1/apps/tokens/oauth-client")), (404, true));
}

#[tokio::test]
async fn clients_service_accounts_and_passwords_are_connected_by_values() {
    let setting = Setting::start().await;
    setting.issuer.add_client("own-client", "cnry-own-secret-27d1");
    setting.issuer.add_key("basic account", "ada:cnry-password-88f1");
    setting.issuer.add_key("key account", "cnry-key-4e77");
    setting.issuer.add_key("aws account", "AKIAEXAMPLE");
    let (key, _) = setting.issuer.service_account("robot@acme.example").unwrap();
    for (data, account) in [
        (json!({}), super::CLIENT),
        (json!({ "client_id": "own-client", "client_secret": "cnry-own-secret-27d1" }), "own-client"),
        (json!({ "service_account": key }), "robot@acme.example"),
        (json!({ "username": "ada", "password": "cnry-password-88f1" }), "basic account"),
        (json!({ "api_key": "cnry-key-4e77" }), "key account"),
        (json!({ "access_key_id": "AKIAEXAMPLE", "secret_access_key": "cnry-aws-61c0" }), "aws account"),
    ] {
        let id = setting.give(data).await;
        let path = format!("/v1/users/{}/connections", setting.user);
        let shown = setting.client.get(&path).await.unwrap().ok().unwrap();
        let connection =
            shown["data"].as_array().unwrap().iter().find(|it| it["id"] == id.as_str()).unwrap().clone();
        assert_eq!(connection["account"], account);
    }
    let (other, _) =
        trunnion_tests::issuer::Issuer::start().await.unwrap().service_account("robot@acme.example").unwrap();
    for (data, says) in [
        (json!({ "service_account": other }), "the assertion is not believed"),
        (json!({ "service_account": "{}" }), "lacks a member"),
        (json!({ "client_id": "own-client", "client_secret": "wrong" }), "does not accept the client"),
    ] {
        let mut whole = data;
        whole["shop"] = json!("ada");
        whole["portal"] = json!("1");
        let body = json!({ "userId": setting.user, "credential": { "type": "tokens", "data": whole } });
        let answer = setting.client.post("/2024-03/headless/credentials", &body).await.unwrap();
        assert!((400..600).contains(&answer.status) && answer.text.contains(says), "{says}: {}", answer.text);
        assert!(!answer.text.contains("BEGIN") && !answer.text.contains(CLIENT_SECRET), "{}", answer.text);
    }
}
